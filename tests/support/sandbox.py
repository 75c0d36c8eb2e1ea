"""A unit's own restrictions, put up by bubblewrap around its command on an installed tree, as its user.

What bubblewrap has no means for is left out: ProtectProc= (whose processes are seen) and the limits of cgroups. Of
DeviceAllow= it is the nodes that are checked: only those of the groups named are there.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.processes import until
from support.seccomp import filters_of
from support.units import Unit

USER = "benchlab"
NOTIFY = "/run/manager"
DEVICES = {
    "char-ttyACM": "ttyACM*",
    "char-ttyUSB": "ttyUSB*",
    "char-video4linux": "video*",
    "char-media": "media*",
    "char-drm": "dri/*",
    "char-nvidia*": "nvidia*",
    "char-i2c": "i2c-*",
    "char-vcio": "vcio",
}
"""The nodes below /dev of the groups in /proc/devices that units name."""


@dataclass(frozen=True)
class Tree:
    """An installed system below a folder; ``net`` is a process whose network it has, ``devices`` stand for /dev."""

    root: Path
    net: int
    devices: Mapping[str, Path] = field(default_factory=dict)

    def ids(self, user: str) -> tuple[int, int]:
        """Return uid and gid of a user of the tree."""
        for line in (self.root / "etc/passwd").read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == user:
                return int(uid), int(gid)
        raise AssertionError(f"no user {user}")

    def gid(self, group: str) -> int:
        """Return the number of a group of the tree."""
        for line in (self.root / "etc/group").read_text().splitlines():
            name, _, gid, *_ = line.split(":")
            if name == group:
                return int(gid)
        raise AssertionError(f"no group {group}")

    def as_user(self, uid: int, gid: int, groups: Sequence[int] = ()) -> list[str]:
        """Return the words before a command that give it the tree's network and a user."""
        more = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
        setpriv = ["setpriv", f"--reuid={uid}", f"--regid={gid}", more, "--inh-caps=-all", "--bounding-set=-all"]
        return ["nsenter", f"--target={self.net}", "--net", *setpriv]


class Service:
    """A unit that runs, or another command in its place; ``said``: what it told its manager, ``log``: what it wrote."""

    def __init__(
        self, unit: Unit, tree: Tree, extra: Sequence[str] = (), command: Sequence[str] = (), log: str = "log"
    ) -> None:
        self.unit = unit
        self._tree = tree
        self.said: list[str] = []
        self.log = tree.root.parent / f"{unit.name}.{log}"
        self._manager = _manager(tree, unit)
        for words in unit.all("ExecStartPre"):
            assert self._start(["/bin/sh", "-c", words]).wait(60) == 0, self.log.read_text()
        self._process = self._start([*(command or unit.command), *extra])

    @property
    def pid(self) -> int:
        """The pid of the unit's program."""
        return self._pid

    def is_ready(self) -> bool:
        """Return whether it has said so; fails if it has ended."""
        assert self._process.poll() is None, self.log.read_text()
        return "READY=1" in self._heard()

    def has_petted(self) -> bool:
        """Return whether it has told the watchdog that it lives."""
        return "WATCHDOG=1" in self._heard()

    def kill(self, number: int) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        os.kill(self._pid, number)
        return self.wait()

    def stop(self) -> int:
        """End it as systemd does."""
        return self.kill(signal.SIGTERM) if self._process.poll() is None else self.wait()

    def wait(self, seconds: float = 60.0) -> int:
        """Wait for its end and return its exit code."""
        code = self._process.wait(seconds)
        self._heard()
        self._manager.close()
        return code

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        fds = filters_of(self.unit)
        told, tell = os.pipe()
        words = _words(self.unit, self._tree, [*fds], tell)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*words, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[*fds, tell],
                umask=int(self.unit.one("UMask"), 8),
            )
        for fd in (*fds, tell):
            os.close(fd)
        with os.fdopen(told) as file:
            text = file.read()
        assert text, self.log.read_text()
        self._pid = int(json.loads(text)["child-pid"])
        return process

    def _heard(self) -> list[str]:
        while True:
            try:
                self.said += self._manager.recv(4096).decode().splitlines()
            except (BlockingIOError, OSError):
                return self.said


def _manager(tree: Tree, unit: Unit) -> socket.socket:
    """Return the socket on which the unit's messages to the manager are heard."""
    folder = tree.root / NOTIFY.lstrip("/")
    folder.mkdir(exist_ok=True)
    path = folder / unit.name
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    listener.bind(str(path))
    path.chmod(0o777)
    return listener


def _words(unit: Unit, tree: Tree, filters: Sequence[int], tell: int) -> list[str]:
    uid, gid = tree.ids(unit.one("User"))
    groups = [tree.gid(name) for name in unit.words("SupplementaryGroups")]
    assert unit.one("ProtectSystem") == "strict" and unit.is_on("NoNewPrivileges")  # bubblewrap sets it always
    words = [*tree.as_user(uid, gid, [gid, *groups]), "bwrap", "--die-with-parent", "--ro-bind", str(tree.root), "/"]
    words += ["--dev", "/dev", "--ro-bind", "/proc", "/proc", "--ro-bind", "/sys", "/sys"]
    if unit.is_on("PrivateTmp"):
        words += ["--tmpfs", "/tmp", "--tmpfs", "/var/tmp"]
    if unit.is_on("ProtectHome"):
        words += ["--perms", "0000", "--tmpfs", "/home", "--perms", "0000", "--tmpfs", "/root"]
    if unit.is_on("PrivateNetwork"):
        words.append("--unshare-net")
    if not unit.is_on("PrivateDevices"):
        assert unit.one("DevicePolicy") == "closed"
        words += _devices(unit, tree)
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8", "USER": USER}
    env |= {"HOME": "/var/lib/benchlab", **unit.environment(tree.root / "etc/benchlab")}
    env["NOTIFY_SOCKET"] = f"{NOTIFY}/{unit.name}"
    if unit.one("WatchdogSec"):
        env["WATCHDOG_USEC"] = "1000000"
    for key, (path, mode) in unit.folders().items():
        _make_folder(tree, path, mode, uid, gid)
        words += ["--bind", str(tree.root / path.lstrip("/")), path]
        env[f"{key.removesuffix('Directory').upper()}_DIRECTORY"] = path
    for value in unit.words("ReadWritePaths"):
        path = value.lstrip("-")
        if (tree.root / path.lstrip("/")).exists():
            words += ["--bind", str(tree.root / path.lstrip("/")), path]
        else:
            assert value.startswith("-"), f"{path} does not exist"
    words.append("--clearenv")
    for name, value in env.items():
        words += ["--setenv", name, value]
    for fd in filters:
        words += ["--add-seccomp-fd", str(fd)]
    return [*words, "--info-fd", str(tell), "--chdir", "/", "--"]


def _devices(unit: Unit, tree: Tree) -> list[str]:
    """Return what puts the nodes into /dev that the unit may use."""
    patterns = [DEVICES[value.split()[0]] for value in unit.all("DeviceAllow")]
    found = [name for name in tree.devices if any(Path(name).match(pattern) for pattern in patterns)]
    return [word for name in found for word in ("--dev-bind", str(tree.devices[name]), f"/dev/{name}")]


def _make_folder(tree: Tree, path: str, mode: int, uid: int, gid: int) -> None:
    folder = tree.root / path.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, uid, gid)
    folder.chmod(mode)


def wait_until_ready(*services: Service) -> None:
    """Wait until all are."""
    for service in services:
        until(service.is_ready, 60)
