"""What is in the repository: nothing of the machine it was written on, and scripts that can be run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def tracked() -> list[Path]:
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=REPOSITORY, text=True).split("\0")
    return [REPOSITORY / name for name in names if name and (REPOSITORY / name).is_file()]


def texts() -> list[tuple[str, str]]:
    files = [(path, path.read_bytes()) for path in tracked()]
    return [(str(path.relative_to(REPOSITORY)), data.decode()) for path, data in files if b"\0" not in data]


# Spelled in pieces, so that this file does not contain what it looks for.
FORBIDDEN = {
    "a home folder": r"/(?:home|Users)/" + r"[a-z]\w+/(?!\.)",
    "the home of root": "/" + r"root/\S",
    "a workspace": "/" + r"work/\w",
    "this checkout": re.escape(str(REPOSITORY)) + r"\b",
    "a package registry": r"\b(?:py" + r"pi|files\.python" + r"hosted|registry\.np" + r"mjs|crates)\.(?:org|io)\b",
    "a private key": "-----BEGIN [A-Z ]*PRIVATE " + "KEY",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names_what_belongs_to_a_machine(what: str) -> None:
    found = [name for name, text in texts() if re.search(FORBIDDEN[what], text)]
    assert found == []


SCRIPTS = ["scripts/dev_run.sh", "scripts/test.sh", "scripts/install.sh", "scripts/uninstall.sh", ".ci/run"]
SCRIPTS += ["scripts/setup_edge.sh", "scripts/install_service.sh"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_is_executable_stops_at_errors_and_parses(script: str) -> None:
    path = REPOSITORY / script
    mode = subprocess.check_output(["git", "ls-files", "--stage", script], cwd=REPOSITORY, text=True).split()[0]
    assert mode == "100755"
    lines = path.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_ci_prints_no_environment_and_no_commands() -> None:
    text = (REPOSITORY / ".ci/run").read_text()
    assert not re.search(r"set -\w*x|\bprintenv\b|^\s*env\s*$|\$\{?\w*(?:TOKEN|SECRET|PASSWORD)", text, re.MULTILINE)
