"""One machine over time: its event at each poll, and what became of it since the poll before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from benchlab.daemon import Reading
from benchlab.event import META, Scalar, Value
from vmstatd.decode import Counters, Sample, decode
from vmstatd.features import Point, features
from vmstatd.memory import BALLOON, used_kb
from vmstatd.policy import Policy
from vmstatd.poller import Found
from vmstatd.rates import rates
from vmstatd.states import HALTED, MIGRATED

FEATURE = "memory_rate_kb_per_sec"

_SIZES = ("cpu_count", "memory_max_kb")
_WHOLE = (
    *_SIZES,
    "balloon_kb",
    "rss_kb",
    "guest_available_kb",
    "guest_unused_kb",
    "guest_usable_kb",
    "swap_in_kb",
    "swap_out_kb",
    "major_faults",
    "minor_faults",
    "cputime_ns",
    "cpu_user_ns",
    "cpu_system_ns",
)


class Guest:
    """What is known of one machine. ``vmid`` is the number of its present run, or of its last one, else 0."""

    def __init__(self, policy: Policy, fresh_s: float) -> None:
        self.vmid = 0
        self._policy = policy
        self._fresh_s = fresh_s
        self._polls = 0
        self._found: Found | None = None
        self._sample = Sample()
        self._point: Point | None = None
        self._used_from = (-1, "")
        self._rss_run = -1

    @property
    def is_running(self) -> bool:
        """Whether it ran at the last poll."""
        return self._found is not None and self._found.vmid >= 0

    def take(self, found: Found, is_new: bool, now_s: float) -> list[Reading]:
        """Return what happened to the machine, then its reading; ``now_s`` is Unix time.

        ``is_new`` is a machine that was not there at the poll before; at the first poll none is.
        """
        before, self._found = self._found, found
        sample = decode(found.stats)
        self.vmid = found.vmid if found.vmid >= 0 else self.vmid
        kv = self._values(found, sample, now_s)
        told = list(self._story(before, found, sample, is_new)) + list(self._source_changed(found, kv))
        kv |= self._changes(found, sample, kv)
        self._sample = sample
        kept = self._policy.kept(kv, self._polls)
        self._polls += 1
        return [*told, Reading(kept, ts_ns=found.ts_ns, unc_ns=found.unc_ns, dev=found.uuid)]

    def gone(self, ts_ns: int) -> Reading:
        """Return the line about a machine that there is no more."""
        assert self._found is not None
        return self._meta("vm_gone", self._found, ts_ns)

    def _values(self, found: Found, sample: Sample, now_s: float) -> dict[str, Value]:
        kv: dict[str, Value] = {"vmid": self.vmid, "name": found.name, "state": sample.state}
        values: Mapping[str, int] = sample.values
        if found.vmid < 0:  # whatever counters it has are those of no run
            return kv | {name: values[name] for name in _SIZES if name in values}
        if "rss_kb" in values:
            self._rss_run = found.vmid
        used = used_kb(values, now_s, self._fresh_s)
        # a machine that is busy is half told: then the balloon's size is not what is used
        if used is not None and not (used[1] == BALLOON and self._rss_run == found.vmid):
            kv["memory_used_kb"], kv["memory_used_from"] = used
        kv |= {name: values[name] for name in _WHOLE if name in values}
        kv |= _sums(sample.vcpus.values(), "vcpu_", ("wait_ns", "delay_ns"))
        kv |= _sums(sample.blocks.values(), "block_")
        kv |= _sums(sample.nets.values(), "net_")
        tables: dict[str, list[dict[str, Scalar]]] = {
            "vcpus": [{"id": n, "state": sample.vcpu_states[n], **row} for n, row in sample.vcpus.items()],
            "blocks": [{"name": name, **row} for name, row in sample.blocks.items()],
            "nets": [{"name": name, **row} for name, row in sample.nets.items()],
        }
        return kv | {name: rows for name, rows in tables.items() if rows}

    def _changes(self, found: Found, sample: Sample, kv: Mapping[str, Value]) -> dict[str, float]:
        """Return rates and features since the sample before, none where that was of another run."""
        if found.vmid < 0:
            self._point = None
            return {}
        before, now = self._point, _point(found, kv)
        self._point = now
        if before is None or before.run != now.run:
            return {}
        return rates(self._sample, sample, (now.ts_ns - before.ts_ns) / 1e9) | features(before, now)

    def _source_changed(self, found: Found, kv: Mapping[str, Value]) -> Iterator[Reading]:
        now = kv.get("memory_used_from")
        if not isinstance(now, str):
            return
        (run, before), self._used_from = self._used_from, (found.vmid, now)
        if run == found.vmid and before != now:
            yield self._meta("memory_source_changed", found, found.ts_ns, {"before": before, "now": now})

    def _story(self, before: Found | None, found: Found, sample: Sample, is_new: bool) -> Iterator[Reading]:
        if before is None:
            if is_new and found.vmid >= 0:
                yield self._arrival(found, sample)
            return
        if before.name != found.name:
            yield self._meta("vm_renamed", found, found.ts_ns, {"before": before.name})
        if before.vmid >= 0 and before.vmid != found.vmid:
            yield self._departure(before, found, sample)
        if found.vmid >= 0 and before.vmid != found.vmid:
            yield self._arrival(found, sample)
        elif found.vmid >= 0 and (sample.state in HALTED) != (self._sample.state in HALTED):
            event = "vm_paused" if sample.state in HALTED else "vm_resumed"
            yield self._meta(event, found, found.ts_ns, {"state": sample.state, "reason": sample.reason})

    def _arrival(self, found: Found, sample: Sample) -> Reading:
        if sample.reason in (MIGRATED, "migration"):
            return self._meta("vm_migrated", found, found.ts_ns, {"direction": "in"})
        return self._meta("vm_started", found, found.ts_ns, {"state": sample.state, "reason": sample.reason})

    def _departure(self, before: Found, found: Found, sample: Sample) -> Reading:
        run: dict[str, Scalar] = {"vmid": before.vmid}
        if found.vmid < 0 and sample.reason == MIGRATED:
            return self._meta("vm_migrated", found, found.ts_ns, {**run, "direction": "out"})
        why: dict[str, Scalar] = {"state": sample.state, "reason": sample.reason} if found.vmid < 0 else {}
        return self._meta("vm_stopped", found, found.ts_ns, {**run, **why})

    def _meta(self, event: str, found: Found, ts_ns: int, more: Mapping[str, Scalar] | None = None) -> Reading:
        kv: dict[str, Value] = {"event": event, "name": found.name, "vmid": self.vmid, **(more or {})}
        return Reading(kv, ts_ns=ts_ns, source=META, dev=found.uuid)


def _point(found: Found, kv: Mapping[str, Value]) -> Point:
    used, source, cpu_ns = (kv.get(key) for key in ("memory_used_kb", "memory_used_from", "cputime_ns"))
    return Point(
        ts_ns=found.ts_ns,
        run=found.vmid,
        memory_used_kb=used if isinstance(used, int) else None,
        memory_used_from=source if isinstance(source, str) else None,
        cputime_ns=cpu_ns if isinstance(cpu_ns, int) else None,
    )


def _sums(devices: Iterable[Counters], prefix: str, only: tuple[str, ...] = ()) -> dict[str, int]:
    """Return the sum of each counter over the devices that have it."""
    sums: dict[str, int] = {}
    for counters in devices:
        for key, value in counters.items():
            if not only or key in only:
                sums[prefix + key] = sums.get(prefix + key, 0) + value
    return sums
