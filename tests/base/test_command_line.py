from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchlab import __version__, cli
from benchlab.cli import Context, collector_options, context, free_port, parser, port_owner
from benchlab.errors import Exit, Fault
from support.isolation import start_python


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], root.level, logging.raiseExceptions = handlers, level, raises


def parsed(*argv: str) -> argparse.Namespace:
    p = parser("telemetryd", "Samples the host.", "  telemetryd --once --json")
    collector_options(p)
    return p.parse_args(argv)


def in_context(tmp_path: Path, *argv: str, **env: str) -> Context:
    config = tmp_path / "config.toml"
    config.touch()
    return context(parsed("--config", str(config), *argv), env={"HOME": str(tmp_path), **env})


def test_help_has_the_examples_as_they_were_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed("--help")
    assert caught.value.code == 0
    assert "examples:\n  telemetryd --once --json\n" in capsys.readouterr().out


def test_version_is_the_products(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--version")
    assert capsys.readouterr().out == f"telemetryd {__version__}\n"


@pytest.mark.parametrize("argv", [["--hertz", "5"], ["--sess", "dev"], ["--log-level", "loud"], ["dev"]])
def test_unknown_or_abbreviated_option_is_a_usage_error(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(*argv)
    assert caught.value.code == Exit.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("telemetryd: ") and said.err.count("\n") == 1


def test_collectors_have_the_same_options() -> None:
    args = parsed("--stream", "b", "--once", "--json", "--source", "x", "--source", "y", "--root", "/r", "--simulate")
    assert (args.stream, args.source, args.root) == ("b", ["x", "y"], Path("/r"))
    assert args.once and args.json and args.simulate
    assert (parsed().stream, parsed().source, parsed().root) == (None, None, Path("/"))
    assert not parsed().once and not parsed().json and not parsed().simulate


def test_session_is_the_flag_then_the_variable_then_current(tmp_path: Path) -> None:
    assert in_context(tmp_path).session_name == "current"
    assert in_context(tmp_path, BENCHLAB_SESSION="night").session_name == "night"
    assert in_context(tmp_path, "--session", "dev", BENCHLAB_SESSION="night").session_name == "dev"


def test_data_root_flag_goes_before_the_variable(tmp_path: Path) -> None:
    assert in_context(tmp_path, BENCHLAB_DATA_ROOT="/e").data_root == Path("/e")
    found = in_context(tmp_path, "--data-root", "/f", BENCHLAB_DATA_ROOT="/e")
    assert found.data_root == Path("/f")
    assert found.loaded.origin["general.data_root"] == "flag --data-root"


def test_flags_of_a_program_are_part_of_its_configuration(tmp_path: Path) -> None:
    args = parsed()
    found = context(args, {"general.sample_hz": (20.0, "--hz")}, env={"HOME": str(tmp_path), "BENCHLAB_SAMPLE_HZ": "5"})
    assert found.config.general.sample_hz == 20
    with pytest.raises(Fault, match="flag --hz") as caught:
        context(args, {"general.sample_hz": (0.0, "--hz")}, env={"HOME": str(tmp_path)})
    assert caught.value.code is Exit.USAGE


def test_json_log_is_one_object_a_line_whatever_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    cli.setup_logging("info", "json")
    log = logging.getLogger("muxd")
    log.info("two\nlines and \u2028 %s", "\x00")
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("failed")
    log.debug("not told")
    out, err = capsys.readouterr()
    said = [json.loads(line) for line in err.split("\n")[:-1]]
    assert out == ""
    assert [(s["level"], s["logger"], s["message"]) for s in said] == [
        ("info", "muxd", "two\nlines and \u2028 \x00"),
        ("error", "muxd", "failed"),
    ]
    assert "ValueError: why" in said[1]["exception"]
    assert said[0]["time"].endswith("+00:00")


def test_text_log_is_on_stderr_only(capsys: pytest.CaptureFixture[str]) -> None:
    cli.setup_logging("warning", "text")
    logging.getLogger("muxd").warning("slow")
    logging.getLogger("muxd").info("not told")
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.endswith("WARNING muxd: slow\n")


def ended_by(error: BaseException) -> int:
    @cli.run
    def main(argv: list[str] | None = None) -> int:
        raise error

    return main([])


def test_fault_is_one_line_and_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended_by(Fault("raw/a.jsonl is held", Exit.IO)) == 5
    assert capsys.readouterr() == ("", "test_command_line: raw/a.jsonl is held\n")


def test_fault_is_json_where_the_log_is(capsys: pytest.CaptureFixture[str]) -> None:
    cli.setup_logging("info", "json")
    assert ended_by(Fault("no such device", Exit.NO_DEVICE)) == 4
    said = json.loads(capsys.readouterr().err)
    assert (said["level"], said["message"]) == ("error", "no such device")


def test_disk_error_nobody_foresaw_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended_by(OSError(28, "No space left on device", "/data/x")) == Exit.IO
    assert capsys.readouterr().err == "test_command_line: /data/x: No space left on device\n"


def test_interruption_is_130_and_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended_by(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "")


def test_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        ended_by(ZeroDivisionError())


def test_code_of_a_program_that_ends_by_itself_is_its_own() -> None:
    @cli.run
    def main(argv: list[str] | None = None) -> int:
        return 1

    assert main() == 1


@pytest.mark.parametrize(
    ("module", "script", "name"),
    [
        ("muxd.main", "x", "muxd"),
        ("pipeline_probes.r5c_capture", "x", "r5c_capture"),
        ("__main__", "apps/muxd/main.py", "muxd"),
        ("__main__", "apps/pipeline_probes/r5c_capture.py", "r5c_capture"),
        ("__main__", "/venv/bin/telemetryd", "telemetryd"),
    ],
)
def test_program_names_itself_as_its_user_called_it(
    module: str, script: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(argv: list[str] | None = None) -> int:
        raise Fault("x")

    main.__module__ = module
    monkeypatch.setattr(sys, "argv", [script])
    assert cli.run(main)([]) == 5
    assert capsys.readouterr().err == f"{name}: x\n"


MANY_LINES = """
from benchlab import cli
@cli.run
def main(argv=None):
    for n in range(100_000):
        print(n)
    return 1
raise SystemExit(main())
"""


def test_reader_of_stdout_that_goes_away_is_no_error() -> None:
    process = start_python(MANY_LINES)
    assert process.stdout and process.stderr and process.stdin
    assert process.stdout.readline() == "0\n"
    process.stdout.close()
    assert (process.wait(timeout=60), process.stderr.read()) == (0, "")
    process.stderr.close()
    process.stdin.close()


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_owner_of_a_port_is_named_with_its_pid(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen()
        port = server.getsockname()[1]
        comm = Path("/proc/self/comm").read_text().strip()
        assert port_owner(port) == f"{comm} (pid {os.getpid()})"
    assert port_owner(port) is None


def test_port_that_is_free_has_no_owner_and_can_be_bound() -> None:
    port = free_port()
    assert port_owner(port) is None
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))


def test_owner_we_may_not_look_at_is_unknown_not_an_error(tmp_path: Path) -> None:
    net = tmp_path / "proc/net"
    net.mkdir(parents=True)
    row = "0: 0100007F:2395 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4242 1 0 100 0 0 10 0"
    (net / "tcp").write_text(f"  sl  local_address\n   {row}\n")
    assert port_owner(0x2395, tmp_path) is None
    fd = tmp_path / "proc/77/fd"
    fd.mkdir(parents=True)
    (fd / "3").symlink_to("socket:[4242]")
    assert port_owner(0x2395, tmp_path) == "a process (pid 77)"
    (tmp_path / "proc/77/comm").write_text("prometheus\n")
    assert port_owner(0x2395, tmp_path) == "prometheus (pid 77)"
    assert port_owner(0x2396, tmp_path) is None
