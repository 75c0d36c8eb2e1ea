"""The event-driven loop, run on a clock that only its own waits move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from benchlab.event import Event
from benchlab.sim import NS
from pipeline_probes.pacing import pace

MS = 1_000_000


class Stage:
    """A clock, a wait and a writer in one: time passes only in ``wait``."""

    def __init__(self, end_ns: int, oversleep_ns: int = 100_000) -> None:
        self.now = 0
        self.end_ns = end_ns
        self.oversleep_ns = oversleep_ns
        self.sleep_through: tuple[int, int] | None = None
        self.written: list[tuple[int, Event]] = []
        self.batches: list[int] = []
        self.ticks: list[int] = []
        self.stalls: list[int] = []

    def wait(self, seconds: float) -> bool:
        self.now += round(seconds * NS) + self.oversleep_ns
        if self.sleep_through and self.now >= self.sleep_through[0]:
            self.now += self.sleep_through[1]
            self.sleep_through = None
        return self.now >= self.end_ns

    def write(self, events: Sequence[Event]) -> None:
        self.batches.append(len(events))
        self.written += [(self.now, event) for event in events]

    def run(self, period_ns: int) -> None:
        def events_since(since_ns: int) -> Iterator[Event]:
            first = -(-since_ns // period_ns)
            return (Event(ts_ns=n * period_ns, source="pipeline", kv={"frame": n}) for n in count(first))

        pace(
            events_since,
            lambda: self.now,
            self.wait,
            self.write,
            lambda: self.ticks.append(self.now),
            self.stalls.append,
        )


def test_no_event_is_written_before_its_moment_nor_long_after() -> None:
    stage = Stage(end_ns=2 * NS)
    stage.run(period_ns=16 * MS)
    assert [event.kv["frame"] for _, event in stage.written] == list(range(len(stage.written)))
    assert len(stage.written) >= 124
    for at, event in stage.written:
        assert 0 <= at - event.ts_ns < 3 * MS


def test_delays_do_not_add_up_over_time() -> None:
    stage = Stage(end_ns=60 * NS, oversleep_ns=3 * MS)
    stage.run(period_ns=16 * MS)
    assert stage.written[-1][0] - stage.written[-1][1].ts_ns < 6 * MS
    assert len(stage.written) >= 3_740


def test_events_due_within_2_ms_are_written_together() -> None:
    stage = Stage(end_ns=NS)
    stage.run(period_ns=MS // 2)
    assert sum(stage.batches) >= 1_990
    assert len(stage.batches) < 510


def test_the_writer_is_ticked_while_nothing_is_due() -> None:
    stage = Stage(end_ns=10 * NS)
    stage.run(period_ns=60 * NS)
    assert len(stage.ticks) >= 38
    assert len(stage.written) == 1


def test_the_writer_is_ticked_while_events_never_cease() -> None:
    stage = Stage(end_ns=10 * NS)
    stage.run(period_ns=MS)
    assert 38 <= len(stage.ticks) <= 42


def test_what_a_sleeping_machine_missed_is_not_made_up() -> None:
    stage = Stage(end_ns=3660 * NS)
    stage.sleep_through = (5 * NS, 3600 * NS)
    stage.run(period_ns=16 * MS)
    assert len(stage.stalls) == 1
    assert 3598 * NS < stage.stalls[0] < 3601 * NS
    assert len(stage.written) < 5_000
    assert all(at - event.ts_ns < NS for at, event in stage.written)
    frames = [event.kv["frame"] for _, event in stage.written]
    assert frames == sorted(set(frames))


def test_a_hiccup_under_a_second_loses_nothing() -> None:
    stage = Stage(end_ns=10 * NS)
    stage.sleep_through = (5 * NS, 800 * MS)
    stage.run(period_ns=16 * MS)
    frames = [event.kv["frame"] for _, event in stage.written]
    assert frames == list(range(len(frames)))
    assert stage.stalls == []
