"""One export: rows in, CSV and JSON out, and a report of what was written and what a reader must know."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from benchlab.capframex import about as words
from benchlab.capframex import csv_writer, json_writer, sensors
from benchlab.capframex.about import About, Machine
from benchlab.capframex.atomic import replacing
from benchlab.capframex.bounds import Bound, span
from benchlab.capframex.csv_writer import MIN_LINES_WITH_METADATA
from benchlab.capframex.frames import (
    FRAME_LAYOUT,
    ROW_LAYOUT,
    Arranged,
    Collected,
    Metric,
    Selection,
    arrange,
    collect,
)
from benchlab.capframex.power import load, reference_entries
from benchlab.capframex.progress import Progress, Untold
from benchlab.capframex.sensors import Power
from benchlab.capframex.spool import Spool
from benchlab.errors import Exit
from benchlab.query.aligned import AlignedReader, pairs
from benchlab.session import Session


@dataclass(frozen=True)
class Request:
    """What to export and where to. ``csv`` is None where the format was not asked for.

    ``spool_dir`` is where temporary files go, by default beside the result. ``ranges`` are the bytes of the aligned
    file that hold what is chosen, where that is known; by default all of it is looked through.
    """

    session: Session
    chosen: Selection
    application: str
    metric: Metric
    csv: Path | None
    json: Path
    wants_json: bool
    start: Bound | None = None
    end: Bound | None = None
    spool_dir: Path | None = None
    power_sources: Sequence[Sequence[str]] = ()
    max_gap_ns: int = 2_500_000_000
    ranges: Sequence[tuple[int, int]] | None = None


@dataclass
class Report:
    """What came of it: files, counts, and in ``problems`` what makes it no proper capture."""

    session: str
    pair: tuple[str, str]
    csv: str | None = None
    json: str | None = None
    rows: int = 0
    frames: int = 0
    dropped: int = 0
    last: str | None = None
    simulated: str | None = None
    comment: str | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def code(self) -> Exit:
        """Return the exit code this stands for."""
        return Exit.FINDING if self.problems else Exit.OK

    def as_json(self) -> str:
        """Return the report as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def run(request: Request, progress: Progress | None = None) -> Report:
    """Export, and report. Raises Fault for bounds that make no sense and for files that cannot be written."""
    report = Report(request.session.name, request.chosen.pair)
    reader = AlignedReader(request.session.dir, ranges=request.ranges)
    chosen = _bounded(request, reader, report)
    if chosen is None:
        return report
    folder = request.spool_dir or request.json.parent
    with ExitStack() as stack:
        rows = stack.enter_context(Spool(ROW_LAYOUT, folder))
        frames = stack.enter_context(Spool(FRAME_LAYOUT, folder))
        bar = progress or Untold()
        got = collect(bar.track(reader, "reading", reader.end, lambda: reader.offset), chosen, rows)
        made = arrange(got, request.metric, frames)
        _describe_source(reader, request.session, got, report)
        if not made.frames or len(frames) == made.drops:
            report.problems.append(_nothing(request, got, made))
            return report
        _write(request, got, made, report, bar)
    return report


def _bounded(request: Request, reader: AlignedReader, report: Report) -> Selection | None:
    """Return the selection with its bounds on the timeline; None, and a problem, if there is no such pair."""
    chosen = request.chosen
    if not reader.exists:
        report.problems.append(
            f"session {request.session.name} has no {reader.path.name}: first run "
            f"muxd --session {request.session.name} --pair {' '.join(chosen.pair)} --once"
        )
        return None
    if request.start is None and request.end is None:
        return chosen
    first_ns = 0
    if any(bound is not None and bound.relative for bound in (request.start, request.end)):
        found = pairs(reader).get(chosen.pair)
        if found is None:
            report.problems.append(_nothing(request, None, None))
            return None
        first_ns = found.first_ns
    from_ns, to_ns = span(request.start, request.end, first_ns)
    return replace(chosen, from_ns=from_ns, to_ns=to_ns)


def _nothing(request: Request, got: Collected | None, made: Arranged | None) -> str:
    """Return why there is no frame to write, with what there is instead."""
    a, b = request.chosen.pair
    if made is not None and made.openers:
        return f"one completed frame of {a} to {b}: no interval to write, expected at least two"
    if got is not None and (got.drops or got.unusable):
        return f"no completed frame of {a} to {b}: found {got.drops} dropped and {got.unusable} unusable rows"
    others = pairs(AlignedReader(request.session.dir))
    listed = ", ".join(f"{x} to {y} ({n.frames} frames)" for (x, y), n in others.items())
    where = "in this stretch of time or flow" if (a, b) in others else f"in session {request.session.name}"
    return f"no row of {a} to {b} {where}: it has {listed or 'no pair at all'}"


def _describe_source(reader: AlignedReader, session: Session, got: Collected, report: Report) -> None:
    """Note what is unfinished or damaged in what was read."""
    name = reader.path.name
    if got.last_ns is not None:
        report.last = words.iso(got.last_ns)
        if not session.info.closed:
            report.notes.append(f"the session is open: exported up to {report.last}")
    if reader.provisional and reader.offset > reader.vouched_bytes:
        report.notes.append("the last rows are provisional: muxd may still decide them again")
    if reader.changed:
        report.notes.append(f"{name} was rewritten while it was read: export again for what comes after")
    if reader.bad:
        report.notes.append(f"{words.count(reader.bad, 'bad line')} of {name} skipped")


def _write(request: Request, got: Collected, made: Arranged, report: Report, bar: Progress) -> None:
    entries = reference_entries(request.power_sources)
    used = got.references.most_common(1)[0][0] if got.references else None
    margin_ns = request.max_gap_ns
    recorded, origin = load(
        request.session.dir, sensors.wanted(entries), made.start_ns - margin_ns, made.last_ns + margin_ns
    )
    system = sensors.system_signal(recorded, entries, used)
    power = sensors.build(recorded, system, made.start_ns, made.last_ns, request.max_gap_ns)
    if origin == "signals" and power.remarks:
        power.remarks.append("raw streams hold no power, it is from the grid of aligned/signals.jsonl")
    about = _about(request, got, made, report, power, used)
    report.rows, report.frames, report.dropped = len(made.frames), len(made.frames) - made.drops, made.drops
    report.simulated, report.comment = about.simulated, about.comment
    report.notes += power.remarks
    _write_csv(request, about, made, report, bar)
    if request.wants_json or (request.csv is not None and report.csv is None):
        hashes = _hashes(about, made, power)
        with replacing(request.json) as out:
            json_writer.write(out, about, made, power, hashes, bar)
        report.json = str(request.json)


def _about(request: Request, got: Collected, made: Arranged, report: Report, power: Power, used: str | None) -> About:
    simulated = got.simulated | power.simulated
    opening = f"{' to '.join(request.chosen.pair)}, session {request.session.name}"
    remarks = [words.power_remark(got.references, got.no_power), *power.remarks, *report.notes]
    return About(
        application=request.application,
        session=request.session.name,
        pair=request.chosen.pair,
        metric=request.metric,
        created=words.moment(made.start_ns),
        record_s=(made.last_ns - made.start_ns) / 1e9,
        machine=Machine.from_facts(request.session.info.host),
        comment=words.comment(opening, request.metric, got, made, simulated, remarks),
        power_source=used,
        simulated=words.simulated_as(simulated),
    )


def _write_csv(request: Request, about: About, made: Arranged, report: Report, bar: Progress) -> None:
    if request.csv is None:
        return
    lines = len(csv_writer.header(about)) + len(made.frames)
    if lines < MIN_LINES_WITH_METADATA:
        old = f"; the {request.csv.name} that is there is an older one" if request.csv.exists() else ""
        report.problems.append(
            f"{words.count(len(made.frames), 'row')}: too few, the CSV has {lines} lines and CapFrameX "
            f"lists none under {MIN_LINES_WITH_METADATA}; wrote the JSON only{old}"
        )
        return
    with replacing(request.csv) as out:
        csv_writer.write(out, about, bar.track(made, "writing CSV", len(made.frames)))
    report.csv = str(request.csv)


def _hashes(about: About, made: Arranged, power: Power) -> json_writer.Hashes:
    """Return what identifies frames and power, and the capture as a whole."""
    run = hashlib.sha256()
    for chunk in made.frames.chunks():
        run.update(chunk)
    run.update(json.dumps([power.step_ms, power.arrays, power.sensors], sort_keys=True).encode())
    whole = hashlib.sha256(run.digest())
    whole.update(repr(about).encode("utf-8", "replace"))
    return json_writer.Hashes(whole.hexdigest(), run.hexdigest())
