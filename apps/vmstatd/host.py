"""The hypervisor as this program sees it: what is asked of a libvirt connection, and how one is opened, read-only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from benchlab.daemon import Absent

FIX = "sudo apt-get install -y libvirt-dev gcc python3-dev pkg-config && pip install -r requirements-vm.txt"

STATE, CPU, BALLOON, VCPU, NET, BLOCK = 1, 2, 4, 8, 16, 32
"""virDomainStatsTypes."""
NOWAIT = 0x20000000
"""VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT: what would wait for a busy machine is left out."""

_KEEPALIVE_S, _KEEPALIVES = 5, 3

_events = threading.Lock()
_has_events = False


class Domain(Protocol):
    """A handle of one machine; its name, uuid and number are known without asking anybody."""

    def name(self) -> str:
        """Return its name."""
        ...

    def UUIDString(self) -> str:  # noqa: N802
        """Return its uuid."""
        ...

    def ID(self) -> int:  # noqa: N802
        """Return the number of its present run, -1 if it does not run."""
        ...

    def info(self) -> Sequence[int]:
        """Return state, most memory and memory in KiB, virtual processors, processor time in ns."""
        ...

    def memoryStats(self) -> Mapping[str, int]:  # noqa: N802
        """Return what its balloon says, in KiB."""
        ...


Rows = Sequence[tuple[Domain, Mapping[str, Any]]]


class Connection(Protocol):
    """A connection, as libvirt-python has it. Every call may block, and raises an error with ``get_error_code()``."""

    def getAllDomainStats(self, stats: int, flags: int) -> Rows:  # noqa: N802
        """Return the statistics of all machines."""
        ...

    def domainListGetStats(self, doms: Sequence[Any], stats: int, flags: int) -> Rows:  # noqa: N802
        """Return the statistics of some machines."""
        ...

    def listAllDomains(self, flags: int = 0) -> Sequence[Domain]:  # noqa: N802
        """Return all machines."""
        ...

    def lookupByUUIDString(self, uuidstr: str) -> Domain:  # noqa: N802
        """Return one machine."""
        ...


Open = Callable[[str], Connection]
"""Opens a connection by its URI."""


def open_connection(uri: str) -> Connection:
    """Return a read-only connection to a real libvirt. Raises Absent without libvirt-python, else what libvirt raises.

    It notices by itself when the other side is gone, for which a thread runs libvirt's events.
    """
    try:
        import libvirt
    except ImportError as error:
        raise Absent(f"libvirt for Python is not there: {error}", FIX) from error
    _run_events(libvirt)
    connection: Connection = libvirt.openReadOnly(without_questions(uri))
    try:
        connection.setKeepAlive(_KEEPALIVE_S, _KEEPALIVES)  # type: ignore[attr-defined]
    except libvirt.libvirtError:
        pass  # a driver within this process, such as test://, has nothing to keep alive
    return connection


def without_questions(uri: str) -> str:
    """Return a URI with which ssh never asks for a password on the terminal: a daemon has none."""
    if "+ssh" not in urlsplit(uri).scheme or "no_tty=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}no_tty=1"


def is_remote(uri: str) -> bool:
    """Return whether a URI names another host than this one."""
    return (urlsplit(uri).hostname or "localhost") not in ("localhost", "127.0.0.1", "::1")


def _run_events(libvirt: Any) -> None:
    """Start the thread of libvirt's events, once, before the first connection; and have errors raised only."""
    global _has_events
    with _events:
        if _has_events:
            return
        _has_events = True
        libvirt.registerErrorHandler(lambda context, error: None, None)
        libvirt.virEventRegisterDefaultImpl()

        def run() -> None:
            while True:
                libvirt.virEventRunDefaultImpl()

        threading.Thread(target=run, name="libvirt events", daemon=True).start()
