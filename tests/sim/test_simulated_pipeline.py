"""When the simulated frames are reported, on a clock that only the tests move."""

from __future__ import annotations

from benchlab.catalog import unknown_keys
from benchlab.daemon import Reading
from benchlab.sim import NS, LogNormal
from pipeline_probes.sim.frames import Frames, Shape
from pipeline_probes.sim.simulated import SimulatedPipeline

BASE = 1_763_800_000 * NS
MS = 1_000_000
SHAPE = Shape("r5c", ("ingress", "encoded"), (LogNormal(10.5, 25.0),))


class Bench:
    """A pipeline and its clock; remembers when each reading was handed out."""

    def __init__(self, start_ns: int = BASE) -> None:
        self.now = start_ns
        self.frames = Frames(SHAPE, BASE)
        self.pipeline = SimulatedPipeline(self.frames, lambda: self.now)
        self.seen: list[tuple[int, Reading]] = []

    def run(self, seconds: float, every_ns: int = 5 * MS) -> None:
        end = self.now + round(seconds * NS)
        while self.now < end:
            self.now += every_ns
            self.seen += [(self.now, reading) for reading in self.pipeline.sample()]

    def entered(self) -> list[int]:
        return [reading.kv["frame"] for _, reading in self.seen if reading.kv.get("stage") == "ingress"]  # type: ignore[misc]


def test_no_event_is_reported_before_its_moment_nor_a_period_after() -> None:
    bench = Bench()
    bench.run(10.0)
    assert 599 <= len(bench.entered()) <= 601
    for at, reading in bench.seen:
        assert reading.ts_ns is not None
        assert 0 <= at - reading.ts_ns < 5 * MS


def test_what_is_reported_is_what_the_frames_are_however_often_it_is_asked_for() -> None:
    often, seldom = Bench(), Bench()
    often.run(10.0, every_ns=1 * MS)
    seldom.run(10.0, every_ns=250 * MS)
    assert [reading for _, reading in often.seen] == [reading for _, reading in seldom.seen]


def test_every_reading_is_simulated_and_in_the_catalog() -> None:
    bench = Bench()
    bench.run(5.0)
    for _, reading in bench.seen:
        assert reading.sim is True
        assert unknown_keys(bench.pipeline.name, reading.kv.items()) == []


def test_what_a_sleeping_machine_missed_is_a_gap_and_not_made_up() -> None:
    bench = Bench()
    bench.run(5.0)
    bench.now += 3600 * NS
    bench.run(5.0)
    gaps = [(at, reading) for at, reading in bench.seen if reading.source == "meta"]
    assert len(gaps) == 1
    assert gaps[0][1].kv == {"event": "gap", "n": gaps[0][1].kv["n"], "why": "stalled"}
    assert 3600 * 60 - 3 <= int(str(gaps[0][1].kv["n"])) <= 3600 * 60 + 3
    entered = bench.entered()
    assert entered == sorted(set(entered))
    assert 595 <= len(entered) <= 605
    assert all(at - (reading.ts_ns or 0) < NS for at, reading in bench.seen)


def test_a_hiccup_under_a_second_loses_nothing() -> None:
    bench = Bench()
    bench.run(5.0)
    bench.now += 800 * MS
    bench.run(5.0)
    entered = bench.entered()
    assert entered == list(range(entered[0], entered[0] + len(entered)))
    assert all(reading.source is None for _, reading in bench.seen)


def test_killed_and_restarted_within_the_window_no_frame_number_comes_twice() -> None:
    killed = Bench()
    killed.run(3.0)
    restarted = Bench(start_ns=killed.now + 200 * MS)
    restarted.run(3.0)
    assert set(killed.entered()).isdisjoint(restarted.entered())
    assert restarted.entered()[0] - killed.entered()[-1] in (12, 13)
