"""analyze_battery: what the discharges in a database came to, and how long the battery will last."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pimon.analysis.discharge import HOUR_S, Discharge, TimeToEmpty, describe, discharges, time_to_empty
from pimon.analysis.history import Reading, Unreadable, readings
from pimon.analysis.plot import CannotPlot, plot

OK, FINDING, USAGE, IO = 0, 1, 2, 5
HEADINGS = ("start (UTC)", "hours", "from %", "to %", "% per h", "Wh", "mean W", "mAh")


def main(argv: list[str] | None = None) -> int:
    """Print the analysis. Returns 1 if there is no discharge to analyse, 5 if the database cannot be read."""
    args = _parser().parse_args(argv)
    try:
        found = _within(readings(args.db), args.hours)
        stretches = discharges(found)
        estimate = time_to_empty(stretches[-1]) if stretches else "no discharge is recorded"
        told = [describe(stretch) for stretch in stretches]
        print(json.dumps(_document(told, estimate), indent=2) if args.json else _table(told, estimate))
        if args.plot and found:
            plot(args.plot, found, _ahead(found, stretches, estimate))
    except (Unreadable, CannotPlot, OSError) as error:
        print(f"analyze_battery: {error}", file=sys.stderr)
        return USAGE if isinstance(error, CannotPlot) else IO
    return OK if stretches else FINDING


def _within(found: list[Reading], hours: float | None) -> list[Reading]:
    if hours is None or not found:
        return found
    since_s = found[-1].time_s - hours * HOUR_S
    return [reading for reading in found if reading.time_s >= since_s]


def _ahead(found: list[Reading], stretches: list[list[Reading]], estimate: TimeToEmpty | str) -> TimeToEmpty | None:
    """Return the estimate if the battery is still being discharged at the end."""
    goes_on = bool(stretches) and stretches[-1][-1] is found[-1]
    return estimate if goes_on and isinstance(estimate, TimeToEmpty) else None


def _document(told: list[Discharge], estimate: TimeToEmpty | str) -> dict[str, Any]:
    why = estimate if isinstance(estimate, str) else None
    return {
        "discharges": [asdict(discharge) for discharge in told],
        "time_to_empty": None if isinstance(estimate, str) else asdict(estimate),
        "time_to_empty_why": why,
        "is_simulated": any(discharge.is_simulated for discharge in told),
    }


def _table(told: list[Discharge], estimate: TimeToEmpty | str) -> str:
    rows = [HEADINGS, *(_row(discharge) for discharge in told)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*lines, "", _sentence(estimate)])


def _row(discharge: Discharge) -> tuple[str, ...]:
    start = datetime.fromtimestamp(discharge.start_s, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    numbers = (
        *(discharge.duration_s / HOUR_S, discharge.start_pct, discharge.end_pct, discharge.pct_per_hour),
        *(discharge.energy_wh, discharge.mean_w, discharge.charge_mah),
    )
    sim = " sim" if discharge.is_simulated else ""
    return (start + sim, *("-" if number is None else f"{number:.2f}" for number in numbers))


def _sentence(estimate: TimeToEmpty | str) -> str:
    if isinstance(estimate, str):
        return f"time to empty: not known, {estimate}"
    interval = f"{estimate.low_hours:.1f} to {estimate.high_hours:.1f} h"
    return f"time to empty: {estimate.hours:.1f} h from the end of the last discharge (90 % interval: {interval})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="analyze_battery", description="Analyse the discharges in a telemetry database."
    )
    parser.add_argument("db", type=Path, metavar="DB", help="telemetry.db of the logger, or of a session's store")
    parser.add_argument("--hours", type=float, metavar="H", help="only the newest H hours")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a picture, .svg or .png")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
