"""Killed before any step it takes: every session is whole, trimmed or gone, and the next run goes on."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchlab.session import list_sessions, open_session
from retentiond.report import Report
from support.old_sessions import Old, point_current

Trim = Callable[..., Report]

STEPS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}


def run_killed(run: Callable[[], Report], step: int) -> bool:
    """Run in a child that kills itself before its ``step``-th change of the disk; tell whether it came to that."""
    child = os.fork()
    if child == 0:
        left = [step]

        def count(event: str, _: object) -> None:
            if event in STEPS:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            run()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def sessions(data_root: Path) -> dict[str, Old]:
    made = {
        "gone": Old(data_root, "gone", 500),
        "trimmed": Old(data_root, "trimmed", 30),
        "bare": Old(data_root, "bare", 0).bare(30),
        "pinned": Old(data_root, "pinned", 500, pinned=True),
        "young": Old(data_root, "young", 1),
    }
    (made["trimmed"].dir / "raw" / "empty.jsonl").touch()
    (made["trimmed"].dir / "quarantine" / "pipeline.jsonl").write_text("{}\n")
    point_current(data_root, "young")
    return made


def check_nothing_is_half(made: dict[str, Old], before: dict[str, dict[str, bytes]]) -> None:
    for name in ("pinned", "young"):
        assert made[name].content() == before[name]
    assert made["gone"].content() in (before["gone"], {})
    for name in ("trimmed", "bare"):
        now, was = made[name].content(), before[name]
        raw = {path for path in was if path.startswith("raw/")}
        assert now.keys() & raw in (raw, set())
        assert {k: v for k, v in now.items() if k.startswith("aligned/")} == {
            k: v for k, v in was.items() if k.startswith("aligned/")
        }


def test_kill_before_any_step_leaves_nothing_half_and_the_next_run_ends_it(tmp_path: Path, trim: Trim) -> None:
    expected: set[str] | None = None
    step, was_killed = 0, True
    while was_killed:
        step += 1
        made = sessions(tmp_path)
        before = {name: old.content() for name, old in made.items()}
        was_killed = run_killed(trim, step)
        check_nothing_is_half(made, before)
        # whoever comes now finds no half-deleted session to go on with
        assert {s.name for s in list_sessions(tmp_path)} <= set(made)
        assert open_session(tmp_path, create=False).name == "young"
        trim()
        names = {str(p.relative_to(tmp_path)) for p in (tmp_path / "sessions").rglob("*") if p.suffix != ".lock"}
        assert "sessions/bare/raw" in names
        assert expected is None or names == expected
        expected = names
        shutil.rmtree(tmp_path / "sessions")
    assert step > 15


def test_rest_of_an_earlier_run_is_told_apart_and_dry_run_leaves_it(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "dev", 500)
    rest = old.dir.rename(old.dir.with_name(".dev.deleting"))
    dry = trim(dry_run=True)
    assert rest.exists()
    wet = trim()
    assert not rest.exists()
    assert [f.session for f in dry.leftovers] == [f.session for f in wet.leftovers] == [".dev.deleting"]
    assert dry.freed_bytes == wet.freed_bytes > 0


@pytest.mark.parametrize("name", [".dev", "dev.deleting", ".deleting", "..deleting"])
def test_names_that_only_look_like_trash_are_not(tmp_path: Path, trim: Trim, name: str) -> None:
    old = Old(tmp_path, name, 1)
    before = old.content()
    trim()
    assert old.content() == before
