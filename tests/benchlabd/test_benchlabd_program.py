"""The program as an operator starts it, on emulated devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchctl.emulator.emulator import Emulator
from support.meters import UID_A, UID_B, plug_in
from support.processes import Run, Start, ended, until


def rows(text: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in text.splitlines()]


def recorded(data_root: Path) -> list[dict[str, Any]]:
    path = data_root / "sessions/s/raw/benchlab.jsonl"
    whole, _, _ = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
    return rows(whole.decode())


def readings(data_root: Path, dev: str) -> list[dict[str, Any]]:
    return [row for row in recorded(data_root) if row.get("dev") == dev and row["source"] != "meta"]


def test_once_shows_each_device_or_why_not(run: Run, tmp_path: Path) -> None:
    with Emulator("bl2", uid=UID_A) as emulator:
        devices = ("--device", emulator.path, "--device", str(tmp_path / "ttyACM9"))
        done = run("benchlabd", "--once", "--json", *devices, "--data-root", str(tmp_path))
    assert done.returncode == 0, done.stderr
    reading, absent = rows(done.stdout)
    assert (reading["source"], reading["dev"]) == ("benchlab.usb", UID_A)
    assert reading["cal"]["rtt_ns"] > 0
    assert absent["dev"] == str(tmp_path / "ttyACM9")
    assert absent["kv"]["reason"] == f"no {tmp_path}/ttyACM9: nothing is plugged in there"
    assert "--device" in absent["kv"]["fix"]
    assert not (tmp_path / "sessions").exists()


@pytest.mark.parametrize("words", [(), ("--device", "auto")])
def test_once_without_any_device_exits_4(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run("benchlabd", "--once", "--root", str(tmp_path), *words)
    assert done.returncode == 4
    assert done.stdout.startswith("benchlab.usb: absent: no ")
    assert done.stdout.count("\n") == 1


def test_auto_once_shows_what_it_found(run: Run, tmp_path: Path) -> None:
    with Emulator("original", uid=UID_A) as board, Emulator("pmd2", uid=UID_B) as meter:
        plug_in(tmp_path, "ttyACM0", board, "1-1")
        plug_in(tmp_path, "ttyACM1", meter, "1-2")
        done = run("benchlabd", "--once", "--json", "--device", "auto", "--root", str(tmp_path))
    assert done.returncode == 0
    assert [(row["source"], row["dev"]) for row in rows(done.stdout)] == [("benchlab.usb", UID_A), ("pmd.usb", UID_B)]


def test_two_devices_are_recorded_at_once_and_say_what_they_are(start: Start, tmp_path: Path) -> None:
    with Emulator("original", uid=UID_A) as one, Emulator("bl2", uid=UID_B, name="gpu bench") as other:
        devices = ("--device", one.path, "--device", other.path)
        words = ("--data-root", str(tmp_path), "--session", "s", "--hz", "20")
        process = start("benchlabd", *words, *devices)
        until(lambda: min(len(readings(tmp_path, UID_A)), len(readings(tmp_path, UID_B))) >= 10)
        process.terminate()
        code, _, said = ended(process)
        assert one.violations == other.violations == []
    assert code == 0
    assert f"benchlab.usb ({UID_B}) is up: product BENCHLAB 2, firmware 7, contract released, name gpu bench" in said
    begun = recorded(tmp_path)[0]["kv"]
    assert begun["disorder_ms"] == 145
    described = [row for line in recorded(tmp_path) for row in line["kv"].get("sources", [])]
    products = {row["dev"]: row["product"] for row in described if "product" in row}
    assert products == {UID_A: "BENCHLAB", UID_B: "BENCHLAB 2"}
    told = [row["kv"] for row in recorded(tmp_path) if row["kv"].get("event") == "calibrated"]
    assert {kv["which"] for kv in told} == {"benchlab.usb"}
    assert all(0 < kv["min_ns"] <= kv["median_ns"] <= kv["p99_ns"] for kv in told)


def test_program_ends_when_asked_to_although_its_device_is_silent(start: Start, tmp_path: Path) -> None:
    with Emulator("original", uid=UID_A) as emulator:
        words = ("--data-root", str(tmp_path), "--session", "s", "--device", emulator.path)
        process = start("benchlabd", *words)
        until(lambda: readings(tmp_path, UID_A))
        emulator.fault("silence", float("inf"))
        until(lambda: any(row["kv"].get("event") == "source_down" for row in recorded(tmp_path)))
        process.terminate()
        code, _, said = ended(process)
    assert code == 0
    assert "is down" in said
    assert recorded(tmp_path)[-1]["kv"] == {"event": "stop"}


def test_auto_beside_a_port_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    done = run("benchlabd", "--once", "--device", "auto", "--device", "/dev/ttyACM0")
    assert done.returncode == 2
    assert "found 'auto,/dev/ttyACM0', expected auto, or ports separated by commas" in done.stderr


def test_second_program_is_told_who_has_the_port(start: Start, run: Run, tmp_path: Path) -> None:
    with Emulator("original", uid=UID_A) as emulator:
        words = ("--data-root", str(tmp_path), "--session", "s", "--device", emulator.path)
        first = start("benchlabd", *words)
        until(lambda: readings(tmp_path, UID_A))
        done = run("benchlabd", "--once", "--device", emulator.path)
    assert done.returncode == 4
    assert f"{emulator.path} is in use by" in done.stdout
    assert f"(pid {first.pid})" in done.stdout


def test_without_a_device_the_reason_is_recorded_once_and_nothing_is_made_up(start: Start, tmp_path: Path) -> None:
    words = ("--data-root", str(tmp_path), "--session", "s", "--root", str(tmp_path / "host"))
    process = start("benchlabd", *words)
    until(lambda: any(row["kv"].get("event") == "alive" for row in recorded(tmp_path)))
    process.terminate()
    code, _, said = ended(process)
    assert code == 0
    told = [row["kv"]["event"] for row in recorded(tmp_path) if row["kv"].get("event") != "alive"]
    assert told == ["start", "source_down", "stop"]
    assert said.count("is down") == 1
