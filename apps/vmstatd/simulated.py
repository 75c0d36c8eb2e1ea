"""A hypervisor that is made up: any number of machines under different work, with statistics in libvirt's own form.

All of it is a function of the seed and the time, so that a restarted program goes on where it was. Machines have one
kind of work each, in turn: ``leak`` fills its memory until it is started anew, ``spike`` is busy in bursts, ``stall``
has a disk that is slow for minutes at a time, ``idle`` does next to nothing, ``swap`` has too little memory by turns,
and ``batch`` is switched off between its runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from benchlab.sim import NS, SEED, Chance, LoadModel
from vmstatd.host import Connection, Domain, Rows

KINDS = ("leak", "spike", "stall", "idle", "swap", "batch")
_EPOCH_S = 1_700_000_000
_CYCLE_S = {"leak": 1800, "spike": 0, "stall": 600, "idle": 0, "swap": 900, "batch": 420}
_BATCH_OFF_S = 120
_STALL_S = 150
_SWAP_S = 300
_GUEST_KB = 4 << 20
_RUNNING, _SHUTOFF, _BOOTED, _SHUT_DOWN = 1, 5, 1, 1


class SimulatedMachine:
    """One of them, as libvirt's domain; its numbers are those of the moment at which its host was asked."""

    def __init__(self, number: int, seed: int) -> None:
        self.kind = KINDS[number % len(KINDS)]
        self._number = number
        self._name = f"sim-{self.kind}-{number:03d}"
        chance = Chance(seed, f"vm {number}")
        self._uuid = str(UUID(int=sum(int(chance.uniform(0, n) * 2**32) << (32 * n) for n in range(4)), version=4))
        self._load = LoadModel(seed + number, step_s=10.0 + 20.0 * chance.uniform(1))
        self._vcpus = (1, 2, 4)[int(3 * chance.uniform(2))]
        self._offset_s = int(3600 * chance.uniform(3))
        self._vmid = 0

    def name(self) -> str:
        """Return its name, which says what kind of work it does."""
        return self._name

    def UUIDString(self) -> str:  # noqa: N802
        """Return its uuid."""
        return self._uuid

    def ID(self) -> int:  # noqa: N802
        """Return the number of its present run, -1 while it is switched off."""
        return self._vmid

    def info(self) -> Sequence[int]:
        """Never asked: the bulk answer has it all."""
        raise NotImplementedError

    def memoryStats(self) -> Mapping[str, int]:  # noqa: N802
        """Never asked."""
        raise NotImplementedError

    def stats(self, ts_ns: int, wall_s: int) -> dict[str, Any]:
        """Return its statistics at a time."""
        begin_ns, into_s, cycle = self._run(ts_ns)
        if self.kind == "batch" and into_s >= _CYCLE_S["batch"] - _BATCH_OFF_S:
            self._vmid = -1
            return {"state.state": _SHUTOFF, "state.reason": _SHUT_DOWN, "balloon.maximum": _GUEST_KB}
        self._vmid = 1 + self._number + 1000 * cycle
        busy_s = self._load.energy_j(begin_ns, ts_ns, *self._span())
        up_s = (ts_ns - begin_ns) / NS
        return {
            "state.state": _RUNNING,
            "state.reason": _BOOTED,
            **self._cpu(busy_s, up_s),
            **self._memory(ts_ns, into_s, up_s, wall_s),
            **self._disk(busy_s, up_s, into_s, cycle),
            **self._net(busy_s),
        }

    def _run(self, ts_ns: int) -> tuple[int, float, int]:
        """Return when its run began, how far its cycle of work is in seconds, and which run it is."""
        first_ns = (_EPOCH_S - self._offset_s) * NS
        length_s = _CYCLE_S[self.kind]
        if not length_s:
            return first_ns, 0.0, 0
        cycle, into_ns = divmod(ts_ns - first_ns, length_s * NS)
        if self.kind in ("leak", "batch"):
            return ts_ns - into_ns, into_ns / NS, cycle % 1_000_000
        return first_ns, into_ns / NS, 0

    def _span(self) -> tuple[float, float]:
        """Return the processors it uses at no load and at full load."""
        idle, full = {"idle": (0.002, 0.02), "spike": (0.01, 0.95)}.get(self.kind, (0.03, 0.5))
        return idle * self._vcpus, full * self._vcpus

    def _cpu(self, busy_s: float, up_s: float) -> dict[str, int]:
        used_ns = round(busy_s * NS)
        each_ns = used_ns // self._vcpus
        found = {
            "cpu.time": used_ns,
            "cpu.user": used_ns * 7 // 10,
            "cpu.system": used_ns * 3 // 10,
            "vcpu.current": self._vcpus,
            "vcpu.maximum": self._vcpus,
        }
        for n in range(self._vcpus):
            found[f"vcpu.{n}.state"] = 1
            found[f"vcpu.{n}.time"] = each_ns
            found[f"vcpu.{n}.wait"] = 0
            found[f"vcpu.{n}.delay"] = each_ns // 50 + round(up_s * 1e5)
        return found

    def _memory(self, ts_ns: int, into_s: float, up_s: float, wall_s: int) -> dict[str, int]:
        swapping_s = _elapsed(up_s, _CYCLE_S["swap"], _SWAP_S) if self.kind == "swap" else 0.0
        used_kb = round(_GUEST_KB * self._used_share(ts_ns, into_s))
        usable_kb = _GUEST_KB * 96 // 100 - used_kb
        return {
            "balloon.current": _GUEST_KB,
            "balloon.maximum": _GUEST_KB,
            "balloon.swap_in": round(swapping_s * 900),
            "balloon.swap_out": round(swapping_s * 1400),
            "balloon.major_fault": round(swapping_s * 220),
            "balloon.minor_fault": round(up_s * 130),
            "balloon.available": _GUEST_KB * 96 // 100,
            "balloon.usable": usable_kb,
            "balloon.unused": usable_kb * 8 // 10,
            "balloon.last-update": wall_s,
            "balloon.rss": _GUEST_KB * 9 // 10,
        }

    def _used_share(self, ts_ns: int, into_s: float) -> float:
        if self.kind == "leak":
            return 0.15 + 0.78 * into_s / _CYCLE_S["leak"]
        if self.kind == "swap":
            return 0.9
        return 0.2 + (0.4 if self.kind == "spike" else 0.05) * self._load.heat(ts_ns, 20.0)

    def _disk(self, busy_s: float, up_s: float, into_s: float, cycle: int) -> dict[str, Any]:
        reads, writes = round(40 * busy_s), round(90 * busy_s)
        slow_s = _elapsed(up_s, _CYCLE_S["stall"], _STALL_S) if self.kind == "stall" else 0.0
        return {
            "block.count": 1,
            "block.0.name": "vda",
            "block.0.path": f"/var/lib/libvirt/images/{self._name}.qcow2",
            "block.0.rd.reqs": reads,
            "block.0.rd.bytes": 16384 * reads,
            "block.0.rd.times": 300_000 * reads,
            "block.0.wr.reqs": writes,
            "block.0.wr.bytes": 8192 * writes,
            "block.0.wr.times": 700_000 * writes + round(slow_s * NS * 0.9),
            "block.0.fl.reqs": writes // 30,
            "block.0.fl.times": 2_000_000 * (writes // 30),
        }

    def _net(self, busy_s: float) -> dict[str, Any]:
        received, sent = round(500 * busy_s), round(350 * busy_s)
        found: dict[str, Any] = {"net.count": 1, "net.0.name": f"vnet{self._number}"}
        for way, packets, size in (("rx", received, 900), ("tx", sent, 400)):
            found[f"net.0.{way}.bytes"] = packets * size
            found[f"net.0.{way}.pkts"] = packets
            found[f"net.0.{way}.errs"] = 0
            found[f"net.0.{way}.drop"] = 0
        return found


class SimulatedHost:
    """A connection to it."""

    def __init__(self, vms: int, now_ns: Callable[[], int], wall_s: Callable[[], float], seed: int = SEED) -> None:
        self._machines = [SimulatedMachine(number, seed) for number in range(vms)]
        self._now_ns = now_ns
        self._wall_s = wall_s

    def getAllDomainStats(self, stats: int, flags: int) -> Rows:  # noqa: N802
        """Return the statistics of all machines."""
        return self.domainListGetStats(self._machines, stats, flags)

    def domainListGetStats(self, doms: Sequence[SimulatedMachine], stats: int, flags: int) -> Rows:  # noqa: N802
        """Return the statistics of some machines."""
        ts_ns, wall_s = self._now_ns(), int(self._wall_s())
        return [(machine, machine.stats(ts_ns, wall_s)) for machine in doms]

    def listAllDomains(self, flags: int = 0) -> Sequence[Domain]:  # noqa: N802
        """Return all machines."""
        return self._machines

    def lookupByUUIDString(self, uuidstr: str) -> Domain:  # noqa: N802
        """Return one machine. Raises KeyError."""
        return {machine.UUIDString(): machine for machine in self._machines}[uuidstr]


def open_simulated(host: SimulatedHost) -> Callable[[str], Connection]:
    """Return what opens a connection to it, whatever the URI."""
    return lambda uri: host


def _elapsed(up_s: float, cycle_s: float, window_s: float) -> float:
    """Return how much of a time lay within the windows that every cycle begins with."""
    cycles, into_s = divmod(up_s, cycle_s)
    return cycles * window_s + min(into_s, window_s)
