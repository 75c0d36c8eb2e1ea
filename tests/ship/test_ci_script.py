"""What .ci/run does on a machine that lacks things; apt-get and its like are stand-ins that only take notes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PRESENT = ("bash", "dirname", "cat", "env", "grep")
TOOLS = ("systemd-analyze", "unshare", "mount", "git", "python3", "gcc", "pkg-config", "cpio", "nsenter", "ip")
SHELLS = ("groff", "zsh", "fish")
PRODUCTION = ("debootstrap", "bwrap")
VIRTUAL = ("libvirtd", "virtlogd", "qemu-system-x86_64", "busybox")
SERVICES = (
    "prometheus",
    "promtool",
    "prometheus-node-exporter",
    "collectd",
    "influxd",
    "influx",
    "victoria-metrics",
    "gst-launch-1.0",
    "chromium",
    *VIRTUAL,
    *PRODUCTION,
)
NOTES = '#!/usr/bin/env bash\necho "${0##*/} $*" >>"$NOTES"\n'


class Machine:
    """A copy of the script, a test.sh that notes its arguments, and a PATH of stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.tree = folder / "a tree"
        self.notes = folder / "notes"
        for path in (self.bin, self.tree / ".ci", self.tree / "scripts"):
            path.mkdir(parents=True)
        shutil.copy(REPOSITORY / ".ci" / "run", self.tree / ".ci")
        self.script(self.tree / "scripts" / "test.sh", NOTES + 'echo "CI=$CI" >>"$NOTES"\n')
        for tool in PRESENT:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        for tool in ("apt-get", "rm"):
            self.script(self.bin / tool, NOTES)
        self.script(self.bin / "install", NOTES + "cat >/dev/null\n")  # else what is piped into it may find nobody
        self.script(self.bin / "dpkg-query", "#!/usr/bin/env bash\necho 'install ok installed'\n")
        self.script(self.bin / "sudo", '#!/usr/bin/env bash\nexec "$@"\n')

    def script(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def provide(self, *commands: str) -> None:
        for command in commands:
            self.script(self.bin / command, "#!/usr/bin/env bash\n")

    def run(self, *args: str) -> list[str]:
        env = {"PATH": str(self.bin), "NOTES": str(self.notes)}
        command = [str(self.tree / ".ci" / "run"), *args]
        self.done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=30)
        return self.notes.read_text().splitlines() if self.notes.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_ci_installs_nothing_where_nothing_is_missing(machine: Machine) -> None:
    machine.provide(*TOOLS, *SHELLS, *SERVICES)
    assert machine.run("-k", "torn") == ["test.sh -k torn", "CI=true"]
    assert machine.done.returncode == 0


def test_ci_installs_what_is_missing_without_recommends_after_an_update(machine: Machine) -> None:
    machine.provide(*TOOLS, *SHELLS, *SERVICES[2:])
    machine.script(machine.bin / "dpkg-query", '#!/usr/bin/env bash\n[[ $* != *gir1.2* ]] && echo "ok installed"\n')
    notes = machine.run()
    apt = [note for note in notes if note.startswith("apt-get")]
    assert apt == [
        "apt-get update -qq",
        "apt-get install -y -qq --no-install-recommends prometheus prometheus gir1.2-gstreamer-1.0",
    ]
    assert notes[-2:] == ["test.sh ", "CI=true"]


def test_ci_stops_when_a_package_cannot_be_installed(machine: Machine) -> None:
    machine.provide(*TOOLS, *SHELLS, *SERVICES[1:])
    machine.script(machine.bin / "apt-get", NOTES + "[[ $1 != install ]] || exit 100\n")
    notes = machine.run()
    assert machine.done.returncode == 100
    assert "test.sh " not in notes
