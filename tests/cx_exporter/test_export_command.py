"""The command line: the seeds' own lines, defaults, refusals, exit codes, and what is told."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cx_exporter.main import main
from support.capframex_reader import read_csv, read_json
from support.cx_sessions import MS, START_NS, Recording, drop, frame, steady
from support.tree import REPOSITORY, program_env

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recording:
    for name in ("CX_APP", "CX_STAGE_A", "CX_STAGE_B", "BENCHLAB_SESSION", "BENCHLAB_DATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    made = Recording(tmp_path / "data")
    made.aligned(steady(50))
    return made


def arguments(recording: Recording, *args: str) -> list[str]:
    return ["--data-root", str(recording.data_root), "--session", "dev", *args]


def refusal(recording: Recording, capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    """Run and return exit code and what was told; nothing may be left half written."""
    code = main(arguments(recording, *args))
    said = capsys.readouterr()
    assert said.out == ""
    assert not list(recording.data_root.rglob("*.tmp"))
    return code, said.err


def test_the_quickstart_line_works_as_a_script(recording: Recording, tmp_path: Path) -> None:
    out = tmp_path / "presentmon.csv"
    line = ["--session", "dev", "--stage-a", "ingress", "--stage-b", "encoded", "--out", str(out)]
    env = program_env(BENCHLAB_DATA_ROOT=str(recording.data_root))
    done = subprocess.run(
        [sys.executable, "apps/cx_exporter/main.py", *line], cwd=REPOSITORY, env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.splitlines()) == (0, [str(out), str(out.with_suffix(".json"))])
    assert len(read_csv(out).frame_ms) == 50


def test_a_relative_out_goes_into_the_working_folder(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recording.data_root)
    assert main(arguments(recording, "--out", "presentmon_demo.csv")) == 0
    assert (recording.data_root / "presentmon_demo.csv").is_file()


def test_the_default_is_a_csv_and_a_json_in_the_session(recording: Recording) -> None:
    assert main(arguments(recording)) == 0
    names = sorted(path.name for path in (recording.dir / "cx-export").iterdir())
    assert names == ["ingress_to_encoded.csv", "ingress_to_encoded.json"]


@pytest.mark.parametrize(("chosen", "suffixes"), [("csv", [".csv"]), ("json", [".json"]), ("both", [".csv", ".json"])])
def test_format_chooses_what_is_written(recording: Recording, chosen: str, suffixes: list[str]) -> None:
    assert main(arguments(recording, "--format", chosen)) == 0
    assert sorted(path.suffix for path in (recording.dir / "cx-export").iterdir()) == suffixes


def test_environment_names_stages_and_application(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    recording.aligned(steady(50, pair=("encoded", "inference_done")))
    monkeypatch.setenv("CX_STAGE_A", "encoded")
    monkeypatch.setenv("CX_STAGE_B", "inference_done")
    monkeypatch.setenv("CX_APP", "Lab: Clinic")
    assert main(arguments(recording)) == 0
    csv = read_csv(recording.dir / "cx-export" / "encoded_to_inference_done.csv")
    assert csv.metadata["ProcessName"] == "Lab: Clinic"


@pytest.mark.parametrize("name", ["Vantage, Inc", 'Van"tage', "", "   ", "two\nlines"])
def test_an_application_that_breaks_rows_is_refused(
    recording: Recording, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    code, said = refusal(recording, capsys, "--application", name)
    assert code in (2, 3)
    assert said.count("\n") == 1
    assert "application" in said


def test_a_comma_in_the_application_is_named(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refusal(recording, capsys, "--application", "A,B")
    assert code == 2
    assert "'A,B': found a comma, expected none" in said


@pytest.mark.parametrize(
    "bounds",
    [
        ("--from", "-1"),
        ("--from", "yesterday"),
        ("--to", "nan"),
        ("--to", "inf"),
        ("--from", "5", "--to", "5"),
        ("--from", "5", "--to", "1"),
        ("--from", "2025-13-01T00:00:00Z"),
        ("--from", "2025-11-22T09:00:00Z", "--to", "2025-11-22T08:00:00Z"),
    ],
)
def test_bounds_that_make_no_stretch_of_time_are_refused(
    recording: Recording, capsys: pytest.CaptureFixture[str], bounds: tuple[str, ...]
) -> None:
    code, said = refusal(recording, capsys, *bounds)
    assert code == 2
    assert "--from" in said or "--to" in said


@pytest.mark.parametrize("name", ["x.txt", "x-stats.csv", "FrameView_Summary.csv", "x.CSV"])
def test_names_that_capframex_passes_over_are_refused(
    recording: Recording, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    code, said = refusal(recording, capsys, "--out", str(recording.data_root / name))
    assert code == 2
    assert name in said


def test_a_missing_folder_is_named(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refusal(recording, capsys, "--out", str(recording.data_root / "no" / "x.csv"))
    assert code == 5
    assert str(recording.data_root / "no") in said


def test_an_absent_pair_is_told_with_those_there_are(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refusal(recording, capsys, "--stage-b", "displayed")
    assert code == 1
    assert "no row of ingress to displayed in session dev: it has ingress to encoded (50 frames)" in said
    assert refusal(recording, capsys, "--stage-b", "displayed", "--from", "1")[0] == 1


def test_an_empty_stretch_is_told(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refusal(recording, capsys, "--from", "1000")
    assert code == 1
    assert "in this stretch of time" in said


def test_a_session_without_aligned_rows_is_told_what_to_run(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    (recording.dir / "aligned" / "latency.jsonl").unlink()
    code, said = refusal(recording, capsys)
    assert code == 1
    assert "muxd --session dev --pair ingress encoded --once" in said


def test_nothing_but_drops_is_no_capture(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    recording.aligned([drop(START_NS + i * MS) for i in range(50)])
    code, said = refusal(recording, capsys)
    assert code == 1
    assert "no completed frame of ingress to encoded: found 50 dropped" in said


def test_one_frame_makes_no_interval(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    recording.aligned(steady(1))
    code, said = refusal(recording, capsys, "--metric", "interval")
    assert code == 1
    assert "no interval to write" in said


def test_too_short_a_capture_exits_1_and_writes_the_json_all_the_same(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    recording.aligned(steady(5))
    assert main(arguments(recording, "--format", "csv")) == 1
    said = capsys.readouterr()
    (only,) = (recording.dir / "cx-export").iterdir()
    assert said.out.strip() == str(only)
    assert "5 rows: too few" in said.err
    assert read_json(only).frame_ms == [10.5] * 5


def test_the_shortest_csv_that_is_written_is_listed(recording: Recording) -> None:
    codes = []
    for count in range(15, 45):
        recording.aligned(steady(count))
        codes.append(main(arguments(recording)))
        if codes[-1] == 0:
            read_csv(recording.dir / "cx-export" / "ingress_to_encoded.csv")
    assert codes == sorted(codes, reverse=True)
    assert {0, 1} == set(codes)


def test_an_older_csv_that_stays_is_mentioned(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(recording)) == 0
    recording.aligned(steady(5))
    assert main(arguments(recording)) == 1
    assert "the ingress_to_encoded.csv that is there is an older one" in capsys.readouterr().err


def test_an_open_session_is_exported_up_to_a_time_that_is_told(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    recording.describe(closed=False)
    assert main(arguments(recording)) == 0
    told = "the session is open: exported up to 2025-11-22T08:26:40.784Z"
    assert told in capsys.readouterr().err
    assert told in read_csv(recording.dir / "cx-export" / "ingress_to_encoded.csv").metadata["Comment"]


def test_provisional_rows_are_taken_and_told(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    recording.vouch(length=200)
    assert main(arguments(recording)) == 0
    assert "the last rows are provisional" in capsys.readouterr().err


def test_bad_lines_and_unusable_rows_are_counted_and_skipped(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    odd: list[object] = [-1.0, None, "fast", True, [1], 1e300]
    path = recording.aligned(steady(50) + [frame(START_NS + i, value) for i, value in enumerate(odd)])
    path.write_bytes(b"{torn\n" + path.read_bytes() + b"\xff\xfe\n" + b'{"ts_aligned_ns":1,"source":"metric.laten')
    assert main(arguments(recording)) == 0
    assert "2 bad lines of latency.jsonl skipped" in capsys.readouterr().err
    csv = read_csv(recording.dir / "cx-export" / "ingress_to_encoded.csv")
    assert csv.frame_ms == [10.5] * 50
    assert "6 rows without a usable time or latency left out" in csv.metadata["Comment"]


def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from cx_exporter.main import main
from support.cx_sessions import Recording, steady
root = Path(sys.argv[1])
made = Recording(root / "data"); made.aligned(steady(50))
out = root / "full" / "x.csv"
out.write_text("old")
code = main(["--data-root", str(made.data_root), "--session", "dev", "--out", str(out)])
print(code, out.read_text(), sorted(p.name for p in out.parent.iterdir()))
"""
    (tmp_path / "full").mkdir()
    again = shlex.join([sys.executable, "-", str(tmp_path)])
    mount = f"mount -t tmpfs -o size=4k none {shlex.quote(str(tmp_path / 'full'))} && exec {again}"
    env = program_env()
    env["PYTHONPATH"] += f":{REPOSITORY / 'tests'}"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", mount], input=script, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "5 old ['x.csv']", done.stderr
    assert "x.csv: cannot be written: No space left on device" in done.stderr


def test_json_report_tells_files_and_counts(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    recording.aligned([*steady(50), drop(START_NS + 5 * MS)])
    assert main(arguments(recording, "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["frames"], report["dropped"], report["rows"]) == (50, 1, 51)
    assert Path(report["csv"]).is_file()
    assert report["problems"] == []


def test_python_m_runs_it_and_help_shows_examples(run: Run) -> None:
    done = run("cx_exporter", "--help")
    assert done.returncode == 0
    assert "--metric interval --drops omit" in done.stdout


def test_a_closed_pipe_and_no_terminal_leave_no_progress_bar(recording: Recording, run: Run) -> None:
    done = run("cx_exporter", *arguments(recording))
    assert "\x1b[" not in done.stderr
