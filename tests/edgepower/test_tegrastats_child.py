from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from shlex import join, quote
from time import monotonic, sleep, time_ns

import pytest

from benchlab.daemon import Absent, Transient
from benchlab.daemon.schedule import Backoff
from edgepower.collectors import tegrastats_child as module
from edgepower.collectors.tegrastats_child import TegrastatsChild
from support.edge_fixtures import FIXTURES, lines

FAKE = Path(__file__).parent.parent / "support" / "fake_tegrastats.py"
ORIN = FIXTURES / "tegrastats" / "agx_orin.txt"
PATIENCE_S = 20.0

Make = Callable[..., TegrastatsChild]


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:

        def _make(*args: str, interval_ms: int = 100, command: list[str] | None = None) -> TegrastatsChild:
            fake = [sys.executable, str(FAKE), str(ORIN), *args]
            child = TegrastatsChild(command or fake, interval_ms, time_ns)
            stack.callback(child.close)
            return child

        yield _make


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_INTERVALS", 100)  # 10 s for an interpreter to start


def until(happened: Callable[[], bool]) -> None:
    give_up = monotonic() + PATIENCE_S
    while not happened():
        assert monotonic() < give_up, "it never happened"
        sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().split(") ")[1][0] == "Z"
    except FileNotFoundError:
        return True


def pid_of(child: TegrastatsChild) -> int:
    assert child._run is not None
    return child._run.process.pid


def test_newest_line_comes_with_the_time_it_came_at(make: Make) -> None:
    child = make()
    before_ns = time_ns()
    line, ts_ns = child.latest()
    assert line in lines("tegrastats/agx_orin.txt")
    assert before_ns < ts_ns <= time_ns()
    until(lambda: child.latest()[1] > ts_ns)
    assert child.latest()[0] in lines("tegrastats/agx_orin.txt")


def test_one_child_serves_all_readings(make: Make) -> None:
    child = make()
    child.latest()
    pid, ts_ns = pid_of(child), child.latest()[1]
    until(lambda: child.latest()[1] > ts_ns)
    assert pid_of(child) == pid


def test_child_ends_with_its_reader(make: Make) -> None:
    child = make()
    child.latest()
    pid = pid_of(child)
    child.close()
    assert is_gone(pid)
    with pytest.raises(Transient, match="closed"):
        child.latest()


def test_child_that_minds_no_signal_ends_all_the_same(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TERM_S", 0.2)
    child = make("--fault", "stubborn")
    child.latest()
    pid = pid_of(child)
    child.close()
    until(lambda: is_gone(pid))


def test_what_a_wrapper_started_ends_with_it(make: Make, tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper"
    fake = join([sys.executable, str(FAKE), str(ORIN)])
    wrapper.write_text(f"#!/bin/sh\n{fake} $* &\necho $! > {quote(str(tmp_path))}/pid\nwait\n")
    wrapper.chmod(0o755)
    child = make(command=[str(wrapper)])
    child.latest()
    pid = int((tmp_path / "pid").read_text())
    child.close()
    until(lambda: is_gone(pid))


def test_hanging_child_is_noticed_and_started_anew(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    child = make("--fault", "hang")
    child._backoff = Backoff(60.0, 60.0)
    child.latest()
    pid = pid_of(child)
    monkeypatch.setattr(module, "SILENT_INTERVALS", 3)
    sleep(0.35)
    with pytest.raises(Transient, match=r"no line for .* s, expected one every 0\.1 s"):
        child.latest()
    assert is_gone(pid)
    with pytest.raises(Transient, match="no line for"):
        child.latest()  # not at once
    monkeypatch.setattr(module, "SILENT_INTERVALS", 100)
    child._not_before_ns = 0
    assert child.latest()[0] in lines("tegrastats/agx_orin.txt")
    assert pid_of(child) != pid


def test_child_that_ends_is_told_with_its_code_and_last_words(make: Make) -> None:
    child = make("--fault", "exit", "--after", "0")
    with pytest.raises(Transient, match="ended with exit code 3; it said 'tegrastats: run with sudo to see more'"):
        child.latest()


def test_half_a_line_at_the_end_is_no_line(make: Make) -> None:
    child = make("--fault", "half", "--after", "0")
    with pytest.raises(Transient, match="ended with exit code 0"):
        child.latest()


def test_closed_output_is_an_end_too(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_INTERVALS", 10)
    child = make("--fault", "mute", "--after", "0")
    with pytest.raises(Transient, match="no line for"):
        child.latest()


def test_impatient_reader_is_not_kept_waiting(make: Make) -> None:
    with pytest.raises(Transient, match="no line yet"):
        make("--fault", "hang", "--after", "0").latest(is_patient=False)
    child = make()
    child.latest()
    assert child.latest(is_patient=False)[0] in lines("tegrastats/agx_orin.txt")


def test_waits_grow_while_it_fails(make: Make) -> None:
    child = make("--fault", "exit", "--after", "0")
    waits = []
    for _ in range(4):
        child._not_before_ns = 0
        with pytest.raises(Transient):
            child.latest()
        waits.append(child._backoff._next_s)
    assert waits == [2.0, 4.0, 8.0, 16.0]


def test_program_that_may_not_be_run_says_what_lets_it(make: Make, tmp_path: Path) -> None:
    (tmp_path / "tegrastats").write_text("#!/bin/sh\n")
    with pytest.raises(Absent, match="Permission denied") as caught:
        make(command=[str(tmp_path / "tegrastats")]).latest()
    assert caught.value.fix.endswith(f"chmod a+rx {tmp_path / 'tegrastats'}")


def test_missing_program_says_where_it_comes_from(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Absent, match="/nowhere/tegrastats: No such file") as caught:
        make(command=["/nowhere/tegrastats"]).latest()
    assert "tegrastats.command" in caught.value.fix
    monkeypatch.setattr("shutil.which", lambda *args, **kwargs: None)
    with pytest.raises(Absent, match="no tegrastats on the path"):
        TegrastatsChild(None, 100, time_ns).latest()
