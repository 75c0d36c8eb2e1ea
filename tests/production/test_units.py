"""The units: what systemd says of them, what the documents say of them, and that they agree with each other."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.sandbox import DEVICES
from support.tree import REPOSITORY
from support.units import UNITS, Unit

Component = Callable[[str, str], str]

NAMES = [path.stem for path in UNITS]
DOCUMENT = REPOSITORY / "docs/PRODUCTION.md"
MOST = 25  # tenths: 2.5
OF_THE_SEED = {
    "NoNewPrivileges": "true",
    "PrivateTmp": "true",
    "ProtectSystem": "strict",
    "ProtectHome": "true",
    "User": "benchlab",
}
COMMON = (
    *OF_THE_SEED,
    "Group",
    "UMask",
    "LogsDirectory",
    "LogsDirectoryMode",
    "PrivateUsers",
    "LockPersonality",
    "ProtectControlGroups",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "RemoveIPC",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "SystemCallArchitectures",
    "SystemCallErrorNumber",
)
DAEMONS = [path for path in UNITS if path.stem != "benchlab-retention"]


def unit(name: str) -> Unit:
    return Unit(REPOSITORY / "systemd" / f"{name}.service")


@pytest.fixture
def runnable(tmp_path: Path) -> Path:
    """The units with commands that are there and a user that is there, which systemd looks up."""
    for path in (REPOSITORY / "systemd").iterdir():
        if path.suffix in (".service", ".timer", ".target"):
            text = re.sub(r"^(ExecStart)=.*$", r"\1=/bin/true", path.read_text(), flags=re.MULTILINE)
            (tmp_path / path.name).write_text(text.replace("=benchlab\n", "=root\n"))
    return tmp_path


def test_systemd_finds_nothing_wrong_with_them(component: Component, runnable: Path) -> None:
    analyze = component("systemd-analyze", "systemd")
    files = sorted(map(str, runnable.iterdir()))
    assert len(files) == len(UNITS) + 2
    done = subprocess.run([analyze, "verify", *files], capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if "benchlab" in line]
    assert (done.returncode, told) == (0, [])


@pytest.mark.parametrize("name", NAMES)
def test_exposure_is_at_most_2_5(name: str, component: Component) -> None:
    analyze = component("systemd-analyze", "systemd")
    path = REPOSITORY / "systemd" / f"{name}.service"
    words = [analyze, "security", "--no-pager", "--offline=true", f"--threshold={MOST}", str(path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout.splitlines()[-1:] + done.stderr.splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_each_has_the_directives_of_the_document_and_those_of_the_others(name: str) -> None:
    mine, first = unit(name), unit(NAMES[0])
    assert {key: mine.one(key) for key in OF_THE_SEED} == OF_THE_SEED
    assert {key: mine.one(key) for key in COMMON} == {key: first.one(key) for key in COMMON}
    assert mine.all("CapabilityBoundingSet") == [] and "CapabilityBoundingSet=\n" in mine.path.read_text()
    assert mine.all("SystemCallFilter")[:2] == ["@system-service", "~@privileged"]
    assert mine.all("EnvironmentFile")[-1] == f"-/etc/benchlab/{name}.env"


@pytest.mark.parametrize("name", [path.stem for path in DAEMONS])
def test_a_daemon_is_watched_and_never_given_up(name: str) -> None:
    mine = unit(name)
    assert mine.one("Type") == "notify" and mine.one("WatchdogSec")
    assert mine.one("Restart") == ("on-failure" if name == "benchlab-cx-export" else "always")
    assert mine.one("StartLimitIntervalSec", "Unit") == "0" and mine.one("RestartSec") == "5"
    assert mine.one("PartOf", "Unit") == mine.one("WantedBy", "Install") == "benchlab.target"
    assert "time-sync.target" in mine.one("After", "Unit").split()


def test_only_what_compiles_code_may_write_what_it_runs() -> None:
    without = [name for name in NAMES if not unit(name).is_on("MemoryDenyWriteExecute")]
    assert without == ["benchlab-pipeline"]


@pytest.mark.parametrize("name", NAMES)
def test_devices_are_named_or_there_are_none(name: str) -> None:
    mine = unit(name)
    groups = {value.split()[0] for value in mine.all("DeviceAllow")}
    assert groups <= DEVICES.keys()
    if groups:
        assert mine.one("DevicePolicy") == "closed" and not mine.is_on("PrivateDevices")
    else:
        assert mine.is_on("PrivateDevices") and not mine.words("SupplementaryGroups")


def test_the_groups_that_units_name_are_made_for_them() -> None:
    made = re.findall(r"^[gu] (\S+)", (REPOSITORY / "systemd/sysusers.conf").read_text(), flags=re.MULTILINE)
    for name in NAMES:
        assert {unit(name).one("Group"), *unit(name).words("SupplementaryGroups")} <= set(made)


def table(heading: str) -> dict[str, list[str]]:
    """Return the rows of the first table below a heading, by their first cell."""
    _, _, below = DOCUMENT.read_text().partition(f"\n## {heading}\n")
    rows = [line.strip("|").split("|") for line in below.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    return {row[0].strip(" `"): [cell.strip() for cell in row[1:]] for row in rows}


def test_the_document_s_table_of_devices_is_what_the_units_say() -> None:
    rows = table("Devices")
    assert rows.keys() == set(NAMES)
    for name, (devices, groups, *_) in rows.items():
        mine = unit(name)
        assert re.findall(r"`([^`]+)`", devices) == [value.split()[0] for value in mine.all("DeviceAllow")], name
        assert re.findall(r"`([^`]+)`", groups) == mine.words("SupplementaryGroups"), name


def test_the_document_has_every_unit_and_its_program() -> None:
    rows = table("Units")
    assert rows.keys() == {*NAMES, "benchlab-retention.timer", "benchlab.target"}
    for name in NAMES:
        assert f"`{Path(unit(name).command[0]).name}" in rows[name][0]
