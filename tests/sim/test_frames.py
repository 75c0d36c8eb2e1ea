"""Simulated frames: their distribution, their identity and their order."""

from __future__ import annotations

import math
import statistics
from itertools import islice, pairwise

import pytest

from benchlab.catalog import unknown_keys
from benchlab.event import Event
from benchlab.sim import NS, LogNormal
from pipeline_probes.sim.frames import Frames, Shape

BASE = 1_763_800_000 * NS
STAGES = ("ingress", "encoded")
LATENCY = LogNormal(10.5, 25.0)


def shape(
    flow: str = "r5c",
    stages: tuple[str, ...] = STAGES,
    hops: tuple[LogNormal, ...] = (LATENCY,),
    fps: float = 60.0,
    drop_rate: float = 0.01,
    jitter_ms: float = 0.3,
    seed: int = 1,
) -> Shape:
    return Shape(flow, stages, hops, fps, drop_rate, jitter_ms, seed)


def latencies_ms(frames: Frames, count: int, hop: int = 0) -> list[float]:
    reached = [events for n in range(count) if len(events := frames.frame(n)) > hop + 1]
    return [(events[hop + 1].ts_ns - events[hop].ts_ns) / 1e6 for events in reached]


def test_latencies_have_the_median_and_p99_asked_for() -> None:
    found = sorted(latencies_ms(Frames(shape(), BASE), 40_000))
    assert statistics.median(found) == pytest.approx(10.5, rel=0.01)
    assert found[int(0.99 * len(found))] == pytest.approx(25.0, rel=0.03)
    logs = [math.log(ms) for ms in found]
    assert statistics.pstdev(logs) == pytest.approx(LATENCY.sigma, rel=0.02)


def test_share_of_dropped_frames_is_the_rate_asked_for() -> None:
    count = 40_000
    dropped = count - len(latencies_ms(Frames(shape(), BASE), count))
    assert dropped == pytest.approx(0.01 * count, abs=4 * math.sqrt(count * 0.01 * 0.99))
    assert len(latencies_ms(Frames(shape(drop_rate=0.0), BASE), 1000)) == 1000
    assert latencies_ms(Frames(shape(drop_rate=1.0), BASE), 1000) == []


def test_each_later_stage_has_its_own_latency_and_drops() -> None:
    stages = (*STAGES, "inference_done")
    frames = Frames(shape(stages=stages, hops=(LATENCY, LogNormal(40.0, 60.0)), drop_rate=0.1), BASE)
    first, second = latencies_ms(frames, 10_000), latencies_ms(frames, 10_000, hop=1)
    assert statistics.median(first) == pytest.approx(10.5, rel=0.02)
    assert statistics.median(second) == pytest.approx(40.0, rel=0.02)
    assert len(first) == pytest.approx(9_000, abs=150)
    assert len(second) == pytest.approx(8_100, abs=150)
    whole = [events for n in range(10_000) if len(events := frames.frame(n)) == 3]
    one = [events[1].ts_ns - events[0].ts_ns for events in whole]
    two = [events[2].ts_ns - events[1].ts_ns for events in whole]
    assert abs(statistics.correlation(one, two)) < 0.05


def test_the_same_seed_gives_the_same_frames_and_another_seed_or_flow_gives_others() -> None:
    def first(made: Shape) -> list[Event]:
        return list(islice(Frames(made, BASE).events(BASE), 500))

    assert first(shape()) == first(shape())
    times = [event.ts_ns for event in first(shape())]
    assert [event.ts_ns for event in first(shape(seed=2))] != times
    assert [event.ts_ns for event in first(shape(flow="yuan"))] != times


def test_events_come_in_order_of_time_even_when_frames_overtake() -> None:
    frames = Frames(shape(hops=(LogNormal(10.0, 200.0),)), BASE)
    events = list(islice(frames.events(BASE), 5_000))
    assert all(a.ts_ns <= b.ts_ns for a, b in pairwise(events))
    encoded = [event.kv["frame"] for event in events if event.kv["stage"] == "encoded"]
    assert encoded != sorted(encoded)


def test_no_event_is_lost_or_doubled_by_ordering() -> None:
    frames = Frames(shape(), BASE)
    ordered = list(islice(frames.events(BASE), 4_000))
    last = ordered[-1].ts_ns
    plain = [event for n in range(4_000) for event in frames.frame(n) if event.ts_ns <= last]
    first = frames.first_since(BASE)
    expected = [event for event in plain if event.kv["frame"] >= first]
    assert sorted(map(repr, ordered)) == sorted(map(repr, expected))


def test_frames_enter_60_times_a_second_with_their_jitter() -> None:
    entered = [Frames(shape(), BASE).frame(n)[0].ts_ns for n in range(3_000)]
    assert entered[-1] - entered[0] == pytest.approx(2_999 * NS / 60, abs=600_000)
    deviations = [(ts - BASE) / 1e6 - n * 1e3 / 60 for n, ts in enumerate(entered)]
    assert max(map(abs, deviations)) <= 0.301
    assert max(deviations) > 0.25
    assert min(deviations) < -0.25


def test_pts_is_the_undisturbed_time_of_the_frame() -> None:
    events = Frames(shape(), BASE).frame(120)
    assert [event.kv["pts_ns"] for event in events] == [2 * NS] * len(events)


def test_every_event_is_simulated_numbered_and_in_the_catalog() -> None:
    for event in islice(Frames(shape(), BASE).events(BASE), 500):
        assert event.sim is True
        assert event.source == "pipeline"
        assert event.kv["flow"] == "r5c"
        assert type(event.kv["frame"]) is int
        assert unknown_keys(event.source, event.kv.items()) == []


@pytest.mark.parametrize("fps", [0.1, 23.976, 59.94, 60.0, 1000.0])
def test_a_restart_continues_the_numbers_and_never_uses_one_again(fps: float) -> None:
    made = shape(fps=fps, jitter_ms=0.3 if fps < 1000 else 0.1)
    killed_at = BASE + 7_000_000_000 + 123_456_789
    before = [event for event in islice(Frames(made, BASE).events(BASE), 20_000) if event.ts_ns <= killed_at]
    after = list(islice(Frames(made, BASE).events(killed_at + 1), 20))
    highest = max((event.kv["frame"] for event in before), default=-1)
    assert min(event.kv["frame"] for event in after) == highest + 1
    assert all(event.ts_ns > killed_at for event in after)


def test_first_frame_since_any_moment_is_the_earliest_that_enters_then() -> None:
    frames = Frames(shape(), BASE)
    for k in range(500):
        moment = BASE + k * 3_456_789
        first = frames.first_since(moment)
        assert frames.frame(first)[0].ts_ns >= moment
        assert first == 0 or frames.frame(first - 1)[0].ts_ns < moment


def test_a_time_before_the_first_frame_starts_with_frame_0() -> None:
    assert Frames(shape(), BASE).first_since(BASE - 3600 * NS) == 0


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"stages": ("ingress",), "hops": ()}, "stages"),
        ({"stages": ("ingress", "ingress")}, "stages"),
        ({"hops": (LATENCY, LATENCY)}, "latencies"),
        ({"fps": 0.0}, "frames a second"),
        ({"fps": math.nan}, "frames a second"),
        ({"drop_rate": 1.5}, "drop rate"),
        ({"jitter_ms": 9.0}, "jitter"),
        ({"jitter_ms": -0.1}, "jitter"),
    ],
)
def test_impossible_shapes_are_refused_by_name(bad: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        shape(**bad)  # type: ignore[arg-type]
