"""doctor: what collectors say is told as they say it, and what they do not say does not stop it."""

from __future__ import annotations

import grp
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from benchctl import doctor
from benchctl.checks import ABSENT, FAIL, OK, WARN, Check
from benchctl.doctor_host import (
    clock_check,
    filesystem_of,
    group_checks,
    inotify_check,
    port_check,
    python_check,
    space_check,
    storage_checks,
    sync_check,
)
from benchctl.doctor_sources import MOST_BYTES
from benchlab import cli
from benchlab.config import load
from benchlab.errors import Fault
from benchlab.event import Event, encode_lines, meta
from benchlab.log.watch import Watcher
from benchlab.log.writer import LogWriter
from benchlab.session import new_session
from support.tree import program_env

Benchctl = Callable[..., "subprocess.CompletedProcess[str]"]
Examine = Callable[..., dict[str, Check]]

DOWN = {"event": "source_down", "which": "gpu.nvml", "reason": "no libnvidia-ml.so.1", "fix": "install the driver"}
GPU_DOWN = encode_lines([meta(5, "source_down", {k: v for k, v in DOWN.items() if k != "event"})]).decode()
CPU = encode_lines([Event(5, "cpu.psutil", {"cpu_util": 1.0, "load1": 0.5})]).decode()
GPU = encode_lines([Event(5, "gpu.nvml", {"power_w": 100.0}, dev="GPU-1")]).decode()


def says(output: str, code: int = 0, stderr: str = "") -> list[str]:
    """Return the command line of a collector that prints this and ends."""
    script = f"import sys; sys.stdout.write({output!r}); sys.stderr.write({stderr!r}); sys.exit({code})"
    return [sys.executable, "-c", script]


@pytest.fixture
def examine(tmp_path: Path, bind: str) -> Examine:
    """Run doctor with collectors of the test's own; returns the checks by name."""

    def _examine(
        commands: dict[str, Sequence[str]], *words: str, timeout_s: float = 30.0, **env: str
    ) -> dict[str, Check]:
        args = doctor.parser().parse_args([*words, "--timeout", str(timeout_s)])
        home = program_env(BENCHLAB_DATA_ROOT=str(tmp_path / "data"), XDG_CONFIG_HOME=str(tmp_path / "none"))
        checks = list(doctor.examine(args, {**home, "BENCHLAB_PROM": bind, **env}, commands))
        assert len({check.name for check in checks}) == len(checks)
        return {check.name: check for check in checks}

    return _examine


def config(tmp_path: Path, text: str) -> tuple[str, str]:
    path = tmp_path / "c.toml"
    path.write_text(text)
    return "--config", str(path)


def test_this_host_is_examined_with_the_real_collectors(
    benchctl: Benchctl, bind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHLAB_PROM", bind)
    for name, value in program_env().items():
        monkeypatch.setenv(name, value)
    done = benchctl("doctor", "--json", "--timeout", "60")
    found = json.loads(done.stdout)
    states = {check["name"]: check["state"] for check in found["checks"]}
    assert (done.returncode, found["ok"]) == (0, True), states
    assert states["cpu.psutil"] == states["mem.psutil"] == states["python"] == OK


def test_absent_source_is_told_in_its_own_words_and_is_no_failure(examine: Examine) -> None:
    found = examine({"telemetryd": says(GPU_DOWN + CPU)})
    assert found["gpu.nvml"] == Check("sources", "gpu.nvml", ABSENT, "no libnvidia-ml.so.1", "install the driver")
    assert (found["cpu.psutil"].state, found["cpu.psutil"].found) == (OK, "cpu_util, load1")


def test_source_that_several_collectors_have_says_which_was_asked() -> None:
    loaded = load(Path(os.devnull), {}, {})
    commands = {"telemetryd": says(GPU_DOWN + CPU), "edgepower": says(GPU_DOWN)}
    checks = list(doctor.collector_checks(commands, 30.0, program_env(), loaded, {"gpu.nvml": "telemetry"}))
    both = ["telemetryd: no libnvidia-ml.so.1", "edgepower: no libnvidia-ml.so.1"]
    assert [check.found for check in checks if check.name == "gpu.nvml"] == both
    assert [check.found for check in checks if check.name == "cpu.psutil"] == ["cpu_util, load1"]


def test_absent_source_that_the_configuration_asks_for_is_a_failure(examine: Examine, tmp_path: Path) -> None:
    words = config(tmp_path, "[gpu]\ndevice_index = 1\n")
    check = examine({"telemetryd": says(GPU_DOWN, 4)}, *words)["gpu.nvml"]
    assert check.state == FAIL and "gpu.device_index" in check.found and words[1] in check.found
    assert check.fix == "install the driver"


def test_default_written_into_a_file_asks_for_nothing(examine: Examine, tmp_path: Path) -> None:
    words = config(tmp_path, '[gpu]\ndevice_index = "all"\n')
    assert examine({"telemetryd": says(GPU_DOWN, 4)}, *words)["gpu.nvml"].state == ABSENT


def test_collector_that_hangs_is_given_up_and_holds_nobody_up(examine: Examine) -> None:
    hangs = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
    began = time.monotonic()
    found = examine({"benchlabd": hangs, "telemetryd": says(CPU)}, timeout_s=3)
    assert time.monotonic() - began < 60
    assert found["benchlabd"].state == FAIL and "no answer within 3 s" in found["benchlabd"].found
    assert found["cpu.psutil"].state == OK


def test_what_a_collector_that_hangs_has_started_ends_with_it(examine: Examine, tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    script = (
        "import subprocess, pathlib; p = subprocess.Popen(['sleep', '600']); "
        f"pathlib.Path({str(pids)!r}).write_text(str(p.pid)); p.wait()"
    )
    examine({"benchlabd": [sys.executable, "-c", script]}, timeout_s=6)
    give_up_s = time.monotonic() + 15
    while _runs(pids.read_text()):
        assert time.monotonic() < give_up_s
        time.sleep(0.02)


def _runs(pid: str) -> bool:
    try:
        return (Path("/proc") / pid / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("garbage", ["Segmentation fault\n", '{"ts_ns": "now"}\n', "\x00\x01\n", CPU + "half a li"])
def test_collector_that_prints_garbage_is_quoted(examine: Examine, garbage: str) -> None:
    check = examine({"telemetryd": says(garbage)})["telemetryd"]
    assert check.state == FAIL and "expected events" in check.found


def test_collector_that_prints_without_end_is_stopped_early(examine: Examine) -> None:
    floods = [sys.executable, "-c", "while True: print('x' * 65536)"]
    began = time.monotonic()
    check = examine({"telemetryd": floods}, timeout_s=60)["telemetryd"]
    assert time.monotonic() - began < 50
    assert check.state == FAIL and f"{MOST_BYTES:,} bytes" in check.found


def test_collector_that_crashes_is_a_failure_with_its_last_words(examine: Examine) -> None:
    check = examine({"telemetryd": [sys.executable, "-c", "raise ValueError('no such rail')"]})["telemetryd"]
    assert check.state == FAIL and "exit code 1: ValueError: no such rail" in check.found


def test_collector_that_refuses_gives_its_reason(examine: Examine) -> None:
    check = examine({"benchlabd": says("", 2, "benchlabd: cannot read /dev/ttyACM0\n")})["benchlabd"]
    assert (check.state, check.found) == (ABSENT, "cannot read /dev/ttyACM0")


def test_collector_that_cannot_be_started_does_not_end_the_doctor(examine: Examine) -> None:
    found = examine({"telemetryd": ["/nowhere/telemetryd"]})
    assert found["collectors"].state == FAIL and "/nowhere/telemetryd" in found["collectors"].found


def test_device_that_a_running_collector_holds_is_there(examine: Examine, tmp_path: Path) -> None:
    session = new_session(tmp_path / "data")
    clock = session.clock()
    writer = LogWriter(session.raw / "telemetry.jsonl", session.state / "telemetry.lock", clock=clock.now_ns)
    try:
        writer.start({})
        writer.write([Event(clock.now_ns(), "gpu.nvml", {"power_w": 1.0})])
        found = examine({"telemetryd": says(GPU_DOWN, 4)})
    finally:
        writer.stop()
    assert (found["gpu.nvml"].state, found["power of frames"].state) == (OK, OK)
    assert "raw/telemetry.jsonl" in found["gpu.nvml"].found


def test_configuration_with_an_error_is_a_finding_among_the_others(examine: Examine, tmp_path: Path) -> None:
    words = config(tmp_path, '[mux]\nwindow_s = "long"\n')
    found = examine({"telemetryd": says(CPU)}, *words)
    assert found["configuration"].state == FAIL and "mux.window_s" in found["configuration"].found
    assert (found["cpu.psutil"].state, found["writable"].state) == (OK, OK)


def test_variable_with_an_error_does_not_reach_the_collectors(examine: Examine) -> None:
    prints_it = "import os, sys; sys.exit('telemetryd: ' + os.environ.get('BENCHLAB_GENERAL_SAMPLE_HZ', 'unset'))"
    found = examine({"telemetryd": [sys.executable, "-c", prints_it]}, BENCHLAB_GENERAL_SAMPLE_HZ="often")
    assert "BENCHLAB_GENERAL_SAMPLE_HZ" in found["configuration"].found
    assert found["telemetryd"].found.endswith("telemetryd: unset")


def test_wrong_flag_is_a_usage_error(examine: Examine) -> None:
    with pytest.raises(Fault):
        examine({}, "--data-root", "")


def test_failure_is_exit_code_1_and_named_in_the_last_line(benchctl: Benchctl, tmp_path: Path) -> None:
    done = benchctl("doctor", *config(tmp_path, "[mux]\nwindow = 1\n"))
    assert done.returncode == 1
    assert "configuration" in done.stdout.splitlines()[-1]


def test_without_a_power_meter_frames_have_no_power_and_that_is_said(examine: Examine, tmp_path: Path) -> None:
    assert examine({"telemetryd": says(CPU)})["power of frames"].state == WARN
    assert examine({"telemetryd": says(GPU)})["power of frames"].found == "from gpu.nvml:power_w"
    words = config(tmp_path, '[mux]\npower_sources = [["gpu.nvml:power_w", "cpu.rapl:package_w"]]\n')
    assert examine({"telemetryd": says(GPU)}, *words)["power of frames"].state == FAIL


def test_pairs_made_by_order_bring_the_advice_to_stamp_frame(examine: Examine, tmp_path: Path) -> None:
    session = new_session(tmp_path / "data")
    row = {"ts_aligned_ns": 5, "source": "metric.latency", "kv": {"lat_ms": 1.0, "pair": ["a", "b"], "match": "order"}}
    (session.aligned / "latency.jsonl").write_bytes(encode_lines([row]))
    check = examine({})["pairing"]
    assert check.state == WARN and "stamp `frame`" in str(check.fix)


def test_session_that_cannot_be_read_is_told(examine: Examine, tmp_path: Path) -> None:
    session = new_session(tmp_path / "data")
    (session.dir / "session.json").write_text("{torn")
    assert "session.json" in examine({})["current"].found


@pytest.fixture
def held() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_port_held_by_another_process_is_a_failure_that_names_it(held: int) -> None:
    check = port_check(f"127.0.0.1:{held}", mux_pid=None)
    assert check.state == FAIL and f"(pid {os.getpid()})" in check.found
    assert "BENCHLAB_PROM" in str(check.fix)


def test_port_held_by_the_sessions_own_muxd_is_well(held: int) -> None:
    assert port_check(f"127.0.0.1:{held}", mux_pid=os.getpid()).state == OK
    assert port_check(f"127.0.0.1:{held}", mux_pid=1).state == FAIL
    assert port_check(f"127.0.0.1:{cli.free_port()}", mux_pid=1).state == OK


def test_address_that_is_not_of_this_machine_is_a_failure() -> None:
    assert port_check("192.0.2.1:9109", mux_pid=None).state == FAIL


def test_clock_that_is_not_synchronised_or_cannot_be_asked() -> None:
    assert [clock_check(asked).state for asked in (True, False, None)] == [OK, WARN, WARN]


def test_python_that_is_too_old() -> None:
    assert (python_check((3, 9, 2)).state, python_check((3, 10, 0)).state) == (FAIL, OK)


def test_data_root_that_is_not_there_yet_is_tried_where_it_would_be_and_not_made(tmp_path: Path) -> None:
    checks = {check.name: check for check in storage_checks(tmp_path / "a" / "b", 0)}
    assert checks["writable"].state == OK and str(tmp_path) in checks["writable"].found
    assert list(tmp_path.iterdir()) == []


def test_data_root_below_a_file_is_a_failure_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (check,) = [check for check in storage_checks(tmp_path / "file" / "data", 0) if check.name == "writable"]
    assert check.state == FAIL and "\n" not in check.found


def test_full_disk_is_told_before_it_is_full() -> None:
    assert space_check(2_000_000_000, 0).state == OK
    assert space_check(900_000_000, 0).state == WARN
    assert "at least 5.0 GB" in space_check(2_000_000_000, 5e9).found


def test_slow_disk_is_measured_and_told(tmp_path: Path) -> None:
    check = sync_check(tmp_path, "ext4", sync=lambda fd: time.sleep(0.4))
    assert check.state == WARN and "[general].fsync_s" in str(check.fix)
    assert "4 tries" in check.found  # it does not try for ever


def test_each_sync_is_of_bytes_that_were_just_appended(tmp_path: Path) -> None:
    sizes: list[int] = []
    sync_check(tmp_path, "ext4", sync=lambda fd: sizes.append(os.fstat(fd).st_size))
    assert sizes == [4096 * (n + 1) for n in range(len(sizes))] and len(sizes) > 5


def test_data_root_in_memory_is_told(tmp_path: Path) -> None:
    check = sync_check(tmp_path, "tmpfs", sync=lambda fd: None)
    assert check.state == WARN and "gone with the power" in check.found


def test_file_system_is_that_of_the_deepest_mount(tmp_path: Path) -> None:
    inner = tmp_path / "with space"
    inner.mkdir()
    (tmp_path / "self").mkdir()
    escaped = str(inner).replace(" ", "\\040")
    (tmp_path / "self/mountinfo").write_text(
        f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:5 / {escaped} rw shared:1 - nfs4 host:/x rw\n"
    )
    assert (filesystem_of(inner, tmp_path), filesystem_of(tmp_path, tmp_path)) == ("nfs4", "ext4")
    assert filesystem_of(inner, tmp_path / "none") == "an unknown file system"


def test_notification_is_tried_and_told_as_it_is(tmp_path: Path) -> None:
    with Watcher(tmp_path) as watcher:
        expected = WARN if watcher.polling else OK
    assert inotify_check(tmp_path).state == expected


def test_user_outside_of_the_data_roots_group_is_told_how_to_get_in(tmp_path: Path) -> None:
    (check,) = group_checks(tmp_path, uid=4711, groups=[4711], owner=lambda gid: "benchlab")
    assert check.state == WARN and "usermod -aG benchlab" in str(check.fix)
    (check,) = group_checks(tmp_path, uid=4711, groups=[tmp_path.stat().st_gid], owner=lambda gid: "benchlab")
    assert check.state == OK


def test_data_root_of_any_other_group_needs_no_membership(tmp_path: Path) -> None:
    def unknown(gid: int) -> str:
        return grp.getgrgid(2**31 - 7).gr_name

    assert list(group_checks(tmp_path, uid=4711, groups=[], owner=lambda gid: "users")) == []
    assert list(group_checks(tmp_path, uid=4711, groups=[], owner=unknown)) == []
