from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchlab.daemon.schedule import NS, Backoff, Schedule

PERIOD_NS = 100_000_000


def test_deadlines_do_not_drift_with_the_time_a_sample_takes() -> None:
    schedule = Schedule(0.1, start_ns=7)
    for n in range(1000):
        assert schedule.due_ns == 7 + n * PERIOD_NS
        schedule.advance(schedule.due_ns + 30_000_000)
    assert schedule.skipped == 0


def test_late_ticks_are_skipped_and_counted_never_bunched() -> None:
    schedule = Schedule(0.1, start_ns=0)
    schedule.advance(now_ns=350_000_000)  # the deadlines at 100, 200 and 300 ms have passed
    assert schedule.due_ns == 400_000_000
    assert schedule.skipped == 3


def test_sample_that_ends_on_a_deadline_is_not_late() -> None:
    schedule = Schedule(0.1, start_ns=0)
    schedule.advance(now_ns=PERIOD_NS)
    assert (schedule.due_ns, schedule.skipped) == (PERIOD_NS, 0)


def test_deliberate_wait_keeps_the_beat_and_counts_nothing() -> None:
    schedule = Schedule(0.1, start_ns=0)
    schedule.postpone(until_ns=250_000_001)
    assert (schedule.due_ns, schedule.skipped) == (300_000_000, 0)
    schedule.postpone(until_ns=10)
    assert schedule.due_ns == 300_000_000


@given(st.lists(st.integers(0, 10 * PERIOD_NS), max_size=50))
def test_served_and_skipped_deadlines_are_all_deadlines(durations_ns: list[int]) -> None:
    schedule = Schedule(0.1, start_ns=0)
    now_ns = 0
    for duration_ns in durations_ns:
        now_ns = max(now_ns, schedule.due_ns) + duration_ns
        served_ns = schedule.due_ns
        schedule.advance(now_ns)
        assert schedule.due_ns % PERIOD_NS == 0
        assert schedule.due_ns > served_ns
        assert schedule.due_ns >= now_ns
    assert schedule.due_ns // PERIOD_NS == len(durations_ns) + schedule.skipped


def test_back_off_doubles_up_to_its_limit_and_begins_anew() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next_ns() / NS for _ in range(4)] == [0.5, 1.0, 2.0, 3.0]
    backoff.reset()
    assert backoff.next_ns() == NS // 2
