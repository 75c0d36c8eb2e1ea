"""config show: every value, and where it came from."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchlab.config import KEYS
from benchlab.config_lines import key_lines

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Benchctl = Callable[..., "subprocess.CompletedProcess[str]"]

CONFIG = """\
# the lab's
[general]
sample_hz = 20

[mux]
power_sources = [
  # window_s = 7 is no key here
  ["gpu.nvml:power_w"],
]
window_s = 3.5
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lab.toml"
    path.write_text(CONFIG)
    return path


def test_every_key_is_shown_and_what_is_shown_is_a_configuration(benchctl: Benchctl, file: Path) -> None:
    done = benchctl("config", "show", "--origin", "--config", str(file))
    shown = tomllib.loads(done.stdout)
    assert {f"{section}.{key}" for section, keys in shown.items() for key in keys} == set(KEYS)
    assert (shown["mux"]["window_s"], shown["general"]["sample_hz"]) == (3.5, 20.0)


def test_shown_configuration_gives_the_same_one_again(benchctl: Benchctl, file: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.toml"
    again.write_text(benchctl("config", "show", "--config", str(file)).stdout)
    digests = [
        json.loads(benchctl("config", "show", "--json", "--config", str(f)).stdout)["digest"] for f in (file, again)
    ]
    assert digests[0] == digests[1]


def test_each_of_the_four_origins_is_named(
    benchctl: Benchctl, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHLAB_RETENTION_DAYS", "30")
    words = ("config", "show", "--config", str(file), "--data-root", str(tmp_path / "data"))
    settings = json.loads(benchctl(*words, "--json").stdout)["settings"]
    told = {key: (s["value"], s["origin"], s["where"], s["line"]) for key, s in settings.items()}
    assert told["general.data_root"] == (str(tmp_path / "data"), "flag", "--data-root", None)
    assert told["retention.days"] == (30, "environment", "BENCHLAB_RETENTION_DAYS", None)
    assert told["mux.window_s"] == (3.5, "file", str(file), 10)
    assert told["mux.lateness_ms"] == (2500, "default", None, None)
    text = benchctl(*words, "--origin").stdout
    assert f"# file {file}:10\n" in text and "# flag --data-root\n" in text


def test_data_root_that_nobody_named_is_shown_in_full_with_its_rule(
    benchctl: Benchctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENCHLAB_DATA_ROOT")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    setting = json.loads(benchctl("config", "show", "--json").stdout)["settings"]["general.data_root"]
    assert setting["value"] == str(tmp_path / "state" / "benchlab")
    assert setting["origin"] == "default" and "XDG_STATE_HOME" in setting["where"]


def test_configuration_with_an_error_is_one_line_and_exit_code_3(benchctl: Benchctl, file: Path) -> None:
    file.write_text("[mux]\nwindow_s = -1\n")
    done = benchctl("config", "show", "--config", str(file))
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1 and "mux.window_s" in done.stderr


def test_text_that_looks_like_a_key_inside_a_value_is_not_taken_for_it() -> None:
    text = 'a = """\n[mux]\nwindow_s = 1\n"""\n[general]\nsample_hz = 5\n[mux]\nx = [\n  [1],\n]\nwindow_s = 2\n'
    assert key_lines(text) == {"a": 1, "general.sample_hz": 6, "mux.x": 8, "mux.window_s": 11}


def test_key_in_an_inline_table_has_no_line_rather_than_a_wrong_one() -> None:
    assert key_lines("mux = {window_s = 1}\n") == {"mux": 1}
