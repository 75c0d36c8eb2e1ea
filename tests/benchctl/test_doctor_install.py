"""doctor on hosts with and without our rules, access and units: what is missing has its fix, nothing is changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchctl.checks import ABSENT, FAIL, OK, WARN, Check
from benchctl.doctor import UNHEARD, unheard_checks
from benchctl.doctor_install import NODES, RULES, access_checks, membership_check, rule_checks, unit_checks
from benchlab.catalog import SIGNALS


def by_name(checks: object) -> dict[str, Check]:
    return {check.name: check for check in checks}  # type: ignore[attr-defined]


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    folder = tmp_path / "shipped"
    folder.mkdir()
    for name in RULES:
        (folder / name).write_text(f"# {name}\n")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    for folder in ("run/udev", "run/systemd/system", "etc/udev/rules.d", "usr/lib/udev/rules.d", "dev"):
        (made / folder).mkdir(parents=True)
    return made


def test_host_without_udev_is_no_fault(tmp_path: Path, shipped: Path) -> None:
    (check,) = rule_checks(tmp_path, shipped)
    assert (check.state, check.name) == (ABSENT, "udev rules")


def test_rules_that_are_missing_or_old_have_their_fix(root: Path, shipped: Path) -> None:
    assert {check.state for check in rule_checks(root, shipped)} == {ABSENT}
    (root / "etc/udev/rules.d" / RULES[0]).write_text("# of another version\n")
    (root / "usr/lib/udev/rules.d" / RULES[1]).write_bytes((shipped / RULES[1]).read_bytes())
    found = by_name(rule_checks(root, shipped))
    assert [found[name].state for name in RULES] == [WARN, OK]
    assert f"{shipped / RULES[0]} /etc/udev/rules.d/" in (found[RULES[0]].fix or "")


def test_rule_of_the_administrator_wins_over_the_packaged_one(root: Path, shipped: Path) -> None:
    (root / "etc/udev/rules.d" / RULES[0]).write_text("")
    (root / "usr/lib/udev/rules.d" / RULES[0]).write_bytes((shipped / RULES[0]).read_bytes())
    assert by_name(rule_checks(root, shipped))[RULES[0]].state == WARN


def test_user_who_is_not_in_the_group_has_the_one_command() -> None:
    found = [
        membership_check(uid, groups, lambda name: 977) for uid, groups in ((1000, [1000]), (1000, [977]), (0, [0]))
    ]
    assert [check.state for check in found] == [WARN, OK, OK]
    assert found[0].fix == "sudo usermod -aG benchlab $USER, then log in again"


def test_group_that_was_never_made_is_absent() -> None:
    def no_group(name: str) -> int:
        raise KeyError(name)

    assert membership_check(1000, [1000], no_group).state == ABSENT


def test_no_device_node_is_absent_and_not_refused(root: Path) -> None:
    assert {check.name: check.state for check in access_checks(root)} == dict.fromkeys(NODES, ABSENT)


def test_node_that_is_refused_names_its_group(root: Path) -> None:
    for name, mode in (("ttyACM0", 0o660), ("ttyUSB1", 0o660), ("vcio", 0o600), ("video0", 0o660)):
        (root / "dev" / name).touch()
        (root / "dev" / name).chmod(mode)
        os.chown(root / "dev" / name, -1, os.getgid())
    found = by_name(access_checks(root, lambda path: path.name in ("ttyACM0", "video0")))
    assert (found["video devices"].state, found["video devices"].found) == (OK, "video0")
    serial = found["serial ports"]
    assert (serial.state, serial.found) == (WARN, "permission denied: ttyUSB1")
    assert serial.fix and ("usermod -aG" in serial.fix or os.getgid() == 0)
    assert "for its owner alone" in (found["Pi firmware"].fix or "")


def fake_systemctl(tmp_path: Path, said: str, code: int = 0) -> str:
    path = tmp_path / "systemctl"
    path.write_text(
        f"#!/bin/sh\necho \"$@\" > {tmp_path}/asked\ncat <<'TEXT'\n{said}TEXT\necho no bus >&2\nexit {code}\n"
    )
    path.chmod(0o755)
    return str(path)


LISTED = """\
benchlab-mux.service loaded active running BenchLab: alignment
benchlab-usb.service loaded activating auto-restart BenchLab: power meters
benchlab-web.service loaded inactive dead BenchLab: dashboard
benchlab-vmstat.service loaded failed failed BenchLab: virtual machines
benchlab-retention.service loaded inactive dead BenchLab: retention
benchlab-retention.timer loaded active waiting BenchLab: retention
benchlab-pimon.service not-found inactive dead benchlab-pimon.service
"""


def test_units_are_told_by_their_state(root: Path, tmp_path: Path) -> None:
    found = by_name(unit_checks(root, fake_systemctl(tmp_path, LISTED)))
    states = {name.removeprefix("benchlab-"): check.state for name, check in found.items()}
    assert states == {
        "mux.service": OK,
        "usb.service": FAIL,
        "web.service": WARN,
        "vmstat.service": FAIL,
        "retention.service": OK,
        "retention.timer": OK,
        "pimon.service": FAIL,
    }
    assert found["benchlab-vmstat.service"].fix == "journalctl -u benchlab-vmstat.service -n 50"
    assert found["benchlab-web.service"].fix == "sudo systemctl enable --now benchlab-web.service"


def test_systemctl_is_only_asked_to_list(root: Path, tmp_path: Path) -> None:
    list(unit_checks(root, fake_systemctl(tmp_path, LISTED)))
    assert (tmp_path / "asked").read_text().split()[0] == "list-units"


def test_no_units_and_no_systemd_are_told_apart(root: Path, tmp_path: Path) -> None:
    (none,) = unit_checks(root, fake_systemctl(tmp_path, ""))
    assert (none.state, none.found) == (ABSENT, "none is installed")
    (other,) = unit_checks(tmp_path / "container", fake_systemctl(tmp_path, LISTED))
    assert (other.state, other.fix) == (ABSENT, None)


def test_systemctl_that_cannot_answer_does_not_end_the_doctor(root: Path, tmp_path: Path) -> None:
    (check,) = unit_checks(root, fake_systemctl(tmp_path, "", 1))
    assert (check.state, check.found) == (WARN, "systemctl: no bus")
    (check,) = unit_checks(root, str(tmp_path / "nowhere"))
    assert check.state == WARN


def test_every_source_of_the_catalog_is_spoken_of() -> None:
    ours = (
        "telemetryd",
        ("cpu.psutil", "cpu.rapl", "mem.psutil", "disk.psutil", "nic.psutil", "gpu.nvml", "host.hwmon"),
    )
    heard = {*ours[1], "benchlab.usb", "pipeline"}
    told = heard | {check.name for check in unheard_checks(heard)}
    devices = {s.source for s in SIGNALS if s.source.partition(".")[0] not in ("self", "metric", "bookmark")}
    assert [d for d in devices if d not in told and f"{d.partition('.')[0]}.*" not in told] == []


def test_source_that_a_collector_spoke_of_is_not_told_twice() -> None:
    names = {check.name for check in unheard_checks({"edge.jetson_orin", "pmd.usb"})}
    assert names == set(UNHEARD) - {"edge.*", "pmd.usb"}
