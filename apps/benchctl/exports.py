"""Exports: cx_exporter run on a recorded session, and its files checked."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchctl.children import program
from benchlab.errors import Exit

EXPORT_S = 300.0
LAST_LINES = 5


def session_options(data_root: Path, name: str, config: Path | None = None) -> list[str]:
    """Return the options by which every program finds a session."""
    return [*root_options(data_root, config), "--session", name]


def root_options(data_root: Path, config: Path | None = None) -> list[str]:
    """Return the options by which every program finds the sessions."""
    found = ["--data-root", str(data_root)]
    return found if config is None else [*found, "--config", str(config)]


class Export:
    """The files made of one pair. ``finding`` is what is amiss with the data, ``failure`` what did not work."""

    def __init__(self) -> None:
        self.files: list[Path] = []
        self.finding: str | None = None
        self.failure: str | None = None


def export(folder: Path, options: Sequence[str], pair: tuple[str, str]) -> Export:
    """Export a pair of the session in ``folder`` as CSV and JSON, and check both."""
    a, b = pair
    made = Export()
    _run(made, *options, "--stage-a", a, "--stage-b", b, "--format", "both")
    for kind in ("csv", "json"):
        file = folder / "cx-export" / f"{a}_to_{b}.{kind}"
        if file.exists():
            made.files.append(file)
            _run(made, "--check", str(file))
    return made


def _run(made: Export, *args: str) -> None:
    code, said = run_program("cx_exporter", *args)
    if code == Exit.FINDING:
        made.finding = made.finding or said
    elif code:
        made.failure = made.failure or said


def run_program(name: str, *args: str) -> tuple[int, str]:
    """Run one of the product's programs to its end; return its exit code and what it says if it fails."""
    try:
        done = subprocess.run(
            program(name, *args),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=EXPORT_S,
            start_new_session=True,  # a Ctrl-C in the terminal must not tear an export
        )
    except subprocess.TimeoutExpired:
        return Exit.IO, f"{name} did not end within {EXPORT_S:g} s"
    if done.returncode == 0:
        return Exit.OK, ""
    said = [*done.stdout.splitlines(), *done.stderr.splitlines()][-LAST_LINES:]
    head = f"{name} ended with exit code {done.returncode}"
    return done.returncode, "\n".join([head, *(f"  {line}" for line in said)])
