"""A libvirt that tests make up: machines with given statistics, and every way in which it can fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vmstatd.host import Connection, Domain, Rows

FIXTURES = Path(__file__).parents[1] / "fixtures/libvirt"


def recorded(name: str) -> dict[str, Any]:
    """Return recorded statistics."""
    found: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return found


class LibvirtError(Exception):
    """An error with libvirt's number, and errno where that is SYSTEM_ERROR."""

    def __init__(self, code: int, message: str, int1: int = 0) -> None:
        super().__init__(message)
        self._code = code
        self._int1 = int1

    def get_error_code(self) -> int:
        return self._code

    def get_int1(self) -> int:
        return self._int1


class Machine:
    """A machine; ``waits`` is what its process is stuck on, ``partial`` what is told of it meanwhile, if anything."""

    def __init__(self, name: str, stats: Mapping[str, Any], vmid: int = 1, uuid: str | None = None) -> None:
        self.stats = dict(stats)
        self.vmid = vmid
        self.title = name
        self.uuid = uuid or f"00000000-0000-4000-8000-{abs(hash(name)) % 10**12:012d}"
        self.waits: threading.Event | None = None
        self.told_when_asked: list[str] = []
        self.info_error: Exception | None = None

    def name(self) -> str:
        return self.title

    def UUIDString(self) -> str:  # noqa: N802
        return self.uuid

    def ID(self) -> int:  # noqa: N802
        return self.vmid

    def info(self) -> Sequence[int]:
        if self.info_error:
            raise self.info_error
        return [1, 8 << 20, 2 << 20, 2, 5_000_000_000]

    def memoryStats(self) -> Mapping[str, int]:  # noqa: N802
        return {"actual": 2 << 20, "unused": 1 << 20, "available": 2 << 20, "last_update": 0, "rss": 1 << 20}


class Libvirt:
    """A daemon with machines. ``error`` is raised by every call, ``refuses`` by every new connection.

    As the real one does, it asks a machine whose process is stuck in one call at a time, and leaves out of all others
    what only that process knows (``tells_partly``); or each call hangs.
    """

    def __init__(self, *machines: Machine) -> None:
        self.machines = list(machines)
        self.error: Exception | None = None
        self.refuses: Exception | None = None
        self.hangs: threading.Event | None = None
        self.tells_partly = False
        self.opened = 0
        self.bulk_calls = 0
        self.asked: list[list[str]] = []
        self._jobs: set[str] = set()

    def open(self, uri: str) -> Connection:
        if self.refuses:
            raise self.refuses
        self.opened += 1
        return FakeConnection(self)

    def stats_of(self, machine: Machine) -> dict[str, Any]:
        if machine.waits is None or machine.waits.is_set():
            return dict(machine.stats)
        if self.tells_partly and machine.uuid in self._jobs:
            return {key: v for key, v in machine.stats.items() if key.startswith(("state.", "cpu.", "vcpu.", "net."))}
        self._jobs.add(machine.uuid)
        machine.waits.wait(60.0)
        self._jobs.discard(machine.uuid)
        if self.error:
            raise self.error
        return dict(machine.stats)


class FakeConnection:
    """A connection to it; one that was opened before ``error`` was set and taken back stays broken."""

    def __init__(self, libvirt: Libvirt) -> None:
        self._libvirt = libvirt
        self._broken: Exception | None = None

    def getAllDomainStats(self, stats: int, flags: int) -> Rows:  # noqa: N802
        self._libvirt.bulk_calls += 1
        return self._rows(list(self._libvirt.machines))

    def domainListGetStats(self, doms: Sequence[Machine], stats: int, flags: int) -> Rows:  # noqa: N802
        return self._rows(doms)

    def listAllDomains(self, flags: int = 0) -> Sequence[Domain]:  # noqa: N802
        self._check()
        return list(self._libvirt.machines)

    def lookupByUUIDString(self, uuidstr: str) -> Domain:  # noqa: N802
        self._check()
        for machine in self._libvirt.machines:
            if machine.uuid == uuidstr:
                return machine
        raise LibvirtError(42, f"Domain not found: no domain with matching uuid '{uuidstr}'")

    def _rows(self, machines: Sequence[Machine]) -> Rows:
        self._check()
        self._libvirt.asked.append([machine.title for machine in machines])
        return [(machine, self._libvirt.stats_of(machine)) for machine in machines]

    def _check(self) -> None:
        self._broken = self._broken or self._libvirt.error
        if self._broken:
            raise self._broken
        if self._libvirt.hangs is not None:
            self._libvirt.hangs.wait(60.0)


def ticking(step_ns: int = 1_000_000) -> Callable[[], int]:
    """Return a timeline that goes on by a step each time it is asked."""
    lock, now = threading.Lock(), [1_800_000_000_000_000_000]

    def now_ns() -> int:
        with lock:
            now[0] += step_ns
            return now[0]

    return now_ns
