"""PISTAT_ variables and the `.env` file: who wins, and what a mistake in it looks like."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchlab import config
from benchlab.errors import Exit, Fault
from pimon.api.dotenv import environment
from pimon.api.options import add_options, overrides


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / ".env"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_way_of_writing_a_variable_is_read(tmp_path: Path) -> None:
    text = """\ufeff# the monitor
PISTAT_PORT=9000
export PISTAT_HOST = "127.0.0.1"   # here only
PISTAT_DEBUG='True'
PISTAT_CACHE_SECONDS=0.5 # half

PISTAT_RATE_LIMIT=
SECRET_OF_ANOTHER=x y=z
"""
    found = environment({"HOME": "/root"}, written(tmp_path, text))
    assert found == {
        "HOME": "/root",
        "PISTAT_PORT": "9000",
        "PISTAT_HOST": "127.0.0.1",
        "PISTAT_DEBUG": "True",
        "PISTAT_CACHE_SECONDS": "0.5",
    }
    pimon = config.load(env=found, system_path=tmp_path / "none").config.pimon
    assert (pimon.port, pimon.host, pimon.debug, pimon.cache_seconds) == (9000, "127.0.0.1", True, 0.5)


def test_the_environment_wins_over_the_file_and_a_flag_over_both(tmp_path: Path) -> None:
    env = environment({"PISTAT_PORT": "9001"}, written(tmp_path, "PISTAT_PORT=9000\nPISTAT_HOST=127.0.0.1\n"))
    p = argparse.ArgumentParser()
    add_options(p)
    none = tmp_path / "none"
    pimon = config.load(env=env, overrides=overrides(p.parse_args([])), system_path=none).config.pimon
    assert (pimon.port, pimon.host) == (9001, "127.0.0.1")
    flags = overrides(p.parse_args(["--port", "9002", "--host", "::1"]))
    pimon = config.load(env=env, overrides=flags, system_path=none).config.pimon
    assert (pimon.port, pimon.host) == (9002, "::1")


def test_without_anything_the_documented_defaults_hold(tmp_path: Path) -> None:
    env = environment({}, tmp_path / ".env")
    pimon = config.load(env=env, system_path=tmp_path / "none").config.pimon
    assert (pimon.port, pimon.host, pimon.cache_seconds) == (8585, "0.0.0.0", 2.0)
    assert (pimon.debug, pimon.rate_limit) == (False, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("PISTAT_PORT=9000\nPISTAT_HOST\n", "line 2: found no NAME=VALUE"),
        ("\n\nPISTAT_PORT: 9000\n", "line 3: found no NAME=VALUE"),
        ("PISTAT_PORT=http\n", 'line 1: PISTAT_PORT: found "http", expected an integer from 1 up to 65535'),
        ("PISTAT_PORT=0\n", 'line 1: PISTAT_PORT: found "0"'),
        ("PISTAT_DEBUG=perhaps\n", "expected true or false"),
        ("PISTAT_CACHE_SECONDS=-1\n", "PISTAT_CACHE_SECONDS: found"),
        ("PISTAT_RATE_LIMIT=1.5\n", "PISTAT_RATE_LIMIT: found"),
        ("PISTAT_HOST=a b\n", "PISTAT_HOST: found"),
        ("#\nPISTAT_PROT=9000\n", "line 2: PISTAT_PROT: found an unknown variable, expected one that exists: did you"),
        ('PISTAT_HOST="127.0.0.1\n', "line 1: PISTAT_HOST: found a quote"),
        (b"PISTAT_PORT=9000\nX=\xff\n", "line 2: found bytes that are not UTF-8"),
    ],
    ids=["word", "colon", "text", "zero", "boolean", "negative", "fraction", "host", "unknown", "quote", "binary"],
)
def test_a_mistake_is_one_line_with_file_and_line(text: str | bytes, words: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(Fault) as caught:
        environment({}, path)
    assert caught.value.code is Exit.CONFIG
    assert caught.value.message.startswith(f"{path}: ") and "\n" not in caught.value.message
    assert words in caught.value.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(Fault, match=r"\.env: cannot be read") as caught:
        environment({}, tmp_path / ".env")
    assert caught.value.code is Exit.CONFIG
