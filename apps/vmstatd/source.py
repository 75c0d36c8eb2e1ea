"""vm.libvirt: one reading a machine, and self.vm: how the collection fares."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchlab.catalog.vm import SELF, VM
from benchlab.daemon import Absent, Reading
from benchlab.event import META, Value
from vmstatd.guest import FEATURE, Guest
from vmstatd.memory import FRESH_S
from vmstatd.policy import Policy
from vmstatd.poller import Poll, Poller

LANE = "vm"
"""One thread: first the machines, then what is to be said of the poll."""

DISORDER_MS = 500
"""How far behind the newest line of its stream a reading may lie: others wait for it as long."""
OLDEST_NS = DISORDER_MS * 600_000
"""How old a reading may be when its poll ends; the rest is for writing it."""

log = logging.getLogger("vmstatd")


@dataclass
class Statistics:
    """How the collection fares. Times are those of the timeline."""

    started_at_ns: int
    total_collections: int = 0
    total_errors: int = 0
    last_collection_time_ns: int = 0
    vms_monitored: int = 0
    total_metrics_written: int = 0


class VmSource:
    """All machines of a hypervisor; ``dev`` of a reading is the machine's uuid.

    ``remote`` says that they run on another host than this one.
    """

    name = VM
    lane = LANE

    def __init__(
        self,
        poller: Poller,
        policy: Policy,
        statistics: Statistics,
        now_ns: Callable[[], int],
        period_s: float,
        *,
        remote: bool = False,
        is_simulated: bool = False,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.identity = {"remote": True} if remote else {}
        self._poller = poller
        self._policy = policy
        self._statistics = statistics
        self._now_ns = now_ns
        self._fresh_s = max(FRESH_S, 3.0 * period_s)
        self._is_simulated = is_simulated
        self._wall_s = wall_s
        self._guests: dict[str, Guest] = {}
        self._is_first = True

    def status(self) -> str:
        """Return how the collection fares, in a line for the service manager."""
        shown = ("vms_monitored", "total_collections", "total_errors", "total_metrics_written")
        return ", ".join(f"{name} {getattr(self._statistics, name)}" for name in shown)

    def sample(self) -> list[Reading]:
        """Return what happened to the machines and a reading of each. Raises Absent or Transient."""
        self._statistics.total_collections += 1
        try:
            poll = self._poller.poll()
        except Exception:
            self._statistics.total_errors += 1
            self._statistics.vms_monitored = 0
            raise
        readings = [*self._quarantined(poll), *self._taken(poll), *self._gone(poll)]
        self._is_first = False
        self._count(poll, readings)
        oldest_ns = self._now_ns() - OLDEST_NS
        for reading in readings:
            keep_young(reading, oldest_ns)
            reading.sim = self._is_simulated
        return readings

    def _quarantined(self, poll: Poll) -> Iterator[Reading]:
        now_ns = self._now_ns()
        for uuid, name in poll.stuck.items():
            log.warning("%s (%s) does not answer: left out until it does; the others are polled on", name, uuid)
            reason = "no answer: left out until it answers"
            yield _told("source_down", {"which": VM, "reason": reason, "name": name}, uuid, now_ns)
        for uuid, name in poll.freed.items():
            log.info("%s (%s) answers again", name, uuid)
            yield _told("source_up", {"which": VM, "name": name}, uuid, now_ns)

    def _taken(self, poll: Poll) -> Iterator[Reading]:
        now_s = self._wall_s()
        for found in poll.found:
            guest = self._guests.get(found.uuid)
            is_new = guest is None and not self._is_first
            if guest is None:
                guest = self._guests[found.uuid] = Guest(self._policy, self._fresh_s)
            yield from guest.take(found, is_new, now_s)

    def _gone(self, poll: Poll) -> Iterator[Reading]:
        for uuid in [uuid for uuid in self._guests if uuid not in poll.listed]:
            yield self._guests.pop(uuid).gone(self._now_ns())

    def _count(self, poll: Poll, readings: list[Reading]) -> None:
        s = self._statistics
        s.total_errors += len(poll.stuck)
        s.last_collection_time_ns = self._now_ns()
        s.vms_monitored = sum(found.vmid >= 0 for found in poll.found)
        s.total_metrics_written += sum(1 + (FEATURE in r.kv) for r in readings if r.source is None)


class StatisticsSource:
    """What there is to say after each poll, a failed one too."""

    name = SELF
    lane = LANE
    stamping = "end"

    def __init__(self, statistics: Statistics, is_simulated: bool = False) -> None:
        self._statistics = statistics
        self._is_simulated = is_simulated

    def sample(self) -> list[Reading]:
        """Return the statistics; the last collection's time is absent before there was one."""
        kv: dict[str, Value] = dict(vars(self._statistics))
        if not self._statistics.last_collection_time_ns:
            del kv["last_collection_time_ns"]
        return [Reading(kv, sim=self._is_simulated)]


def keep_young(reading: Reading, oldest_ns: int) -> None:
    """Move a reading that is older up to this time, and widen its uncertainty to hold the same interval as before.

    So a poll that took long, because a machine hangs, makes no line late, and all other streams need not wait for it.
    """
    if reading.ts_ns is not None and (behind_ns := oldest_ns - reading.ts_ns) > 0:
        reading.ts_ns = oldest_ns
        reading.unc_ns = (reading.unc_ns or 0) + behind_ns


class NotOfARecordedMachine:
    """The machines of a recorded host: they run nowhere."""

    name = VM

    def sample(self) -> list[Reading]:
        """Raises Absent."""
        raise Absent("a recorded host (--root) has no virtual machines that could be asked")


def _told(event: str, fields: dict[str, Value], uuid: str, ts_ns: int) -> Reading:
    return Reading({"event": event, **fields}, ts_ns=ts_ns, source=META, dev=uuid)
