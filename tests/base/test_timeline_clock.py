from __future__ import annotations

import ctypes
import time
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchlab import clock
from benchlab.clock import STEP_NS, SessionClock
from benchlab.errors import Exit, Fault

ANCHOR = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
TIME_ERROR = 5  # ntp_gettime(3)


class World:
    """Clocks that move only when the test says so; reading one takes ``cost_ns``."""

    def __init__(self, cost_ns: int = 0) -> None:
        self.boot_ns = 50 * SECOND
        self.slept_ns = 7 * SECOND
        self.set_by_ns = 0
        self.cost_ns = cost_ns

    def boottime(self) -> int:
        self.boot_ns += self.cost_ns
        return self.boot_ns

    def monotonic(self) -> int:
        return self.boottime() - self.slept_ns

    def wall(self) -> int:
        return self.boottime() + ANCHOR + self.set_by_ns

    def timeline(self, anchor_ns: int = ANCHOR) -> SessionClock:
        return SessionClock(anchor_ns, self.boottime, self.wall, self.monotonic)


def test_boottime_counts_on_in_nanoseconds() -> None:
    with Path("/proc/uptime").open() as uptime:
        seconds = float(uptime.read().split()[0])
    assert abs(clock.boottime_ns() / SECOND - seconds) < 5
    assert abs(clock.wall_ns() - time.time() * SECOND) < 5 * SECOND


def test_boot_id_is_read_below_the_root(tmp_path: Path) -> None:
    path = tmp_path / "proc/sys/kernel/random/boot_id"
    path.parent.mkdir(parents=True)
    path.write_text("0a1b\n")
    assert clock.boot_id(tmp_path) == "0a1b"
    assert clock.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.parametrize("content", [None, b"", b"\xff"])
def test_unreadable_boot_id_is_one_fault_that_names_the_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "proc/sys/kernel/random/boot_id"
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Fault, match="boot_id") as caught:
        clock.boot_id(tmp_path)
    assert caught.value.code is Exit.IO


def test_kernel_and_libc_agree_whether_the_clock_is_synchronised() -> None:
    state = ctypes.CDLL(None).ntp_gettime(ctypes.create_string_buffer(512))
    assert clock.is_synchronised() is (state != TIME_ERROR)


def test_difference_is_found_although_readings_take_time() -> None:
    world = World(cost_ns=300)
    offset_ns, unc_ns = clock.monotonic_to_boottime_ns(world.monotonic, world.boottime)
    assert abs(offset_ns - world.slept_ns) <= unc_ns <= 300


def test_bracket_in_which_we_were_scheduled_away_is_not_taken() -> None:
    world = World()
    delays = iter([5 * SECOND, 0, 3 * SECOND, 0, 0, 0, 0])

    def boottime_after_a_delay() -> int:
        world.boot_ns += next(delays)
        return world.boottime()

    assert clock.monotonic_to_boottime_ns(world.monotonic, boottime_after_a_delay) == (world.slept_ns, 0)


def test_real_monotonic_times_land_on_the_timeline() -> None:
    timeline = SessionClock(ANCHOR)
    before = timeline.now_ns()
    converted = timeline.from_monotonic_ns(clock.monotonic_ns())
    after = timeline.now_ns()
    assert before - 1_000_000 <= converted <= after + 1_000_000


def test_distance_of_converted_times_has_no_measuring_noise() -> None:
    world = World()
    noise = count()

    def noisy_boottime() -> int:
        return world.boottime() + next(noise) % 900

    timeline = SessionClock(ANCHOR, noisy_boottime, world.wall, world.monotonic)
    converted = [timeline.from_monotonic_ns(t_ns) for t_ns in range(0, 50_000, 10)]
    assert {b - a for a, b in pairwise(converted)} == {10}


def test_suspend_between_two_frames_is_in_the_converted_times() -> None:
    world = World()
    timeline = world.timeline()
    before = timeline.from_monotonic_ns(world.monotonic())
    world.boot_ns += 60 * SECOND
    world.slept_ns += 60 * SECOND
    assert timeline.from_monotonic_ns(world.monotonic()) - before == 60 * SECOND


def test_wall_clock_set_by_hand_is_reported_once_with_its_size() -> None:
    world = World()
    timeline = world.timeline()
    assert timeline.step_ns() is None
    world.set_by_ns -= 3600 * SECOND
    assert timeline.step_ns() == -3600 * SECOND
    assert timeline.step_ns() is None


def test_ten_milliseconds_are_no_step_and_one_more_nanosecond_is() -> None:
    world = World()
    timeline = world.timeline()
    world.set_by_ns = STEP_NS
    assert timeline.step_ns() is None
    world.set_by_ns += 1
    assert timeline.step_ns() == STEP_NS + 1


def test_wall_offset_is_wall_less_timeline() -> None:
    world = World()
    assert world.timeline(ANCHOR + 5).wall_offset_ns() == (-5, 0)


moves = st.tuples(st.integers(0, 10 * SECOND), st.integers(-(10**18), 10**18))


@given(st.lists(moves, max_size=30))
def test_timeline_never_moves_by_wall_steps(history: list[tuple[int, int]]) -> None:
    world = World()
    timeline = world.timeline()
    start = timeline.now_ns()
    passed = 0
    for elapsed_ns, step_ns in history:
        world.boot_ns += elapsed_ns
        world.set_by_ns += step_ns
        passed += elapsed_ns
        assert timeline.now_ns() == start + passed


@given(st.lists(moves, max_size=30))
def test_reported_steps_add_up_to_how_far_the_wall_clock_was_moved(history: list[tuple[int, int]]) -> None:
    world = World()
    timeline = world.timeline()
    reported = 0
    for elapsed_ns, step_ns in history:
        world.boot_ns += elapsed_ns
        world.set_by_ns += step_ns
        reported += timeline.step_ns() or 0
        assert abs(world.set_by_ns - reported) <= STEP_NS


readings_of_two = st.tuples(st.integers(0, 1), st.integers(1, SECOND), st.integers(-(10**18), 10**18))


@given(st.lists(readings_of_two, min_size=2))
def test_times_of_two_daemons_order_as_they_happened(readings: list[tuple[int, int, int]]) -> None:
    world = World()
    daemons = [world.timeline()]
    world.set_by_ns += 86_400 * SECOND  # the second one starts after the wall clock was set
    daemons.append(world.timeline())
    times = []
    for daemon, elapsed_ns, step_ns in readings:
        world.boot_ns += elapsed_ns
        world.set_by_ns += step_ns
        times.append(daemons[daemon].now_ns())
    assert all(a < b for a, b in pairwise(times))


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_converted_monotonic_times_keep_order_and_distance(a_ns: int, b_ns: int) -> None:
    timeline = World().timeline()
    assert timeline.from_monotonic_ns(b_ns) - timeline.from_monotonic_ns(a_ns) == b_ns - a_ns
