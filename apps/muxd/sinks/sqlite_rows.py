"""Records of the log as rows of the store's tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from benchlab.event import Aligned
from muxd.rows import DROPPED, LATENCY, DroppedKv, LatencyKv
from muxd.sinks.feed import LATENCY_STREAM, VM
from muxd.sinks.sink import Record

Row = tuple[object, ...]

INSERT = {
    "latency": (
        "session, offset, node, ts_ns, from_stage, to_stage, flow, frame, pts_ns, match, lat_ms, power_w, energy_j, "
        "power_age_ms, power_source, power_method, power_why, temp_c, unc_ns, sim, sim_of"
    ),
    "dropped": (
        "session, offset, node, ts_ns, from_stage, to_stage, stage, flow, frame, pts_ns, reason, decided_ns, sim"
    ),
    "signal": "session, offset, key, node, ts_ns, source, dev, value, text, unc_ns, sim",
    "bookmark": "session, stream, offset, node, ts_ns, text, kv, sim",
    "vm_metrics": (
        "session, offset, node, ts_ns, VMID, name, uuid, state, cpu_count, memory_max_kb, memory_used_kb, "
        "cputime_ns, sim"
    ),
    "vm_features": ("session, offset, node, ts_ns, VMID, name, uuid, memory_rate_kb_per_sec, memory_angle_deg, sim"),
}
"""The columns of each table in the order of its rows."""

_LARGEST = 2**63


class Unfit(Exception):
    """A record is no row of any table; the message says why."""


class _VmKv(msgspec.Struct):
    vmid: int | None = None
    name: str | None = None
    state: str | None = None
    cpu_count: int | None = None
    memory_max_kb: int | None = None
    memory_used_kb: int | None = None
    cputime_ns: int | None = None
    memory_rate_kb_per_sec: float | None = None
    memory_angle_deg: float | None = None


class Rows:
    """Makes the rows of one session."""

    def __init__(self, session: str, node: str | None) -> None:
        self._session = session
        self._node = node

    def grouped(self, records: Sequence[Record]) -> dict[str, list[Row]]:
        """Return the rows of records by table. Raises Unfit."""
        found: dict[str, list[Row]] = defaultdict(list)
        for record in records:
            for table, row in self.of(record):
                found[table].append(row)
        return found

    def of(self, record: Record) -> Iterator[tuple[str, Row]]:
        """Yield the table and the row for each row that a record comes to. Raises Unfit."""
        event = record.event
        try:
            if not isinstance(event, Aligned):
                yield from self._vm(record) if event.source == VM else [("bookmark", self._bookmark(record))]
            elif record.stream != LATENCY_STREAM:
                yield from (("signal", row) for row in self._signals(record.offset, event))
            elif event.source == LATENCY:
                yield "latency", self._latency(record.offset, event)
            elif event.source == DROPPED:
                yield "dropped", self._dropped(record.offset, event)
            else:
                raise Unfit(f"found source {event.source}, expected {LATENCY} or {DROPPED}")
        except msgspec.ValidationError as error:
            raise Unfit(str(error)) from error

    def _latency(self, offset: int, event: Aligned) -> Row:
        kv = msgspec.convert(event.kv, LatencyKv)
        sim_of = _json(event.sim_of) if event.sim_of else None
        return (
            *(self._session, offset, self._node, event.ts_aligned_ns, *kv.pair, kv.flow, _fit(kv.frame)),
            *(_fit(kv.pts_ns), kv.match, kv.lat_ms, kv.power_w, kv.energy_j, kv.power_age_ms, kv.power_source),
            *(kv.power_method, kv.power_why, kv.temp_c, _fit(event.unc_ns), event.sim, sim_of),
        )

    def _dropped(self, offset: int, event: Aligned) -> Row:
        kv = msgspec.convert(event.kv, DroppedKv)
        if kv.reason is None:
            raise Unfit("found a drop without reason")
        return (
            *(self._session, offset, self._node, event.ts_aligned_ns, *kv.pair, kv.stage, kv.flow, _fit(kv.frame)),
            *(_fit(kv.pts_ns), kv.reason, _fit(kv.decided_ns), event.sim),
        )

    def _signals(self, offset: int, event: Aligned) -> Iterator[Row]:
        for key, found in event.kv.items():
            is_number = isinstance(found, (int, float))
            value = _fit(found) if is_number else None
            text = None if is_number else found if isinstance(found, str) else _json(found)
            yield (
                *(self._session, offset, key, self._node, event.ts_aligned_ns, event.source, event.dev, value, text),
                *(_fit(event.unc_ns), event.sim),
            )

    def _vm(self, record: Record) -> Iterator[tuple[str, Row]]:
        """Yield a row of each table of which an event tells anything."""
        event = record.event
        assert not isinstance(event, Aligned)
        kv = msgspec.convert(event.kv, _VmKv)
        which = (self._session, record.offset, self._node, event.ts_ns, kv.vmid, kv.name, event.dev)
        metrics = (kv.state, kv.cpu_count, kv.memory_max_kb, kv.memory_used_kb, _fit(kv.cputime_ns))
        features = (kv.memory_rate_kb_per_sec, kv.memory_angle_deg)
        for table, values in (("vm_metrics", metrics), ("vm_features", features)):
            if any(value is not None for value in values):
                yield table, (*which, *values, event.sim)

    def _bookmark(self, record: Record) -> Row:
        event = record.event
        assert not isinstance(event, Aligned)
        text = event.kv.get("text")
        said = text if isinstance(text, str) else None
        return (
            *(self._session, record.stream, record.offset, self._node, event.ts_ns, said, _json(event.kv)),
            event.sim,
        )


def _fit(value: Any) -> Any:
    """Return a value that SQLite can hold: an integer beyond 64 bits as text, for a rounded one would be another."""
    return str(value) if isinstance(value, int) and not -_LARGEST <= value < _LARGEST else value


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
