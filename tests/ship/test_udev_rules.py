"""The udev rules that are shipped: their syntax by udev(7), and what their commands do."""

from __future__ import annotations

import grp
import os
import re
import shlex
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from benchlab.files import GROUP
from benchlab.host.rapl import PERMISSION_FIX
from support.recorded_sysfs import RecordedRapl

REPOSITORY = Path(__file__).resolve().parents[2]
RULES = sorted((REPOSITORY / "udev").rglob("*.rules"))
RAPL = REPOSITORY / "udev/optional/70-benchlab-rapl.rules"

# Keys by the operators that they take, of those that this project uses.
_MATCH = {"ACTION", "SUBSYSTEM", "SUBSYSTEMS", "KERNEL", "KERNELS", "TEST"}
_ASSIGN = {"RUN", "GROUP", "MODE", "TAG", "SYMLINK", "OWNER"}
_MATCH_ATTRIBUTE = re.compile(r"(?:ATTRS?|ENV)\{[\w./-]+\}")
_TOKEN = re.compile(r'\s*([A-Z]+(?:\{[\w./-]+\})?)\s*(==|!=|\+=|-=|:=|=)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')

Token = tuple[str, str, str]


def rules_in(path: Path) -> list[list[Token]]:
    """Return the rules as (key, operator, value); asserts that nothing of a line is left over."""
    found = []
    for line in path.read_text().replace("\\\n", "").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        tokens, at = [], 0
        while at < len(line):
            token = _TOKEN.match(line, at)
            assert token, f"{path.name}: not a rule from here: {line[at:]}"
            tokens.append((token[1], token[2], token[3]))
            at = token.end()
        found.append(tokens)
    return found


@pytest.mark.parametrize("path", RULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_rules_are_rules(path: Path) -> None:
    rules = rules_in(path)
    assert rules
    for key, operator, value in (token for rule in rules for token in rule):
        if key in _MATCH or (_MATCH_ATTRIBUTE.fullmatch(key) and operator in ("==", "!=")):
            assert operator in ("==", "!="), f"{key} matches"
        elif key in _ASSIGN or key.startswith("ENV{"):
            assert operator in ("=", "+=", ":="), f"{key} assigns"
        else:
            raise AssertionError(f"unknown key {key}")
        assert re.fullmatch(r"(?:[^%$]|%[SpkN%]|\$env\{\w+\})*", value), f"unknown substitution in {value}"


class Device:
    """A device as rules see it: keys that match, attributes of it and its parents, and what rules gave it."""

    def __init__(self, attributes: dict[str, str] | None = None, **keys: str) -> None:
        self.keys = {"ACTION": "add", **keys}
        self.attributes = attributes or {}
        self.env: dict[str, str] = {}
        self.given: dict[str, list[str]] = {}

    def apply(self, *names: str) -> Device:
        """Go through rules files in the order of their names, as udevd does."""
        for path in sorted(REPOSITORY / "udev" / name for name in names):
            for rule in rules_in(path):
                if all(self._fits(key, operator, value) for key, operator, value in rule if operator in ("==", "!=")):
                    for key, operator, value in rule:
                        if operator not in ("==", "!="):
                            self._assign(key, value)
        return self

    def _fits(self, key: str, operator: str, pattern: str) -> bool:
        kind, _, name = key.rstrip("}").partition("{")
        tables = {"ATTR": self.attributes, "ATTRS": self.attributes, "ENV": self.env}
        found = tables[kind].get(name, "") if name else self.keys.get(kind, "")
        return fnmatchcase(found, pattern) == (operator == "==")

    def _assign(self, key: str, value: str) -> None:
        value = re.sub(r"\$env\{(\w+)\}", lambda name: self.env[name[1]], value)
        if key.startswith("ENV{"):
            self.env[key[4:-1]] = value
        else:
            self.given.setdefault(key, []).append(value)


BENCHLAB = {"idVendor": "0483", "idProduct": "5740"}
PMD_USB = {"idVendor": "1a86", "idProduct": "7523"}
STRANGER = {"idVendor": "2341", "idProduct": "0043"}
METERS = "99-benchlab.rules"
SEAT = "70-benchlab-uaccess.rules"


@pytest.mark.parametrize(("port", "ids"), [("ttyACM0", BENCHLAB), ("ttyUSB3", PMD_USB)], ids=["BENCHLAB", "PMD-USB"])
def test_a_meter_is_for_the_group_and_the_seat_and_keeps_its_names(port: str, ids: dict[str, str]) -> None:
    device = Device(ids, SUBSYSTEM="tty", KERNEL=port)
    device.env = {"ID_SERIAL_SHORT": "35F2", "ID_PATH": "pci-0000:00:14.0-usb-0:1:1.0"}
    device.apply(SEAT, METERS)
    assert device.given["GROUP"] == [GROUP] and device.given["MODE"] == ["0660"] and device.given["TAG"] == ["uaccess"]
    assert device.given["SYMLINK"] == ["benchlab/35F2", "benchlab/pci-0000:00:14.0-usb-0:1:1.0"]
    assert device.env["ID_MM_PORT_IGNORE"] == "1"


@pytest.mark.parametrize("ids", [BENCHLAB, PMD_USB], ids=["BENCHLAB", "PMD-USB"])
def test_modem_manager_is_kept_from_the_whole_device(ids: dict[str, str]) -> None:
    device = Device(ids, SUBSYSTEM="usb")
    device.env = {"DEVTYPE": "usb_device"}
    assert device.apply(SEAT, METERS).env["ID_MM_DEVICE_IGNORE"] == "1"


def test_a_meter_without_a_serial_number_has_the_name_of_its_socket_only() -> None:
    device = Device(BENCHLAB, SUBSYSTEM="tty", KERNEL="ttyACM0")
    device.env = {"ID_PATH": "usb-0:1"}
    assert device.apply(METERS).given["SYMLINK"] == ["benchlab/usb-0:1"]


def test_another_serial_device_is_none_of_our_business() -> None:
    device = Device(STRANGER, SUBSYSTEM="tty", KERNEL="ttyACM0")
    device.env = {"ID_SERIAL_SHORT": "1", "ID_PATH": "usb-0:1"}
    before = dict(device.env)
    assert device.apply(SEAT, METERS).given == {} and device.env == before


def test_video_devices_are_for_the_group() -> None:
    assert Device(SUBSYSTEM="video4linux", KERNEL="video0").apply(METERS).given == {"GROUP": [GROUP], "MODE": ["0660"]}
    assert Device(SUBSYSTEM="video4linux", KERNEL="v4l-subdev0").apply(METERS).given == {}


def test_the_seat_is_told_before_systemd_acts_on_it() -> None:
    assert METERS > "73-seat-late.rules" > SEAT


def matched(path: str) -> list[str]:
    """Return the commands that the rule for RAPL runs for a device of the powercap class, by its name."""
    (rule,) = rules_in(RAPL)
    known = {"ACTION": "add", "SUBSYSTEM": "powercap", "KERNEL": path}
    for key, _, value in rule:
        if key in known and not any(fnmatchcase(known[key], one) for one in value.split("|")):
            return []
    return [value for key, _, value in rule if key == "RUN"]


@pytest.mark.parametrize("zone", ["intel-rapl:0", "intel-rapl:1:0", "intel-rapl-mmio:0"])
def test_every_zone_is_opened_and_nothing_else(zone: str) -> None:
    assert len(matched(zone)) == 2
    assert matched("intel-rapl") == matched("dtpm") == []


def test_the_rules_commands_open_a_counter_to_the_group_and_to_nobody_else(tmp_path: Path) -> None:
    tree = RecordedRapl(tmp_path, "permission_denied")
    energy = tree.sys / "class/powercap/intel-rapl:0/energy_uj"
    own = grp.getgrgid(os.getegid()).gr_name
    for command in matched("intel-rapl:0"):
        program, *words = shlex.split(
            command.replace("%S", str(tree.sys)).replace("%p", "/class/powercap/intel-rapl:0")
        )
        assert Path(program).is_absolute()  # udev has no search path
        words = [own if word == GROUP else word for word in words]
        subprocess.run([program, *words], check=True)
    assert energy.stat().st_mode & 0o777 == 0o440
    assert energy.stat().st_gid == os.getegid()


def test_the_fix_that_is_told_and_the_rules_own_words_name_the_file() -> None:
    named = str(RAPL.relative_to(REPOSITORY))
    assert named in PERMISSION_FIX
    assert named in RAPL.read_text()
    assert "CVE-2020-8694" in RAPL.read_text()
    assert f"groupadd --system --force {GROUP}" in RAPL.read_text()
    assert named in (REPOSITORY / "docs/HARDWARE.md").read_text()
