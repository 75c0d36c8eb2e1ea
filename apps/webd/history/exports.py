"""Files to take away: rows as CSV, a pair as CapFrameX JSON. Both are made as they are sent, in bounded memory."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchlab.capframex import export
from benchlab.capframex.about import check_application
from benchlab.capframex.bounds import Bound
from benchlab.capframex.export import Request
from benchlab.capframex.frames import Selection
from benchlab.config import Config
from benchlab.errors import Fault
from benchlab.event import Aligned
from benchlab.query.aligned import DROPPED, LATENCY, LATENCY_FILE, Pair, select
from benchlab.query.latency_index import PairTotals
from benchlab.query.segments import Extent, Range, check_unchanged, extent, read_range
from benchlab.session import Session
from webd.errors import Refusal
from webd.history.asked import Stretch
from webd.history.shelf import History

FIELDS = (
    "lat_ms",
    "power_w",
    "energy_j",
    "power_age_ms",
    "temp_c",
    "frame",
    "pts_ns",
    "flow",
    "match",
    "power_source",
    "power_method",
    "power_why",
    "stage",
    "reason",
    "decided_ns",
)
HEADER = ("ts_aligned_ns", "kind", *FIELDS, "unc_ns", "sim")

Pieces = Generator[bytes, None, None]
"""A file in pieces; closing it early gives back what it holds."""

_KINDS = {LATENCY: "frame", DROPPED: "drop"}
_PIECE_BYTES = 256 * 1024
_BEFORE_NS = 10_000_000_000


@dataclass(frozen=True)
class Chosen:
    """What is exported."""

    history: History
    session: Session
    pair: Pair
    total: PairTotals


def csv_pieces(chosen: Chosen, asked: Stretch, plain: bool) -> Pieces:
    """Yield the CSV of a pair in a stretch of time, in the order of the file. Raises RawChanged, Fault, OSError."""
    history, pair = chosen.history, chosen.pair
    now = extent(history.folder, LATENCY_FILE)
    ranges = history.latency.ranges(pair, asked.from_ns, asked.to_ns)
    yield ("" if plain else _comments(chosen, now)).encode() + _lines([HEADER])
    for where in ranges:
        for batch in read_range(history.index.file(LATENCY_FILE), Aligned, where):
            rows = select(batch.rows, pair, asked.from_ns, asked.to_ns)
            data = _lines([_cells(row) for row in rows if row.source in _KINDS])
            check_unchanged(history.folder, LATENCY_FILE, now)  # a file of two generations must not look whole
            if data:
                yield data


def _comments(chosen: Chosen, now: Extent) -> str:
    session, pair, total = chosen.session, chosen.pair, chosen.total
    said = {
        "session": session.name,
        "node": session.info.node or "unknown",
        "pair": " to ".join(pair),
        "simulated": ", ".join(sorted(total.simulated)) if total.simulated else "no",
    }
    if now.is_provisional:
        said["note"] = "the last rows are provisional: muxd may still decide them again"
    return "".join(f"# {name}: {_one_line(text)}\n" for name, text in said.items())


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _cells(row: Aligned) -> list[object]:
    kv = row.kv
    cells: list[object] = [row.ts_aligned_ns, _KINDS[row.source]]
    cells += [kv.get(name) for name in FIELDS]
    return [*cells, row.unc_ns, 1 if row.sim else 0]


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def capframex_pieces(chosen: Chosen, asked: Stretch, config: Config) -> Pieces:
    """Yield the CapFrameX JSON of a pair. Raises Refusal where there is nothing to export, Fault, OSError."""
    with tempfile.TemporaryDirectory(prefix="benchlab-export-") as folder:
        path = Path(folder) / "capture.json"
        before_ns = max(0, asked.from_ns - _BEFORE_NS)  # the frame before the first tells how long that one took
        ranges = chosen.history.latency.ranges(chosen.pair, before_ns, asked.to_ns)
        report = export.run(_request(chosen, asked, config, path, ranges))
        if report.json is None:
            raise Refusal(404, "; ".join(report.problems) or f"found no frame of {' to '.join(chosen.pair)}")
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece


def _request(chosen: Chosen, asked: Stretch, config: Config, path: Path, ranges: Sequence[Range]) -> Request:
    try:
        application = check_application(config.cx_export.application_name)
    except Fault as fault:
        raise Refusal(500, fault.message) from fault
    return Request(
        session=chosen.session,
        chosen=Selection(chosen.pair),
        application=application,
        metric="latency",
        csv=None,
        json=path,
        wants_json=True,
        start=None if asked.from_us is None else Bound(asked.from_ns, relative=False),
        end=None if asked.to_us is None else Bound(asked.to_ns, relative=False),
        power_sources=config.mux.power_sources,
        max_gap_ns=config.mux.max_gap_ms * 1_000_000,
        ranges=ranges,
    )


def file_name(session: str, pair: Pair, ending: str) -> str:
    """Return a name that no file system takes amiss."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", f"{session}_{pair[0]}_to_{pair[1]}") + ending
