"""Children are real, small processes: they die early, refuse to stop, and outlive nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchctl.children import Crew, program
from benchctl.stopping import StopRequests, wait_until
from benchlab.errors import Fault
from support.processes import until

SLEEPER = "import time; print('ready', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_child_that_dies_early_is_named_with_its_last_lines(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew:
        child = crew.start("early", python("import sys; print('no port 9109', file=sys.stderr); sys.exit(5)"))
        assert child.wait(15) == 5
        assert crew.fallen() == [child]
        assert child.obituary() == f"early (pid {child.pid}) ended with exit code 5\n  no port 9109"


def test_child_that_ends_with_success_unasked_has_fallen_too(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew:
        child = crew.start("short", python("pass"))
        child.wait(15)
        assert crew.fallen() == [child]


def test_asked_child_stops_and_has_not_fallen(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew:
        child = crew.start("sleeper", python(SLEEPER))
        until(child.last_lines)
        assert crew.stop([child], 10) == []
        assert child.exit_code == -signal.SIGTERM
        assert crew.fallen() == []


def test_child_asked_to_stop_before_it_is_up_has_not_fallen(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew:
        child = crew.start("sleeper", python(SLEEPER))
        assert crew.stop([child], 10) == []
        assert crew.fallen() == []


def test_child_that_fails_while_stopping_has_fallen(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "
        "print('ready', flush=True); time.sleep(60)"
    )
    with Crew(tmp_path) as crew:
        child = crew.start("failing", python(code))
        until(child.last_lines)
        crew.stop([child], 10)
        assert child.exit_code == 7
        assert crew.fallen() == [child]


def test_child_that_ignores_sigterm_is_killed_and_named(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew:
        child = crew.start("stubborn", python(STUBBORN))
        until(child.last_lines)
        assert crew.stop([child], 0.3) == ["stubborn did not stop within 0.3 s and was killed"]
        assert child.exit_code == -signal.SIGKILL


def test_nothing_survives_the_context_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Crew(tmp_path) as crew:
        child = crew.start("stubborn", python(STUBBORN))
        until(child.last_lines)
        raise RuntimeError
    assert not is_running(child.pid)


def test_children_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom benchctl.children import Crew\n"
        f"child = Crew(Path({str(tmp_path)!r})).start('sleeper', [sys.executable, '-c', {SLEEPER!r}])\n"
        "print(child.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen(
        python(code),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert is_running(pid)
    parent.kill()
    parent.communicate()
    until(lambda: not is_running(pid))


def test_program_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew, pytest.raises(Fault, match=r"cannot start ghost \(/no/such/program\)"):
        crew.start("ghost", ["/no/such/program"])


def test_ctrl_c_in_the_terminal_does_not_reach_a_child(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew:
        child = crew.start("sleeper", python(SLEEPER))
        assert os.getpgid(child.pid) != os.getpgrp()


def test_programs_run_by_the_same_interpreter() -> None:
    assert program("r5c_capture", "--simulate") == [
        sys.executable,
        "-m",
        "pipeline_probes.r5c_capture",
        "--simulate",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stop_signal_wakes_the_waiting_loop(number: signal.Signals) -> None:
    with StopRequests() as stop:
        threading.Timer(0.1, os.kill, (os.getpid(), number)).start()
        assert stop.wait(15)
        assert stop.count == 1
        assert stop.last == number
        assert not stop.wait(0)


def test_stop_signal_before_the_wait_is_not_lost() -> None:
    with StopRequests() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(15)


def test_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopRequests():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_waiting_for_a_condition_ends_with_a_stop_signal() -> None:
    with StopRequests() as stop:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        assert not wait_until(lambda: False, 30, stop)
        assert wait_until(lambda: True, 30, stop)
