"""A reader is woken by what happens in a folder, with inotify and without."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchlab.log.watch import Watcher

LONG_S = 20.0  # far beyond what any wake takes; reached only if a wake is missed


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "old.jsonl").write_bytes(b"line\n")
    return folder


@pytest.fixture(params=["inotify", "polling"])
def watcher(raw: Path, request: pytest.FixtureRequest) -> Watcher:
    if request.param == "inotify":
        watcher = Watcher(raw)
    else:
        aside = raw.rename(raw.with_suffix(".aside"))
        watcher = Watcher(raw)  # a folder that is not there cannot be watched
        aside.rename(raw)
        assert watcher.wait(LONG_S)
    assert watcher.polling == (request.param == "polling")
    return watcher


def append(folder: Path) -> None:
    with (folder / "old.jsonl").open("ab") as file:
        file.write(b"more\n")


def create(folder: Path) -> None:
    (folder / "new.jsonl").touch()


def rename_into(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.write_bytes(b"x")
    outside.rename(folder / "old.jsonl")


def remove(folder: Path) -> None:
    (folder / "old.jsonl").unlink()


def truncate(folder: Path) -> None:
    (folder / "old.jsonl").write_bytes(b"")


CHANGES = [append, create, rename_into, remove, truncate]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_while_waiting_wakes(watcher: Watcher, raw: Path, change: Callable[[Path], None]) -> None:
    began = time.monotonic()
    timer = threading.Timer(0.05, change, (raw,))
    timer.start()
    assert watcher.wait(LONG_S)
    assert time.monotonic() - began < LONG_S / 2
    timer.join()
    watcher.close()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_two_waits_is_reported_by_the_second(
    watcher: Watcher, raw: Path, change: Callable[[Path], None]
) -> None:
    assert not watcher.wait(0)
    change(raw)
    assert watcher.wait(0)
    assert not watcher.wait(0)
    watcher.close()


def test_silence_ends_with_the_timeout(watcher: Watcher) -> None:
    began = time.monotonic()
    assert not watcher.wait(0.1)
    assert time.monotonic() - began >= 0.1
    watcher.close()
    watcher.close()


def test_a_folder_that_was_replaced_is_followed_by_its_name(raw: Path) -> None:
    with Watcher(raw) as watcher:
        raw.rename(raw.with_suffix(".old"))
        assert watcher.wait(LONG_S)
        raw.mkdir()
        create(raw)
        assert watcher.wait(LONG_S)
        assert not watcher.wait(0)


def test_a_folder_that_was_removed_wakes_once_and_then_is_silent(raw: Path) -> None:
    with Watcher(raw) as watcher:
        (raw / "old.jsonl").unlink()
        raw.rmdir()
        assert watcher.wait(LONG_S)
        watcher.wait(0)
        assert not watcher.wait(0.02)


def test_a_change_that_inotify_does_not_report_is_seen_all_the_same_and_polling_begins(
    raw: Path, tmp_path: Path
) -> None:
    # what a network file system does: the folder changes, the watch stays silent
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / "link"
    link.symlink_to(elsewhere)
    with Watcher(link) as watcher:
        assert not watcher.wait(0) and not watcher.polling
        link.unlink()
        link.symlink_to(raw)
        assert watcher.wait(LONG_S)
        assert watcher.polling
        append(raw)
        assert watcher.wait(LONG_S)


def test_many_changes_are_one_wake_and_leave_nothing_behind(watcher: Watcher, raw: Path) -> None:
    with (raw / "old.jsonl").open("ab", 0) as one, (raw / "new.jsonl").open("ab", 0) as other:
        for _ in range(3000):
            one.write(b"x")
            other.write(b"x")
    assert watcher.wait(LONG_S)
    assert not watcher.wait(0)
    watcher.close()
