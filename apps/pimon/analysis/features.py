"""export_features: what a model of power learns from, as CSV or Parquet.

``training_view`` with what the busiest processes took together, the energy since the sample before, and the samples
before as lags. A lag across a gap is absent, and so is energy: NULL in Parquet, empty in CSV.
"""

from __future__ import annotations

import argparse
import csv
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from benchlab.telemetry_schema import TRAINING_COLUMNS
from pimon.analysis.discharge import longest_gap_s
from pimon.analysis.history import Unreadable, columns, opened, readings, time_of

OK, USAGE, IO = 0, 2, 5
LAGGED = ("cpu_total", "cpu_freq", "load1", "topn_cpu_sum", "watts")
LAGS = 3
BATCH = 10_000
NO_PYARROW = "Parquet needs pyarrow: pip install 'benchlab-linux-telemetry[store]'; --format csv needs nothing"

_QUERY = """
WITH proc AS (
  SELECT ts, SUM(cpu) AS topn_cpu_sum, MAX(cpu) AS top_cpu, SUM(mem) AS topn_mem_sum, COUNT(*) AS topn_count
  FROM process_sample GROUP BY ts
), core AS (
  SELECT ts, MAX(usage) AS core_max, MIN(usage) AS core_min FROM cpu_core GROUP BY ts
), training AS (
  SELECT {training} FROM (SELECT * {lacking} FROM system_sample)
), base AS (
  SELECT t.*, {time} AS time_s, {sim} AS sim, p.topn_cpu_sum, p.top_cpu, p.topn_mem_sum, p.topn_count,
    c.core_max, c.core_min
  FROM training AS t JOIN system_sample AS s ON s.ts = t.ts
  LEFT JOIN proc AS p ON p.ts = t.ts LEFT JOIN core AS c ON c.ts = t.ts
)
SELECT base.*, time_s - LAG(time_s) OVER by_ts AS step_s,
  CASE WHEN time_s - LAG(time_s) OVER by_ts BETWEEN 0 AND {gap}
    THEN (watts + LAG(watts) OVER by_ts) / 2 * (time_s - LAG(time_s) OVER by_ts) / 3600.0 END AS energy_wh,
  {lags}
FROM base WINDOW by_ts AS (ORDER BY ts)
"""


class Sink(Protocol):
    """Where rows go."""

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Append rows. Raises OSError."""


class _Csv:
    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerow(names)

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._writer.writerows(rows)

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, names: Sequence[str]) -> None:
        import pyarrow
        from pyarrow import parquet

        whole = {"ts": pyarrow.int64(), "sim": pyarrow.bool_(), "topn_count": pyarrow.int64()}
        self._schema = pyarrow.schema([(name, whole.get(name, pyarrow.float64())) for name in names])
        self._arrow = pyarrow
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        by_column = zip(self._schema, zip(*rows, strict=True), strict=True)
        arrays = [self._arrow.array(map(_as(field), values), field.type) for field, values in by_column]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _as(field: Any) -> Any:
    return (lambda value: bool(value)) if field.name == "sim" else (lambda value: value)


def export(db: Path, out: Path, kind: str, *, with_power_only: bool = False) -> int:
    """Write the features of a database and return the number of rows. Raises Unreadable, ImportError, OSError."""
    gap_s = longest_gap_s(readings(db))
    partial = out.with_name(f".{out.name}.partial")
    with opened(db) as connection:
        names, rows, total = selected(connection, gap_s, with_power_only)
        sink = (_Csv if kind == "csv" else _Parquet)(partial, names)
        count = 0
        try:
            with progress(total) as advance:
                for batch in rows:
                    sink.write(batch)
                    count += len(batch)
                    advance(len(batch))
        except BaseException:
            sink.close()
            partial.unlink(missing_ok=True)
            raise
        sink.close()
    partial.replace(out)
    return count


def selected(
    connection: sqlite3.Connection, gap_s: float, with_power_only: bool
) -> tuple[list[str], Iterator[list[tuple[Any, ...]]], int]:
    """Return the columns, the rows in batches, and about how many there are."""
    present = columns(connection)
    parts = {
        "time": time_of(present),
        "sim": "COALESCE(s.sim, 0)" if "sim" in present else "0",
        "gap": gap_s,
        "training": TRAINING_COLUMNS,  # the view in the file may be of an older program
        "lacking": "" if "battery_pct" in present else ", NULL AS battery_pct",
        "lags": ",\n  ".join(_lags(gap_s)),
    }
    query = _QUERY.format(**parts)
    where = " WHERE watts IS NOT NULL" if with_power_only else ""
    cursor = connection.execute(f"SELECT * FROM ({query}){where} ORDER BY ts")
    (total,) = connection.execute("SELECT COUNT(*) FROM system_sample").fetchone()
    return [column[0] for column in cursor.description], iter(lambda: cursor.fetchmany(BATCH), []), total


def _lags(gap_s: float) -> Iterator[str]:
    for name in LAGGED:
        for lag in range(1, LAGS + 1):
            near = f"time_s - LAG(time_s, {lag}) OVER by_ts BETWEEN 0 AND {lag * gap_s}"
            yield f"CASE WHEN {near} THEN LAG({name}, {lag}) OVER by_ts END AS {name}_lag{lag}"


def progress(total: int) -> AbstractContextManager[Any]:
    """Return what is told how many rows are done: a bar if stderr is a terminal and rich is installed."""
    if not sys.stderr.isatty():
        return nullcontext(lambda _: None)
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        return nullcontext(lambda _: None)

    class _Bar(Progress):
        def __enter__(self) -> Any:
            super().__enter__()
            task = self.add_task("exporting", total=total)
            return lambda rows: self.advance(task, rows)

    return _Bar(console=Console(stderr=True))


def main(argv: list[str] | None = None) -> int:
    """Export. Returns 2 if pyarrow is missing, 5 if a file cannot be read or written."""
    args = _parser().parse_args(argv)
    kind = args.format or ("parquet" if args.out.suffix == ".parquet" else "csv")
    try:
        count = export(args.db, args.out, kind, with_power_only=args.with_power_only)
    except ImportError:
        print(f"export_features: {NO_PYARROW}", file=sys.stderr)
        return USAGE
    except (Unreadable, OSError) as error:
        print(f"export_features: {error}", file=sys.stderr)
        return IO
    print(f"export_features: {count} rows in {args.out}", file=sys.stderr)
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="export_features", description="Export features for training a model of power."
    )
    parser.add_argument("db", type=Path, metavar="DB", help="telemetry.db of the logger, or of a session's store")
    parser.add_argument("--out", type=Path, default=Path("training.csv"), metavar="FILE", help="default: training.csv")
    parser.add_argument("--format", choices=("csv", "parquet"), help="default: by the ending of FILE")
    parser.add_argument("--with-power-only", action="store_true", help="leave out samples without watts")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
