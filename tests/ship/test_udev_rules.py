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
        assert re.fullmatch(r"(?:[^%$]|%[SpkN%])*", value), f"unknown substitution in {value}"


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
