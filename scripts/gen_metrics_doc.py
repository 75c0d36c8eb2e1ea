#!/usr/bin/env python3
"""Write docs/METRICS.md from the catalog of signals; with --check only say whether it is fresh."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENT = REPOSITORY / "docs" / "METRICS.md"
sys.path[:0] = [str(REPOSITORY / "libs")]

from benchlab.catalog import SIGNALS, Signal  # noqa: E402

HEAD = """\
# Signals

Generated from `libs/benchlab/catalog` by `scripts/gen_metrics_doc.py`: change it there.

Each signal is a key of an event's `kv` in `raw/*.jsonl`. *Unit* is that of the recorded value. *Prometheus* is the
family on muxd's `/metrics`, always in base units (the recorded value is converted); beside the labels shown, every
series says its `source`, and the `dev` where the event has one. A key written `table.column` is a column of a table.
A value that could not be read is absent, never 0.
"""


def document(signals: Iterable[Signal]) -> str:
    """Return the whole document."""
    sections = [section(source, list(group)) for source, group in groupby(signals, lambda signal: signal.source)]
    return HEAD + "".join(sections)


def section(source: str, signals: list[Signal]) -> str:
    """Return the table of one source."""
    rows = "".join(row(signal) for signal in signals)
    return (
        f"\n## `{source}`\n\n| key | unit | kind | what it is | Prometheus |\n| --- | --- | --- | --- | --- |\n{rows}"
    )


def row(signal: Signal) -> str:
    """Return one line of a table."""
    labels = ",".join(f'{name}="{value}"' for name, value in signal.labels)
    family = f"{signal.prometheus}{{{labels}}}" if labels else signal.prometheus
    text = signal.help + (f"; joules in `{signal.energy_key}`" if signal.energy_key else "")
    cells = (f"`{signal.key}`", signal.unit or "-", signal.kind, text, f"`{family}`" if family else "-")
    return f"| {' | '.join(cells)} |\n"


def main() -> int:
    """Write the document, or compare it; return 1 if it is stale."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--check", action="store_true", help="write nothing, exit 1 if the document is not fresh")
    args = p.parse_args()
    text = document(SIGNALS)
    if not args.check:
        DOCUMENT.write_text(text, encoding="utf-8")
        return 0
    if DOCUMENT.exists() and DOCUMENT.read_text(encoding="utf-8") == text:
        return 0
    print(f"{DOCUMENT} does not agree with the catalog: run scripts/gen_metrics_doc.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
