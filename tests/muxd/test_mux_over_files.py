"""Whatever happens to muxd and however its files grow, it ends with the bytes of an undisturbed replay."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab.event import Event, encode_lines
from benchlab.log.vouched import read_vouched
from muxd.mux import Mux
from muxd.opening import Opener, catch_up
from muxd.outputs import LATE_FILE, in_session
from muxd.replay import differences
from muxd.settings import Settings
from muxd.sitting import Sitting
from support import mux_scenarios as scenarios
from support.mux_sessions import (
    FOR_EVER_NS,
    MS,
    NS,
    SETTINGS,
    FakeClock,
    append,
    close_session,
    late_lines,
    make_session,
    opener,
    power,
    record,
    replayed,
    rows,
    stage,
    usual_run,
    written,
)

EXAMPLES = settings(max_examples=60, deadline=None)
PATIENCE_NS = 300 * MS
BAD_LINES = (b"{\n", b'{"ts_ns":-1,"source":"x","kv":{}}\n', b"\xff\xfe\n", b'{"ts_ns":"7"}\n', b"[]\n")


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="muxd-test-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


class Life:
    """A session that is recorded and muxed by turns, while everything goes wrong."""

    def __init__(self, where: Path, random: Random, patience_ns: int, jump_ns: int) -> None:
        self.random = random
        self.session = make_session(where / "s")
        rules = scenarios.rules(random)
        self.settings = Settings(
            tuple(rules.pairs),
            tuple(tuple(entry) for entry in rules.power_sources),
            rules.window_ns,
            rules.max_gap_ns,
            rules.grid_ns,
        )
        self.unwritten = {name: self.lines(events) for name, events in scenarios.session(random).items()}
        self.clock = FakeClock()
        self.jump_ns = jump_ns
        self.opener = Opener(self.session, self.settings, patience_ns, clock=self.clock)
        self.mux: Mux | None = None

    def lines(self, events: list[Event]) -> bytes:
        """Return a stream's bytes, with lines among them that are none."""
        found = [encode_lines([event]) for event in events]
        for _ in range(self.random.choice([0, 0, 1, 3])):
            found.insert(self.random.randint(0, len(found)), self.random.choice(BAD_LINES))
        return b"".join(found)

    def grow(self) -> None:
        """Append some bytes to some stream; often they end within a line."""
        name = self.random.choice([n for n, data in self.unwritten.items() if data])
        data = self.unwritten[name]
        size = self.random.choice([1, 30, 100, 500, 5000])
        append(self.session, name.removesuffix(".jsonl"), data[:size])
        self.unwritten[name] = data[size:]

    def live(self) -> None:
        """Let muxd do one of the things it does, or die."""
        self.mux = self.mux or self.opener.open()
        self.clock.advance(self.random.choice([0, MS, self.jump_ns]))
        what = self.random.random()
        if what < 0.5:
            self.mux.step()
        elif what < 0.65:
            self.mux.settle(unless_waiting=self.random.random() < 0.5)
        elif what < 0.85:
            self.mux.checkpoint(now=self.random.random() < 0.5)
        elif what < 0.9:
            self.mux.close()
            self.mux = None
        else:
            self.crash()

    def crash(self) -> None:
        """Die: of what is not vouched for, any part may have reached the disk, or other bytes in its place."""
        assert self.mux is not None
        self.mux.close()  # which writes nothing: the descriptors only must not leak
        self.mux = None
        vouched = read_vouched(self.session.state)
        for name in ("latency.jsonl", "signals.jsonl", LATE_FILE):
            path = in_session(self.session)(name)
            sure = vouched.outputs[name] if vouched else 0
            if data := path.read_bytes():
                kept = data[: self.random.randint(sure, max(sure, len(data)))]
                path.write_bytes(kept + self.random.choice([b"", b"\0\0\0\0", b'{"ts_al', b"junk\n"]))

    def run(self) -> None:
        while any(self.unwritten.values()):
            self.random.choice([self.grow, self.live])()
        close_session(self.session)
        mux = self.mux or self.opener.open()
        catch_up(mux, True)
        mux.finish()
        mux.close()


@EXAMPLES
@given(st.integers(0, 2**32))
def test_growing_files_crashes_and_provisional_ends_leave_no_trace(seed: int) -> None:
    with folder() as where:
        life = Life(where, Random(seed), FOR_EVER_NS, NS // 3)
        life.run()
        assert written(life.session) == replayed(life.session, where / "again", life.settings)


@EXAMPLES
@given(st.integers(0, 2**32))
def test_streams_that_stall_and_come_back_are_replayed_as_they_were_left_out(seed: int) -> None:
    with folder() as where:
        life = Life(where, Random(seed), PATIENCE_NS, 2 * PATIENCE_NS)
        life.run()
        assert differences(life.opener, life.session, ignore_late=False) == []
        assert written(life.session) == replayed(life.session, where / "again", life.settings)


def test_what_came_too_late_is_left_out_by_replay_and_shown_by_ignore_late(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    clock = FakeClock()
    live = Opener(session, SETTINGS, PATIENCE_NS, clock=clock)
    meter = [power(ms, 100.0) for ms in range(0, 1000, 20)]
    append(session, "pipeline", [stage(100, "ingress", 1), stage(110, "encoded", 1), stage(900, "ingress", 2)])
    append(session, "benchlab", meter[:3])
    mux = live.open()
    catch_up(mux, False)
    clock.advance(PATIENCE_NS + 1)
    append(session, "pipeline", [stage(5000, "ingress", 3)])
    catch_up(mux, False)  # the meter has stalled: the pair goes out without power
    append(session, "benchlab", meter[3:])
    catch_up(mux, False)
    close_session(session)
    catch_up(mux, True)
    mux.finish()
    mux.close()
    assert [entry.stream for entry in late_lines(session)] == ["benchlab.jsonl"] * len(meter[3:])
    assert differences(live, session, ignore_late=False) == []
    assert differences(live, session, ignore_late=True) != []
    shown = replayed(session, tmp_path / "all", ignore_late=True)
    assert b'"power_w":100.0' in shown["latency.jsonl"]
    assert b'"power_w":' not in written(session)["latency.jsonl"]


def test_a_stalled_stream_of_stages_comes_back_and_its_frames_stay_lost(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    clock = FakeClock()
    live = Opener(session, SETTINGS, PATIENCE_NS, clock=clock)
    append(session, "pipeline", [stage(ms, "ingress", ms) for ms in range(0, 100, 10)])
    append(session, "pipeline_b", [stage(1, "encoded", 0), stage(11, "encoded", 10)])
    mux = live.open()
    catch_up(mux, False)
    clock.advance(PATIENCE_NS + 1)
    append(session, "pipeline", [stage(9000, "ingress", 9000), stage(9500, "ingress", 9500)])
    catch_up(mux, False)
    append(session, "pipeline_b", [stage(21, "encoded", 20), stage(31, "encoded", 30)])
    catch_up(mux, False)
    mux.checkpoint(now=True)
    mux.close()
    assert [entry.ts_ns for entry in late_lines(session)] == [stage(21, "").ts_ns, stage(31, "").ts_ns]
    close_session(session)
    mux = live.open()
    catch_up(mux, True)
    mux.finish()
    mux.close()
    assert differences(live, session, ignore_late=False) == []
    reasons = {row["kv"]["frame"]: row["kv"].get("reason") for row in rows(session)}
    assert reasons[0] is None and reasons[20] == reasons[30] == "lost"


def test_replay_of_a_usual_recording_is_what_it_should_be(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    record(session, usual_run(frames=30))
    close_session(session)
    shown = replayed(session, tmp_path / "again")
    assert shown["latency.jsonl"].count(b'"lat_ms":10.0') == 30
    assert shown["latency.jsonl"].count(b'"energy_j"') == 30


def test_provisional_rows_go_with_the_next_bytes_that_come(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    record(session, usual_run(frames=3))
    mux = opener(session).open()
    catch_up(mux, False)
    mux.settle(unless_waiting=False)
    vouched, path = mux.outputs.lengths()["latency.jsonl"], session.aligned / "latency.jsonl"
    assert path.stat().st_size > vouched and len(rows(session)) == 3
    append(session, "pipeline", [stage(40, "ingress", 3)])
    mux.step()
    assert path.stat().st_size == mux.outputs.lengths()["latency.jsonl"]
    mux.settle(unless_waiting=False)
    assert [row["kv"].get("reason") for row in rows(session)] == [None, None, None, "open_at_end"]
    mux.close()


def test_long_work_tells_how_far_it_is_a_backlog_and_a_rebuild_included(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    record(session, usual_run())
    told: list[int] = []
    made = Opener(session, SETTINGS, FOR_EVER_NS, clock=FakeClock(), on_progress=told.append)
    sitting = Sitting(session, made)
    sitting.round()
    assert sum(told) == sum(path.stat().st_size for path in session.raw.glob("*.jsonl"))
    sitting.mux.close()
    told.clear()
    made.rebuild("asked for").close()
    assert told
    sitting.close()
