"""A session that benchctl itself records: muxd and collectors as children, and a clean end."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchctl.children import Child, Crew, program
from benchctl.mux_state import read_mux_state
from benchctl.session_status import mux_pid
from benchctl.stopping import StopRequests, wait_until
from benchlab.errors import Fault
from benchlab.log.vouched import read_vouched
from benchlab.session import Session, open_session

COLLECTOR_GRACE_S = 5.0
MUX_FINISH_S = 30.0
MUX_FOLLOWS_S = 3.0
MUX_GRACE_S = 10.0


class Recording:
    """The children that record one session, all run with ``options``.

    ``problems`` collects, in words, what did not work.
    """

    def __init__(self, session: Session, crew: Crew, options: Sequence[str]) -> None:
        self.session = session
        self.problems: list[str] = []
        self._clock = session.clock()
        self._crew = crew
        self._mux: Child | None = None
        self._other_mux: int | None = None
        self._collectors: list[Child] = []
        self._options = options

    def start_mux(self, pairs: Iterable[tuple[str, str]], bind: str, sinks: Iterable[str] = ()) -> None:
        """Start muxd for the pairs, its metrics on ``bind``, with sinks beside those of the configuration."""
        options = [word for pair in pairs for word in ("--pair", *pair)]
        options += [word for sink in sinks for word in ("--sink", sink)]
        command = program("muxd", *self._options, *options, "--prom-bind", bind)
        self._mux = self._crew.start("muxd", command)

    def leave_to_mux(self, stop: StopRequests) -> bool:
        """Wait for a muxd that follows the current session to take this one up; say whether one did."""
        wait_until(lambda: mux_pid(self.session) is not None, MUX_FOLLOWS_S, stop)
        self._other_mux = mux_pid(self.session)
        if self._other_mux is not None:
            print(f"muxd (pid {self._other_mux}) follows the current session: it muxes this one", file=sys.stderr)
        return self._other_mux is not None

    def start_collector(self, name: str, options: Sequence[str] = ()) -> None:
        """Start a collector with options of its own."""
        self._collectors.append(self._crew.start(name, program(name, *self._options, *options)))

    def wait_for_streams(self, timeout_s: float, stop: StopRequests) -> bool:
        """Wait until every collector has begun its stream, or a child has fallen; say if all have begun."""
        raw = self.session.dir / "raw"

        def begun() -> int:
            return sum(path.stat().st_size > 0 for path in raw.glob("*.jsonl"))

        wanted = len(self._collectors)
        wait_until(lambda: begun() >= wanted or self._crew.fallen(), timeout_s, stop)
        return begun() >= wanted and not self._crew.fallen()

    def wait_for_cut(self, stop: StopRequests) -> None:
        """Wait until the session begins: after a rotation the one before has two more seconds."""
        starts_ns = self.session.info.starts_ns or 0
        wait_until(lambda: self._clock.now_ns() >= starts_ns, 10, stop)

    def has_ended(self) -> bool:
        """Say whether nothing is recorded any more: a child fell, or somebody else closed the session."""
        self.session.reload()
        return self.session.info.closed or bool(self._crew.fallen())

    def stop_collectors(self, names: Iterable[str]) -> None:
        """Stop the collectors of those names ahead of the others."""
        chosen = [child for child in self._collectors if child.name in names]
        self.problems += self._crew.stop(chosen, COLLECTOR_GRACE_S)

    def finish(self, stop: StopRequests) -> None:
        """Stop the collectors, close the session, let muxd finish it and stop muxd."""
        stop.wait(0)  # the request that led here is answered by what follows
        self._note_fallen()
        if self.session.info.closed:
            self.problems.append(f"session {self.session.name} was closed by somebody else meanwhile")
        self.problems += self._crew.stop(self._collectors, COLLECTOR_GRACE_S)
        self.session.close(self._clock.now_ns())
        if self._mux is not None and self._mux.exit_code is None:
            self._mux.may_end()
            self._wait_for_mux(self._mux, stop)
            self.problems += self._crew.stop([self._mux], MUX_GRACE_S)
        elif self._other_mux is not None:
            wait_until(lambda: self._is_final() or mux_pid(self.session) is None, MUX_FINISH_S, stop)
            if not self._is_final():
                name = self.session.name
                self.problems.append(f"muxd (pid {self._other_mux}) has not finished session {name}: see its log")
        self._note_fallen()

    def check_pairs(self, pairs: Iterable[Sequence[str]]) -> None:
        """Name the pairs that the muxd that this session was left to does not make."""
        if self._other_mux is None:
            return
        state = read_mux_state(self.session.dir / "state")
        made = {tuple(pair) for pair in state.settings.pairs} if state else set()
        self.problems += [
            f"muxd (pid {self._other_mux}) does not make the pair {a} {b}: "
            f"add it to its configuration, or run muxd --session {self.session.name} --pair {a} {b}"
            for a, b in pairs
            if (a, b) not in made
        ]

    def _note_fallen(self) -> None:
        """Name the children that fell; those that ended well because the session was closed did not."""
        self.session.reload()
        for child in self._crew.fallen():
            excused = self.session.info.closed and child.exit_code == 0
            if not excused and (obituary := child.obituary()) not in self.problems:
                self.problems.append(obituary)

    def _wait_for_mux(self, mux: Child, stop: StopRequests) -> None:
        """Wait for its end, which comes when its sinks have stored all that it decided."""
        if not wait_until(lambda: mux.exit_code is not None, MUX_FINISH_S, stop) and not self._is_final():
            why = "a second stop request" if stop.count > 1 else f"{MUX_FINISH_S:g} s"
            self.problems.append(f"muxd had not finished session {self.session.name} after {why}")

    def _is_final(self) -> bool:
        vouched = read_vouched(self.session.dir / "state")
        return vouched is not None and vouched.final


def mux_of_current(data_root: Path) -> int | None:
    """Return the pid of the muxd that works on the current session, None if there is none."""
    try:
        return mux_pid(open_session(data_root, create=False))
    except Fault:
        return None
