"""The system call filters that systemd makes of a unit, as programs that bubblewrap can load; libseccomp compiles them.

Sources: systemd.exec(5); systemd's src/shared/seccomp-util.c for what each directive forbids.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import subprocess
from collections.abc import Iterable
from functools import lru_cache

from support.units import Unit

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_EQUAL, _MASKED, _GREATER = 4, 7, 6
_SHM_EXEC = 0o100000
_SUID_SGID = (0o4000, 0o2000)
_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
_REALTIME = (1, 2, 6)
_FAMILIES = 64

Compared = tuple[int, int, int, int]  # argument, operator, two values


class _Compare(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


class Filter:
    """One filter: what happens to a call that no rule is about, and the rules."""

    def __init__(self, default: int) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2")
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(default)))
        assert self._context

    def add(self, action: int, name: str, *compared: Compared) -> None:
        """Add a rule for a call, if this machine has one of that name."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return
        array = (_Compare * max(1, len(compared)))(*(_Compare(*one) for one in compared))
        code = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, len(compared), array
        )
        assert code in (0, -errno.EEXIST), (name, code)

    def program(self) -> int:
        """Return a descriptor from which the filter can be read."""
        fd = os.memfd_create("filter", 0)
        assert self._library.seccomp_export_bpf(self._context, fd) == 0
        self._library.seccomp_release(self._context)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd


def filters_of(unit: Unit) -> list[int]:
    """Return descriptors of all filters that a unit asks for."""
    made = [_calls(unit)]
    if unit.is_on("MemoryDenyWriteExecute"):
        made.append(memory_deny_write_execute())
    if unit.words("RestrictAddressFamilies"):
        made.append(_families(unit.words("RestrictAddressFamilies")))
    made += [
        _flagged(calls, values)
        for key, calls, values in (
            ("RestrictNamespaces", (("unshare", 0), ("clone", 0), ("setns", 1)), _NAMESPACES),
            ("RestrictSUIDSGID", (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdirat", 2)), _SUID_SGID),
        )
        if unit.is_on(key)
    ]
    if unit.is_on("RestrictRealtime"):
        made.append(_realtime())
    return [one.program() for one in made]


def memory_deny_write_execute() -> Filter:
    """Return the filter of MemoryDenyWriteExecute."""
    both = mmap.PROT_EXEC | mmap.PROT_WRITE
    made = Filter(_ALLOW)
    made.add(_ERRNO | errno.EPERM, "mmap", (2, _MASKED, both, both))
    for name in ("mprotect", "pkey_mprotect"):
        made.add(_ERRNO | errno.EPERM, name, (2, _MASKED, mmap.PROT_EXEC, mmap.PROT_EXEC))
    made.add(_ERRNO | errno.EPERM, "shmat", (2, _MASKED, _SHM_EXEC, _SHM_EXEC))
    return made


def _calls(unit: Unit) -> Filter:
    allowed = set(calls_in("@default"))
    for value in unit.all("SystemCallFilter"):
        names = {call for name in value.lstrip("~").split() for call in calls_in(name)}
        allowed = allowed - names if value.startswith("~") else allowed | names
    made = Filter(_ERRNO | errno.EPERM)
    for name in sorted(allowed):
        made.add(_ALLOW, name)
    return made


def _families(names: Iterable[str]) -> Filter:
    allowed = {int(getattr(socket, name)) for name in names}
    made = Filter(_ALLOW)
    for family in set(range(_FAMILIES)) - allowed:
        made.add(_ERRNO | errno.EAFNOSUPPORT, "socket", (0, _EQUAL, family, 0))
    made.add(_ERRNO | errno.EAFNOSUPPORT, "socket", (0, _GREATER, _FAMILIES - 1, 0))
    return made


def _flagged(calls: Iterable[tuple[str, int]], values: Iterable[int]) -> Filter:
    """Return a filter that forbids calls one of whose arguments has a flag."""
    made = Filter(_ALLOW)
    for name, argument in calls:
        for value in values:
            made.add(_ERRNO | errno.EPERM, name, (argument, _MASKED, value, value))
    return made


def _realtime() -> Filter:
    made = Filter(_ALLOW)
    for policy in _REALTIME:
        made.add(_ERRNO | errno.EPERM, "sched_setscheduler", (1, _EQUAL, policy, 0))
    return made


@lru_cache(maxsize=64)
def calls_in(name: str) -> tuple[str, ...]:
    """Return the calls of a group such as @system-service, as systemd itself says; a single call is its own group."""
    if not name.startswith("@"):
        return (name,)
    words = ["systemd-analyze", "--no-pager", "syscall-filter", name]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    members = [line.strip() for line in text.splitlines()[1:]]
    return tuple(call for one in members if one and not one.startswith("#") for call in calls_in(one))
