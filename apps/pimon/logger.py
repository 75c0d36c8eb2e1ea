"""The stand-alone telemetry logger: processor, battery and busiest processes into SQLite, without a session.

It needs only the standard library and psutil (Debian: python3-psutil), so that it runs on a Pi as it is. The tables
are those of muxd's store: ``benchlab.telemetry_schema``.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pimon.logger_power import PowerSupply
from pimon.logger_store import Sample, Store, Unusable
from pimon.supplies import AUTO

OK, USAGE, IO, INTERRUPTED = 0, 2, 5, 130
FIRST_S = 1.0  # from the start to the first sample: a load is that of an interval
TOO_SHORT = "interval must be >= 1 second (schema uses epoch seconds as primary key)"
NO_PSUTIL = "psutil is not installed: sudo apt-get install -y python3-psutil, or pip install psutil"

EXAMPLES = """examples:
  python -m pimon --db telemetry.db --interval 5 --top-procs 10 --verbose
  python3 scripts/logger.py --db telemetry.db --power-supply BAT0
  sqlite3 -header -csv telemetry.db "SELECT * FROM training_view WHERE watts IS NOT NULL" > training.csv
"""


def main(argv: list[str] | None = None) -> int:
    """Log until told to stop. Returns 0 on SIGTERM, 130 on SIGINT, 2 for bad arguments, 5 for an unusable database."""
    args = _parser().parse_args(argv)
    try:
        check_interval(args.interval)
    except ValueError as error:
        return _end(f"ValueError: {error}", USAGE)
    try:
        from pimon.logger_sampler import HostSampler
    except ImportError:
        return _end(NO_PSUTIL, USAGE)
    supply = PowerSupply(args.power_supply, say=_say)
    store = Store(args.db, os.uname().nodename, _say)
    try:
        _mention(supply)
        store.open()
        sampler = HostSampler(supply, args.top_procs)
        return Logger(sampler.sample, store, args.interval, verbose=args.verbose).run()
    except Unusable as error:
        return _end(str(error), IO)
    finally:
        store.close()


def check_interval(interval_s: float) -> None:
    """Raise ValueError for an interval that the key cannot tell apart."""
    if not math.isfinite(interval_s) or interval_s < 1:
        raise ValueError(TOO_SHORT)


class Logger:
    """Takes a sample every ``interval_s`` by absolute deadlines, until a signal asks it to stop."""

    def __init__(self, sample: Callable[[], Sample], store: Store, interval_s: float, *, verbose: bool = False) -> None:
        self._sample = sample
        self._store = store
        self._interval_s = interval_s
        self._verbose = verbose
        self._stop = threading.Event()
        self._signal = signal.SIGTERM

    def run(self) -> int:
        """Log until SIGTERM or SIGINT, and return the exit code. Raises Unusable."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        due_s = time.monotonic() + FIRST_S
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            self._log()
            due_s = _next(due_s, self._interval_s)
        self._leave()
        return INTERRUPTED if self._signal == signal.SIGINT else OK

    def _log(self) -> None:
        sample = self._sample()
        key = self._store.write(sample)
        if self._verbose:
            where = f"waits ({self._store.waiting} in memory)" if key is None else str(key)
            _say(f"{where}: {_in_words(sample)}")

    def _leave(self) -> None:
        if self._store.waiting and self._store.flush() is None:
            _say(f"{self._store.waiting} samples could not be stored: {self._store.why}")

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._signal = signal.Signals(number)
        self._stop.set()


def _next(due_s: float, interval_s: float) -> float:
    """Return the next deadline; those that have passed already are left out."""
    missed = max(0, math.floor((time.monotonic() - due_s) / interval_s))
    return due_s + (missed + 1) * interval_s


def _in_words(sample: Sample) -> str:
    units = {"battery_pct": "%", "voltage": " V", "current": " A", "power": " W", "cpu_total": "% cpu"}
    told = ((sample.system.get(name), unit) for name, unit in units.items())
    return " ".join(f"{value:.2f}{unit}" for value, unit in told if value is not None) + (
        f", {len(sample.processes)} processes"
    )


def _mention(supply: PowerSupply) -> None:
    """Say where no battery is read though one was asked for; it is taken when it appears."""
    missing = supply.missing()
    if missing is not None:
        _say(f"{missing}; battery columns stay NULL until there is one")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pimon --db",
        description="Log processor, battery and the busiest processes into SQLite.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--db", type=Path, default=Path("telemetry.db"), metavar="FILE", help="default: telemetry.db")
    parser.add_argument("--interval", type=float, default=5.0, metavar="S", help="seconds, at least 1; default: 5")
    parser.add_argument("--top-procs", type=_count, default=10, metavar="N", help="processes a sample; default: 10")
    parser.add_argument(
        "--power-supply",
        default=AUTO,
        metavar="NAME",
        help="auto, none, or one of /sys/class/power_supply; default: auto",
    )
    parser.add_argument("--verbose", action="store_true", help="a line for each sample, on stderr")
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"logger: {message}\n")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found {text}, expected a whole number from 0 on")
    return int(text)


def _say(text: str) -> None:
    print(f"logger: {text}", file=sys.stderr, flush=True)


def _end(text: str, code: int) -> int:
    _say(text)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
