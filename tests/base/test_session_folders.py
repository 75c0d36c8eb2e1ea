from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from benchlab.clock import wall_ns
from benchlab.errors import Exit, Fault
from benchlab.session import list_sessions, new_session, open_session, sessions_root
from benchlab.session_file import timestamp_name
from support.isolation import booted, in_namespace, start_python

SECOND = 1_000_000_000


def describe(data_root: Path, name: str, **fields: object) -> Path:
    """Write a session.json by hand."""
    folder = sessions_root(data_root) / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "session.json").write_text(json.dumps({"id": name, **fields}))
    return folder


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_first_current_is_named_by_the_time_and_linked(tmp_path: Path) -> None:
    session = open_session(tmp_path, node="vantage-ws-01", config_digest="d1")
    link = sessions_root(tmp_path) / "current"
    assert str(link.readlink()) == session.name
    moment = session.born_ns
    assert session.name == timestamp_name(moment) and abs(moment - wall_ns()) < 600 * SECOND
    assert (session.info.id, session.info.node, session.info.config_digest) == (session.name, "vantage-ws-01", "d1")
    assert session.info.host["hostname"] == os.uname().nodename
    assert open_session(tmp_path).name == session.name


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    made = open_session(tmp_path, "dev")
    assert open_session(tmp_path, "dev", create=False).info == made.info


def test_named_session_is_made_once_and_does_not_become_current(tmp_path: Path) -> None:
    first = open_session(tmp_path, "dev")
    assert open_session(tmp_path, "dev").info == first.info
    assert not (sessions_root(tmp_path) / "current").exists()


def test_folders_and_files_are_readable_by_the_group_only(tmp_path: Path) -> None:
    session = open_session(tmp_path / "root")
    folders = [session.raw, session.aligned, session.cx_export, session.store, session.quarantine, session.state]
    assert [f.name for f in folders] == ["raw", "aligned", "cx-export", "store", "quarantine", "state"]
    assert {mode_of(f) & 0o777 for f in [*folders, session.dir, tmp_path / "root"]} == {0o750}
    assert mode_of(session.dir / "session.json") == 0o640


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../dev", "/etc", "a b", "x" * 65, "ä", "a\nb", "dev\n", "\0"])
def test_name_that_could_be_a_path_is_one_usage_error(tmp_path: Path, name: str) -> None:
    for attempt in (open_session, new_session):
        with pytest.raises(Fault, match="a name is not a path") as caught:
            attempt(tmp_path, name)
        assert caught.value.code is Exit.USAGE
        assert "\n" not in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_current_is_no_name_for_a_new_session(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        new_session(tmp_path, "current")
    assert caught.value.code is Exit.USAGE


def test_missing_session_is_not_made_for_a_reader_who_is_told_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"no session dev .* there are none yet"):
        open_session(tmp_path, "dev", create=False)
    assert list(tmp_path.iterdir()) == []
    open_session(tmp_path, "lab-1")
    with pytest.raises(Fault, match=r"no session dev .* there are lab-1") as caught:
        open_session(tmp_path, "dev", create=False)
    assert caught.value.code is Exit.IO


def test_two_sessions_in_one_second_have_two_names(tmp_path: Path) -> None:
    taken = [timestamp_name(wall_ns() + n * SECOND) for n in range(60)]
    for name in taken:
        describe(tmp_path, name)
    session = new_session(tmp_path)
    assert session.name.removesuffix("-2") in taken and session.name not in taken
    assert timestamp_name(session.born_ns) in taken


def test_name_that_exists_is_not_made_anew(tmp_path: Path) -> None:
    new_session(tmp_path, "dev")
    with pytest.raises(Fault, match="session dev exists already") as caught:
        new_session(tmp_path, "dev")
    assert caught.value.code is Exit.USAGE


def test_new_session_becomes_current(tmp_path: Path) -> None:
    first = open_session(tmp_path)
    second = new_session(tmp_path, "night-run")
    assert open_session(tmp_path).name == "night-run"
    assert second.info.continues is None, "nobody records the first one"
    assert (first.info.starts_ns or 0) <= (second.info.starts_ns or 0)


def test_closed_current_is_read_by_readers_and_replaced_for_writers(tmp_path: Path) -> None:
    first = open_session(tmp_path)
    first.close(5)
    assert open_session(tmp_path, create=False).name == first.name
    second = open_session(tmp_path)
    assert second.name != first.name and not second.info.closed
    assert open_session(tmp_path, create=False).name == second.name


def test_closed_session_takes_no_more_events(tmp_path: Path) -> None:
    session = open_session(tmp_path, "dev")
    other = open_session(tmp_path, "dev")
    session.close(7)
    with pytest.raises(Fault, match="session dev is closed and takes no more events") as caught:
        other.clock()
    assert caught.value.code is Exit.IO


def test_closing_twice_keeps_the_first_time(tmp_path: Path) -> None:
    session = open_session(tmp_path, "dev")
    session.close(7)
    session.close(8)
    assert (session.info.closed, session.info.closed_ns) == (True, 7)


def test_two_processes_change_different_fields_and_neither_is_lost(tmp_path: Path) -> None:
    mine, theirs = open_session(tmp_path, "dev"), open_session(tmp_path, "dev")
    mine.pin()
    theirs.close(9)
    mine.reload()
    assert (mine.info.pinned, mine.info.closed_ns) == (True, 9)
    mine.pin(False)
    assert not open_session(tmp_path, "dev").info.pinned


def test_reload_keeps_what_is_known_of_a_damaged_file(tmp_path: Path) -> None:
    session = open_session(tmp_path, "dev")
    before = session.info
    (session.dir / "session.json").write_text("{")
    session.reload()
    assert session.info == before and session.problem and "session.json" in session.problem
    (session.dir / "session.json").unlink()
    session.reload()
    assert session.info == before


def test_bare_folder_is_a_closed_session_and_stays_bare(tmp_path: Path) -> None:
    raw = sessions_root(tmp_path) / "dev" / "raw"
    raw.mkdir(parents=True)
    (raw / "pipeline.jsonl").write_text('{"ts_ns":1,"source":"pipeline","kv":{"stage":"ingress"}}\n')
    for create in (True, False):
        session = open_session(tmp_path, "dev", create=create)
        assert session.is_bare and session.info.closed and session.info.anchor_ns is None
        assert session.aligned.is_dir()
    assert not (session.dir / "session.json").exists()
    with pytest.raises(Fault, match="bare folder of raw files and takes no more events"):
        session.clock()
    with pytest.raises(Fault, match="bare folder"):
        session.pin()
    assert [s.is_bare for s in list_sessions(tmp_path)] == [True]


def test_folder_without_anything_in_it_is_taken_for_a_new_session(tmp_path: Path) -> None:
    (sessions_root(tmp_path) / "dev" / "raw").mkdir(parents=True)
    session = open_session(tmp_path, "dev")
    assert not session.is_bare and session.clock().now_ns() > 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": 5}', '{"id":"dev","anchor_ns":"x"}', "\x00" * 64])
def test_damaged_description_is_one_line_for_its_reader_and_survived_by_the_list(tmp_path: Path, content: str) -> None:
    good = open_session(tmp_path, "good")
    broken = describe(tmp_path, "broken")
    (broken / "session.json").write_text(content)
    with pytest.raises(Fault, match=r"broken/session\.json: found .* expected the description") as caught:
        open_session(tmp_path, "broken")
    assert "\n" not in caught.value.message
    problems = {s.name: s.problem for s in list_sessions(tmp_path)}
    assert problems[good.name] is None and "session.json" in str(problems["broken"])


def test_damaged_description_of_current_does_not_keep_a_collector_from_recording(tmp_path: Path) -> None:
    first = open_session(tmp_path)
    (first.dir / "session.json").write_text("{")
    second = open_session(tmp_path)
    assert second.name != first.name
    assert second.clock().now_ns() > 0


def test_link_that_leads_nowhere_is_replaced(tmp_path: Path) -> None:
    sessions_root(tmp_path).mkdir()
    (sessions_root(tmp_path) / "current").symlink_to("gone")
    assert open_session(tmp_path).name != "gone"


@pytest.mark.parametrize("target", ["../elsewhere", "/etc", "a/b", "..", "."])
def test_link_out_of_the_sessions_folder_is_refused(tmp_path: Path, target: str) -> None:
    sessions_root(tmp_path).mkdir()
    (sessions_root(tmp_path) / "current").symlink_to(target)
    for create in (True, False):
        with pytest.raises(Fault, match="expected the name of a session beside it"):
            open_session(tmp_path, create=create)


def test_folder_named_current_is_refused(tmp_path: Path) -> None:
    (sessions_root(tmp_path) / "current").mkdir(parents=True)
    with pytest.raises(Fault, match="expected a link to a session"):
        open_session(tmp_path)


def test_sessions_are_listed_by_description_then_name_then_mtime(tmp_path: Path) -> None:
    describe(tmp_path, "dev", created="2025-03-01T00:00:00Z")
    describe(tmp_path, "2025-01-01T00-00-00Z", created="2025-04-01T00:00:00.500000+00:00")
    (sessions_root(tmp_path) / "2025-02-01T00-00-00Z-2" / "raw").mkdir(parents=True)
    describe(tmp_path, "2025-02-31T00-00-00Z")
    old = describe(tmp_path, "old", created="yesterday")
    for folder, day in ((old, 1_000_000_000), (sessions_root(tmp_path) / "2025-02-31T00-00-00Z", 1_100_000_000)):
        os.utime(folder, (day, day))
    assert [s.name for s in list_sessions(tmp_path)] == [
        "old",
        "2025-02-31T00-00-00Z",
        "2025-02-01T00-00-00Z-2",
        "dev",
        "2025-01-01T00-00-00Z",
    ]


def test_what_is_no_session_is_not_listed(tmp_path: Path) -> None:
    session = open_session(tmp_path)
    root = sessions_root(tmp_path)
    (root / "file").write_text("")
    (root / "empty").mkdir()
    (root / "a name with spaces" / "raw").mkdir(parents=True)
    (root / "link").symlink_to(session.name)
    assert [s.name for s in list_sessions(tmp_path)] == [session.name]
    assert list_sessions(tmp_path / "nowhere") == []


def test_description_of_a_later_version_is_read(tmp_path: Path) -> None:
    describe(tmp_path, "dev", colour="blue", anchor_ns=1, boot_id="b")
    assert open_session(tmp_path, "dev").info.anchor_ns == 1


START = """
import sys
from pathlib import Path
from benchlab.session import open_session
print("ready", flush=True)
sys.stdin.readline()
session = open_session(Path(sys.argv[1]), sys.argv[2])
print(session.name, session.clock().anchor_ns, flush=True)
"""


@pytest.mark.parametrize("name", ["current", "dev"])
def test_processes_that_start_at_the_same_moment_agree_on_one_session(tmp_path: Path, name: str) -> None:
    for attempt in range(3):
        data_root = tmp_path / str(attempt)
        processes = [start_python(START, data_root, name) for _ in range(4)]
        for process in processes:
            assert process.stdout and process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        said = {process.communicate(timeout=60)[0] for process in processes}
        assert len(said) == 1, said
        assert len(list_sessions(data_root)) == 1


def test_link_is_never_missing_while_sessions_are_made(tmp_path: Path) -> None:
    open_session(tmp_path)
    maker = start_python(MAKE_MANY, tmp_path)
    names = set()
    while maker.poll() is None:
        names.add(open_session(tmp_path, create=False).name)
    assert maker.returncode == 0
    assert len(list_sessions(tmp_path)) == 21
    assert names


MAKE_MANY = """
import sys
from pathlib import Path
from benchlab.session import new_session
for _ in range(20):
    new_session(Path(sys.argv[1]))
"""

TRY = """
import sys
from pathlib import Path
from benchlab.errors import Fault
from benchlab.session import list_sessions, new_session, open_session
data_root = Path(sys.argv[1])
for act in (lambda: open_session(data_root), lambda: open_session(data_root, "dev"), lambda: new_session(data_root)):
    try:
        print("made", act().name)
    except Fault as fault:
        print(int(fault.code), fault.message)
print(list_sessions(data_root))
print(sorted(str(p) for p in data_root.rglob("*")))
"""


def test_read_only_data_root_is_one_clear_line(tmp_path: Path) -> None:
    done = in_namespace(f"mount -t tmpfs -o ro tmpfs {tmp_path}", TRY, tmp_path)
    told = f"5 {tmp_path} is read-only: make it writable, or choose another place with --data-root DIR\n"
    assert done.stdout == told * 3 + "[]\n[]\n", done.stderr


def test_full_data_root_is_one_clear_line_and_leaves_no_half_session(tmp_path: Path) -> None:
    fill = f"mount -t tmpfs -o size=64k tmpfs {tmp_path}; mkdir {tmp_path}/sessions"
    fill += f"; cat /dev/zero > {tmp_path}/filler 2>/dev/null || true"
    done = in_namespace(fill, TRY, tmp_path)
    told = f"5 {tmp_path} is on a full disk: free some space, or choose another place with --data-root DIR\n"
    assert done.stdout.startswith(told * 3 + "[]\n"), done.stdout + done.stderr
    assert "session.json" not in done.stdout and "Z'" not in done.stdout


def test_sessions_of_a_read_only_data_root_can_be_read(tmp_path: Path) -> None:
    session = open_session(tmp_path)
    code = """
import sys
from pathlib import Path
from benchlab.session import list_sessions, open_session
data_root = Path(sys.argv[1])
session = open_session(data_root, create=False)
print([s.name for s in list_sessions(data_root)], session.aligned.name, session.aligned.exists())
"""
    done = in_namespace(f"mount --bind {tmp_path} {tmp_path}; mount -o remount,ro,bind {tmp_path}", code, tmp_path)
    assert done.stdout == f"['{session.name}'] aligned False\n", done.stderr


def test_data_root_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Fault, match="cannot be used") as caught:
        open_session(tmp_path / "file")
    assert caught.value.code is Exit.IO


def test_file_in_the_place_of_a_session_is_one_clear_line(tmp_path: Path) -> None:
    sessions_root(tmp_path).mkdir()
    (sessions_root(tmp_path) / "dev").write_text("")
    with pytest.raises(Fault, match="no session dev"):
        open_session(tmp_path, "dev", create=False)
    with pytest.raises(Fault, match=r"cannot be used \(.*sessions/dev"):
        open_session(tmp_path, "dev")


def test_host_facts_that_cannot_be_read_are_absent(tmp_path: Path) -> None:
    session = open_session(tmp_path, "dev", root=booted(tmp_path, "b1"))
    assert "cpu_model" not in session.info.host and "memory_total" not in session.info.host
    assert session.info.boot_id == "b1"


def test_what_is_being_deleted_is_no_session_and_no_name_for_one(tmp_path: Path) -> None:
    describe(tmp_path, "dev")
    describe(tmp_path, ".old.deleting")
    assert [session.name for session in list_sessions(tmp_path)] == ["dev"]
    with pytest.raises(Fault) as refused:
        open_session(tmp_path, ".old.deleting", create=False)
    assert refused.value.code == Exit.USAGE
