"""A tree of a thousand sessions, and trees of every kind: the protected survive, and a dry run foretells the rest."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchlab.errors import Exit
from benchlab.files import FileLock
from benchlab.session import list_sessions
from retentiond.report import Report
from retentiond.trash import space_of
from retentiond.trimmer import Policy, Trimmer
from support.old_sessions import LINE, NOW_NS, Old, content, point_current, timestamp

Trim = Callable[..., Report]


def break_something(old: Old, kind: int) -> None:
    """Damage a session in one of the ways that years bring about."""
    description = old.dir / "session.json"
    if kind == 0:
        description.write_bytes(b"")
    elif kind == 1:
        description.write_bytes(b"\xff\xfe not JSON")
    elif kind == 2:
        description.write_text('{"id": 5}')
    elif kind == 3:
        description.unlink()
        description.mkdir()
    elif kind == 4:
        for path in (old.dir / "state").iterdir():
            path.unlink()
        (old.dir / "state").rmdir()
        (old.dir / "state").write_text("a file")
    elif kind == 5:
        (old.dir / "raw" / "pipeline.jsonl").unlink()
        (old.dir / "raw").rmdir()
        (old.dir / "raw").write_bytes(LINE)
    elif kind == 6:
        (old.dir / "state" / "mux.json").write_bytes(b"{")
    elif kind == 7:
        (old.dir / "raw" / "folder.jsonl").mkdir()


def thousand(data_root: Path) -> None:
    chance = random.Random(7)
    for n in range(980):
        age = n / 5
        old = Old(data_root, timestamp(age) if n % 3 else f"lab-{n}", age, pinned=n % 50 == 0)
        if n % 10 == 9:
            break_something(old, chance.randrange(8))
        if n % 40 == 3:
            old.bare(age)
        if n % 25 == 7:
            old.raw.parent.is_dir() and (old.dir / "raw" / "late.jsonl").write_bytes(LINE)
    Old(data_root, "dev", 400)
    point_current(data_root, "lab-900")
    root = data_root / "sessions"
    for n in range(10):
        (root / f"file-{n}").write_text("no folder")
        (root / f"empty-{n}").mkdir()
    (root / "linked").symlink_to(data_root)
    (root / "loop").symlink_to("loop")


def story(report: Report) -> tuple[object, ...]:
    return report.sessions, report.raw_folders, report.leftovers, report.kept, report.failed, report.free_bytes


def test_thousand_sessions_with_broken_ones_among_them(tmp_path: Path, trim: Trim) -> None:
    thousand(tmp_path)
    root = tmp_path / "sessions"
    before, names = content(tmp_path), {s.name for s in list_sessions(tmp_path)}
    times = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    told: list[tuple[int, int]] = []

    dry = trim(dry_run=True, on_session=lambda done, total: told.append((done, total)))
    assert content(tmp_path) == before
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == times
    assert told[-1] == (len(names), len(names)) and len(names) > 950

    space = space_of(root)
    wet = trim()
    assert story(wet) == story(dry)
    assert wet.freed_bytes == space - space_of(root)
    assert (len(wet.sessions), len(wet.raw_folders)) > (300, 300)
    assert set(wet.by_reason()) == {"within its days", "current", "pinned", "not muxed", "unreadable"}
    assert wet.code == Exit.FINDING  # some descriptions could not be read
    after = {s.name for s in list_sessions(tmp_path)}
    assert after == names - {f.session for f in wet.sessions}
    assert after == set(wet.kept) | set(wet.failed)
    assert all((root / f"file-{n}").exists() and (root / f"empty-{n}").exists() for n in range(10))
    assert "dev" not in after and "lab-900" in after

    again = trim()
    assert (again.sessions, again.raw_folders) == ([], [])


SESSION = st.fixed_dictionaries(
    {
        "age": st.integers(0, 200),
        "kind": st.sampled_from(["plain", "plain", "pinned", "written", "unmuxed", "grown", "open", "bare", "sink"]),
    }
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    made=st.lists(SESSION, min_size=1, max_size=6),
    days=st.integers(1, 150),
    raw_keep_days=st.integers(0, 150),
    min_free=st.sampled_from([0, 10**6, 10**12]),
    current=st.integers(0, 5),
)
def test_protected_survive_and_due_ones_go_whatever_the_tree(
    made: list[dict[str, object]], days: int, raw_keep_days: int, min_free: int, current: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder)
        sessions = [_made(root, n, spec, stack) for n, spec in enumerate(made)]
        if current < len(sessions):
            point_current(root, sessions[current].name)
        before = [old.content() for old in sessions]

        def run(dry_run: bool) -> Report:
            return Trimmer(
                root,
                Policy(days, raw_keep_days, min_free),
                lambda session, stays: ["influx lags"] if session.name.endswith("sink") else [],
                dry_run=dry_run,
                now_ns=lambda: NOW_NS,
                free_bytes=lambda path: 10**6 - space_of(path),
            ).run()

        dry, wet = run(True), run(False)
        assert story(dry) == story(wet)
        for n, (old, spec) in enumerate(zip(sessions, made, strict=True)):
            protected = n == current or spec["kind"] not in ("plain", "bare", "open")
            if protected:
                assert old.content() == before[n]
                continue
            age = int(str(spec["age"]))
            if age > days or (min_free == 10**12 and spec["kind"] != "open"):
                assert not old.dir.exists()
            elif age > raw_keep_days and spec["kind"] != "open":
                assert not old.has_raw
            elif min_free == 0:
                assert old.content() == before[n]


def _made(root: Path, n: int, spec: dict[str, object], stack: ExitStack) -> Old:
    age, kind = float(str(spec["age"])), spec["kind"]
    old = Old(root, f"s{n}-{kind}", age, pinned=kind == "pinned", closed=kind != "open")
    if kind == "written":
        stack.enter_context(FileLock(old.dir / "state" / "telemetry.lock", "telemetryd"))
    elif kind == "unmuxed":
        (old.dir / "state" / "mux.json").unlink()
    elif kind == "grown":
        old.raw.write_bytes(old.raw.read_bytes() + LINE)
    elif kind == "open":
        old.muxed(final=False)
    elif kind == "bare":
        old.bare(age)
    return old
