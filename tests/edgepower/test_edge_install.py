"""The templates, and installing and removing the exporter below a folder: the running system is left alone."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgepower.collectors import MODULES, get_collectors
from edgepower.document import Document
from edgepower.settings import LISTS, TYPES, settings_of
from support.edge_fixtures import plant
from support.tree import REPOSITORY

Component = Callable[[str, str], str]

TEMPLATES = REPOSITORY / "configs" / "edgepower"
UNIT = "etc/systemd/system/edge-metrics-exporter.service"


def run(script: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    path = REPOSITORY / "scripts" / script
    return subprocess.run([str(path), *words], env={**kept, **env}, capture_output=True, text=True, timeout=60)


def install(root: Path, **env: str) -> subprocess.CompletedProcess[str]:
    env = {"LOCAL_CONFIG_PATH": "/srv/edge/config.yaml", **env}
    return run("install.sh", "--components", "edge", "--root", str(root), "--user", "orin", **env)


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_the_template_is_a_document_and_names_every_key_and_type() -> None:
    text = (TEMPLATES / "config.yaml.template").read_text()
    settings = Document(text, Path("config.yaml")).settings()
    assert settings == settings_of({"device_type": "jetson_orin", "interval": 1})  # it says the defaults
    assert settings.is_fresh
    for name in (*TYPES, *LISTS[:1], *MODULES):
        assert re.search(rf"\b{name}\b", text), name


def test_what_the_template_offers_as_comments_works_when_it_is_uncommented() -> None:
    text = (TEMPLATES / "config.yaml.template").read_text()
    offered = re.sub(r"^# (metrics:|devices:|shelly:|  )", r"\1", text, flags=re.MULTILINE)
    document = Document(offered.replace('device_type: "jetson_orin"', ""), Path("config.yaml"))
    settings = document.settings()
    assert settings.metrics == {"power_total_watts": True, "jetson_temp_gpu_celsius": False}
    assert {one.device_type for one in get_collectors(settings.device)} == {"lattepanda", "shelly"}


def test_the_unit_has_the_seeds_placeholders_and_no_others() -> None:
    text = (TEMPLATES / "edge-metrics-exporter.service.template").read_text()
    assert set(re.findall(r"\{\{(\w+)\}\}", text)) == {
        "USER",
        "WORKING_DIRECTORY",
        "CONFIG_SERVER_URL",
        "CONFIG_TIMEOUT",
        "LOCAL_CONFIG_PATH",
    }


def test_the_filled_unit_is_one_that_systemd_understands(component: Component, tmp_path: Path) -> None:
    analyze = component("systemd-analyze", "systemd")
    assert install(tmp_path, CONFIG_SERVER_URL="http://config.example:8080").returncode == 0
    unit = (tmp_path / UNIT).read_text()
    assert "{{" not in unit and "User=orin\n" in unit
    # the programs of an installation are not those of a test
    made = tmp_path / "edge-metrics-exporter.service"
    made.write_text(re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", unit, flags=re.MULTILINE).replace("orin", "root"))
    done = subprocess.run([analyze, "verify", str(made)], capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if "edge-metrics-exporter" in line]
    assert (done.returncode, told) == (0, [])


def test_the_environment_goes_into_the_unit(tmp_path: Path) -> None:
    install(tmp_path, CONFIG_SERVER_URL="http://c:8080", CONFIG_TIMEOUT="7")
    unit = (tmp_path / UNIT).read_text()
    for line in ("CONFIG_SERVER_URL=http://c:8080", "CONFIG_TIMEOUT=7", "LOCAL_CONFIG_PATH=/srv/edge/config.yaml"):
        assert f'Environment="{line}"\n' in unit
    program = f'ExecStart="{REPOSITORY}/.venv/bin/python" "{REPOSITORY}/scripts/exporter.py"\n'
    assert program in unit and f"WorkingDirectory={REPOSITORY}\n" in unit


def test_installing_twice_is_installing_once_and_an_edited_document_is_kept(tmp_path: Path) -> None:
    plant(
        tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B\0", "proc/device-tree/compatible": "raspberrypi,5"}
    )
    assert install(tmp_path).returncode == 0
    first = files(tmp_path)
    assert 'device_type: "raspberry_pi"\n' in first["srv/edge/config.yaml"]
    document = tmp_path / "srv/edge/config.yaml"
    document.write_text("device_type: shelly\n")
    done = install(tmp_path)
    assert done.returncode == 0 and "kept as it is" in done.stderr
    assert files(tmp_path) == {**first, "srv/edge/config.yaml": "device_type: shelly\n"}


def test_an_unknown_board_is_told_to_name_its_type(tmp_path: Path) -> None:
    done = install(tmp_path)
    assert done.returncode == 0
    assert f"set device_type in {tmp_path}/srv/edge/config.yaml" in done.stderr


def test_uninstalling_leaves_the_document_and_may_be_repeated(tmp_path: Path) -> None:
    install(tmp_path)
    for _ in range(2):
        words = ("--components", "edge", "--root", str(tmp_path))
        done = run("uninstall.sh", *words, LOCAL_CONFIG_PATH="/srv/edge/config.yaml")
        assert done.returncode == 0, done.stderr
        assert list(files(tmp_path)) == ["srv/edge/config.yaml"]


@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--components", "edge,moon"), "found moon, expected all, telemetry"),
        (("--components",), "--components: expected a value"),
        (("--fast",), "found --fast, expected --components"),
        (("--components", "edge", "--user", "a b"), "--user: found a b, expected the name of a user"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_2(
    script: str, words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = run(script, "--root", str(tmp_path), *words)  # should it be taken for right, this machine is left alone
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
    assert files(tmp_path) == {}


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nExecStartPre=/bin/evil", "100%"])
def test_nothing_slips_into_the_unit_beside_its_value(value: str, tmp_path: Path) -> None:
    done = install(tmp_path, CONFIG_SERVER_URL=value)
    assert done.returncode == 2 and "CONFIG_SERVER_URL: found" in done.stderr
    assert files(tmp_path) == {}


def test_a_relative_document_is_refused(tmp_path: Path) -> None:
    done = install(tmp_path, LOCAL_CONFIG_PATH="config.yaml")
    assert done.returncode == 2 and "expected an absolute path" in done.stderr
    assert files(tmp_path) == {}
