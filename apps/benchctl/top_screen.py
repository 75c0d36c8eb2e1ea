"""What ``benchctl top`` shows: a snapshot as lines that fit the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from rich.text import Text

from benchctl.sink_status import SinkStatus
from benchctl.status import span
from benchctl.summary import OPEN, PairSummary
from benchctl.top_columns import Cell, Column, printable, shortened, text_table
from benchctl.top_session import MuxRow, Snapshot, VmRow
from benchctl.top_stream import SourceRow

_Row = TypeVar("_Row", SourceRow, VmRow)

_Order = Callable[[_Row], "dict[str, float | None]"]

ORDERS = ("name", "rate", "age", "power")
KEYS = (
    "q  quit          p or space  pause      s  sort the sources and VMs",
    "↑ ↓ PgUp PgDn Home End  scroll          /  show only names that contain a text",
    "Esc  all names again                    ?  this list, and back",
)
_GOOD, _BAD, _WARN, _DIM, _TITLE = "green", "red", "yellow", "dim", "bold cyan"
_STATE_STYLES = {"up": _GOOD, "down": _BAD, "dead": _BAD, "quiet": _WARN, "stopped": _DIM}

_PAIRS = (
    Column("pair"),
    Column("p50 ms", 0, True),
    Column("p95 ms", 2, True),
    Column("p99 ms", 0, True),
    Column("watts", 0, True),
    Column("J/frame", 0, True),
    Column("drops", 0, True),
    Column("frames", 1, True),
)
_SOURCES = (
    Column("state"),
    Column("source"),
    Column("device", 4),
    Column("rate/s", 1, True),
    Column("age", 0, True),
    Column("watts", 0, True),
    Column("sim", 0),
    Column("why", 2, fills=True),
)
_VMS = (
    Column("state"),
    Column("VM"),
    Column("cpu %", 0, True),
    Column("memory", 0, True),
    Column("watts", 0, True),
    Column("J/min", 1, True),
    Column("age", 2, True),
    Column("sim", 3),
)


@dataclass
class View:
    """What the operator chose: order, filter, how far it is scrolled, pause, the list of keys."""

    order: str = ORDERS[0]
    contains: str = ""
    typing: bool = False
    offset: int = 0
    paused: bool = False
    help: bool = False


def lines(snapshot: Snapshot, view: View, width: int) -> list[Text]:
    """Return the whole content, of whatever length; the first line is the heading."""
    found = [_heading(snapshot, view)]
    if view.help:
        found += [Text(), *map(Text, KEYS)]
    elif snapshot.session is None:
        found += [
            Text(),
            Text(f"no session in {snapshot.data_root} yet"),
            Text("a collector makes one, or benchctl demo"),
        ]
    else:
        found += _body(snapshot, view, width)
    for line in found:
        line.truncate(width, overflow="ellipsis")
        line.no_wrap = True
    return found


def _heading(snapshot: Snapshot, view: View) -> Text:
    line = Text.assemble(("benchctl top", "bold"), f"  {datetime.fromtimestamp(snapshot.time_ns / 1e9):%H:%M:%S}")
    if view.paused:
        line.append("  PAUSED", "bold yellow")
    if snapshot.simulated:
        line.append("  SIMULATED", "bold yellow")
    if snapshot.session:
        age = "" if snapshot.age_s is None else f", {span(snapshot.age_s)} old"
        line.append(f"  {printable(snapshot.session)}, {snapshot.state}{age}")
    return line


def _body(snapshot: Snapshot, view: View, width: int) -> Iterator[Text]:
    yield _power(snapshot)
    yield from _section(_frames(snapshot.covered_s), _PAIRS, map(_pair, snapshot.pairs), width, "no pairs")
    sources = _chosen(snapshot.sources, view, _source_name, _source_order)
    yield from _section(_named("sources", view), _SOURCES, map(_source, sources), width, _nothing(view, "no sources"))
    if snapshot.vms:
        vms = _chosen(snapshot.vms, view, lambda vm: vm.name, _vm_order)
        yield from _section(_named("virtual machines", view), _VMS, map(_vm, vms), width, _nothing(view, "none"))
    yield Text("muxd and sinks", _TITLE)
    if snapshot.muxd:
        yield _mux(snapshot.muxd)
    yield from map(_sink, snapshot.sinks)


def _frames(covered_s: float | None) -> str:
    return "frames of the last minute" if covered_s is None else f"frames of the last {span(covered_s)}"


def _named(title: str, view: View) -> str:
    only = f", with {printable(view.contains)!r}" if view.contains else ""
    return f"{title} by {view.order}{only}"


def _nothing(view: View, words: str) -> str:
    return f"none contains {printable(view.contains)!r}" if view.contains else words


def _section(
    title: str, columns: Sequence[Column], rows: Iterator[Sequence[Cell]], width: int, empty: str
) -> Iterator[Text]:
    yield Text(title, _TITLE)
    found = list(rows)
    if found:
        yield from text_table(columns, found, width)
    else:
        yield Text(empty, _DIM)


def _chosen(rows: Sequence[_Row], view: View, name: Callable[[_Row], str], order: _Order[_Row]) -> list[_Row]:
    wanted = [row for row in rows if view.contains.lower() in name(row).lower()]
    if view.order == ORDERS[0]:
        return sorted(wanted, key=name)
    # What is not known comes last.
    values = {id(row): order(row)[view.order] for row in wanted}
    return sorted(wanted, key=lambda row: (values[id(row)] is None, -(values[id(row)] or 0), name(row)))


def _source_name(row: SourceRow) -> str:
    return f"{row.source} {row.dev or ''}"


def _source_order(row: SourceRow) -> dict[str, float | None]:
    return {"rate": row.rate_hz, "age": row.age_s, "power": row.power_w}


def _vm_order(row: VmRow) -> dict[str, float | None]:
    return {"rate": row.cpu_pct, "age": row.age_s, "power": row.power_w}


def _power(snapshot: Snapshot) -> Text:
    if snapshot.energy_j is None or not snapshot.powered_s:
        return Text("power of the frames is not known", _DIM)
    mean_w = snapshot.energy_j / snapshot.powered_s
    text = f"{mean_w:.1f} W, {snapshot.energy_j:,.0f} J in {snapshot.powered_s:.0f} s"
    return Text.assemble(("power ", _DIM), (text, "bold magenta"), f"  {printable(', '.join(snapshot.power_sources))}")


def _pair(pair: PairSummary) -> list[Cell]:
    drops = sum(count for reason, count in pair.drops.items() if reason not in OPEN)
    return [
        (printable("→".join(pair.pair)), ""),
        (_number(pair.p50_ms, 3), "bold"),
        (_number(pair.p95_ms, 3), ""),
        (_number(pair.p99_ms, 3), "bold"),
        (_number(pair.power_w, 1), "magenta"),
        (_number(pair.frame_energy_j, 3), "magenta"),
        (f"{drops:,}", _BAD if drops else ""),
        (f"{pair.pairs:,}", ""),
    ]


def _source(row: SourceRow) -> list[Cell]:
    fix = f" (fix: {row.fix})" if row.fix else ""
    return [
        (row.state, _STATE_STYLES.get(row.state, "")),
        (printable(row.source), "bold"),
        (printable(row.dev or ""), ""),
        (_number(row.rate_hz, 1), ""),
        (_age(row.age_s), ""),
        (_number(row.power_w, 1), "magenta"),
        ("sim" if row.simulated else "", _WARN),
        (printable(f"{row.reason or ''}{fix}"), _DIM),
    ]


def _vm(row: VmRow) -> list[Cell]:
    return [
        (printable(row.state), _GOOD if row.state in ("running", "blocked") else _DIM),
        (printable(row.name), "bold"),
        (_number(row.cpu_pct, 1), ""),
        ("" if row.memory_bytes is None else _bytes(row.memory_bytes), ""),
        (_number(row.power_w, 1), "magenta"),
        (_number(row.energy_j, 1), "magenta"),
        (_age(row.age_s), ""),
        ("sim" if row.simulated else "", _WARN),
    ]


def _mux(muxd: MuxRow) -> Text:
    running = muxd.pid is not None
    parts = [("muxd  ", "bold"), ("running" if running else "not running", _GOOD if running else _BAD)]
    parts.append((f"  {_bytes(muxd.unread_bytes)} unread", ""))
    if muxd.last_pair_age_s is not None:
        parts.append((f", last pair {_age(muxd.last_pair_age_s)} ago", ""))
    if muxd.late or muxd.bad:
        parts.append((f", {muxd.late:,} late, {muxd.bad:,} bad lines", _WARN))
    if muxd.rebuilding:
        parts.append((", rebuilding", _WARN))
    if muxd.problem:
        parts.append((f"  {printable(muxd.problem)}", _BAD))
    return Text.assemble(*parts)


def _sink(sink: SinkStatus) -> Text:
    if sink.problem:
        return Text.assemble((f"{sink.sink}  ", "bold"), (printable(sink.problem), _BAD))
    if not sink.behind_bytes:
        return Text.assemble((f"{sink.sink}  ", "bold"), ("nothing stored yet", _WARN))
    behind = [n for n in sink.behind_bytes.values() if n != 0]
    if not behind:
        return Text.assemble((f"{sink.sink}  ", "bold"), ("up to date", _GOOD))
    known = sum(n for n in behind if n)
    words = "begins anew" if None in behind else f"{_bytes(known)} behind"
    return Text.assemble((f"{sink.sink}  ", "bold"), (words, _WARN))


def footer(view: View, width: int, hidden: int) -> Text:
    """Return the last line: the keys, or the text that is being typed."""
    if view.typing:
        return Text(shortened(f"/{printable(view.contains)}_", width), "bold")
    more = f"{hidden} more lines ↓  " if hidden else ""
    return Text(shortened(f"{more}q quit  p pause  s sort:{view.order}  / find  ? help", width), "reverse")


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _age(seconds: float | None) -> str:
    return "" if seconds is None else span(max(0.0, seconds))


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
