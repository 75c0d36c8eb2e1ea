"""What webd keeps of memory that it used."""

from __future__ import annotations

import platform
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from benchlab.event import Event, encode_lines
from webd.vms.past import from_raw
from webd.vms.sightings import RAW_FILE, VM

THREADS = 4
HEAPS = f"""
import ctypes, threading
from webd.memory import give_back
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
if {{give_back}}:
    give_back()
all_have_some = threading.Barrier({THREADS + 1})
def work():
    libc.malloc(1000)
    all_have_some.wait()
    all_have_some.wait()
threads = [threading.Thread(target=work) for _ in range({THREADS})]
for thread in threads:
    thread.start()
all_have_some.wait()
out = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
all_have_some.wait()
"""


def heaps(give_back: bool) -> int:
    """Return how many heaps a program has whose threads have all asked for memory."""
    code = HEAPS.replace("{give_back}", str(give_back))
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return said.count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_threads_that_answer_have_no_heaps_of_their_own() -> None:
    assert heaps(give_back=False) > 1
    assert heaps(give_back=True) == 1


def test_looking_through_a_raw_stream_does_not_hold_its_rows(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    path = tmp_path / "raw" / RAW_FILE
    kv = {f"value_{n}": n for n in range(40)}
    path.write_bytes(encode_lines(Event(i, VM, {**kv, "cpu_pct": 5.0}, dev=f"vm{i % 50}") for i in range(5000)))
    size = path.stat().st_size
    tracemalloc.start()
    try:
        found = from_raw(tmp_path, "vm7", ["cpu_pct"], 0, 10_000, 1000)["cpu_pct"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.values) == 100
    assert size > 2_000_000
    assert peak < size
