"""``--check``: every rule of docs/CAPFRAMEX.md, broken on purpose, is found where it is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cx_exporter.check import findings
from cx_exporter.main import main
from cx_exporter.rules import Finding

FIXTURES = Path(__file__).parent.parent / "fixtures" / "capframex"

Edit = Callable[[str], str]


def judged(path: Path) -> list[Finding]:
    return [finding for finding in findings(path) if not finding.note]


def edited(tmp_path: Path, edit: Edit, source: str = "latency.csv") -> Path:
    path = tmp_path / source
    path.write_text(edit((FIXTURES / source).read_text()), newline="")
    return path


def on_row(old: str, new: str) -> Edit:
    """Return an edit of the third data row."""

    def edit(text: str) -> str:
        lines = text.splitlines(keepends=True)
        at = next(i for i, line in enumerate(lines) if line.startswith("Application")) + 3
        assert old in lines[at]
        lines[at] = lines[at].replace(old, new, 1)
        return "".join(lines)

    return edit


def swap(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def no_metadata(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("//"))


def first_rows(count: int) -> Edit:
    return lambda text: "".join(text.splitlines(keepends=True)[:count])


BROKEN: list[tuple[str, Edit, str]] = [
    ("columns not led by Application", swap("Application,ProcessID", "ProcessID,Application"), "expected Application"),
    ("application in lower case", swap("Application,ProcessID", "application,ProcessID"), "expected Application"),
    ("no Dropped", swap(",Dropped,", ",Lost,"), "no column Dropped"),
    ("no MsBetweenDisplayChange", swap("msBetweenDisplayChange", "x"), "no column MsBetweenDisplayChange"),
    ("semicolons", lambda t: t.replace(",", ";"), "separated by commas"),
    ("case of TimeInSeconds", swap("TimeInSeconds", "timeInSeconds"), "knows it only as TimeInSeconds"),
    ("case of PresentMode", swap("PresentMode", "presentmode"), "knows it only as PresentMode"),
    ("forty lines with metadata", first_rows(40), "40 lines"),
    ("twenty lines without", lambda t: first_rows(20)(no_metadata(t)), "20 lines"),
    ("comma in the application", on_row("Vantage:Pipeline", "Vantage, Pipeline"), "a comma inside a value"),
    ("quoted application", on_row("Vantage:Pipeline", '"Vantage"'), "no quoting"),
    ("decimal comma", on_row("0.040000000", "0,040000000"), "a comma inside a value"),
    ("Dropped is True", on_row(",0,0,0,0.04", ",0,0,True,0.04"), "Dropped is 'True'"),
    ("Dropped is NA", on_row(",0,0,0,0.04", ",0,0,NA,0.04"), "Dropped is 'NA'"),
    ("Dropped is 2", on_row(",0,0,0,0.04", ",0,0,2,0.04"), "Dropped is '2'"),
    ("frame time zero", on_row(",0,12.000000,0,Other", ",0,0.0,0,Other"), "MsBetweenPresents is '0.0'"),
    ("frame time negative", on_row(",0,12.000000,0,Other", ",0,-1,0,Other"), "MsBetweenPresents is '-1'"),
    ("frame time NaN", on_row(",0,12.000000,0,Other", ",0,NaN,0,Other"), "MsBetweenPresents is 'NaN'"),
    ("frame time NA", on_row(",0,12.000000,0,Other", ",0,NA,0,Other"), "MsBetweenPresents is 'NA'"),
    ("time is no number", on_row("0.040000000", "later"), "TimeInSeconds is 'later'"),
    ("missing value as NA", on_row(",12.000000,20.000000,", ",NA,20.000000,"), "MsUntilDisplayed is 'NA'"),
    ("blank line at the end", lambda t: t + "\n", "a frame of 0 ms"),
    ("blank line within", on_row("Vantage", "\nVantage"), "a frame of 0 ms"),
    ("no newline at the end", lambda t: t.rstrip("\n"), "no newline"),
    ("a torn row", lambda t: t[:-30] + "\n", "a torn row"),
    ("comment with #", on_row("Vantage", "# note\nVantage"), "'#'"),
    ("ignored on purpose", lambda t: "//Ignore=true\n" + t, "passes over"),
    ("metadata without =", lambda t: "//Note\n" + t, "without '='"),
    ("a key twice", lambda t: "//OS=other\n" + t, "key OS again"),
    ("RecordTime no number", swap("RecordTime=0.780000", "RecordTime=short"), "RecordTime is 'short'"),
    ("a second =", swap("//OS=Debian 12", "//OS=Debian=12"), "cut at its '='"),
    ("// in a value", swap("//OS=Debian 12", "//OS=Debian // 12"), "is deleted"),
    ("no Comment", lambda t: t.replace("//Comment=", "//Remark="), "no metadata Comment"),
    ("date in another form", swap("CreationDate=2025-11-22", "CreationDate=22.11.2025"), "expected yyyy-MM-dd"),
    ("time in another form", swap("CreationTime=08:26:40", "CreationTime=8:26"), "expected HH:mm:ss"),
    ("nothing in it", lambda t: "", "no column line"),
]


@pytest.mark.parametrize(("edit", "reason"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_a_broken_rule_is_found(tmp_path: Path, edit: Edit, reason: str) -> None:
    assert any(reason in finding.reason for finding in judged(edited(tmp_path, edit)))


def test_a_finding_names_its_line(tmp_path: Path) -> None:
    path = edited(tmp_path, on_row(",0,12.000000,0,Other", ",0,0,0,Other"))
    (finding,) = judged(path)
    assert path.read_text().splitlines()[finding.line - 1].split(",")[9] == "0"


def test_a_last_row_without_a_time_rejects_the_whole_file(tmp_path: Path) -> None:
    path = edited(tmp_path, lambda t: t.replace("0.780000000", "NA"))
    assert any("the whole file is rejected" in finding.reason for finding in judged(path))


@pytest.mark.parametrize("name", ["latency.csv", "interval.csv", "latency.json", "interval.json", "presentmon_v1.csv"])
def test_files_that_import_are_passed(name: str) -> None:
    assert judged(FIXTURES / name) == []


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: t.replace("\n", "\r\n"),
        lambda t: "\ufeff" + t,
        no_metadata,
        swap("msBetweenPresents", "MSBETWEENPRESENTS"),
    ],
    ids=["CRLF", "BOM", "no metadata", "any case"],
)
def test_what_capframex_bears_is_passed(tmp_path: Path, edit: Edit) -> None:
    assert judged(edited(tmp_path, edit)) == []


def test_several_swap_chains_are_noted_with_what_survives() -> None:
    (note,) = findings(FIXTURES / "presentmon_v1.csv")
    assert note.note
    assert "keeps 18 of 24 rows, game.exe" in note.reason


def test_five_columns_of_the_old_contract_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    rows = "0.016667,11.200,0,Vantage:Pipeline,248.50\n" * 30
    path.write_text("TimeInSeconds,MsBetweenPresents,Dropped,Application,Note_Power_W\n" + rows)
    assert len(judged(path)) == 2


@pytest.mark.parametrize("name", ["x-stats.csv", "FrameView_Summary.csv", "x.CSV", "x.csv.tmp"])
def test_names_that_are_passed_over_are_found(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes((FIXTURES / "latency.csv").read_bytes())
    assert [finding.line for finding in judged(path)] == [0]


def test_two_files_of_the_same_rows_are_one_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twin = edited(tmp_path, swap("//Session=dev", "//Session=prod"))
    assert main(["--check", str(FIXTURES / "latency.csv"), str(twin)]) == 1
    assert f"{twin}: has the same rows as" in capsys.readouterr().out


def put(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change of one place in a document; ``...`` removes it."""

    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in keys[:-1]:
            place = place[key]
        if value is ...:
            del place[keys[-1]]
        else:
            place[keys[-1]] = value

    return change


RUN = ("Runs", 0)
DATA = (*RUN, "CaptureData")
SENSORS = (*RUN, "SensorData2")
BROKEN_JSON: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (put("Hash", value=None), "Hash: missing"),
    (put("Hash", value=""), "Hash: missing"),
    (put("Info", value=...), "never listed"),
    (put("Info", "AppVersion", value=None), "null is fatal"),
    (put("Info", "Id", value="17"), "expected a GUID"),
    (put("Info", "CreationDate", value="yesterday"), "ISO 8601"),
    (put("Info", "GPU", value=...), "Info.GPU"),
    (put("Runs", value=[]), "at least one run"),
    (put("Runs", 0, value=7), "no object"),
    (put(*RUN, "Hash", value=...), "Runs[0].Hash"),
    (put(*RUN, "CaptureData", value=...), "no frames"),
    (put(*DATA, "AnimationError", value=...), "AnimationError: missing"),
    (put(*DATA, "TimeInSeconds", value=[0.0]), "different length"),
    (put(*DATA, "MsBetweenPresents", 3, value=0), "MsBetweenPresents[3] is 0"),
    (put(*DATA, "MsBetweenPresents", 3, value=-1.5), "MsBetweenPresents[3] is -1.5"),
    (put(*DATA, "MsBetweenPresents", 3, value=None), "MsBetweenPresents[3] is None"),
    (put(*DATA, "Dropped", 3, value="no"), "Dropped[3]"),
    (put(*DATA, "PresentMode", 3, value=9.5), "PresentMode[3]"),
    (put(*RUN, "SensorData2", value=...), "averages read NaN"),
    (put(*SENSORS, "BetweenMeasureTime", value=...), "BetweenMeasureTime: missing"),
    (put(*SENSORS, "MeasureTime", "Type", value="Power"), "expected Time"),
    (put(*SENSORS, "gpu/power", "Values", value=[1.0]), "1 values for 2 times"),
    (put(*SENSORS, "gpu/power", "Name", value=...), "Name: missing"),
    (put(*RUN, "PmdGpuPower", 0, value=None), "PmdGpuPower[0] is None"),
    (put(*RUN, "PmdGpuPower", value=4), "no array"),
    (put(*RUN, "SampleTime", value=0), "SampleTime is 0"),
    (put(*RUN, "SampleTime", value=99.5), "SampleTime is 99.5"),
]


@pytest.mark.parametrize(("change", "reason"), BROKEN_JSON, ids=[reason for _, reason in BROKEN_JSON])
def test_a_broken_document_is_found(tmp_path: Path, change: Callable[[dict[str, Any]], None], reason: str) -> None:
    document = json.loads((FIXTURES / "latency.json").read_text())
    change(document)
    path = tmp_path / "x.json"
    path.write_text(json.dumps(document))
    assert any(reason in finding.reason for finding in judged(path))


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b'{"Hash":\n}', 2, "no JSON"),
        (b'{"Hash": NaN}', 0, "NaN is no number"),
        (b"\xff\xfe{}", 0, "no UTF-8"),
        (b"[]", 1, "no object"),
        (b"", 1, "no JSON"),
        (b"[" * 100_000, 0, "nested"),
    ],
)
def test_what_is_no_document_is_one_finding(tmp_path: Path, content: bytes, line: int, reason: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    (finding,) = judged(path)
    assert finding.line == line
    assert reason in finding.reason


def test_exit_code_and_one_finding_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = edited(tmp_path, on_row(",0,12.000000,0,Other", ",0,0,0,Other"))
    assert main(["--check", str(path)]) == 1
    (told,) = capsys.readouterr().out.splitlines()
    assert told.startswith(f"{path}:21: MsBetweenPresents")
    assert main(["--check", str(FIXTURES / "latency.csv")]) == 0


def test_findings_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = edited(tmp_path, swap(",Dropped,", ",Lost,"))
    assert main(["--check", str(path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert told["findings"][0]["line"] == 18


def test_a_thousand_findings_are_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = edited(tmp_path, lambda t: t + "\n" * 5000)
    assert main(["--check", str(path)]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1001


def test_a_missing_file_is_an_io_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(tmp_path / "no.csv")]) == 5
    assert "no.csv: cannot be read" in capsys.readouterr().err
