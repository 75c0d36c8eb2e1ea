"""Upgrades, refusals and the removal of an installation: what the owner wrote stays, and in the end only data."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator

import pytest

from production.conftest import Installation
from support.machine import SOURCE, Machine

pytestmark = pytest.mark.xdist_group("production")

CONFIG = "/etc/benchlab/config.toml"
TOKEN = "/etc/benchlab/influx.token"
DATA = "/var/log/benchlab/sessions/kept/raw/telemetry.jsonl"


def edit(machine: Machine, path: str, pattern: str, new: str) -> str:
    """Replace what matches in a file of the tree; return what it said before."""
    file = machine.path(path)
    before = file.read_text()
    after, count = re.subn(pattern, new, before, flags=re.MULTILINE)
    assert count
    file.write_text(after)
    return before


@pytest.fixture
def older(installed: Installation) -> Iterator[Machine]:
    """An installation by an older version: it lacks keys that are new, and its owner has edited what there was."""
    machine = installed.machine
    config = edit(machine, CONFIG, r"^sample_hz = .*", "sample_hz = 25 # as fast as the meter")
    edit(machine, CONFIG, r"^(# Milliseconds muxd waits.*\n)?lateness_ms.*\n", "")
    edit(machine, CONFIG, r"^\[(influx|web|vmstatd)\]\n(?:(?!\[).*\n)*", "")
    yield machine
    machine.path(CONFIG).write_text(config)


def test_an_upgrade_keeps_the_configuration_and_tells_of_new_keys(older: Machine) -> None:
    config = older.path(CONFIG).read_text()
    version = edit(older, f"{SOURCE}/libs/benchlab/__init__.py", r"^__version__ = .*", '__version__ = "99.0.0"')
    try:
        said = older.install("--components", "all").stderr
        assert older.run("benchctl", "--version").stdout == "benchctl 99.0.0\n"
    finally:
        older.path(f"{SOURCE}/libs/benchlab/__init__.py").write_text(version)
    assert older.path(CONFIG).read_text() == config
    (told,) = re.findall(r"new keys, which have their defaults until you set them: (.*) \(explained in", said)
    sections = {key.partition(".")[0] for key in told.split()}
    assert sections == {"mux", "influx", "web", "vmstatd"}
    assert {"mux.lateness_ms", "influx.influx_url", "web.static_dir"} <= set(told.split())
    assert "cpu.sample_hz" not in told and "general.data_root" not in told
    assert not list(older.path("/opt/benchlab").glob(".venv.*"))


def test_a_configuration_that_a_new_version_does_not_take_is_one_line_and_changes_nothing(older: Machine) -> None:
    edit(older, CONFIG, r"^\[mux\]$", "[mux]\nwindow_seconds = 2")
    version = edit(older, f"{SOURCE}/libs/benchlab/__init__.py", r"^__version__ = .*", '__version__ = "100.0.0"')
    try:
        before = older.manifest()
        done = older.install("--components", "all", check=False)
        assert older.manifest() == before
    finally:
        older.path(f"{SOURCE}/libs/benchlab/__init__.py").write_text(version)
    assert done.returncode == 3
    line = done.stderr.splitlines()[-1]
    assert f"{CONFIG}: mux.window_seconds: found an unknown key" in line and "nothing was changed" in line


def test_sessions_of_before_are_taken_over_beside_the_current_one(installed: Installation) -> None:
    machine = installed.machine
    before = machine.path(f"{SOURCE}/.benchlab/sessions")
    kept = machine.path("/var/log/benchlab/sessions")
    (before / "old/raw").mkdir(parents=True)
    (before / "old/raw/telemetry.jsonl").write_text("{}\n")
    (before / "current").symlink_to("old")
    (kept / "new").mkdir(parents=True, exist_ok=True)
    mine = kept / "current"
    was = str(mine.readlink()) if mine.is_symlink() else ""
    if not was:
        mine.symlink_to("new")
    try:
        said = machine.install("--components", "all").stderr
        (command,) = re.findall(r"holds sessions of before; to take them over: (.*)", said)
        machine.run("sh", "-c", command.replace("sudo ", ""))
        assert str(mine.readlink()) == (was or "new")
        taken = kept / "old/raw/telemetry.jsonl"
        assert (taken.read_text(), taken.stat().st_uid) == ("{}\n", machine.ids("benchlab")[0])
    finally:
        for folder in (before.parent, kept / "new", kept / "old"):
            shutil.rmtree(folder)
        if not was:
            mine.unlink()


def test_a_missing_package_is_one_line_and_changes_nothing(installed: Installation) -> None:
    machine = installed.machine
    before = machine.manifest()
    machine.path("/empty").mkdir()
    try:
        done = machine.script("install.sh", "--wheelhouse", "/empty", "--prefix", "/opt/other", check=False)
    finally:
        machine.path("/empty").rmdir()
    assert done.returncode == 5 and machine.manifest() == before
    assert "could not be installed: No matching distribution found for hatchling" in done.stderr.splitlines()[-1]


def test_other_paths_of_the_configuration_are_opened_to_the_units(installed: Installation) -> None:
    machine = installed.machine
    config = edit(machine, CONFIG, r"^data_root = .*", 'data_root = "/data/lab"')
    edit(machine, CONFIG, r"^watch_dir = .*", 'watch_dir = "/data/captures"')
    folder = machine.path("/etc/systemd/system")
    try:
        machine.install("--components", "all")
        assert (folder / "benchlab-.service.d/benchlab-paths.conf").read_text().endswith("=-/data/lab\n")
        assert (folder / "benchlab-cx-export.service.d/benchlab-paths.conf").read_text().endswith("=-/data/captures\n")
        assert machine.path("/data/lab").stat().st_uid == machine.ids("benchlab")[0]
    finally:
        machine.path(CONFIG).write_text(config)
        machine.install("--components", "all")
        machine.path("/data/lab").rmdir()
        machine.path("/data").rmdir()
    assert not (folder / "benchlab-.service.d").exists()


def test_one_service_is_removed_without_the_others(installed: Installation) -> None:
    machine = installed.machine
    machine.script("uninstall.sh", "--components", "web")
    folder = machine.path("/etc/systemd/system")
    assert not (folder / "benchlab-web.service").exists() and (folder / "benchlab-mux.service").exists()
    assert not (folder / "benchlab.target.wants/benchlab-web.service").is_symlink()
    machine.install("--components", "web")
    assert (folder / "benchlab.target.wants/benchlab-web.service").is_symlink()


def test_nothing_is_left_but_data_and_what_the_owner_wrote(installed: Installation) -> None:
    machine = installed.machine
    machine.path(DATA).parent.mkdir(parents=True, exist_ok=True)
    machine.path(DATA).write_text("{}\n")
    machine.path(TOKEN).write_text("secret\n")
    machine.path(TOKEN).chmod(0o640)
    os.chown(machine.path(TOKEN), 0, machine.gid("benchlab"))
    edited = machine.path(CONFIG).read_text() + "\n# mine\n"
    machine.path(CONFIG).write_text(edited)
    done = machine.run("/opt/benchlab/scripts/uninstall.sh")  # without the checkout
    assert "/var/log/benchlab is kept" in done.stderr and "/var/lib/benchlab/etc" in done.stderr
    after = machine.manifest()
    left = {name for name in installed.before | after if installed.before.get(name) != after.get(name)}
    data = ("var/log/benchlab", "var/lib/benchlab", "mnt/cx-import")
    assert {name for name in left if not name.startswith(data)} == set()
    assert machine.path(DATA).read_text() == "{}\n" and machine.path(DATA).stat().st_uid == 0
    assert machine.path("/var/lib/benchlab/etc/config.toml").read_text() == edited
    assert "nothing is installed" in machine.script("uninstall.sh").stderr


def test_what_the_owner_wrote_and_the_data_come_back_with_the_next_installation(installed: Installation) -> None:
    machine = installed.machine
    said = machine.install("--components", "mux").stderr
    assert machine.path(CONFIG).read_text().endswith("\n# mine\n") and "an earlier installation left" in said
    assert machine.path(DATA).stat().st_uid == machine.ids("benchlab")[0]
    assert machine.as_service("cat", CONFIG).stdout.endswith("\n# mine\n")
    token = machine.path(TOKEN).stat()
    assert (token.st_uid, token.st_gid, stat.S_IMODE(token.st_mode)) == (0, machine.gid("benchlab"), 0o640)
    assert machine.as_service("cat", TOKEN).stdout == "secret\n"
    machine.script("uninstall.sh")
