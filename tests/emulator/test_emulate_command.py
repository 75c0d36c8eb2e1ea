"""benchctl emulate as a program: where it says the device is, what it obeys, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchlab.boards.benchlab import ORIGINAL, Contract
from support.processes import Run, Start, ended, until
from support.serial_host import Host
from support.tree import REPOSITORY, program_env

Open = Callable[..., Host]
VENDOR = b"\xee\x10\x06"
SCRIPT = REPOSITORY / "scripts" / "benchlab_emulator.py"


def emulate(start: Start, *args: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start the emulator and return it with the path that it tells."""
    process = start("benchctl", "emulate", "benchlab", "--latency-ms", "0", "--no-push", *args)
    assert process.stdout is not None
    return process, process.stdout.readline().decode().strip()


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    code, _, err = ended(process)
    return code, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_path_is_told_and_the_link_goes_with_the_program(start: Start, host: Open, tmp_path: Path, number: int) -> None:
    link = tmp_path / "ttyBENCHLAB0"
    process, path = emulate(start, "--link", str(link))
    assert path == str(link)
    assert host(link).ask(b"\x0e", 3) == VENDOR
    code, err = stop(process, number)
    assert code == 0
    assert f"benchlabd --device {link}" in err
    assert not os.path.lexists(link)


def test_forbidden_command_is_told_and_is_the_exit_code(start: Start, host: Open) -> None:
    process, path = emulate(start)
    port = host(path)
    port.send(b"\x02\0\0\0\0")

    def was_refused() -> bool:
        port.send(b"\x14")
        answer: bytes = port.read(1, patience_s=1.0)
        return answer == b"\x04"

    until(was_refused)  # not at once, where both came in one packet
    returned, err = stop(process)
    assert returned == 1
    assert "a monitoring program sent 0x02 ACTION; it was not obeyed" in err


def test_faults_are_obeyed_from_stdin_and_its_end_is_not_the_end(host: Open, tmp_path: Path) -> None:
    link = tmp_path / "tty"
    options = ["--latency-ms", "0", "--no-push", "--link", str(link)]
    command = [sys.executable, str(SCRIPT), *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=program_env(), **pipes) as process:  # type: ignore[call-overload]
        try:
            assert process.stdout.readline().decode().strip() == str(link)
            process.stdin.write(b"short 2\nnonsense\nunplug inf\n")
            process.stdin.flush()
            until(lambda: not os.path.lexists(link))
            process.stdin.write(b"replug\n")
            process.stdin.close()
            until(link.exists)
            port = host(link)
            assert port.ask(b"\x0e", 1) == VENDOR[:1]  # two bytes short, as was asked for before
            assert port.ask(b"\x0e", 3) == VENDOR
            process.terminate()
            assert process.wait(60) == 0
            assert b"fault: found 'nonsense', expected one of late, short" in process.stderr.read()
        finally:
            process.kill()


def test_given_values_are_shown(start: Start, host: Open, tmp_path: Path) -> None:
    values = tmp_path / "values.json"
    values.write_text(json.dumps({"eps1": {"v": 12.1, "a": 2.0, "w": 24.2}, "ts1_c": 31.5}))
    process, path = emulate(start, "--values", str(values))
    frame = Contract(ORIGINAL, 6).decode(host(path).ask(b"\x01", 216))
    assert (tuple(frame.rails[0]), frame.sensors[0]) == ((12_100, 2000, 24_200), 315)
    assert stop(process)[0] == 0


def test_program_ends_with_its_recording(start: Start, host: Open) -> None:
    sample = REPOSITORY / "data" / "sample" / "benchlab.jsonl"
    process, path = emulate(start, "--replay", str(sample), "--speed", "20")
    frame = Contract(ORIGINAL, 6).decode(host(path).ask(b"\x01", 216))
    assert sum(rail.mw for rail in frame.rails) > 100_000
    code, _, _ = ended(process)
    assert code == 0


def test_program_ends_after_its_duration(run: Run) -> None:
    done = run("benchctl", "emulate", "benchlab", "--duration", "0.3", "--product", "pmd2")
    assert done.returncode == 0
    assert done.stdout.startswith("/dev/pts/")
    assert "PMD2 firmware 0" in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--product", "evc2"], 2, "invalid choice: 'evc2'"),
        (["--firmware", "7"], 2, "firmware of a BENCHLAB: found 7, expected 1 to 6"),
        (["--uid", "123"], 2, "uid: found '123', expected 24 hexadecimal digits"),
        (["--fault", "shrt@1"], 2, "found 'shrt', expected one of late, short"),
        (["--fault", "short"], 2, "found 'short', expected NAME[:AMOUNT]@SECONDS"),
        (["--latency-ms", "-1"], 2, "found '-1', expected a number of at least 0"),
        (["--latency-ms", "5", "--p99-ms", "4"], 2, "expected 0 < median <= p99, found median 5 and p99 4"),
        (["--duration", "0"], 2, "found '0', expected a number above 0"),
        (["--speed", "2"], 2, "expected --replay FILE"),
        (["--loop"], 2, "expected --replay FILE"),
        (["--values", "a.json", "--replay", "b.jsonl"], 2, "not allowed with"),
        (["--values", "missing.json"], 5, "missing.json: No such file or directory"),
        (["--replay", "missing.jsonl"], 5, "missing.jsonl: No such file or directory"),
        (["--values", "bad.json"], 5, "bad.json: eps1_v: found 99, expected a number from -32.768 to 32.767"),
        (["--values", "strange.json"], 5, "strange.json: warp_v: a BENCHLAB firmware 6 does not show this"),
        (["--values", "list.json"], 5, "list.json: "),
        (["--replay", "bad.json"], 5, "bad.json: found no reading that a BENCHLAB firmware 6 could show"),
        (["--link", "bad.json"], 5, "bad.json: found a file, expected no file"),
        (["--link", "nowhere/tty"], 5, "nowhere/tty: cannot be made: No such file"),
    ],
)
def test_bad_input_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, args: list[str], code: int, message: str
) -> None:
    (tmp_path / "bad.json").write_text('{"eps1_v": 99}')
    (tmp_path / "strange.json").write_text('{"warp_v": 1}')
    (tmp_path / "list.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    done = run("benchctl", "emulate", "benchlab", "--duration", "0.1", *args)
    last = done.stderr.strip().splitlines()[-1]
    assert (done.returncode, done.stdout) == (code, "")
    assert message in last
    assert "Traceback" not in done.stderr
