from __future__ import annotations

import os
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchlab.errors import Exit, Fault
from benchlab.files import FileLock, make_dir, share, storage_fault, write_atomic
from support.isolation import in_namespace, start_python

HOLD = """
import sys, time
from pathlib import Path
from benchlab.files import FileLock
FileLock(Path(sys.argv[1]), "the test's holder").acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def hold(path: Path) -> subprocess.Popen[str]:
    holder = start_python(HOLD, path)
    assert holder.stdout and holder.stdout.readline() == "held\n"
    return holder


def test_what_is_raised_before_the_replacement_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def no() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        write_atomic(path, b"new", before=no)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_replaced_file_has_the_new_content_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint.json"
    write_atomic(target, b"old")
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_umask_does_not_decide_who_reads(tmp_path: Path, strict_umask: None) -> None:
    make_dir(tmp_path / "a" / "b")
    write_atomic(tmp_path / "a" / "b" / "f", b"")
    assert mode_of(tmp_path / "a") == mode_of(tmp_path / "a" / "b") == 0o750
    assert mode_of(tmp_path / "a" / "b" / "f") == 0o640


def test_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    make_dir(tmp_path / "mine" / "new")
    assert mode_of(tmp_path / "mine") == 0o700


def test_file_in_the_way_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"")
    with pytest.raises(OSError):
        make_dir(tmp_path / "raw" / "below")


def test_full_disk_keeps_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from benchlab.files import write_atomic
folder = Path(sys.argv[1])
write_atomic(folder / "f", b"old")
try:
    write_atomic(folder / "f", bytes(4 << 20))
except OSError as error:
    print(error.errno, (folder / "f").read_bytes(), [p.name for p in folder.iterdir()])
"""
    done = in_namespace(f"mount -t tmpfs -o size=1m tmpfs {tmp_path}", code, tmp_path)
    assert done.stdout == "28 b'old' ['f']\n", done.stderr


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    target = tmp_path / "f"
    contents = {bytes([n]) * 10_000 for n in range(8)}
    write_atomic(target, bytes(10_000))
    done = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not done.is_set():
            seen.add(target.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for content in contents:
        write_atomic(target, content)
    done.set()
    reader.join()
    assert seen <= contents | {bytes(10_000)}


def test_second_holder_is_told_file_name_and_pid(tmp_path: Path) -> None:
    path = tmp_path / "mux.lock"
    holder = hold(path)
    try:
        with pytest.raises(Fault, match=rf"mux\.lock is held by the test's holder \(pid {holder.pid}\)") as caught:
            FileLock(path, "me").acquire()
        assert caught.value.code is Exit.IO
        assert FileLock(path, "me").holder == holder.pid
    finally:
        holder.kill()
        holder.communicate()


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = hold(path)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert FileLock(path, "me").holder is None
    with FileLock(path, "me") as lock:
        assert lock.holder == os.getpid()


def test_lock_is_exclusive_within_one_process_too(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock", "one"), pytest.raises(Fault):
        FileLock(tmp_path / "lock", "two").acquire(wait_s=0)


def test_released_lock_is_free_although_a_child_was_started_meanwhile(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock", "me")
    lock.acquire()
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        lock.release()
        lock.release()
        assert FileLock(tmp_path / "lock", "me").holder is None
    finally:
        child.kill()
        child.wait()


def test_asking_for_the_holder_does_not_make_an_owner_fail(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            assert FileLock(path, "asker").holder in (None, 0, os.getpid())

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for _ in range(200):
            with FileLock(path, "owner"):
                pass
    finally:
        done.set()
        asker.join()


def test_lock_file_with_nonsense_in_it_is_still_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with FileLock(path, "me"):
        path.write_bytes(b"\xff[")
        assert FileLock(path, "other").holder == 0
        with pytest.raises(Fault, match="held by another process"):
            FileLock(path, "other").acquire(wait_s=0)


def test_missing_group_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "group").write_text("root:x:0:\n")
    done = in_namespace(f"mount --bind {tmp_path}/group /etc/group", SHARE, tmp_path)
    assert done.stdout == "False 0o750\n", done.stderr


def test_group_we_may_not_give_files_to_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "group").write_text("root:x:0:\nbenchlab:x:4242:\n")
    done = in_namespace(f"mount --bind {tmp_path}/group /etc/group", SHARE, tmp_path)
    assert done.stdout == "False 0o750\n", done.stderr


def test_group_benchlab_inherits_what_is_created_in_our_folders(tmp_path: Path) -> None:
    (tmp_path / "group").write_text("root:x:0:\nbenchlab:x:0:\n")  # the only group a private namespace maps
    done = in_namespace(f"mount --bind {tmp_path}/group /etc/group", SHARE, tmp_path)
    assert done.stdout == "True 0o2750\n", done.stderr


SHARE = """
import stat, sys
from pathlib import Path
from benchlab.files import make_dir, share, write_atomic
folder = Path(sys.argv[1]) / "new"
make_dir(folder)
write_atomic(folder / "f", b"x")
print(share(folder / "f"), oct(stat.S_IMODE(folder.stat().st_mode)))
"""


def test_storage_faults_say_what_mends_them() -> None:
    full = storage_fault(OSError(28, "No space left on device"), Path("/data"))
    assert full.message == "/data is on a full disk: free some space, or choose another place with --data-root DIR"
    assert "read-only" in storage_fault(OSError(30, ""), Path("/data")).message
    assert "Input/output error" in storage_fault(OSError(5, "Input/output error"), Path("/data")).message


def test_share_of_a_file_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    assert share(tmp_path / "gone") is False
