"""What each virtual machine cost: its share of the processor's energy, by the processor time that it used.

Between two events of a VM its share is its processor time over that of the whole host, of the energy of all packages.
What the VMs did not use is stated in rows of its own; nothing is ever made to add up to 100 %.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from benchlab.event import META, Event
from muxd.counted import Counted, Counter, CounterState
from muxd.power import GAP, PENDING, number
from muxd.rows import VM_ENERGY, SignalRow
from muxd.settings import NS_PER_S
from muxd.streams import stated_ns

VM = "vm.libvirt"
RAPL = "cpu.rapl"
CPU = "cpu.psutil"
INPUTS = frozenset({VM, RAPL, CPU, META})

NO_HOST_CPU = "no_host_cpu"
RESTARTED = "restarted"
RESET = "counter_reset"
REMOTE = "remote"

UNSTATED_NS = 5 * NS_PER_S
_OFF = frozenset({"stopped", "shutdown", "crashed"})
_FORGET_NS = 3600 * NS_PER_S
_REST = ""


class Guest(msgspec.Struct, array_like=True):
    """A VM at its newest event. ``is_off``: it has stopped, so that no interval is under way."""

    ts_ns: int
    cpu_ns: int
    vmid: int | None
    sim: bool
    is_off: bool = False


class Interval(msgspec.Struct, array_like=True):
    """The time between two events of a VM, or between two polls for the rest, which waits for the host's readings.

    ``why`` says why there is no energy, where that is known already.
    """

    dev: str
    a_ns: int
    b_ns: int
    cpu_s: float
    sim: bool
    why: str | None = None


class Given(msgspec.Struct, array_like=True):
    """What a VM was given, as the rest needs it."""

    a_ns: int
    b_ns: int
    cpu_s: float
    energy_j: float
    sim: bool


class Cost(msgspec.Struct):
    """What the host spent over an interval: joules of all packages, processor time busy and idle; who made it up."""

    energy_j: float
    busy_s: float
    idle_s: float
    sim: dict[str, bool]


class VmEnergyState(msgspec.Struct):
    """What has to be kept to go on elsewhere."""

    package: CounterState = msgspec.field(default_factory=CounterState)
    busy: CounterState = msgspec.field(default_factory=CounterState)
    idle: CounterState = msgspec.field(default_factory=CounterState)
    guests: dict[str, Guest] = {}
    waiting: list[Interval] = []
    windows: list[Interval] = []
    given: list[Given] = []
    told: dict[str, str] = {}
    seen: list[str] = []
    round_ns: int = -1
    period_ns: int = UNSTATED_NS
    is_remote: bool = False


class VmEnergy:
    """Follows the VMs, the packages and the processor, and writes a row for each interval of each VM.

    A reason for having no energy is written when it begins, not again for every interval. A window of the rest lasts
    from one poll to the next; its row waits until every VM that may still have used some of it has been heard.
    """

    def __init__(self, max_gap_ns: int) -> None:
        self._package, self._busy, self._idle = Counter(max_gap_ns), Counter(max_gap_ns), Counter(max_gap_ns)
        self._guests: dict[str, Guest] = {}
        self._waiting: deque[Interval] = deque()
        self._windows: deque[Interval] = deque()
        self._given: list[Given] = []
        self._told: dict[str, str] = {}
        self._seen: set[str] = set()
        self._round_ns = -1
        self._period_ns = UNSTATED_NS
        self._is_remote = False

    def take(self, event: Event, out: list[SignalRow]) -> None:
        """Take the next event in total order and append the rows that it decides."""
        source, kv = event.source, event.kv
        if source == VM:
            self._poll(event)
        elif source == RAPL:
            if (joules := number(kv.get("package_j"))) is not None:
                self._package.add(event.ts_ns, joules, event.sim)
                self._prune(event.ts_ns)
        elif source == CPU:
            self._add_cpu(event)
        elif source == META:
            self._hear(event)
        self._settle(event.ts_ns, out)

    def finish(self, end_ns: int, out: list[SignalRow]) -> None:
        """Decide everything: no other event will come."""
        self._settle(end_ns, out, final=True)

    def state(self) -> VmEnergyState:
        """Return what ``restore`` needs."""
        return VmEnergyState(
            self._package.state(),
            self._busy.state(),
            self._idle.state(),
            self._guests,
            list(self._waiting),
            list(self._windows),
            self._given,
            self._told,
            sorted(self._seen),
            self._round_ns,
            self._period_ns,
            self._is_remote,
        )

    def restore(self, state: VmEnergyState) -> None:
        """Go on from another one's state."""
        self._package.restore(state.package)
        self._busy.restore(state.busy)
        self._idle.restore(state.idle)
        self._guests, self._given, self._told = dict(state.guests), list(state.given), dict(state.told)
        self._waiting, self._windows = deque(state.waiting), deque(state.windows)
        self._seen, self._round_ns = set(state.seen), state.round_ns
        self._period_ns, self._is_remote = state.period_ns, state.is_remote

    @property
    def _limit_ns(self) -> int:
        """The longest interval of a VM: one poll may fail, not two."""
        return self._period_ns * 5 // 2

    def _hear(self, event: Event) -> None:
        """Learn how often VMs are read and where they run, and when a counter begins anew or its source leaves."""
        told, table = event.kv.get("event"), event.kv.get("sources")
        if told == "source_down":
            self._leave(event.kv.get("which"))
        for row in table if told in ("start", "source_up") and isinstance(table, list) else ():
            if isinstance(row, dict):
                self._leave(row.get("source"))
                if row.get("source") == VM:
                    self._is_remote = row.get("remote") is True
                    self._period_ns = stated_ns(event, "period_ms").get(VM, UNSTATED_NS)

    def _leave(self, source: object) -> None:
        if source == RAPL:
            self._package.leave()
        elif source == CPU:
            self._busy.leave()
            self._idle.leave()

    def _add_cpu(self, event: Event) -> None:
        """Count busy and idle processor time from the share that was busy and the number of cores."""
        util, cores = number(event.kv.get("cpu_util")), event.kv.get("cores")
        busy = idle = None
        if util is not None and isinstance(cores, list) and cores:
            busy = util / 100 * len(cores)
            idle = len(cores) - busy
        self._busy.add_mean(event.ts_ns, busy, event.sim)
        self._idle.add_mean(event.ts_ns, idle, event.sim)
        self._prune(event.ts_ns)

    def _poll(self, event: Event) -> None:
        """Take an event of a VM: it ends an interval, and may end a window of the rest."""
        dev, kv, ts_ns = event.dev or "", event.kv, event.ts_ns
        self._pass_round(dev, ts_ns)
        guest, cpu_ns = self._guests.get(dev), kv.get("cputime_ns")
        if guest is not None and ts_ns <= guest.ts_ns:
            return
        if kv.get("state") in _OFF:
            if guest is not None:
                guest.is_off = True
            return
        if cpu_ns.__class__ is not int:
            return
        vmid = kv["vmid"] if kv.get("vmid").__class__ is int else None
        if guest is not None:
            sim = guest.sim or event.sim
            why = self._why(guest, ts_ns, cpu_ns, vmid)
            self._waiting.append(Interval(dev, guest.ts_ns, ts_ns, (cpu_ns - guest.cpu_ns) / NS_PER_S, sim, why))
        self._guests[dev] = Guest(ts_ns, cpu_ns, vmid, event.sim)

    def _why(self, guest: Guest, ts_ns: int, cpu_ns: int, vmid: int | None) -> str | None:
        """Return why the time since a VM's last event is no interval of its, None if it is."""
        if vmid != guest.vmid or guest.is_off:
            return RESTARTED
        if cpu_ns < guest.cpu_ns:
            return RESET
        return self._why_none(guest.ts_ns, ts_ns)

    def _why_none(self, a_ns: int, b_ns: int) -> str | None:
        if b_ns - a_ns > self._limit_ns:
            return GAP
        return REMOTE if self._is_remote else None

    def _pass_round(self, dev: str, ts_ns: int) -> None:
        """Notice that the next poll has begun: by the first VM that is there again."""
        if dev in self._seen:
            if ts_ns > self._round_ns:
                why = self._why_none(self._round_ns, ts_ns)
                self._windows.append(Interval(_REST, self._round_ns, ts_ns, 0.0, False, why))
            self._seen.clear()
            self._forget(ts_ns)
        if not self._seen:
            self._round_ns = ts_ns
        self._seen.add(dev)

    def _forget(self, now_ns: int) -> None:
        for dev in [dev for dev, guest in self._guests.items() if now_ns - guest.ts_ns > _FORGET_NS]:
            del self._guests[dev]
            self._told.pop(dev, None)

    def _settle(self, now_ns: int, out: list[SignalRow], final: bool = False) -> None:
        """Append the rows of what is decided: intervals in their order, then windows of the rest in theirs."""
        while self._waiting and (found := self._found(self._waiting[0], now_ns, final)) != PENDING:
            self._give(self._waiting.popleft(), found, out)
        while self._windows and (final or self._is_heard(self._windows[0].b_ns, now_ns)):
            if (found := self._found(self._windows[0], now_ns, final)) == PENDING:
                break
            self._leave_rest(self._windows.popleft(), found, out)

    def _found(self, interval: Interval, now_ns: int, final: bool) -> Cost | str:
        return interval.why or self._cost(interval.a_ns, interval.b_ns, now_ns, final)

    def _is_heard(self, end_ns: int, now_ns: int) -> bool:
        """Tell whether no VM can end an interval any more that began before a time."""
        if any(interval.a_ns < end_ns for interval in self._waiting):
            return False
        since_ns = now_ns - self._limit_ns
        return all(guest.ts_ns >= end_ns or guest.is_off or guest.ts_ns < since_ns for guest in self._guests.values())

    def _cost(self, a_ns: int, b_ns: int, now_ns: int, final: bool) -> Cost | str:
        """Return what the host spent, PENDING, or why it is not known."""
        package = self._package.between(a_ns, b_ns, now_ns, final)
        if isinstance(package, str):
            return package
        busy = self._busy.between(a_ns, b_ns, now_ns, final)
        idle = self._idle.between(a_ns, b_ns, now_ns, final)
        if isinstance(busy, Counted) and isinstance(idle, Counted):
            if busy.amount <= 0:
                return NO_HOST_CPU
            return Cost(package.amount, busy.amount, idle.amount, {RAPL: package.sim, CPU: busy.sim})
        return PENDING if busy == PENDING else NO_HOST_CPU

    def _give(self, interval: Interval, found: Cost | str, out: list[SignalRow]) -> None:
        """Write what a VM is given, or why it is given nothing."""
        if isinstance(found, str):
            self._tell(interval.dev, interval.b_ns, found, interval.sim, out)
            return
        self._told.pop(interval.dev, None)
        a_ns, b_ns, cpu_s = interval.a_ns, interval.b_ns, interval.cpu_s
        energy_j = found.energy_j * (cpu_s / found.busy_s)
        self._given.append(Given(a_ns, b_ns, cpu_s, energy_j, interval.sim))
        out.append(row_of(interval.dev, (a_ns, b_ns), (cpu_s, energy_j), found, interval.sim))

    def _leave_rest(self, window: Interval, found: Cost | str, out: list[SignalRow]) -> None:
        """Write what of a window no VM was given."""
        a_ns, b_ns = window.a_ns, window.b_ns
        parts = [(one, overlap(one, a_ns, b_ns)) for one in self._given if one.a_ns < b_ns and one.b_ns > a_ns]
        self._given = [one for one in self._given if one.b_ns > b_ns]
        sim = any(one.sim for one, _ in parts)
        if isinstance(found, str):
            self._tell(_REST, b_ns, found, sim, out)
            return
        self._told.pop(_REST, None)
        cpu_s = found.busy_s - sum([one.cpu_s * share for one, share in parts])
        energy_j = found.energy_j - sum([one.energy_j * share for one, share in parts])
        row = row_of(_REST, (a_ns, b_ns), (cpu_s, energy_j), found, sim if parts else None)
        row.kv |= {"package_j": found.energy_j, "vms": len(parts)}
        out.append(row)

    def _tell(self, dev: str, ts_ns: int, why: str, sim: bool, out: list[SignalRow]) -> None:
        """Write why there is no energy, unless that was the reason before."""
        if self._told.get(dev) != why:
            self._told[dev] = why
            out.append(SignalRow(ts_ns, VM_ENERGY, {"energy_why": why}, dev or None, sim=sim))

    def _prune(self, now_ns: int) -> None:
        """Forget the host's readings that nobody will ask for."""
        since_ns = now_ns - self._limit_ns
        starts = [guest.ts_ns for guest in self._guests.values() if guest.ts_ns >= since_ns]
        starts += [interval.a_ns for interval in self._waiting if interval.why is None]
        starts += [window.a_ns for window in self._windows if window.why is None]
        if self._seen and self._round_ns >= since_ns:
            starts.append(self._round_ns)
        oldest_ns = min(starts, default=now_ns)
        for counter in (self._package, self._busy, self._idle):
            counter.prune(oldest_ns)


def overlap(given: Given, a_ns: int, b_ns: int) -> float:
    """Return which share of what a VM was given falls into a window."""
    return (min(given.b_ns, b_ns) - max(given.a_ns, a_ns)) / (given.b_ns - given.a_ns)


def row_of(dev: str, span: tuple[int, int], given: tuple[float, float], cost: Cost, sim: bool | None) -> SignalRow:
    """Return the row of an interval: who was given how much of what the host spent; ``sim`` None without a VM."""
    (a_ns, b_ns), (cpu_s, energy_j) = span, given
    interval_s = (b_ns - a_ns) / NS_PER_S
    kv: dict[str, Any] = {"energy_j": energy_j, "power_w": energy_j / interval_s}
    if cost.energy_j > 0:
        kv["share_pct"] = 100 * energy_j / cost.energy_j
    kv |= {"cpu_s": cpu_s, "host_cpu_s": cost.busy_s}
    kv["idle_pct"] = 100 * cost.idle_s / (cost.idle_s + cost.busy_s)
    kv["interval_s"] = interval_s
    of = cost.sim if sim is None else {**cost.sim, VM: sim}
    return SignalRow(b_ns, VM_ENERGY, kv, dev or None, sim=any(of.values()), sim_of=only_some(of))


def only_some(of: dict[str, bool]) -> list[str] | None:
    """Return which inputs were simulated, where only some were."""
    names: Sequence[str] = sorted(source for source, sim in of.items() if sim)
    return list(names) if 0 < len(names) < len(of) else None
