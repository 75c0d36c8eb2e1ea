"""A clean Debian below a folder, with the product to be installed in it; what the folder holds, before and after."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.sandbox import Tree
from support.tree import REPOSITORY

SUITE = "bookworm"
PACKAGES = "python3,python3-venv,systemd,udev"
SOURCE, WHEELS = "/src", "/wheels"
_GET = """
import sys, urllib.request as r
body = sys.argv[2].encode() if len(sys.argv) > 2 else None
ask = r.Request(sys.argv[1], body, {"Content-Type": "application/json"})
sys.stdout.buffer.write(r.urlopen(ask, timeout=20).read())
"""
BACKUPS = tuple(f"etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow"))
"""What useradd and its like keep of the last state of their files."""
Manifest = dict[str, tuple[object, ...]]
"""What a tree holds: kind, mode, owner and content by path."""

OURS = ("src", "wheels", "proc", "run", *BACKUPS)


class Machine(Tree):
    """The tree below a folder, in a network of its own."""

    def run(self, *words: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command as root of the tree, with a /proc of its own and nothing of this machine's environment."""
        chroot = ["unshare", "--mount", "--pid", "--fork", f"--mount-proc={self.root}/proc", "chroot", str(self.root)]
        done = subprocess.run(
            [*chroot, *words],
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **env},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def words_of(self, uid: int, gids: Sequence[int], *words: str) -> list[str]:
        """Return the command that runs one of the tree as somebody, in the tree's network."""
        chroot = ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={self.root}/proc", "chroot"]
        ids = [f"--reuid={uid}", f"--regid={gids[0]}", f"--groups={','.join(map(str, gids))}", "--inh-caps=-all"]
        env = ["env", "-i", "HOME=/nonexistent", "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"]
        return self.in_net(*chroot, str(self.root), "setpriv", *ids, *env, *words)

    def run_as(self, uid: int, gids: Sequence[int], *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the tree as somebody."""
        return subprocess.run(self.words_of(uid, gids, *words), capture_output=True, text=True, timeout=120)

    def as_service(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the tree as the user of the services, as ``sudo -u benchlab`` does."""
        uid, gid = self.ids("benchlab")
        return self.run_as(uid, [gid], *words)

    def in_net(self, *words: str) -> list[str]:
        """Return the command that runs one of this machine in the tree's network."""
        return ["nsenter", f"--target={self.net}", "--net", *words]

    def get(self, url: str, body: bytes = b"") -> bytes:
        """Return what is answered in the tree's network to a GET, or a POST with a body; empty without an answer."""
        words = [url, *([body.decode()] if body else [])]
        done = subprocess.run(self.in_net(sys.executable, "-c", _GET, *words), capture_output=True, timeout=60)
        return done.stdout

    def script(self, name: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a script of the checkout in the tree."""
        return self.run(f"{SOURCE}/scripts/{name}", *words, check=check)

    def install(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run install.sh, offline."""
        return self.script("install.sh", "--wheelhouse", WHEELS, *words, check=check)

    def path(self, name: str) -> Path:
        """Return where a path of the tree is."""
        return self.root / name.lstrip("/")

    def manifest(self) -> Manifest:
        """Return everything that is in the tree."""
        found: Manifest = {}
        for folder, folders, files in os.walk(self.root):
            place = Path(folder).relative_to(self.root)
            folders[:] = [name for name in folders if str(place / name) not in OURS]
            for name in (*folders, *files):
                if str(place / name) not in OURS:
                    found[str(place / name)] = _described(Path(folder) / name)
        return found


def _described(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content: object = None
    if stat.S_ISLNK(status.st_mode):
        content = str(path.readlink())
    elif stat.S_ISREG(status.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return status.st_mode, status.st_uid, status.st_gid, content


def cache() -> Path:
    """Return the folder that keeps what takes long to get, from one run of the tests to the next."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "benchlab-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def base(debootstrap: str) -> Path:
    """Return a tar file with a clean Debian."""
    made = cache() / f"{SUITE}-{PACKAGES.replace(',', '-')}.tar"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            words = [debootstrap, "--variant=minbase", f"--include={PACKAGES}", SUITE, f"{folder}/tree"]
            done = subprocess.run(words, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr
            _tar("-cf", f"{made}.new", "-C", f"{folder}/tree", ".")
            Path(f"{made}.new").replace(made)
    return made


def wheels(python: str) -> Path:
    """Return a folder with the packages that the installation needs, made for a Python of the tree's version."""
    pins = b"".join(path.read_bytes() for path in sorted(REPOSITORY.glob("requirements*.txt")))
    made = cache() / f"wheels-{hashlib.sha256(pins).hexdigest()[:16]}"
    if not made.exists():
        script = REPOSITORY / "scripts/wheelhouse.sh"
        fresh = Path(tempfile.mkdtemp(dir=cache()))
        done = subprocess.run([str(script), str(fresh)], env={**os.environ, "PYTHON": python}, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        fresh.replace(made)
    return made


@contextmanager
def machine(debootstrap: str, python: str) -> Iterator[Machine]:
    """Unpack a clean Debian, with the checkout and its packages in it; all of it goes in the end."""
    folder = Path(tempfile.mkdtemp(prefix="benchlab-production-", dir="/var/tmp"))
    folder.chmod(0o755)  # what runs in it is not root
    # bubblewrap brings the loopback of a new network up
    holder = [
        "bwrap",
        "--dev-bind",
        "/",
        "/",
        "--unshare-net",
        "--die-with-parent",
        "sh",
        "-c",
        "echo && exec sleep inf",
    ]
    with subprocess.Popen([*holder, "echo && exec sleep inf"], stdout=subprocess.PIPE) as net:
        try:
            assert net.stdout is not None and net.stdout.readline()
            root = folder / "tree"
            root.mkdir()
            _tar("-xf", str(base(debootstrap)), "-C", str(root))
            _copy_checkout(root / SOURCE.lstrip("/"))
            shutil.copytree(wheels(python), root / WHEELS.lstrip("/"))
            yield Machine(root, _child_of(net.pid))
        finally:
            net.kill()
            subprocess.run(["rm", "-rf", str(folder)], check=True)


def _child_of(pid: int) -> int:
    """Return the process in the new network: bubblewrap itself stays in the old one."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _copy_checkout(to: Path) -> None:
    to.mkdir()
    words = ["git", "-C", str(REPOSITORY), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(words, check=True, capture_output=True).stdout.split(b"\0")
    there = [name for name in names if name and (REPOSITORY / os.fsdecode(name)).exists()]
    packed = subprocess.run(
        ["tar", "-cf", "-", "-C", str(REPOSITORY), "--null", "-T", "-"], input=b"\0".join(there), capture_output=True
    )
    subprocess.run(["tar", "-xf", "-", "-C", str(to)], input=packed.stdout, check=True)


def _tar(*words: str) -> None:
    subprocess.run(["tar", *words], check=True)
