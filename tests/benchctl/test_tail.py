"""tail: what it shows, and that it follows only what will stay."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchlab.session import new_session

Benchctl = Callable[..., "subprocess.CompletedProcess[str]"]

T0 = 1_763_800_000_000_000_000
MS = 1_000_000


def row(frame: int, *, pair: tuple[str, str] = ("ingress", "encoded"), **more: Any) -> bytes:
    kv = {"lat_ms": 10.5, "pair": pair, "frame": frame, "power_w": 246.2, "energy_j": 2.5851, **more}
    made = {"ts_aligned_ns": T0 + frame * MS, "source": "metric.latency", "kv": kv, "unc_ns": 750_000}
    return json.dumps(made).encode() + b"\n"


class MadeByHand:
    """A session with aligned rows, and muxd's word on how many of them will stay."""

    def __init__(self, data_root: Path) -> None:
        self.session = new_session(data_root, "dev")
        self.latency = self.session.aligned / "latency.jsonl"
        self.latency.touch()

    def add(self, *rows: bytes) -> None:
        with self.latency.open("ab") as file:
            file.write(b"".join(rows))

    def vouch(self, length: int | None = None, generation: int = 1) -> None:
        size = self.latency.stat().st_size if length is None else length
        state = {"version": 1, "generation": generation, "outputs": {"latency.jsonl": size}}
        temporary = self.session.state / "mux.json.tmp"
        temporary.write_text(json.dumps(state))
        temporary.replace(self.session.state / "mux.json")


@pytest.fixture
def made(tmp_path: Path) -> MadeByHand:
    return MadeByHand(tmp_path)


class Tail:
    """A running ``benchctl tail``, its lines read with a time limit."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def lines(self, count: int) -> list[str]:
        timer = threading.Timer(20, self.process.kill)
        timer.start()
        assert self.process.stdout is not None
        found = [self.process.stdout.readline().decode() for _ in range(count)]
        timer.cancel()
        return found

    def said(self) -> str:
        timer = threading.Timer(20, self.process.kill)
        timer.start()
        assert self.process.stderr is not None
        found = self.process.stderr.readline().decode()
        timer.cancel()
        return found

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


StartTail = Callable[..., Tail]


@pytest.fixture
def tail(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> StartTail:
    def _tail(*words: str) -> Tail:
        return Tail(start("benchctl", "tail", *words, BENCHLAB_DATA_ROOT=str(tmp_path)))

    return _tail


def test_tail_shows_the_last_rows_and_what_they_say(benchctl: Benchctl, made: MadeByHand) -> None:
    drop = {"pair": ["ingress", "encoded"], "stage": "ingress", "frame": 99, "reason": "lost"}
    dropped = {"ts_aligned_ns": T0, "source": "metric.dropped", "kv": drop, "sim": True}
    made.add(*(row(frame) for frame in range(50)), json.dumps(dropped).encode() + b"\n")
    made.vouch()
    shown = benchctl("tail", "--no-follow", "-n", "2").stdout.splitlines()
    assert shown == [
        "08:26:40.049  ingress → encoded  frame 49     10.500 ms    246.2 W    2.585 J  ±0.750 ms",
        "08:26:40.000  ingress → encoded  frame 99  dropped: ingress lost  simulated",
    ]


def test_tail_finds_a_rare_pair_far_back(benchctl: Benchctl, made: MadeByHand) -> None:
    made.add(row(1, pair=("encoded", "sent")), *(row(frame) for frame in range(2, 3000)))
    made.vouch()
    shown = benchctl("tail", "--no-follow", "--json", "--pair", "encoded", "sent").stdout.splitlines()
    assert [json.loads(line)["kv"]["frame"] for line in shown] == [1]


def test_tail_once_takes_the_provisional_end_and_live_does_not(
    benchctl: Benchctl, tail: StartTail, made: MadeByHand
) -> None:
    made.add(row(1))
    made.vouch()
    made.add(row(2))
    assert len(benchctl("tail", "--no-follow").stdout.splitlines()) == 2
    live = tail()
    assert "frame 1 " in live.lines(1)[0]
    made.add(row(3))
    made.vouch()
    assert [line.split()[5] for line in live.lines(2)] == ["2", "3"]
    assert live.end() == 0


def test_tail_waits_for_a_session_without_data(tail: StartTail, made: MadeByHand) -> None:
    made.latency.unlink()
    live = tail()
    assert "waiting for muxd" in live.said()
    made.add(row(1))
    made.vouch()
    assert "frame 1 " in live.lines(1)[0]
    assert live.end() == 0


def test_tail_goes_on_with_files_that_muxd_made_anew(tail: StartTail, made: MadeByHand) -> None:
    made.add(*(row(frame) for frame in range(5)))
    made.vouch()
    live = tail("-n", "1")
    assert "frame 4 " in live.lines(1)[0]
    fresh = made.latency.with_suffix(".new")
    fresh.write_bytes(row(4) + row(5))
    fresh.replace(made.latency)
    made.vouch(generation=2)
    assert "made the aligned files anew" in live.said()
    made.add(row(6))
    made.vouch(generation=2)
    assert "frame 6 " in live.lines(1)[0]
    assert live.end() == 0


def test_tail_follows_the_current_link_to_the_next_session(tail: StartTail, made: MadeByHand, tmp_path: Path) -> None:
    made.add(row(1))
    made.vouch()
    live = tail()
    live.lines(1)
    new_session(tmp_path, "next")
    assert "going on with session next" in live.said()
    assert live.end() == 0


def test_tail_without_any_session_is_one_line(benchctl: Benchctl) -> None:
    done = benchctl("tail")
    assert done.returncode == 5
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("count", ["-1", "x", "1.5"])
def test_tail_of_a_senseless_number_is_a_usage_error(benchctl: Benchctl, count: str) -> None:
    assert benchctl("tail", f"-n={count}").returncode == 2
