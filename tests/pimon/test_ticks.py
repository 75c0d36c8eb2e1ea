from __future__ import annotations

import threading
from pathlib import Path

import pytest

from benchlab.catalog import unknown_keys
from benchlab.daemon import Absent, Reading, Source
from benchlab.sim import LoadModel
from pimon.sampler import Options, sampler_of
from pimon.snapshot import SystemSample, event_kv
from pimon.sources import Ticks, sources_of
from support.pi_machines import Vcgencmd, answers, pi
from support.running_daemon import Running

NOW_NS = 1_763_800_000_000_000_000


class Clock:
    """A clock that goes on by itself, a millisecond each time it is asked."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def __call__(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns


def machine(tmp_path: Path, name: str, clock: Clock, **options: object) -> list[Source]:
    words = Vcgencmd(tmp_path / "bin", answers(name)).words
    chosen = Options(root=pi(tmp_path / "root", name), now_ns=clock, vcgencmd=words, **options)  # type: ignore[arg-type]
    return list(sources_of(sampler_of(chosen), clock, 5.0, has_battery=True))


def readings(sources: list[Source]) -> list[Reading]:
    return [reading for source in sources for reading in source.sample()]


def test_one_tick_has_one_time_and_the_next_one_another(tmp_path: Path) -> None:
    sources = machine(tmp_path, "pi4", Clock())
    first, second = readings(sources), readings(sources)
    assert len({reading.ts_ns for reading in first}) == len({reading.ts_ns for reading in second}) == 1
    assert first[0].ts_ns is not None and second[0].ts_ns is not None and first[0].ts_ns < second[0].ts_ns
    assert [source.name for source in sources] == ["pi.system", "pi.battery", "pi.processes"]
    assert first[1].unc_ns is not None and 0 < first[1].unc_ns < 50_000_000


def test_source_alone_has_ticks_of_its_own() -> None:
    clock = Clock()
    ticks = Ticks(clock, 5.0)
    assert ticks.join("a") < ticks.join("a") < ticks.join("a")


def test_who_comes_late_is_in_no_old_tick() -> None:
    clock = Clock()
    ticks = Ticks(clock, 5.0)
    first = ticks.join("a")
    assert ticks.join("b") == first
    ticks.join("a")
    clock.now_ns += 2_600_000_000
    assert ticks.join("b") > clock.now_ns - 10_000_000


def test_clock_that_goes_back_makes_no_tick_of_the_future() -> None:
    clock = Clock()
    ticks = Ticks(clock, 5.0)
    ticks.join("a")
    clock.now_ns -= 3600 * 10**9
    assert ticks.join("a") == clock.now_ns
    assert ticks.spent_ns() >= 0


@pytest.mark.parametrize("name", ["pi4", "pi5"])
def test_every_key_is_in_the_catalog(tmp_path: Path, name: str) -> None:
    clock = Clock()
    sources = machine(tmp_path, name, clock, with_command_lines=True)
    if name == "pi5":
        del sources[1]
    (tmp_path / "root/proc/loadavg").write_text("x")  # so that there is a why
    for _ in range(10):
        found = readings(sources)
    for source, reading in zip(sources, found, strict=True):
        assert unknown_keys(source.name, reading.kv.items()) == []
        assert not reading.sim
    assert "why" in found[0].kv


def test_missing_is_left_out_and_zero_is_not() -> None:
    assert event_kv(SystemSample(load1=0.0, connections=0)) == {"load1": 0.0, "connections": 0}


def test_command_lines_and_users_stay_out_of_the_log(tmp_path: Path) -> None:
    (rows,) = [reading.kv["processes"] for reading in readings(machine(tmp_path, "pi4", Clock()))[-1:]]
    assert isinstance(rows, list)
    assert {key for row in rows for key in row} == {"pid", "name", "start_time_s", "cpu_pct", "mem_pct"}


def test_each_system_sample_is_shown_to_who_asks_for_it(tmp_path: Path) -> None:
    shown: list[SystemSample] = []
    clock = Clock()
    sampler = sampler_of(Options(root=pi(tmp_path, "pi4"), now_ns=clock))
    readings(list(sources_of(sampler, clock, 5.0, True, shown.append)))
    assert [system.throttled_flags for system in shown] == [0x50005]


def test_no_battery_is_told_once_and_the_rest_goes_on(tmp_path: Path) -> None:
    clock = Clock()
    sampler = sampler_of(Options(root=pi(tmp_path / "root", "pi5"), now_ns=clock))
    running = Running(tmp_path / "pimon.jsonl", sources_of(sampler, clock, 0.02, True))
    running.until(lambda: len(running.of("pi.system")) > 5)
    events = running.end()
    down = [event for event in events if event.kv.get("event") == "source_down"]
    assert [(event.kv["which"], "expected one of type Battery or UPS" in event.kv["reason"]) for event in down] == [
        ("pi.battery", True)
    ]


def test_none_of_several_threads_gets_a_tick_of_its_own() -> None:
    ticks = Ticks(lambda: NOW_NS, 5.0)
    times: list[int] = []
    threads = [threading.Thread(target=lambda who=who: times.append(ticks.join(who))) for who in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert times == [NOW_NS] * 3


def test_snapshot_is_one_tick_of_all_three(tmp_path: Path) -> None:
    clock = Clock()
    snapshot = sampler_of(Options(root=pi(tmp_path / "a", "pi4"), now_ns=clock)).sample()
    assert snapshot.battery is not None and snapshot.battery.power_w == -4.8025
    assert [process.pid for process in snapshot.processes] == [612, 1, 700]
    without = sampler_of(Options(root=pi(tmp_path / "b", "pi5"), now_ns=clock)).sample()
    assert without.battery is None and "found no supply" in without.battery_why


def test_no_battery_was_asked_for(tmp_path: Path) -> None:
    for load in (None, LoadModel()):
        sampler = sampler_of(Options(root=pi(tmp_path, "pi4"), power_supply="none", load=load))
        assert sampler.sample().battery is None
        with pytest.raises(Absent, match="none was asked for"):
            sampler.battery()
