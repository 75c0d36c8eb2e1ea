"""What every room's tests share: where the repository is and how to start a program of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchlab.daemon import Absent
from pipeline_probes.gst import gstreamer
from support.fake_nvml import FakeNvml
from support.tree import REPOSITORY, program_env

__all__ = ["REPOSITORY", "Start", "program_env"]


@pytest.fixture
def component() -> Callable[[str, str], str]:
    """Find a real program that a test talks to, as ``component("promtool", "prometheus")`` (its Debian package).

    A test whose component is missing fails in CI, and is skipped elsewhere; both say what installs it.
    """

    def _component(command: str, package: str) -> str:
        found = shutil.which(command)
        if found:
            return found
        message = f"{command} is not there; to run this test: sudo apt-get install -y {package}"
        if os.environ.get("CI"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)

    return _component


@pytest.fixture
def fake_nvml(component: Callable[[str, str], str], tmp_path: Path) -> Callable[..., FakeNvml]:
    """Make a libnvidia-ml.so.1 that answers from a table, as ``fake_nvml(without=["nvmlDeviceGetFanSpeed"])``."""
    component("gcc", "gcc")
    return lambda **options: FakeNvml(tmp_path / "nvml", **options)


@pytest.fixture(scope="session")
def gst() -> Any:
    """Real GStreamer. Where it is missing, a test fails in CI and is skipped elsewhere; both say what installs it."""
    try:
        return gstreamer.load()
    except Absent as why:
        message = f"{why.reason}; to run this test: {why.fix}"
        if os.environ.get("CI"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program as ``start("muxd", "--session", "s")``; what still runs at the end is killed."""
    running: list[subprocess.Popen[bytes]] = []

    def _start(module: str, *args: str, **env: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *args],
            env=program_env(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running.append(process)
        return process

    yield _start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program to its end and return its exit code, stdout and stderr as text."""

    def _run(module: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *args],
            env=program_env(**env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return _run
