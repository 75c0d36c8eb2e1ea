"""benchctl run in this process, with its output and exit code as an operator sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from benchctl.main import main
from benchlab import cli


class Done(NamedTuple):
    """How a command ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Benchctl = Callable[..., Done]


@pytest.fixture
def benchctl(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Benchctl:
    """Run benchctl on the data root ``tmp_path``, without this host's configuration."""
    for name in ("BENCHLAB_SESSION", "BENCHLAB_PROM", "CX_STAGE_A", "CX_STAGE_B"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BENCHLAB_DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def _benchctl(*words: str) -> Done:
        capfd.readouterr()
        try:
            code = main(list(words))
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Done(code, *capfd.readouterr())

    return _benchctl


@pytest.fixture
def bind() -> str:
    """Return an address for muxd's metrics that nobody uses."""
    return f"127.0.0.1:{cli.free_port()}"
