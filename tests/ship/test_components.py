"""Real programs that tests talk to: missing in CI is a failure, elsewhere it is said; and our files satisfy them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

Component = Callable[[str, str], str]


def test_missing_component_fails_in_ci_with_the_apt_command(
    component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="sudo apt-get install -y some-package"):
        component("no-such-program", "some-package")


def test_missing_component_skips_elsewhere_with_the_apt_command(
    component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="sudo apt-get install -y some-package"):
        component("no-such-program", "some-package")


def test_prometheus_accepts_our_configuration(component: Component) -> None:
    config = REPOSITORY / "configs" / "prometheus" / "prometheus.yml"
    promtool = component("promtool", "prometheus")
    done = subprocess.run([promtool, "check", "config", str(config)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_component_is_installed_by_ci() -> None:
    installed = (REPOSITORY / ".ci" / "run").read_text()
    tests = [path.read_text() for path in (REPOSITORY / "tests").rglob("*.py") if path != Path(__file__)]
    for text in tests:
        for call in text.split('component("')[1:]:
            command = call.split('"')[0]
            assert f"need {command} " in installed, command
