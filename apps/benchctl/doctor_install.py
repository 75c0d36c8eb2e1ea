"""What an installation brings to the host: udev rules, the group, device nodes, units of the service manager."""

from __future__ import annotations

import grp
import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from benchctl.checks import ABSENT, FAIL, OK, WARN, Check
from benchlab.files import GROUP as SHARED_GROUP
from benchlab.product import shipped

GROUP = "installation"
RULES = ("99-benchlab.rules", "70-benchlab-uaccess.rules")
RULE_FOLDERS = ("etc/udev/rules.d", "run/udev/rules.d", "usr/local/lib/udev/rules.d", "usr/lib/udev/rules.d")
INSTALL = "sudo ./scripts/install.sh"
OURS = shipped("udev")
ASK_S = 5.0

NODES: Mapping[str, Sequence[str]] = {
    "serial ports": ("ttyACM*", "ttyUSB*"),
    "video devices": ("video[0-9]*",),
    "I2C buses": ("i2c-[0-9]*",),
    "Pi firmware": ("vcio",),
    "NVIDIA devices": ("nvidiactl", "nvidia[0-9]*"),
}
"""Device nodes by what they are for."""


def install_checks(root: Path = Path("/")) -> Iterator[Check]:
    """Yield all checks of this page."""
    yield from rule_checks(root)
    yield membership_check()
    yield from access_checks(root)
    yield from unit_checks(root)


def rule_checks(root: Path, ours: Path = OURS) -> Iterator[Check]:
    """Yield whether the udev rules are there, and whether they are those of this version."""
    if not (root / "run/udev").is_dir():
        yield Check(GROUP, "udev rules", ABSENT, "no udev runs here, as in most containers")
        return
    for name in RULES:
        yield _rule_check(root, name, ours / name)


def _rule_check(root: Path, name: str, ours: Path) -> Check:
    places = (root / folder / name for folder in RULE_FOLDERS)
    found = next((path for path in places if path.is_file()), None)
    fix = f"sudo install -m 0644 {ours} /etc/udev/rules.d/ && sudo udevadm control --reload && sudo udevadm trigger"
    if found is None:
        return Check(GROUP, name, ABSENT, "not installed: devices have the groups that the system gives them", fix)
    try:
        differs = ours.is_file() and ours.read_bytes() != found.read_bytes()
    except OSError as error:
        return Check(GROUP, name, WARN, f"{found} cannot be read: {error.strerror}", f"sudo chmod 0644 {found}")
    if differs:
        return Check(GROUP, name, WARN, f"{found} is not the one of this version", fix)
    return Check(GROUP, name, OK, str(found))


def membership_check(
    uid: int | None = None,
    groups: Collection[int] | None = None,
    gid_of: Callable[[str], int] = lambda name: grp.getgrnam(name).gr_gid,
) -> Check:
    """Return whether this user is in the group that the services share their sessions with."""
    uid = os.geteuid() if uid is None else uid
    groups = {os.getegid(), *os.getgroups()} if groups is None else groups
    name = f"group {SHARED_GROUP}"
    try:
        gid = gid_of(SHARED_GROUP)
    except KeyError:
        return Check(GROUP, name, ABSENT, "no such group: what one user records is that user's", INSTALL)
    if uid == 0 or gid in groups:
        return Check(GROUP, name, OK, f"user {uid} may read the sessions of the services")
    fix = f"sudo usermod -aG {SHARED_GROUP} $USER, then log in again"
    return Check(GROUP, name, WARN, f"user {uid} is not in it, and may not read the sessions of the services", fix)


def access_checks(root: Path, may_use: Callable[[Path], bool] | None = None) -> Iterator[Check]:
    """Yield whether this user may use the device nodes that are there; by the group of those that are not ours."""
    may_use = may_use or (lambda path: os.access(path, os.R_OK | os.W_OK))
    for name, patterns in NODES.items():
        nodes = sorted(path for pattern in patterns for path in (root / "dev").glob(pattern))
        refused = [path for path in nodes if not may_use(path)]
        if not nodes:
            yield Check(GROUP, name, ABSENT, f"no {' or '.join(f'/dev/{pattern}' for pattern in patterns)}")
        elif refused:
            first = refused[0]
            found = f"permission denied: {', '.join(path.name for path in refused)}"
            yield Check(GROUP, name, WARN, found, _group_fix(first))
        else:
            yield Check(GROUP, name, OK, ", ".join(path.name for path in nodes))


def _group_fix(node: Path) -> str:
    status = node.stat()
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    if not status.st_mode & 0o060 or group == "root":
        return f"{node} is for its owner alone: {INSTALL} brings rules that give it to a group"
    return f"sudo usermod -aG {group} $USER, then log in again"


def unit_checks(root: Path, systemctl: str | None = None) -> Iterator[Check]:
    """Yield the state of each of our units, as far as there is a systemd to ask; nothing is changed."""
    systemctl = systemctl or shutil.which("systemctl")
    if systemctl is None or not (root / "run/systemd/system").is_dir():
        yield Check(GROUP, "units", ABSENT, "systemd does not run here: programs are started by hand")
        return
    argv = [systemctl, "list-units", "--all", "--plain", "--no-legend", "--no-pager", "benchlab*"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASK_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Check(GROUP, "units", WARN, f"systemctl cannot be asked: {error}", "systemctl status 'benchlab*'")
        return
    if done.returncode:
        yield Check(GROUP, "units", WARN, f"systemctl: {done.stderr.strip()}", "systemctl status 'benchlab*'")
        return
    rows = [line.split(maxsplit=4) for line in done.stdout.splitlines()]
    units = {row[0]: row[1:4] for row in rows if len(row) >= 4}
    if not units:
        yield Check(GROUP, "units", ABSENT, "none is installed", INSTALL)
    for unit, (load, active, sub) in units.items():
        yield _unit_check(unit, load, active, sub, has_timer=f"{unit.rpartition('.')[0]}.timer" in units)


def _unit_check(unit: str, load: str, active: str, sub: str, *, has_timer: bool) -> Check:
    found = f"{active} ({sub})"
    if load != "loaded":
        return Check(GROUP, unit, FAIL, f"{load}, expected loaded", f"systemctl status {unit}; {INSTALL}")
    if active == "failed" or sub == "auto-restart":
        return Check(GROUP, unit, FAIL, found, f"journalctl -u {unit} -n 50")
    if active in ("active", "activating", "reloading"):
        return Check(GROUP, unit, OK, found)
    if has_timer and unit.endswith(".service"):
        return Check(GROUP, unit, OK, f"{found}: its timer starts it")
    return Check(GROUP, unit, WARN, found, f"sudo systemctl enable --now {unit}")
