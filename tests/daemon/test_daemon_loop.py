from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from queue import Empty, SimpleQueue
from time import time_ns
from typing import Any

import pytest

from benchlab.daemon import Absent, Daemon, Ended, Reading, Transient, loop
from benchlab.daemon.schedule import NS
from benchlab.event import Event, Value
from support.running_daemon import Running, Timeline

Begin = Callable[..., Running]


class Counter:
    """Counts its own samples; ``fault`` is raised instead while it is set."""

    def __init__(self, name: str = "test.counter", **attributes: Any) -> None:
        self.name = name
        self.fault: Exception | None = None
        self.threads: set[str] = set()
        self.taken = 0
        for key, value in attributes.items():
            setattr(self, key, value)

    def sample(self) -> list[Reading]:
        self.threads.add(threading.current_thread().name)
        if self.fault is not None:
            raise self.fault
        self.taken += 1
        return [Reading({"n": self.taken - 1})]


class Stuck(Counter):
    """Blocks in its sample until released."""

    def __init__(self, name: str = "test.stuck") -> None:
        super().__init__(name)
        self.entered = threading.Event()
        self.release = threading.Event()

    def sample(self) -> list[Reading]:
        self.entered.set()
        self.release.wait()
        return super().sample()


def test_log_begins_with_the_table_of_sources_and_ends_with_stop(begin: Begin) -> None:
    polled = Counter("test.polled", period_s=5.0, stamping="end", window_ms=1000.0, dev="unit 7")
    daemon = begin(Counter(), polled, start_fields={"version": "9", "disorder_ms": 50})
    daemon.until(lambda: daemon.of("test.counter") and daemon.of("test.polled"))
    first, *_, last = daemon.end()
    assert first.kv == {
        "event": "start",
        "version": "9",
        "disorder_ms": 50,
        "period_ms": 20.0,
        "sources": [
            {"source": "test.counter", "stamping": "midpoint", "period_ms": 20.0},
            {
                "source": "test.polled",
                "stamping": "end",
                "period_ms": 5000.0,
                "window_ms": 1000.0,
                "dev": "unit 7",
            },
        ],
    }
    assert last.kv["event"] == "stop"
    assert daemon.code == 0


def test_every_sample_is_written_once_in_order(begin: Begin) -> None:
    daemon = begin(Counter())
    daemon.until(lambda: len(daemon.of("test.counter")) >= 10)
    events = daemon.end()
    numbers = [event.kv["n"] for event in events if event.source == "test.counter"]
    assert numbers == list(range(len(numbers)))
    assert [event.seq for event in events] == list(range(len(events)))


def test_midpoint_stamp_says_how_uncertain_it_is(begin: Begin) -> None:
    daemon = begin(Counter(), Counter("test.end", stamping="end"))
    daemon.until(lambda: daemon.of("test.counter") and daemon.of("test.end"))
    events = daemon.end()
    midpoint = next(event for event in events if event.source == "test.counter")
    end = next(event for event in events if event.source == "test.end")
    assert midpoint.unc_ns is not None
    assert end.unc_ns is None
    assert events[0].ts_ns <= midpoint.ts_ns <= events[-1].ts_ns


def test_a_reading_s_own_time_and_source_are_kept(begin: Begin) -> None:
    class Own(Counter):
        def sample(self) -> list[Reading]:
            return [Reading({"n": 1}, ts_ns=123, unc_ns=4, source="test.other", dev="d", cal={"rtt_ns": 8}, sim=True)]

    daemon = begin(Own())
    daemon.until(lambda: daemon.of("test.other"))
    event = daemon.of("test.other")[0]
    assert (event.ts_ns, event.unc_ns, event.dev, event.cal, event.sim) == (123, 4, "d", {"rtt_ns": 8}, True)


def test_stuck_source_delays_no_other_and_is_quarantined(begin: Begin) -> None:
    stuck = Stuck()
    daemon = begin(Counter(), stuck)
    daemon.until(lambda: daemon.metas("source_down"))
    seen = len(daemon.of("test.counter"))
    daemon.until(lambda: len(daemon.of("test.counter")) >= seen + 20)
    assert daemon.metas("source_down") == [
        {
            "event": "source_down",
            "which": "test.stuck",
            "reason": "no answer for 0.3 s: quarantined until it returns",
        }
    ]
    stuck.release.set()


def test_quarantined_source_that_returns_is_taken_back_without_its_stale_answer(begin: Begin) -> None:
    stuck = Stuck()
    daemon = begin(stuck)
    daemon.until(lambda: daemon.metas("source_down"))
    stuck.release.set()
    daemon.until(lambda: daemon.of("test.stuck"))
    assert daemon.metas("source_up") == [{"event": "source_up", "which": "test.stuck"}]
    assert daemon.of("test.stuck")[0].kv["n"] == 1  # number 0 was the answer that came too late


def test_daemon_stops_though_a_source_is_stuck(begin: Begin) -> None:
    stuck = Stuck()
    daemon = begin(Counter(), stuck)
    daemon.until(lambda: stuck.entered.is_set() and daemon.of("test.counter"))
    assert daemon.end()[-1].kv["event"] == "stop"
    stuck.release.set()
    assert daemon.events()[-1].kv["event"] == "stop"  # what it says after the end is not written


def test_absent_source_is_one_line_with_reason_and_fix(begin: Begin) -> None:
    absent = Counter("test.absent")
    absent.fault = Absent("no such bus", "plug it in")
    daemon = begin(Counter(), absent)
    daemon.until(lambda: len(daemon.of("test.counter")) >= 30)
    assert daemon.metas("source_down") == [
        {"event": "source_down", "which": "test.absent", "reason": "no such bus", "fix": "plug it in"}
    ]


def test_source_that_appears_later_is_taken(begin: Begin) -> None:
    late = Counter("test.late")
    late.fault = Absent("not yet")
    daemon = begin(late)
    daemon.until(lambda: daemon.metas("source_down"))
    late.fault = None
    daemon.until(lambda: daemon.of("test.late"))
    assert daemon.metas("source_up") == [{"event": "source_up", "which": "test.late"}]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Transient("no reply"), "no reply"),
        (KeyError("rail"), "KeyError: 'rail'"),
        (OSError(5, "Input/output error"), "OSError: [Errno 5] Input/output error"),
    ],
)
def test_failing_source_is_reported_and_comes_back(begin: Begin, fault: Exception, reason: str) -> None:
    failing = Counter("test.failing")
    daemon = begin(failing, Counter())
    daemon.until(lambda: daemon.of("test.failing"))
    failing.fault = fault
    daemon.until(lambda: daemon.metas("source_down"))
    assert daemon.metas("source_down")[0]["reason"] == reason
    seen = len(daemon.of("test.failing"))
    failing.fault = None
    daemon.until(lambda: len(daemon.of("test.failing")) > seen)
    assert len(daemon.metas("source_up")) == 1
    numbers = [event.kv["n"] for event in daemon.end() if event.source == "test.counter"]
    assert numbers == list(range(len(numbers)))


def test_new_reason_is_a_new_line(begin: Begin) -> None:
    failing = Counter("test.failing")
    failing.fault = Absent("no driver")
    daemon = begin(failing)
    daemon.until(lambda: daemon.metas("source_down"))
    failing.fault = Transient("driver does not answer")
    daemon.until(lambda: len(daemon.metas("source_down")) == 2)
    assert [down["reason"] for down in daemon.metas("source_down")] == ["no driver", "driver does not answer"]


def test_reading_that_is_no_json_fails_its_source_only(begin: Begin) -> None:
    class Broken(Counter):
        def sample(self) -> list[Reading]:
            value: Any = {object()}
            return [Reading({"n": value})]

    daemon = begin(Broken("test.broken"), Counter())
    daemon.until(lambda: daemon.metas("source_down") and len(daemon.of("test.counter")) >= 5)
    assert daemon.metas("source_down")[0]["which"] == "test.broken"
    assert daemon.metas("source_down")[0]["reason"].startswith("TypeError")


def test_slow_source_skips_ticks_and_says_how_many(begin: Begin) -> None:
    class Slow(Counter):
        def sample(self) -> list[Reading]:
            threading.Event().wait(0.07)
            return super().sample()

    daemon = begin(Slow("test.slow"), report_s=0.5)
    daemon.until(lambda: daemon.of("self.testd"))
    own = daemon.of("self.testd")[0].kv
    assert own["late_ticks"] >= own["ticks"] > 0
    times = [event.ts_ns for event in daemon.of("test.slow")]
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) > 40_000_000


def test_daemon_tells_how_it_fares_itself(begin: Begin) -> None:
    failing = Counter("test.failing")
    failing.fault = Transient("no")
    daemon = begin(Counter(), failing, report_s=0.5)
    daemon.until(lambda: daemon.of("self.testd"))
    own: dict[str, Value] = daemon.of("self.testd")[0].kv
    assert set(own) == {"ticks", "late_ticks", "errors", "cpu_s", "rss", "lines", "bytes", "lost"}
    assert own["lost"] == 0
    assert isinstance(own["errors"], int)
    assert own["errors"] > 0
    assert isinstance(own["rss"], int)
    assert own["rss"] > 1_000_000


def test_sources_of_one_lane_share_a_thread_and_others_do_not(begin: Begin) -> None:
    first, second = Counter("test.a", lane="shared"), Counter("test.b", lane="shared")
    alone = Counter("test.c")
    daemon = begin(first, second, alone)
    daemon.until(lambda: first.threads and second.threads and alone.threads)
    assert first.threads == second.threads == {"shared"}
    assert alone.threads.isdisjoint(first.threads)


def test_failure_in_a_lane_does_not_stop_its_other_sources(begin: Begin) -> None:
    failing, fine = Counter("test.a", lane="shared"), Counter("test.b", lane="shared")
    failing.fault = Absent("not here")
    daemon = begin(failing, fine)
    daemon.until(lambda: len(daemon.of("test.b")) >= 10)
    assert daemon.metas("source_down")[0]["which"] == "test.a"


def test_two_sources_of_one_name_have_two_threads(begin: Begin) -> None:
    one, other = Counter("edge.shelly"), Counter("edge.shelly")
    daemon = begin(one, other)
    daemon.until(lambda: one.threads and other.threads)
    assert one.threads.isdisjoint(other.threads)


def test_step_of_the_wall_clock_is_a_line(begin: Begin) -> None:
    daemon = begin(Counter())
    daemon.timeline.moved_ns = -3_600_000_000_000
    daemon.until(lambda: daemon.metas("clock_step"))
    assert daemon.metas("clock_step") == [{"event": "clock_step", "step_ns": -3_600_000_000_000}]


def test_idle_daemon_vouches_for_the_time(begin: Begin) -> None:
    absent = Counter("test.absent")
    absent.fault = Absent("gone")
    daemon = begin(absent)
    daemon.until(lambda: daemon.metas("alive"))
    assert daemon.end()[-1].kv["event"] == "stop"


def test_source_that_answers_too_late_again_and_again_is_reported_once(begin: Begin) -> None:
    class Tardy(Counter):
        def sample(self) -> list[Reading]:
            threading.Event().wait(0.6)
            return super().sample()

    tardy = Tardy("test.tardy")
    daemon = begin(tardy, deadline_s=0.01)
    daemon.until(lambda: tardy.taken >= 4)
    told = [event.kv["event"] for event in daemon.end() if "which" in event.kv]
    assert told[0] == "source_down"
    assert ("source_down", "source_down") not in itertools.pairwise(told)


def test_down_and_up_lines_name_the_device(begin: Begin) -> None:
    one, two = Counter("test.meter", dev="one"), Counter("test.meter", dev="two")
    two.fault = Transient("no answer")
    daemon = begin(one, two)
    daemon.until(lambda: daemon.metas("source_down"))
    two.fault = None
    daemon.until(lambda: daemon.metas("source_up"))
    lines = [event for event in daemon.end() if event.kv.get("which") == "test.meter"]
    assert [(line.kv["event"], line.dev) for line in lines] == [("source_down", "two"), ("source_up", "two")]


def test_source_that_is_found_while_running_is_sampled_and_described(begin: Begin) -> None:
    scout = Counter("test.scout")
    waiting = [Counter("test.meter", dev="unit 1", window_ms=500.0, identity={"firmware": 6})]
    scout.arrivals = lambda: [waiting.pop()] if waiting else []  # type: ignore[attr-defined]
    daemon = begin(scout)
    daemon.until(lambda: daemon.of("test.meter"))
    events = daemon.end()
    (up,) = (event for event in events if event.kv.get("event") == "source_up")
    described = {"source": "test.meter", "stamping": "midpoint", "period_ms": 20.0, "window_ms": 500.0}
    assert up.kv == {
        "event": "source_up",
        "which": "test.meter",
        "sources": [{"firmware": 6, **described, "dev": "unit 1"}],
    }
    assert events.index(up) < events.index(daemon.of("test.meter")[0])


def test_device_that_turns_out_to_be_another_is_described_anew_once(begin: Begin) -> None:
    meter = Counter("test.meter", identity={"port": "a"})
    daemon = begin(meter)
    daemon.until(lambda: daemon.of("test.meter"))
    assert daemon.metas("start")[0]["sources"][0]["port"] == "a"
    meter.identity = {"port": "b"}  # type: ignore[attr-defined]
    daemon.until(lambda: daemon.metas("source_up"))
    seen = len(daemon.of("test.meter"))
    daemon.until(lambda: len(daemon.of("test.meter")) > seen + 5)
    daemon.end()
    (up,) = daemon.metas("source_up")
    assert up["sources"][0]["port"] == "b"


def test_source_that_waits_for_events_is_asked_again_at_once_and_skips_no_tick(begin: Begin) -> None:
    class Waiting(Counter):
        waits = True

        def sample(self) -> list[Reading]:
            (number,) = super().sample()
            return [Reading(number.kv, ts_ns=time_ns())] if self.taken % 2 else []

    daemon = begin(Waiting(), report_s=0.05)
    daemon.until(lambda: len(daemon.of("test.counter")) >= 200 and daemon.of("self.testd"))
    daemon.end()
    assert daemon.of("self.testd")[-1].kv["late_ticks"] == 0
    assert daemon.metas("start")[0]["sources"] == [{"source": "test.counter", "stamping": "midpoint"}]


def test_waiting_source_that_fails_is_asked_again_after_the_backoff_only(begin: Begin) -> None:
    source = Counter(waits=True)
    source.fault = Absent("nothing there")
    daemon = begin(source, backoff_s=(0.05, 0.05), report_s=0.05)
    daemon.until(lambda: daemon.metas("source_down") and len(daemon.of("self.testd")) >= 3)
    source.fault = None
    daemon.until(lambda: daemon.metas("source_up"))
    daemon.end()
    assert len(daemon.metas("source_down")) == 1


def test_daemon_ends_when_all_its_sources_have_and_each_is_told_once(begin: Begin) -> None:
    first, second = Counter("test.first", waits=True), Counter("test.second")
    daemon = begin(first, second)
    daemon.until(lambda: first.taken and second.taken)
    first.fault = Ended("the file is read")
    daemon.until(lambda: daemon.metas("source_down"))
    taken = second.taken
    daemon.until(lambda: second.taken > taken + 2)
    assert daemon.code is None
    second.fault = Ended("that too")
    daemon.until(lambda: daemon.code is not None)
    assert daemon.code == 0
    downs = [(kv["which"], kv["reason"]) for kv in daemon.metas("source_down")]
    assert downs == [("test.first", "the file is read"), ("test.second", "that too")]
    assert daemon.events()[-1].kv == {"event": "stop"}


def test_source_that_has_ended_leaves_its_lane_to_the_others(begin: Begin) -> None:
    done, other = Counter("test.done", lane="kernel"), Counter("test.other", lane="kernel")
    daemon = begin(done, other)
    daemon.until(lambda: done.taken)
    done.fault = Ended("done")
    daemon.until(lambda: daemon.metas("source_down"))
    taken = other.taken
    daemon.until(lambda: other.taken > taken + 2)


class Waiter(Counter):
    """Waits for what is put into it, and has ``held`` back until it is told to shut."""

    waits = True

    def __init__(self, *held: int) -> None:
        super().__init__("test.waiter")
        self.inbox: SimpleQueue[int] = SimpleQueue()
        self.held = held
        self.block = threading.Event()
        self.block.set()

    def shut(self) -> None:
        for number in self.held:
            self.inbox.put(number)

    def sample(self) -> list[Reading]:
        try:
            found = [self.inbox.get(timeout=0.02)]
        except Empty:
            return []
        self.block.wait()
        while not self.inbox.empty():
            found.append(self.inbox.get())
        return [Reading({"n": n}, time_ns()) for n in found]


def test_source_that_can_be_shut_gives_what_it_still_has_before_the_stop_line(begin: Begin) -> None:
    daemon = begin(Waiter(1, 2, 3))
    daemon.until(lambda: daemon.events())
    *_, one, two, three, stop = daemon.end()
    assert [one.kv, two.kv, three.kv] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert stop.kv["event"] == "stop"


def test_what_a_waiting_source_has_is_written_though_it_was_stuck(begin: Begin) -> None:
    source = Waiter()
    daemon = begin(source)
    source.block.clear()
    source.inbox.put(7)
    daemon.until(lambda: daemon.metas("source_down"))
    source.block.set()
    daemon.until(lambda: daemon.of("test.waiter"))
    assert [event.kv for event in daemon.of("test.waiter")] == [{"n": 7}]
    assert daemon.metas("source_up")


def test_what_a_daemon_tells_of_itself_makes_no_line_late_that_is_on_its_way(begin: Begin) -> None:
    class Behind(Waiter):
        def sample(self) -> list[Reading]:
            return [Reading({"n": 0}, time_ns() - NS // 2)]

    daemon = begin(Behind(), report_s=0.05)
    daemon.until(lambda: len(daemon.of("self.testd")) >= 3)
    events = daemon.end()
    for before, line in pairwise(events):
        if line.source == "self.testd" and before.source == "test.waiter":
            assert line.ts_ns <= before.ts_ns


def test_process_that_was_held_up_lets_its_sources_speak_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process is no stuck device, and its ``alive`` must not make late what its sources have."""
    now_ns = 0
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            nonlocal now_ns
            waits.append(timeout or 0.0)
            now_ns += {1: NS // 4, 2: 5 * NS}.get(len(waits), NS // 4)
            return len(waits) == 5

    monkeypatch.setattr(loop, "monotonic_ns", lambda: now_ns)
    log = Ticks()
    daemon = Daemon("testd", [], log, Timeline(), 0.02, stop=Stop(), env={})
    daemon.run()
    assert (len(waits), log.ticks) == (5, 3)  # the third wait is one more after the long one


class Ticks:
    """A log that counts how often it was told to do what is due."""

    ticks = 0

    def start(self, fields: Mapping[str, Value]) -> None:
        pass

    def write(self, events: Sequence[Event]) -> None:
        pass

    def tick(self) -> None:
        self.ticks += 1

    def stop(self) -> None:
        pass
