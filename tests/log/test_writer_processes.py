"""The writer against real kernels and real deaths: a full file system, kill -9, a second process."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchlab.event import Event
from benchlab.log.reader import StreamReader
from benchlab.log.writer import LogWriter

LIBS = Path(__file__).resolve().parents[2] / "libs"

WRITE_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from benchlab.event import Event
from benchlab.log.writer import LogWriter

path = Path(sys.argv[1])
writer = LogWriter(path, path.with_suffix(".lock"), clock=time.time_ns)
writer.start({"version": "0.1.0"})
print("writing", flush=True)
n = 0
while True:
    n += 1
    writer.write([Event(time.time_ns(), "gpu.nvml", {"n": n, "pad": "x" * (n * 37 % 9000)}) for _ in range(n % 9 + 1)])
    writer.tick()
"""

FILL_A_DISK = """
import json, os, sys, time
from pathlib import Path
from benchlab.event import Event
from benchlab.log.writer import LogWriter

folder = Path(sys.argv[1])
ballast = folder / "ballast"
ballast.write_bytes(b"b" * (1 << 20))
path = folder / "telemetry.jsonl"
writer = LogWriter(path, folder / "telemetry.lock", clock=time.time_ns, ring_bytes=100_000)
writer.start({"version": "0.1.0"})
given = 0
while writer.stats.lost < 500:
    writer.write([Event(given, "gpu.nvml", {"pad": "x" * (given % 700)})])
    given += 1
full = path.stat().st_size
ballast.unlink()
writer.tick()
writer.write([Event(given, "gpu.nvml", {})])
writer.stop()
print(json.dumps({"given": given + 1, "full": full, "lost": writer.stats.lost, "errors": writer.stats.errors}))
sys.stdout.flush()
sys.stdout.buffer.write(path.read_bytes())
"""


def python(*args: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*prefix, sys.executable, *args],
        env={**os.environ, "PYTHONPATH": str(LIBS)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def mounting() -> tuple[str, ...]:
    """Return the command that gives a private mount namespace: as root, or as a root of one's own."""
    return ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-rm")


def whole_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def test_a_full_disk_loses_only_what_the_gap_counts_and_recovers(tmp_path: Path) -> None:
    script = tmp_path / "fill.py"
    script.write_text(FILL_A_DISK)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=2m tmpfs "{disk}" && exec "$0" "$@"'
    process = python(str(script), str(disk), prefix=(*mounting(), "sh", "-c", mount))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    summary, log = out.split(b"\n", 1)
    said = json.loads(summary)
    lines = [json.loads(line) for line in log.split(b"\n")[:-1]]
    gaps = [line["kv"] for line in lines if line["kv"].get("event") == "gap"]
    assert said["full"] > 500_000, "the disk was really filled"
    assert log.endswith(b"\n") and said["errors"] > 0
    assert [(gap["n"], gap["error"]) for gap in gaps] == [(said["lost"], "No space left on device")]
    numbers = [line["ts_ns"] for line in lines if line["source"] == "gpu.nvml"]
    missing = sorted(set(range(said["given"])) - set(numbers))
    assert numbers == sorted(numbers) and len(missing) == said["lost"] >= 500
    assert (gaps[0]["from_ns"], gaps[0]["to_ns"]) == (missing[0], missing[-1])
    assert lines[-1]["kv"]["event"] == "stop"


def test_killed_at_any_moment_every_whole_line_is_readable_and_seq_has_no_hole(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.jsonl"
    random_pause = random.Random(7)
    torn: set[int] = set()
    for _ in range(12):
        process = python("-c", WRITE_UNTIL_KILLED, str(path))
        assert process.stdout is not None and process.stdout.readline() == b"writing\n"
        time.sleep(random_pause.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        if not path.read_bytes().endswith(b"\n"):
            torn.add(path.read_bytes().count(b"\n"))
    writer = LogWriter(path, path.with_suffix(".lock"), clock=time.time_ns)
    writer.stop()
    with StreamReader(path, Event, guard_time=False) as reader:
        rows, bad, at_end = list[Event](), 0, False
        while not at_end:
            batch = reader.read()
            rows += batch.rows
            bad += len(batch.bad)
            at_end = batch.at_end
    seqs = [row.seq for row in rows]
    holes = sorted(set(range(len(rows) + bad)) - {s for s in seqs if s is not None})
    assert len(seqs) == len(set(seqs)) and seqs == sorted(s for s in seqs if s is not None)
    assert len(holes) == bad and set(holes) <= torn
    assert sum(row.kv.get("why") == "unclean_end" for row in rows) == 11


def test_a_second_process_is_refused_with_the_first_ones_pid_until_it_dies(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.jsonl"
    first = python("-c", WRITE_UNTIL_KILLED, str(path))
    try:
        assert first.stdout is not None and first.stdout.readline() == b"writing\n"
        second = python("-c", WRITE_UNTIL_KILLED, str(path))
        _, err = second.communicate(timeout=30)
        refusal = err.decode().splitlines()[-1]
        assert second.returncode != 0
        assert "Fault" in refusal and str(path) in refusal and f"pid {first.pid}" in refusal
    finally:
        first.kill()
        first.communicate()
    LogWriter(path, path.with_suffix(".lock"), clock=time.time_ns).stop()


def test_a_reader_beside_a_writer_sees_every_line_once(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.jsonl"
    process = python("-c", WRITE_UNTIL_KILLED, str(path))
    seqs: list[int | None] = []
    with StreamReader(path, Event, chunk_bytes=1000) as reader:
        deadline = time.monotonic() + 30
        while len(seqs) < 3000 and time.monotonic() < deadline:
            batch = reader.read()
            assert batch.bad == []
            seqs += [row.seq for row in batch.rows]
    process.kill()
    process.communicate()
    assert seqs == list(range(len(seqs))) and len(seqs) >= 3000


@pytest.mark.parametrize("room", [0, 1000, 4096, 10_000])
def test_a_file_size_limit_of_the_kernel_is_waited_out(tmp_path: Path, room: int) -> None:
    script = f"""
import resource, time, sys
from pathlib import Path
from benchlab.event import Event
from benchlab.log.writer import LogWriter
path = Path(sys.argv[1])
writer = LogWriter(path, path.with_suffix(".lock"), clock=time.time_ns)
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, resource.RLIM_INFINITY))
for n in range(300):
    writer.write([Event(n, "a", {{}})])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.stop()
"""
    process = python("-c", script, str(tmp_path / "telemetry.jsonl"))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err.decode()
    lines = whole_lines(tmp_path / "telemetry.jsonl")
    assert [(line["ts_ns"], line["seq"]) for line in lines] == [(n, n) for n in range(300)]
