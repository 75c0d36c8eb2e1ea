"""The conditions on this host that the product depends on: Python, clock, port, disk, notification, group."""

from __future__ import annotations

import grp
import os
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchctl.checks import FAIL, OK, WARN, Check
from benchctl.ports import check_port
from benchlab import cli
from benchlab.errors import Fault
from benchlab.files import GROUP as SHARED_GROUP
from benchlab.files import storage_fault
from benchlab.log.watch import Watcher
from benchlab.query.percentiles import percentile

HOST = "host"
DATA = "data root"

OLDEST_PYTHON = (3, 10)
LOW_BYTES = 1_000_000_000
SYNCS = 30
SYNCS_S = 1.5
SLOW_SYNC_S = 0.1
HEAR_S = 1.0
_BLOCK = b"\0" * 4096
_IN_MEMORY = ("tmpfs", "ramfs", "rootfs")


def python_check(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """Return whether this Python serves."""
    found = f"{'.'.join(map(str, version))} ({sys.executable})"
    if version >= OLDEST_PYTHON:
        return Check(HOST, "python", OK, found)
    return Check(HOST, "python", FAIL, f"{found}, needed 3.10 or newer", "sudo apt-get install -y python3 python3-venv")


def clock_check(synchronised: bool | None) -> Check:
    """Return the verdict on the wall clock."""
    if synchronised:
        return Check(HOST, "clock", OK, "synchronised")
    if synchronised is None:
        return Check(HOST, "clock", WARN, "the kernel does not tell whether it is synchronised", "chronyc tracking")
    found = "not synchronised: times are right within this host, not against others"
    return Check(HOST, "clock", WARN, found, "sudo timedatectl set-ntp true")


def port_check(bind: str, mux_pid: int | None) -> Check:
    """Return whether muxd can serve /metrics on ``bind``; ``mux_pid`` is the one that may already."""
    owner = cli.port_owner(int(bind.rpartition(":")[2]))
    if mux_pid and owner and owner.endswith(f"(pid {mux_pid})"):
        return Check(HOST, "port", OK, f"{bind} is served by muxd (pid {mux_pid})")
    try:
        check_port(bind, "choose another")
    except Fault as fault:
        fix = "stop it, or move ours: muxd --prom-bind HOST:PORT, BENCHLAB_PROM, [prometheus].bind"
        return Check(HOST, "port", FAIL, fault.message.rpartition(": ")[0] or fault.message, fix)
    return Check(HOST, "port", OK, f"{bind} is free")


def storage_checks(data_root: Path, min_free_bytes: float, proc: Path = Path("/proc")) -> Iterator[Check]:
    """Yield what the data root's disk is like, tried in a scratch folder that is removed again."""
    place = next(path for path in (data_root, *data_root.parents) if _is_there(path))
    not_yet = "" if place == data_root else f", to be made in {place}"
    try:
        yield from group_checks(place)
        yield space_check(shutil.disk_usage(place).free, min_free_bytes)
        with TemporaryDirectory(prefix=".benchctl-doctor-", dir=place) as name:
            yield Check(DATA, "writable", OK, f"{data_root}{not_yet}")
            yield sync_check(Path(name), filesystem_of(place, proc))
            yield inotify_check(Path(name))
    except OSError as error:
        fault = storage_fault(error, data_root)
        is_shared = next(group_checks(place), None) is not None
        fix = f"sudo -u {SHARED_GROUP} benchctl doctor" if is_shared else f"sudo chown -R {os.geteuid()} {place}"
        yield Check(DATA, "writable", FAIL, fault.message, f"{fix}, or --data-root DIR")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # behind a folder that may not be looked into
        return False


def space_check(free_bytes: int, min_free_bytes: float) -> Check:
    """Return whether there is room to record."""
    found = f"{free_bytes / 1e9:.1f} GB"
    least = max(LOW_BYTES, min_free_bytes)
    if free_bytes >= least:
        return Check(DATA, "free space", OK, found)
    fix = "benchctl session list shows what takes how much; lower [retention].days or raw_keep_days"
    return Check(DATA, "free space", WARN, f"{found}, expected at least {least / 1e9:.1f} GB", fix)


def sync_check(folder: Path, filesystem: str, sync: Callable[[int], None] = os.fdatasync) -> Check:
    """Return how long the disk takes to make 4 KiB durable, as every writer asks of it once a second.

    Each time is of an appended block, so that the file's length has to be made durable as well. Raises OSError.
    """
    times_s = sorted(_sync_times(folder / "sync", sync))
    median_s, longest_s = percentile(times_s, 50), times_s[-1]
    found = f"{median_s * 1e3:.2f} ms, at most {longest_s * 1e3:.2f} ms, {len(times_s)} tries on {filesystem}"
    if filesystem in _IN_MEMORY:
        return Check(DATA, "fsync", WARN, f"{found}: in memory, gone with the power", "--data-root DIR on a disk")
    if median_s <= SLOW_SYNC_S:
        return Check(DATA, "fsync", OK, found)
    return Check(DATA, "fsync", WARN, f"{found}: slow", "--data-root DIR on a faster disk, or raise [general].fsync_s")


def _sync_times(path: Path, sync: Callable[[int], None]) -> Iterator[float]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        give_up_s = time.monotonic() + SYNCS_S
        for _ in range(SYNCS):
            os.write(fd, _BLOCK)
            begin_s = time.perf_counter()
            sync(fd)
            yield time.perf_counter() - begin_s
            if time.monotonic() > give_up_s:
                return
    finally:
        os.close(fd)


def filesystem_of(path: Path, proc: Path = Path("/proc")) -> str:
    """Return the type of the file system that a path is on. Source: proc_pid_mountinfo(5)."""
    target, best, kind = path.resolve(), -1, "an unknown file system"
    try:
        text = (proc / "self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return kind
    for line in text.splitlines():
        mount, _, rest = line.partition(" - ")
        point = Path(mount.split(" ")[4].replace("\\040", " "))
        if len(point.parts) >= best and target.is_relative_to(point):
            best, kind = len(point.parts), rest.split(" ")[0]
    return kind


def inotify_check(folder: Path) -> Check:
    """Return whether a new file is heard of, or has to be looked for. Raises OSError."""
    with Watcher(folder) as watcher:
        (folder / "heard").write_bytes(b"")
        if watcher.wait(HEAR_S) and not watcher.polling:
            return Check(DATA, "inotify", OK, "new lines are heard of at once")
    fix = "sudo sysctl fs.inotify.max_user_instances=1024; on a network file system there is none"
    return Check(DATA, "inotify", WARN, "not available: files are polled, which costs processor time", fix)


def group_checks(
    place: Path,
    uid: int | None = None,
    groups: Collection[int] | None = None,
    owner: Callable[[int], str] = lambda gid: grp.getgrgid(gid).gr_name,
) -> Iterator[Check]:
    """Yield whether this user is in the group ``benchlab`` where the data root belongs to it."""
    status = place.stat()
    try:
        name = owner(status.st_gid)
    except KeyError:
        return
    uid = os.geteuid() if uid is None else uid
    groups = {os.getegid(), *os.getgroups()} if groups is None else groups
    if name != SHARED_GROUP:
        return
    if uid in (0, status.st_uid) or status.st_gid in groups:
        yield Check(DATA, "group", OK, f"user {uid} may use what belongs to group {name}")
        return
    fix = f"sudo usermod -aG {name} $USER, then log in again"
    yield Check(DATA, "group", WARN, f"{place} belongs to group {name}, user {uid} is not in it", fix)
