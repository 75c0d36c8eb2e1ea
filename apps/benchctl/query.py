"""benchctl query: one SQL statement on the store of a session, read-only and beside whoever writes it."""

from __future__ import annotations

import argparse
import csv
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from benchlab import cli
from benchlab.errors import Exit, Fault
from benchlab.session import Session, open_session

EXAMPLES = """\
  benchctl query "SELECT * FROM pair_summary"
  benchctl query --session lab-1 --csv "SELECT ts_ns, lat_ms, power_w FROM latency ORDER BY ts_ns" > latency.csv
  benchctl query --json "SELECT text FROM bookmark"
tables: latency, dropped, signal, bookmark, system_sample, cpu_core, process_sample
views: pair_summary, signal_latest, training_view (references/schema.md)"""

FILE = "telemetry.db"
BUSY_S = 5.0
STEPS_BETWEEN_SIGNALS = 100_000  # of SQLite's machine: a long query can be interrupted about 100 times a second


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    p = cli.parser("benchctl query", "Ask the store of a session in SQL; nothing is ever changed.", EXAMPLES)
    p.add_argument("sql", metavar="SQL", help="one statement that returns rows")
    how = p.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print an array of objects")
    how.add_argument("--csv", action="store_true", help="print comma-separated values with a heading")
    return p


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Print what the statement returns."""
    context = cli.context(args)
    session = open_session(context.data_root, context.session_name, create=False)
    connection = connected(store_of(session))
    try:
        _print(connection.execute(args.sql), args)
        _say_if_simulated(connection)
    except (sqlite3.Error, sqlite3.Warning) as error:
        if "interrupted" in str(error):
            raise KeyboardInterrupt from error
        raise _fault(connection, error) from error
    finally:
        connection.close()
    return Exit.OK


def store_of(session: Session) -> Path:
    """Return where a session's store is. Raises Fault (IO) if it has none, saying how to get one."""
    path = session.dir / "store" / FILE
    if not path.is_file():
        raise Fault(
            f"session {session.name} has no store ({path}): muxd --session {session.name} --sink sqlite makes it, "
            "and sqlite = true in [sinks] of config.toml does so for every session",
            Exit.IO,
        )
    return path


def connected(path: Path) -> sqlite3.Connection:
    """Open a store for reading. Raises Fault (IO)."""
    try:
        return opened(path, "mode=ro")
    except sqlite3.OperationalError as error:
        # On a medium that cannot be written, SQLite opens a store that nobody is writing only when told so.
        if path.with_name(f"{FILE}-wal").exists():
            raise _unreadable(path, error) from error
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from error
    try:
        return opened(path, "immutable=1")
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from error


def opened(path: Path, how: str) -> sqlite3.Connection:
    """Open a store by the rule ``how`` of SQLite's URIs: ``mode=ro`` or ``immutable=1``. Raises sqlite3.Error."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    connection.set_progress_handler(lambda: 0, STEPS_BETWEEN_SIGNALS)  # lets Python see a Ctrl-C
    return connection


def _unreadable(path: Path, error: sqlite3.Error) -> Fault:
    return Fault(f"{path} cannot be read ({error}): start muxd with --sink sqlite, it mends or rebuilds it", Exit.IO)


def _fault(connection: sqlite3.Connection, error: Exception) -> Fault:
    """Return the one line about a statement that failed, or a store that did."""
    said = str(error)
    if type(error) is sqlite3.DatabaseError or "disk" in said or "locked" in said:
        return Fault(f"the store cannot be read: {said}", Exit.IO)
    if "no such table" in said or "no such column" in said:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        said += f"; there are {', '.join(name for (name,) in names)}"
    return Fault(f"SQL: {said}", Exit.USAGE)


def _print(cursor: sqlite3.Cursor, args: argparse.Namespace) -> None:
    if cursor.description is None:
        raise Fault("SQL: found a statement without rows, expected a SELECT", Exit.USAGE)
    titles = [column[0] for column in cursor.description]
    if args.json:
        _print_json(titles, cursor)
    elif args.csv:
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(titles)
        out.writerows(cursor)
    else:
        _print_table(titles, cursor)


def _print_json(titles: Sequence[str], rows: Iterator[Sequence[object]]) -> None:
    """Print an object a line within one array, as the rows come."""
    separator = "[\n"
    for row in rows:
        print(separator + msgspec.json.encode(dict(zip(titles, row, strict=True))).decode(), end="")
        separator = ",\n"
    print("[]" if separator == "[\n" else "\n]")


def _print_table(titles: Sequence[str], rows: Iterator[Sequence[object]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.measure import measure_renderables
    from rich.table import Table

    found = list(rows)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for i, title in enumerate(titles):
        numeric = found and all(isinstance(row[i], (int, float, type(None))) for row in found)
        table.add_column(title, justify="right" if numeric else "left", overflow="fold")
    for row in found:
        table.add_row(*map(_cell, row))
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:  # nothing is folded in a file or a pipe
        wide = Console(width=1_000_000)
        console.width = max(80, measure_renderables(wide, wide.options, [table]).maximum)
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _say_if_simulated(connection: sqlite3.Connection) -> None:
    """Say so on stderr if simulators made up some of what the store holds."""
    if connection.execute("SELECT MAX(sim) FROM cursor").fetchone()[0]:
        print("simulated: some or all of the devices; their figures were not measured", file=sys.stderr)
