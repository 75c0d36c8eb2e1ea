"""One browser at a time, before webd, muxd and simulators in real processes; screenshots are kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchctl.sample import copy_sample
from support.browser import FLAGS, Visitor, Webd, in_ci, simulators, why_not_built
from support.tree import REPOSITORY, program_env

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")

Visit = Callable[..., Visitor]
SHOTS = "BENCHLAB_SCREENSHOTS"


def missing(message: str) -> None:
    """Fail in CI, skip elsewhere."""
    if in_ci():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """Start the browser that Debian has; Playwright's own is never downloaded.

    It ends with this folder: while Playwright is at work, asyncio.run() is refused in this process.
    """
    path = shutil.which("chromium")
    if path is None:
        missing("chromium is not there; to run this test: sudo apt-get install -y chromium")
    if why := why_not_built():
        missing(why)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *sandbox])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where screenshots are kept: the folder of the environment, else one of pytest's own."""
    folder = Path(os.environ.get(SHOTS) or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visit(chromium: Any, serve: object) -> Iterator[Visit]:
    """Open a page as ``visit(webd, width=390, theme="dark")``; at the end of the test every one is judged.

    ``serve`` is asked for so that pages are closed before their webd is stopped.
    """
    visitors: list[Visitor] = []
    contexts = []

    def _visit(webd: Webd, width: int = 1440, height: int = 900, theme: str = "light", **more: Any) -> Visitor:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, timezone_id="UTC", **more
        )
        contexts.append(context)
        visitors.append(Visitor(context, webd))
        return visitors[-1]

    yield _visit
    for context in contexts:
        context.close()
    for visitor in visitors:
        visitor.judge()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Webd]]:
    """Start webd over a data root, as ``serve(tmp_path / "data", BENCHLAB_WEB_TOKEN="...")``."""
    started: list[Webd] = []

    def _serve(data_root: Path, **env: str) -> Webd:
        (data_root / "sessions").mkdir(parents=True, exist_ok=True)
        started.append(Webd(data_root, tmp_path / "webd.log", **env))
        return started[-1]

    yield _serve
    for webd in started:
        webd.stop()


@pytest.fixture(scope="package")
def sample_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data root with the sample session, muxed; tests that change it take a copy."""
    root = tmp_path_factory.mktemp("sample")
    folder = copy_sample(REPOSITORY / "data" / "sample", root)
    words = ("--data-root", str(root), "--session", folder.name, "--pair", "ingress", "encoded", "--once")
    subprocess.run([sys.executable, "-m", "muxd", *words], env=program_env(), check=True, capture_output=True)
    return root


@pytest.fixture(scope="package")
def sample_webd(sample_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webd]:
    """webd over the sample session, for tests that only read."""
    webd = Webd(sample_root, tmp_path_factory.mktemp("webd") / "log")
    yield webd
    webd.stop()


@pytest.fixture(scope="package")
def live_webd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webd]:
    """webd over a session that simulators and muxd are recording."""
    folder = tmp_path_factory.mktemp("live")
    with simulators(folder / "data", folder / "demo.log"):
        webd = Webd(folder / "data", folder / "webd.log")
        yield webd
        webd.stop()
