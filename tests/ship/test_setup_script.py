"""What scripts/setup.sh makes of the Pythons it finds; each stand-in answers as a real one would."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = ("bash", "cat", "dirname", "flock", "grep", "sha256sum", "sort", "tail", "mkdir", "cp", "sleep")

# A Python 3: answers what setup.sh asks, makes a venv of itself, and notes every run of pip in $PIP_LOG.
# PIP_SAYS is what pip prints before it fails.
STAND_IN = """#!/usr/bin/env bash
case "$*" in
  *"import pip"*) [[ -f ${{0%/*}}/has-pip ]] ;;
  *"import ensurepip"*) {has_venv} ;;
  *"print(sys.version)"*) echo "3.{minor}" ;;
  *version_info*) echo "{minor}" ;;
  "-m venv --clear "*) mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; echo x >"$4/bin/has-pip" ;;
  "-m pip install"*)
    echo "${{VIRTUAL_ENV-}}${{PYTHONPATH-}}pip in $PWD" >>"$PIP_LOG"
    sleep "${{PIP_SECONDS-0}}"
    if [[ -n ${{PIP_SAYS-}} ]]; then echo "$PIP_SAYS" >&2; exit 1; fi ;;
  *) echo "no stand-in for: $*" >&2; exit 99 ;;
esac
"""


class Host:
    """A machine with only the Pythons given, and a copy of the scripts in a path with a space."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.root = folder / "a tree"
        self.pip_log = folder / "pip.log"
        self.bin.mkdir()
        (self.root / "scripts").mkdir(parents=True)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (self.bin / tool).symlink_to(found)
        shutil.copy(REPOSITORY / "scripts/setup.sh", self.root / "scripts")
        for name in ("requirements.txt", "requirements-dev.txt", "pyproject.toml"):
            (self.root / name).write_text(f"# {name}\n")

    def python(self, minor: int, name: str = "", *, has_venv: bool = True) -> None:
        path = self.bin / (name or f"python3.{minor}")
        path.write_text(STAND_IN.format(minor=minor, has_venv="true" if has_venv else "false"))
        path.chmod(0o755)

    def command(self, requirements: str = "requirements.txt") -> list[str]:
        script = f'set -euo pipefail; source "$0/scripts/setup.sh"; setup {requirements}; echo "$VENV_PYTHON"'
        return [str(self.bin / "bash"), "-c", script, str(self.root)]

    def env(self, **extra: str) -> dict[str, str]:
        return {"PATH": str(self.bin), "PIP_LOG": str(self.pip_log), **extra}

    def setup(self, requirements: str = "requirements.txt", **env: str) -> subprocess.CompletedProcess[str]:
        command = self.command(requirements)
        return subprocess.run(
            command,
            env=self.env(**env),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def failure(self, **env: str) -> str:
        done = self.setup(**env)
        assert done.returncode == 1, done
        assert done.stdout == ""
        return done.stderr.splitlines()[-1]

    @property
    def pip_runs(self) -> list[str]:
        return self.pip_log.read_text().splitlines() if self.pip_log.exists() else []

    @property
    def venv_version(self) -> str:
        asked = [f"{self.root}/.venv/bin/python", "-c", "print(sys.version)"]
        return subprocess.check_output(asked, env=self.env(), text=True).strip()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_too_old_python_is_one_line_with_the_apt_command(host: Host) -> None:
    host.python(9)
    host.python(8, "python3")
    done = host.setup()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"found Python 3.9 ({host.bin}/python3.9), needed 3.10 or newer" in line
    assert "sudo apt-get install -y python3 python3-venv" in line


def test_no_python_at_all_is_one_line_with_the_apt_command(host: Host) -> None:
    line = host.failure()
    assert "found no Python, needed 3.10 or newer" in line
    assert "sudo apt-get install -y python3 python3-venv" in line


def test_missing_venv_module_names_the_package_of_that_python(host: Host) -> None:
    host.python(12, has_venv=False)
    assert host.failure().endswith("sudo apt-get install -y python3.12-venv")
    assert not (host.root / ".venv").exists()


def test_newest_python_is_chosen_by_number_and_not_by_spelling(host: Host) -> None:
    host.python(9)
    host.python(10, "python3")
    host.python(11)
    assert host.setup().stdout == f"{host.root}/.venv/bin/python\n"
    assert host.venv_version == "3.11"


def test_plain_python3_is_enough(host: Host) -> None:
    host.python(10, "python3")
    assert host.setup().returncode == 0
    assert host.venv_version == "3.10"


def test_python_without_venv_gives_way_to_an_older_one_that_has_it(host: Host) -> None:
    host.python(13, has_venv=False)
    host.python(10)
    assert host.setup().returncode == 0
    assert host.venv_version == "3.10"


def test_shim_with_no_python_behind_it_is_passed_over(host: Host) -> None:
    host.python(11)
    shim = host.bin / "python3.13"
    shim.write_text("#!/usr/bin/env bash\necho 'python3.13: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    assert host.setup().returncode == 0
    assert host.venv_version == "3.11"


def test_python_named_by_the_user_is_taken(host: Host) -> None:
    host.python(10)
    host.python(13)
    assert host.setup(PYTHON=str(host.bin / "python3.10")).returncode == 0
    assert host.venv_version == "3.10"


@pytest.mark.parametrize(
    "said",
    [
        "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
        "fatal error: Python.h: No such file or directory",
        "unable to execute 'gcc': No such file or directory",
    ],
)
def test_missing_compiler_is_one_line_with_the_apt_command(host: Host, said: str) -> None:
    host.python(11)
    line = host.failure(PIP_SAYS=f"building...\n{said}\nERROR: Failed building wheel for msgspec")
    assert line.endswith("sudo apt-get install -y build-essential python3-dev")


def test_failed_install_says_why_and_is_tried_again(host: Host) -> None:
    host.python(11)
    line = host.failure(PIP_SAYS="WARNING: Retrying\nERROR: No matching distribution found for msgspec==0.22.0\n")
    assert "No matching distribution found for msgspec==0.22.0" in line
    assert f"{host.root}/.venv/setup.log" in line
    assert host.setup().returncode == 0
    assert len(host.pip_runs) == 2


def test_second_run_installs_nothing_and_says_nothing(host: Host) -> None:
    host.python(11)
    host.setup()
    again = host.setup()
    assert (again.returncode, again.stderr) == (0, "")
    assert host.pip_runs == [f"pip in {host.root}"]


@pytest.mark.parametrize("changed", ["requirements.txt", "requirements-dev.txt", "pyproject.toml"])
def test_changed_requirements_are_installed(host: Host, changed: str) -> None:
    host.python(11)
    host.setup()
    (host.root / changed).write_text("another==1\n")
    assert host.setup().returncode == 0
    assert len(host.pip_runs) == 2


def test_minimal_install_does_not_pass_for_the_one_with_the_tests(host: Host) -> None:
    host.python(11)
    host.setup("requirements.txt")
    host.setup("requirements-dev.txt")
    host.setup("requirements.txt")
    assert len(host.pip_runs) == 2


def test_moved_tree_is_installed_again_because_its_editable_install_points_elsewhere(
    host: Host,
) -> None:
    host.python(11)
    host.setup()
    host.root = host.root.rename(host.root.with_name("moved"))
    assert host.setup().returncode == 0
    assert host.pip_runs[-1] == f"pip in {host.root}"
    assert len(host.pip_runs) == 2


def test_half_made_venv_is_made_again(host: Host) -> None:
    host.python(11)
    host.setup()
    (host.root / ".venv/bin/has-pip").unlink()
    (host.root / ".venv/.stamp-requirements.txt").unlink()
    assert host.setup().returncode == 0
    assert (host.root / ".venv/bin/has-pip").exists()


def test_active_venv_and_python_path_do_not_reach_pip(host: Host) -> None:
    host.python(11)
    assert host.setup(VIRTUAL_ENV="/venv", PYTHONPATH="/lib").returncode == 0
    assert host.pip_runs == [f"pip in {host.root}"]


def test_two_set_ups_at_once_install_once(host: Host) -> None:
    host.python(11)
    env = host.env(PIP_SECONDS="0.3")
    both = [subprocess.Popen(host.command(), env=env, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=30) for process in both] == [0, 0]
    assert len(host.pip_runs) == 1
