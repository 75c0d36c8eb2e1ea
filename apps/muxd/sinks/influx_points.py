"""Records of the log as points: which measurement, which tags, which fields, each of the type the catalog names.

docs/INFLUX.md is the contract. Tags and time identify a point, so that writing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from benchlab.catalog import InfluxType, lookup
from benchlab.event import BOOKMARK, Aligned, Event
from muxd.rows import DROPPED, LATENCY, OURS
from muxd.sinks import influx_lines as lines
from muxd.sinks.feed import VM
from muxd.sinks.influx_lines import Unfit, Writer
from muxd.sinks.sink import Record

VM_METRICS, VM_FEATURES = "vm_metrics", "vm_features"
METRIC_FIELDS: dict[str, InfluxType] = {
    "state": "string",
    **dict.fromkeys(("cpu_count", "memory_max_kb", "memory_used_kb", "cputime_ns"), "integer"),
}
FEATURE_FIELDS: dict[str, InfluxType] = dict.fromkeys(("memory_rate_kb_per_sec", "memory_angle_deg"), "float")

_OURS: dict[str, InfluxType] = {
    **dict.fromkeys(("lat_ms", "power_w", "energy_j", "power_age_ms", "temp_c"), "float"),
    **dict.fromkeys(("pts_ns", "decided_ns", "offset"), "integer"),
    **dict.fromkeys(("match", "power_source", "power_method", "power_why", "stream"), "string"),
}
_PAIR_TAGS = ("pair", "flow", "stage", "reason")  # of a row of latency.jsonl; the rest of it are fields
_COMMON = {"node", "session", "dev", "sim", "n"}  # tags that no field may share its name with
_UNBOUNDED = {"pid"}  # identifies a row of a table, but new ones come without end: a field
_MOST_KEYS = 1000  # of a source whose writers are kept
_METRICS = {key: lines.field_writer(key, kind) for key, kind in METRIC_FIELDS.items()}
_FEATURES = {key: lines.field_writer(key, kind) for key, kind in FEATURE_FIELDS.items()}
_UNCERTAINTY = lines.field_writer("unc_ns", "integer")


class Points:
    """Makes the points of one session."""

    def __init__(self, session: str, node: str | None) -> None:
        self._session = session
        self._node = node
        self._head = lru_cache(maxsize=4096)(self._head_of)
        self._writers: dict[str, dict[str, Writer]] = {}  # by source and table, by key

    def series(self, record: Record) -> str | None:
        """Return what identifies a record's series where nothing keeps two of its points from one time, else None.

        Such are the rows that muxd makes and bookmarks; a reading's device and time are its own.
        """
        event = record.event
        if isinstance(event, Event):
            return self._head(event.source, (), event.dev, event.sim, 1) if event.source == BOOKMARK else None
        if not event.source.startswith(OURS):
            return None
        return self._head(event.source, _pair_tags(event), event.dev, event.sim, 1)

    def of(self, record: Record, number: int = 1) -> Iterator[bytes]:
        """Yield the lines of a record; the ``number``-th of its series at its time. Raises Unfit."""
        event = record.event
        made = self._of_event(event, number) if isinstance(event, Event) else self._of_row(event, number)
        yield from filter(None, made)

    def _of_row(self, event: Aligned, number: int) -> Iterator[bytes | None]:
        head = self._head(event.source, _pair_tags(event), event.dev, event.sim, number)
        fields = self._fields(event.source, event.kv, _PAIR_TAGS if event.source in (LATENCY, DROPPED) else ())
        if event.source == DROPPED:
            fields.append("dropped=1i")  # so that a row without identity is a point as well
        if event.unc_ns is not None:
            fields.append(_UNCERTAINTY(event.unc_ns))
        if event.sim_of:
            fields.append("sim_of=" + lines.text(",".join(event.sim_of)))
        yield lines.line(head, fields, event.ts_aligned_ns)

    def _of_event(self, event: Event, number: int) -> Iterator[bytes | None]:
        if event.source == BOOKMARK:
            head = self._head(BOOKMARK, (), event.dev, event.sim, number)
            yield lines.line(head, self._fields(BOOKMARK, event.kv), event.ts_ns)
            return
        if event.source == VM:
            yield from self._vm(event)
        for table, rows in event.kv.items():
            if isinstance(rows, list):
                yield from self._table(event, table, rows)

    def _vm(self, event: Event) -> Iterator[bytes | None]:
        """Yield the two documented points; only a simulated one bears a tag more."""
        kv = event.kv
        tags = (("VMID", kv.get("vmid")), ("name", kv.get("name")), ("uuid", event.dev), ("sim", _sim(event.sim)))
        for name, writers in ((VM_METRICS, _METRICS), (VM_FEATURES, _FEATURES)):
            fields = [write(kv[key]) for key, write in writers.items() if kv.get(key) is not None]
            yield lines.line(lines.head(name, tags), fields, event.ts_ns)

    def _table(self, event: Event, table: str, rows: list[Any]) -> Iterator[bytes | None]:
        """Yield a point for each row, identified by the columns that say which it is."""
        numbers: dict[tuple[tuple[str, str], ...], int] = {}
        for row in rows:
            if not isinstance(row, dict):
                raise Unfit(f"{table}: found {row!r:.80}, expected a table's row")
            which = tuple(
                (column, str(value)) for column, value in row.items() if _is_identity(event.source, f"{table}.{column}")
            )
            numbers[which] = numbers.get(which, 0) + 1
            head = self._head(f"{event.source}.{table}", which, event.dev, event.sim, numbers[which])
            fields = self._fields(event.source, row, [column for column, _ in which], f"{table}.")
            yield lines.line(head, fields, event.ts_ns)

    def _fields(self, source: str, kv: Mapping[str, Any], but: Iterable[str] = (), table: str = "") -> list[str]:
        """Return the fields of a map of values, without those that are none, tables, and what is said in tags."""
        writers = self._writers.setdefault(source + table, {})
        fields = []
        for key, value in kv.items():
            if value is None or key in but or isinstance(value, (list, dict)):
                continue
            write = writers.get(key)
            if write is None:
                write = _writer(source, table, key)
                if len(writers) < _MOST_KEYS:
                    writers[key] = write
            fields.append(write(value))
        return fields

    def _head_of(self, source: str, which: tuple[tuple[str, str], ...], dev: str | None, sim: bool, number: int) -> str:
        common = (("node", self._node), ("session", self._session), ("dev", dev))
        told = ((f"{tag}_" if tag in _COMMON else tag, value) for tag, value in which)
        more = (("sim", _sim(sim)), ("n", number if number > 1 else None))
        return lines.head(source.replace(".", "_"), (*common, *told, *more))


def _pair_tags(event: Aligned) -> tuple[tuple[str, str], ...]:
    """Return what identifies the series of a row of ``latency.jsonl`` besides what all have. Raises Unfit."""
    if event.source not in (LATENCY, DROPPED):
        return ()
    kv = event.kv
    pair = kv.get("pair")
    if not isinstance(pair, list) or len(pair) != 2:
        raise Unfit(f"pair: found {pair!r:.80}, expected two stages")
    try:
        return _tags_of(*pair, kv.get("flow"), kv.get("stage"), kv.get("reason"))
    except TypeError as error:  # a list or a map in place of a name
        raise Unfit(f"found {kv!r:.160}, expected names of a pair") from error


@lru_cache(maxsize=4096)
def _tags_of(*values: object) -> tuple[tuple[str, str], ...]:
    names = ("from_stage", "to_stage", *_PAIR_TAGS[1:])
    return tuple((name, str(value)) for name, value in zip(names, values, strict=True) if value is not None)


def _write_frame(value: object) -> str:
    """Write a frame's identity: a number, or another one that does not fit the type of numbers."""
    try:
        if not isinstance(value, str):
            return "frame=" + lines.field_value(value, "integer")
    except Unfit:
        pass
    return "frame_id=" + lines.text(str(value))


def _writer(source: str, table: str, key: str) -> Writer:
    """Return what writes a field of a source, by the type that the catalog names."""
    if key == "frame" and source.startswith(OURS):
        return _write_frame
    signal = lookup(source, table + key)
    kind = signal.influx if signal is not None else _OURS.get(key) if source.startswith(OURS) else None
    return lines.field_writer(f"{key}_" if key in _COMMON else key, kind)


@lru_cache(maxsize=8192)
def _is_identity(source: str, column: str) -> bool:
    signal = lookup(source, column)
    is_bounded = column.rpartition(".")[2] not in _UNBOUNDED
    return signal is not None and signal.kind == "info" and is_bounded


def _sim(sim: bool) -> str | None:
    return "true" if sim else None
