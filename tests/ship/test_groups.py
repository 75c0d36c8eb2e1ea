"""Tests that share a machine's one browser, libvirtd or chroot must not run beside each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = """
import os
import pytest

pytestmark = pytest.mark.xdist_group("together")

@pytest.mark.parametrize("n", range(8))
def test_where(n, request):
    with open(request.config.rootpath / "pids", "a") as file:
        file.write(f"{os.getpid()}\\n")
"""


def test_tests_of_one_group_run_in_one_process(tmp_path: Path) -> None:
    for name in ("test_first.py", "test_second.py"):
        (tmp_path / name).write_text(TESTS)
    words = ("-p", "xdist", "--numprocesses", "2", "--dist", "loadgroup", "--rootdir", str(tmp_path), "-c", "/dev/null")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 16
    assert len(set(pids)) == 1
