"""Energy against exact integrals, and pairs against the frames that they are said to be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab.event import Event
from muxd.engine import Engine
from muxd.rows import DroppedRow, LatencyRow
from muxd.settings import Settings
from muxd.streams import Hold
from support.mux_sessions import MS, NS, SETTINGS

EXAMPLES = settings(max_examples=60, deadline=None)
T0 = 1_763_800_000_123_456_789
STEP_NS = 100 * MS  # 10 Hz
STEP_S = 0.1

Span = tuple[int, int]
Knot = tuple[int, float]


def rows_of(streams: dict[str, Sequence[Event]], chunk: int = 10**9, used: Settings = SETTINGS) -> list[LatencyRow]:
    """Return the pairs of an engine that is fed the streams piece by piece, and nothing but pairs."""
    return [row for row in all_rows(streams, chunk, used) if isinstance(row, LatencyRow)]


def all_rows(
    streams: dict[str, Sequence[Event]], chunk: int = 10**9, used: Settings = SETTINGS
) -> list[LatencyRow | DroppedRow]:
    engine, found, start = Engine(used), list[LatencyRow | DroppedRow](), 0
    for name in streams:
        engine.merger.stream(name)
    while any(start < len(events) for events in streams.values()):
        for name, events in streams.items():
            assert engine.feed(name, events[start : start + chunk], lambda i: i) == []
        start += chunk
        holds = {n: Hold.UNREAD if start < len(events) else Hold.EXCUSED for n, events in streams.items()}
        found += engine.advance(holds).latency
    return found + engine.finish().latency


def frames_over(spans: Sequence[Span]) -> list[Event]:
    """Return the stage events of pairs that cover these spans."""
    events = []
    for frame, (a_ns, b_ns) in enumerate(spans):
        events.append(Event(a_ns, "pipeline", {"stage": "ingress", "frame": frame}))
        events.append(Event(b_ns, "pipeline", {"stage": "encoded", "frame": frame}))
    return sorted(events, key=lambda event: event.ts_ns)


def meter(knots: Sequence[Knot]) -> list[Event]:
    return [Event(ts_ns, "benchlab.usb", {"p_sys": watts}) for ts_ns, watts in knots]


def random_knots(random: Random, start_ns: int, count: int) -> list[Knot]:
    """Return samples at uneven distances, from microseconds to nearly the longest gap."""
    knots, at_ns = [], start_ns
    for _ in range(count):
        knots.append((at_ns, random.choice([0.0, random.uniform(0, 5), random.uniform(50, 600)])))
        at_ns += random.choice([random.randint(1_000, MS), random.randint(MS, 100 * MS), random.randint(NS, 2 * NS)])
    return knots


def random_spans(random: Random, knots: Sequence[Knot], count: int) -> list[Span]:
    """Return spans between the first and the last knot: within one stretch, across many, and from knot to knot."""
    times = [ts_ns for ts_ns, _ in knots]
    spans: list[Span] = []
    while len(spans) < count:
        a_ns = random.choice([random.choice(times), random.randint(times[0], times[-1])])
        length_ns = random.choice([random.randint(1, MS), random.randint(MS, 50 * MS), random.randint(MS, 1900 * MS)])
        b_ns = random.choice([a_ns + length_ns, min(t for t in (*times, times[-1]) if t >= a_ns)])
        if a_ns < b_ns <= times[-1] and b_ns - a_ns <= 1900 * MS:
            spans.append((a_ns, b_ns))
    return spans


def power_at(knots: Sequence[Knot], ts_ns: int) -> Fraction:
    """Return the piecewise-linear power exactly."""
    for (left_ns, left_w), (right_ns, right_w) in pairwise(knots):
        if left_ns <= ts_ns <= right_ns:
            share = Fraction(ts_ns - left_ns, right_ns - left_ns)
            return Fraction(left_w) + (Fraction(right_w) - Fraction(left_w)) * share
    raise AssertionError(f"{ts_ns} is outside")


def exact_joules(knots: Sequence[Knot], span: Span) -> Fraction:
    """Return the integral exactly: the power is linear between neighbours of these points."""
    points = [span[0], *(ts_ns for ts_ns, _ in knots if span[0] < ts_ns < span[1]), span[1]]
    total = Fraction(0)
    for left_ns, right_ns in pairwise(points):
        total += (power_at(knots, left_ns) + power_at(knots, right_ns)) * (right_ns - left_ns) / 2
    return total / NS


@EXAMPLES
@given(st.integers(0, 2**32))
def test_energy_of_piecewise_linear_power_is_its_exact_integral(seed: int) -> None:
    random = Random(seed)
    knots = random_knots(random, T0, random.choice([2, 3, 10, 60]))
    spans = random_spans(random, knots, 10)
    found = rows_of({"benchlab.jsonl": meter(knots), "pipeline.jsonl": frames_over(spans)}, random.choice([1, 7, 1000]))
    assert len(found) == len(spans)
    for row in found:
        assert isinstance(row.kv.frame, int)
        assert_exact(row, knots, spans[row.kv.frame])


def assert_exact(row: LatencyRow, knots: Sequence[Knot], span: Span) -> None:
    assert row.kv.power_w is not None and row.kv.energy_j is not None, row
    assert row.kv.energy_j == pytest.approx(float(exact_joules(knots, span)), rel=1e-6, abs=1e-15)
    middle_ns = sum(span) // 2  # or half a nanosecond more
    around = [float(power_at(knots, ts_ns)) for ts_ns in (middle_ns, min(middle_ns + 1, span[1]))]
    assert min(around) * (1 - 1e-6) - 1e-9 <= row.kv.power_w <= max(around) * (1 + 1e-6) + 1e-9


def test_energy_is_as_exact_after_months_as_at_the_beginning() -> None:
    random = Random(1)
    knots = [(T0 + i * 2 * NS + random.randint(0, NS // 2), random.uniform(50, 600)) for i in range(20_000)]
    knots += random_knots(random, T0 + 180 * 86_400 * NS, 60)
    spans = [span for at in (0, 10_000, 19_900, 20_000) for span in random_spans(random, knots[at : at + 60], 20)]
    found = rows_of({"benchlab.jsonl": meter(knots), "pipeline.jsonl": frames_over(spans)}, 500)
    assert len(found) == len(spans)
    for row in found:
        assert isinstance(row.kv.frame, int)
        span = spans[row.kv.frame]
        near = [knot for knot in knots if abs(knot[0] - span[0]) < 20 * NS]
        assert_exact(row, near, span)


def sampled(power_w: Callable[[float], float], phase_s: float, length_s: float = 4.0) -> list[Knot]:
    """Return a power over time as a meter at 10 Hz sees it."""
    count = int(length_s / STEP_S)
    return [(T0 + round((phase_s + i * STEP_S) * NS), power_w(phase_s + i * STEP_S)) for i in range(count)]


def spans_over(random: Random, count: int) -> list[Span]:
    starts = [T0 + round(random.uniform(0.2, 1.8) * NS) for _ in range(count)]
    return [(a_ns, a_ns + round(random.uniform(0.001, 1.9) * NS)) for a_ns in starts]


@EXAMPLES
@given(st.integers(0, 2**32))
def test_energy_across_a_step_is_off_by_half_a_sample_of_it_at_most(seed: int) -> None:
    """A step by D at s, between samples at k and k+h: what is interpolated is a ramp from k to k+h.

    Before s it is too high by D (t-k)/h, after s too low by D (k+h-t)/h. So the errors are D (s-k)^2 / 2h and
    D (k+h-s)^2 / 2h, of opposite signs; whatever part of both a span holds, the sum is at most D h / 2.
    """
    random = Random(seed)
    before_w, after_w, at_s = random.uniform(0, 500), random.uniform(0, 500), random.uniform(0.5, 3)
    knots = sampled(lambda t: before_w if t < at_s else after_w, random.uniform(0, STEP_S))
    spans = spans_over(random, 20)
    found = rows_of({"benchlab.jsonl": meter(knots), "pipeline.jsonl": frames_over(spans)})
    assert len(found) == len(spans)
    for row in found:
        assert isinstance(row.kv.frame, int) and row.kv.energy_j is not None
        a_s, b_s = ((ts_ns - T0) / NS for ts_ns in spans[row.kv.frame])
        cut_s = min(max(at_s, a_s), b_s)
        true_j = before_w * (cut_s - a_s) + after_w * (b_s - cut_s)
        bound_j = abs(after_w - before_w) * STEP_S / 2
        assert abs(row.kv.energy_j - true_j) <= bound_j + 1e-6


@EXAMPLES
@given(st.integers(0, 2**32))
def test_energy_of_a_sine_is_off_by_its_curvature_at_most(seed: int) -> None:
    """The line between two samples h apart is off by h^2/8 max|P''| at most; for a sine that is A (wh)^2 / 8.

    The power has this error, the energy over a span of length l this error times l.
    """
    random = Random(seed)
    amplitude_w, omega = random.uniform(10, 200), 2 * math.pi * random.uniform(0.05, 2)
    knots = sampled(lambda t: 300 + amplitude_w * math.sin(omega * t), random.uniform(0, STEP_S))
    spans = spans_over(random, 20)
    found = rows_of({"benchlab.jsonl": meter(knots), "pipeline.jsonl": frames_over(spans)})
    assert len(found) == len(spans)
    for row in found:
        assert isinstance(row.kv.frame, int) and row.kv.energy_j is not None and row.kv.power_w is not None
        a_s, b_s = ((ts_ns - T0) / NS for ts_ns in spans[row.kv.frame])
        true_j = 300 * (b_s - a_s) - amplitude_w / omega * (math.cos(omega * b_s) - math.cos(omega * a_s))
        bound_w = amplitude_w * (omega * STEP_S) ** 2 / 8
        assert abs(row.kv.energy_j - true_j) <= bound_w * (b_s - a_s) + 1e-6
        assert abs(row.kv.power_w - (300 + amplitude_w * math.sin(omega * (a_s + b_s) / 2))) <= bound_w + 1e-5


def counted(source: str, *readings: tuple[float, float, float | None]) -> list[Event]:
    """Return readings of a GPU or a processor at some second: watts, and what its energy counter says."""
    power, joules = {"gpu.nvml": ("power_w", "energy_j"), "cpu.rapl": ("package_w", "package_j")}[source]
    return [Event(T0 + int(s * NS), source, {power: w} | ({} if j is None else {joules: j})) for s, w, j in readings]


def joules_over(source: str, readings: list[Event], a_s: float, b_s: float) -> float | None:
    """Return what a frame from one second to another cost by the meter of one source."""
    key = "power_w" if source == "gpu.nvml" else "package_w"
    used = Settings(SETTINGS.pairs, ((f"{source}:{key}",),))
    span = (T0 + int(a_s * NS), T0 + int(b_s * NS))
    (row,) = rows_of({"telemetry.jsonl": readings, "pipeline.jsonl": frames_over([span])}, used=used)
    return row.kv.energy_j


@pytest.mark.parametrize(
    ("a_s", "b_s", "joules"),
    [
        (0.5, 1.5, 15.0),  # half of 10 J and half of 20 J
        (1.0, 2.0, 20.0),  # the counter's own difference, whatever the power says
        (1.25, 1.75, 10.0),
        (2.25, 2.75, 50.0),  # the counter began anew: the trapezoid of 100 W instead
        (1.5, 2.5, 10.0 + 50.0),
        (3.0, 4.0, 5.0),  # and counts again
        (3.5, 4.5, 2.5 + 50.0),  # a reading without counter: the trapezoid on both sides of it
        (5.0, 5.5, 50.0),
    ],
)
def test_energy_is_the_counters_where_there_is_one_that_did_not_run_back(a_s: float, b_s: float, joules: float) -> None:
    counter = ((0, 10.0), (1, 20.0), (2, 40.0), (3, 2.0), (4, 7.0), (5, None), (6, 9.0))
    package = counted("cpu.rapl", *((s, 100.0, j) for s, j in counter))
    assert joules_over("cpu.rapl", package, a_s, b_s) == pytest.approx(joules, rel=1e-9)


def steps_of_a_gpu(seed: int, step_s: float) -> list[Event]:
    """Return 100 W read about every 100 ms, and a counter that moves in steps."""
    random = Random(seed)
    at_s = [0.1 * i + random.uniform(-0.03, 0.03) for i in range(1, 60)]
    return counted("gpu.nvml", *((s, 100.0, 100.0 * step_s * (s // step_s)) for s in at_s))


@EXAMPLES
@given(st.integers(0, 2**32), st.sampled_from([0.02, 0.05, 0.1]), st.floats(0.2, 3.0), st.floats(1.0, 2.0))
def test_steps_of_a_counter_are_no_energy_of_frames(seed: int, step_s: float, a_s: float, length_s: float) -> None:
    gpu = steps_of_a_gpu(seed, step_s)
    assert joules_over("gpu.nvml", gpu, a_s, a_s + 0.01) == pytest.approx(1.0, rel=1e-6)
    assert joules_over("gpu.nvml", gpu, a_s, a_s + length_s) == pytest.approx(100.0 * length_s, rel=0.11)


def test_a_counter_that_steps_is_believed_over_ten_steps() -> None:
    gpu = counted("gpu.nvml", (0, 100.0, 0.0), (1, 100.0, 50.0), (2, 100.0, 100.0))
    assert joules_over("gpu.nvml", gpu, 0.5, 1.4) == pytest.approx(90.0)
    assert joules_over("gpu.nvml", gpu, 0.5, 1.5) == pytest.approx(50.0)


def sixty_fps(
    random: Random, latency_ns: Callable[[], int], identity: str | None
) -> tuple[list[Event], dict[int, int]]:
    """Return what two stages say of 3,000 frames of which 5 % are lost, and the latencies by entry."""
    events, latencies = [], {}
    for frame in range(3000):
        a_ns = T0 + frame * NS // 60
        kv: dict[str, object] = {} if identity is None else {identity: frame}
        events.append(Event(a_ns, "pipeline", {"stage": "ingress", **kv}))
        if random.random() >= 0.05:
            latencies[a_ns] = latency_ns()
            events.append(Event(a_ns + latencies[a_ns], "pipeline", {"stage": "encoded", **kv}))
    return sorted(events, key=lambda event: event.ts_ns), latencies


@pytest.mark.parametrize("identity", ["frame", "pts_ns"])
def test_by_identity_no_pair_is_shifted_by_lost_frames(identity: str) -> None:
    random = Random(5)
    events, latencies = sixty_fps(random, lambda: int(random.lognormvariate(3, 1) * MS) % (1900 * MS), identity)
    found = all_rows({"pipeline.jsonl": events})
    pairs = [row for row in found if isinstance(row, LatencyRow)]
    assert {row.ts_aligned_ns - round(row.kv.lat_ms * MS): round(row.kv.lat_ms * MS) for row in pairs} == latencies
    assert len(pairs) == len(latencies)
    assert {row.kv.match for row in pairs} == {identity.removesuffix("_ns")}
    lost = [row for row in found if isinstance(row, DroppedRow)]
    assert len(lost) == 3000 - len(latencies) > 100
    assert {row.kv.reason for row in lost} <= {"lost", "open_at_end"}


def test_by_order_every_pair_is_right_while_latency_is_under_one_frame_interval() -> None:
    random = Random(6)
    events, latencies = sixty_fps(random, lambda: random.randint(1, NS // 60 - 1), None)
    found = rows_of({"pipeline.jsonl": events}, 100)
    assert {row.ts_aligned_ns - round(row.kv.lat_ms * MS): round(row.kv.lat_ms * MS) for row in found} == latencies
    assert {row.kv.match for row in found} == {"order"}
