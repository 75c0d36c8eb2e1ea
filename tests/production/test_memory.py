"""MemoryDenyWriteExecute as systemd makes it, around what might need such memory and is in no clean Debian."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from support.fake_nvml import FakeNvml
from support.seccomp import memory_deny_write_execute
from support.tree import program_env

Component = Callable[[str, str], str]
Denied = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def denied(component: Component) -> Denied:
    """Run a program of this tree under the filter."""
    bwrap = component("bwrap", "bubblewrap")

    def _denied(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        fd = memory_deny_write_execute().program()
        command = [bwrap, "--dev-bind", "/", "/", "--add-seccomp-fd", str(fd), "--", sys.executable, *words]
        try:
            return subprocess.run(
                command, env=program_env(**env), pass_fds=[fd], capture_output=True, text=True, timeout=120
            )
        finally:
            os.close(fd)

    return _denied


def test_the_filter_is_in_force(denied: Denied) -> None:
    code = "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)"
    done = denied("-c", code)
    assert done.returncode == 1 and "PermissionError" in done.stderr


def test_a_gpu_is_read(denied: Denied, fake_nvml: Callable[..., FakeNvml]) -> None:
    fake = fake_nvml()
    gpu = fake.gpu(0)
    done = denied("-m", "telemetryd", "--once", "--json", "--source", "gpu.nvml", **fake.env)
    assert done.returncode == 0, done.stderr
    (reading,) = map(json.loads, done.stdout.splitlines())
    assert (reading["source"], reading["dev"]) == ("gpu.nvml", gpu)


def test_a_call_back_from_c_works(denied: Denied) -> None:
    code = """
from ctypes import CDLL, CFUNCTYPE, POINTER, c_int, c_size_t
compare = CFUNCTYPE(c_int, POINTER(c_int), POINTER(c_int))(lambda a, b: a[0] - b[0])
numbers = (c_int * 3)(3, 1, 2)
CDLL(None).qsort(numbers, c_size_t(3), c_size_t(4), compare)
print(*numbers)
"""
    assert denied("-c", code).stdout == "1 2 3\n"
