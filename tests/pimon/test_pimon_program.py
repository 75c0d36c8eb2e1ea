"""The program as an operator starts it."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchlab.cli import free_port
from support.pi_machines import pi
from support.processes import Run, Start, ended, until

TICK = ("pi.system", "pi.battery", "pi.processes")


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return rows(whole.decode())


def count(path: Path, source: str) -> int:
    return sum(row["source"] == source for row in lines(path))


def has(path: Path, ticks: int) -> bool:
    return count(path, "pi.processes") >= ticks


def test_once_shows_one_tick_of_a_recorded_pi(run: Run, tmp_path: Path) -> None:
    done = run("pimon", "--once", "--json", "--root", str(pi(tmp_path / "pi", "pi4")))
    assert (done.returncode, done.stderr) == (0, "")
    found = {row["source"]: row["kv"] for row in rows(done.stdout)}
    assert set(found) == set(TICK)
    assert (found["pi.system"]["cpu_temp_c"], found["pi.system"]["throttled_flags"]) == (45.764, 0x50005)
    assert found["pi.battery"]["power_w"] == -4.8025
    assert "filesystems" not in found["pi.system"]  # those of this machine are not those of that one


def test_machine_without_a_battery_says_so_and_goes_on(run: Run, tmp_path: Path) -> None:
    root = str(pi(tmp_path / "pi", "pi5"))
    done = run("pimon", "--once", "--root", root)
    assert done.returncode == 0
    assert "pi.battery: absent:" in done.stdout and "expected one of type Battery or UPS" in done.stdout
    none = run("pimon", "--once", "--root", root, "--power-supply", "none")
    assert "pi.battery" not in none.stdout
    named = run("pimon", "--once", "--root", root, "--power-supply", "BAT0", "--source", "pi.battery")
    assert (named.returncode, "expected BAT0" in named.stdout) == (4, True)


def test_nothing_to_read_exits_4(run: Run, tmp_path: Path) -> None:
    done = run("pimon", "--once", "--json", "--root", str(tmp_path))
    assert done.returncode == 4
    assert {row["kv"]["which"] for row in rows(done.stdout)} == set(TICK)


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (("--power-supply", "ina219@1:0x99"), 2, "pimon: --power-supply: found"),
        (("--power-supply", "../../etc"), 2, "expected auto, none, the name of a folder"),
        (("--interval", "0"), 2, "--interval"),
        (("--top-procs", "0"), 2, "--top-procs"),
        (("--source", "pi.gpu"), 2, "expected one of pi.battery, pi.processes, pi.system"),
        (("--no-record", "--no-api"), 2, "found --no-record and --no-api together"),
    ],
)
def test_wrong_word_is_one_clear_line(run: Run, flags: tuple[str, ...], code: int, said: str) -> None:
    done = run("pimon", "--once", *flags)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr and len(done.stderr.splitlines()) == 1


def test_wrong_power_supply_in_the_environment_names_its_key(run: Run) -> None:
    done = run("pimon", "--once", BENCHLAB_PIMON_POWER_SUPPLY="ina260@300")
    assert (done.returncode, done.stderr.startswith("pimon: [pimon].power_supply: found 'ina260@300'")) == (3, True)


def test_killed_again_and_again_it_goes_on_in_the_same_session(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "sessions/s/raw/pimon.jsonl"
    common = ("--simulate", "--interval", "0.1", "--no-api", "--data-root", str(tmp_path), "--session", "s")
    for times in range(1, 4):
        process = start("pimon", *common)
        until(partial(has, path, 10 * times))
        process.send_signal(signal.SIGKILL if times < 3 else signal.SIGTERM)
        code, _, err = ended(process)
    assert code == 0, err
    found = [row for row in lines(path) if row["source"] in TICK]
    assert all(row["sim"] for row in found)
    ticks: dict[int, list[str]] = {}
    for row in found:
        ticks.setdefault(row["ts_ns"], []).append(row["source"])
    whole = sum(tuple(sources) == TICK for sources in ticks.values())
    assert whole >= len(ticks) - 2  # a kill may cut one tick short
    charges = [row["kv"]["capacity_pct"] for row in found if row["source"] == "pi.battery"]
    assert charges == sorted(charges, reverse=True)


def test_api_shows_what_is_recorded_beside_it(start: Start, tmp_path: Path) -> None:
    port = free_port()
    path = tmp_path / "sessions/s/raw/pimon.jsonl"
    root = str(pi(tmp_path / "pi", "pi4"))
    words = ("--root", root, "--interval", "0.2", "--host", "127.0.0.1", "--port", str(port))
    process = start("pimon", *words, "--data-root", str(tmp_path), "--session", "s")
    until(lambda: count(path, "pi.processes") >= 3)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=20) as answer:
        stats = json.load(answer)
    assert (round(stats["cpu_temp"], 1), stats["hardware"]["model"]) == (45.8, "Raspberry Pi 4 Model B Rev 1.4")
    process.terminate()
    code, _, err = ended(process)
    assert code == 0, err
    (begun,) = [row["kv"] for row in lines(path) if row["kv"].get("event") == "start"]
    assert begun["sources"][0]["serial"] == "100000004fe1a2b3"
    assert begun["disorder_ms"] == 50


def test_without_recording_the_api_answers_and_nothing_is_written(start: Start, tmp_path: Path) -> None:
    port, root = free_port(), str(pi(tmp_path / "pi", "pi4"))
    words = ("--root", root, "--interval", "0.2", "--host", "127.0.0.1", "--port", str(port))
    process = start("pimon", "--no-record", *words, "--data-root", str(tmp_path / "data"))

    def asked(path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return json.load(answer)

    until(lambda: not _is_free(port))
    until(lambda: len(asked("/metrics/history")["samples"]) >= 2)  # nobody asked for these
    assert asked("/processes")["processes"] and round(asked("/stats")["cpu_temp"], 1) == 45.8
    process.terminate()
    code, _, err = ended(process)
    assert code == 0, err
    assert not (tmp_path / "data").exists()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_once_shows_all_of_a_tick_whatever_would_be_recorded(run: Run, tmp_path: Path) -> None:
    done = run("pimon", "--once", "--json", "--no-record", "--root", str(pi(tmp_path / "pi", "pi4")))
    assert (done.returncode, {row["source"] for row in rows(done.stdout)}) == (0, set(TICK))
