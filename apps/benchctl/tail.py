"""benchctl tail: the last pairs of a session, live."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from benchctl.stopping import StopRequests
from benchlab import cli
from benchlab.errors import Exit
from benchlab.event import Aligned, encode_lines
from benchlab.log.reader import RawChanged, ReaderState, StreamReader
from benchlab.log.tail import line_start
from benchlab.log.vouched import Vouched, read_vouched
from benchlab.query.aligned import LATENCY, LATENCY_FILE, pair_of
from benchlab.session import CURRENT, Session, open_session

EXAMPLES = """\
  benchctl tail                        # the last 10 pairs, then each new one until Ctrl-C
  benchctl tail --pair ingress encoded -n 100
  benchctl tail --no-follow --json     # what there is now, the part muxd may decide again included"""

POLL_S = 0.2
_NS = 1_000_000_000
_MS = 1_000_000
_ROW_BYTES = 512  # a generous guess: how far from the end the last rows begin

Pair = tuple[str, str]


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    p = cli.parser("benchctl tail", "Show the last pairs of a session, live.", EXAMPLES)
    p.add_argument("-n", type=_count, default=10, metavar="N", help="rows to begin with (default: 10)")
    p.add_argument("--pair", nargs=2, metavar=("A", "B"), help="only this pair of stages")
    p.add_argument("--no-follow", action="store_true", help="print what there is and exit")
    p.add_argument("--json", action="store_true", help="print the rows as muxd wrote them")
    return p


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of rows from 0")
    return int(text)


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Print rows until Ctrl-C, which is the ordinary way to end it."""
    context = cli.context(args)
    session = open_session(context.data_root, context.session_name, create=False)
    pair = (args.pair[0], args.pair[1]) if args.pair else None
    follower = Follower(session, pair)
    _print(follower.last(args.n, provisional=args.no_follow), as_json=args.json)
    if args.no_follow:
        return Exit.OK
    if read_vouched(session.dir / "state") is None:
        print(f"waiting for muxd to work on session {session.name} (Ctrl-C ends)", file=sys.stderr)
    with StopRequests() as stop:
        while not stop.wait(POLL_S):
            rows = follower.new()
            _print(rows, as_json=args.json)
            if not rows and context.session_name == CURRENT:
                follower = _onwards(follower, context.data_root)
    return Exit.OK


def _onwards(follower: Follower, data_root: Path) -> Follower:
    """Follow the ``current`` link to the next session once there is nothing left in this one."""
    current = open_session(data_root, CURRENT, create=False)
    if current.name == follower.session.name:
        return follower
    print(f"going on with session {current.name}", file=sys.stderr)
    return Follower(current, follower.pair)


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


class Follower:
    """Reads the rows of an aligned file as muxd vouches for them; ``tell`` hears of files that were made anew."""

    def __init__(
        self, session: Session, pair: Pair | None, name: str = LATENCY_FILE, tell: Callable[[str], None] = _tell
    ) -> None:
        self.session = session
        self.pair = pair
        self._tell = tell
        self._name = name
        self._path = session.dir / "aligned" / name
        self._generation: int | None = None
        self._state = ReaderState(0)

    def last(self, count: int, *, provisional: bool = False) -> list[Aligned]:
        """Return the last rows, and go on behind them; ``provisional`` takes those not vouched for, too."""
        vouched = read_vouched(self.session.dir / "state")
        end = self._vouched_length(vouched)
        if provisional and self._path.exists():
            end = self._path.stat().st_size
        self._generation = vouched.generation if vouched else None
        span = max(1, count) * _ROW_BYTES
        while True:
            start = line_start(self._path, max(0, end - span))
            rows = self._restart(start, end)
            if len(rows) >= count or start == 0:
                return rows[-count:] if count else []
            span *= 4

    def new(self) -> list[Aligned]:
        """Return the rows that came since; files made anew by muxd are followed from where they end."""
        vouched = read_vouched(self.session.dir / "state")
        if vouched is None or vouched.rebuilding:
            return []
        if self._generation is None:
            self._generation = vouched.generation
        if vouched.generation != self._generation:
            return self._begin_anew(vouched)
        try:
            return self._read_to(self._vouched_length(vouched))
        except RawChanged:
            return self._begin_anew(vouched)

    def _begin_anew(self, vouched: Vouched) -> list[Aligned]:
        self._tell("muxd has made the aligned files anew: going on with the new ones")
        self._generation = vouched.generation
        self._restart(self._vouched_length(vouched), self._vouched_length(vouched))
        return []

    def _restart(self, start: int, end: int) -> list[Aligned]:
        with StreamReader(self._path, Aligned, start) as reader:
            self._state = reader.state()
        return self._read_to(end)

    def _read_to(self, end: int) -> list[Aligned]:
        rows: list[Aligned] = []
        if end <= self._state.offset:
            return rows
        with StreamReader(self._path, Aligned, limit=end) as reader:
            reader.restore(self._state)
            at_end = False
            while not at_end:
                batch = reader.read()
                rows += [row for row in batch.rows if self.pair is None or pair_of(row) == self.pair]
                at_end = batch.at_end
            self._state = reader.state()
        return rows

    def _vouched_length(self, vouched: Vouched | None) -> int:
        return 0 if vouched is None or vouched.rebuilding else vouched.outputs.get(self._name, 0)


def _print(rows: Sequence[Aligned], *, as_json: bool) -> None:
    if rows:
        text = encode_lines(rows).decode() if as_json else "".join(f"{line(row)}\n" for row in rows)
        print(text, end="", flush=True)


def line(row: Aligned) -> str:
    """Return a row for people: time (UTC), pair, identity, latency, watts, joules, and how sure that is."""
    kv = row.kv
    pair = " → ".join(pair_of(row) or ("?", "?"))
    parts = [_clock_time(row.ts_aligned_ns), pair, _identity(kv)]
    if row.source == LATENCY:
        parts += [f"{kv['lat_ms']:9.3f} ms", _power(kv)]
        if row.unc_ns is not None:
            parts.append(f"±{row.unc_ns / _MS:.3f} ms")
    else:
        parts.append(f"dropped: {kv.get('stage')} {kv.get('reason')}")
    if row.sim:
        parts.append("simulated" + (f" ({', '.join(row.sim_of)})" if row.sim_of else ""))
    return "  ".join(part for part in parts if part)


def _power(kv: dict[str, object]) -> str:
    if "power_w" in kv:
        energy = f"  {kv['energy_j']:7.3f} J" if "energy_j" in kv else ""
        return f"{kv['power_w']:7.1f} W{energy}"
    return f"no power: {kv['power_why']}" if "power_why" in kv else ""


def _identity(kv: dict[str, object]) -> str:
    flow = f"{kv['flow']} " if "flow" in kv else ""
    if "frame" in kv:
        return f"{flow}frame {kv['frame']}"
    return f"{flow}pts {kv['pts_ns']}" if "pts_ns" in kv else f"{flow}by order"


def _clock_time(ts_ns: int) -> str:
    moment = datetime.fromtimestamp(ts_ns // _NS, timezone.utc)
    return f"{moment:%H:%M:%S}.{ts_ns % _NS // _MS:03d}"
