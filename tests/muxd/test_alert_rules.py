"""The alert rules that come with muxd: Prometheus accepts them, each fires on its fault, and on series that exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchlab.catalog import SIGNALS
from support.tree import REPOSITORY

Component = Callable[[str, str], str]
RULES = REPOSITORY / "configs" / "prometheus" / "vms.rules.yml"
CASES = REPOSITORY / "tests" / "fixtures" / "muxd" / "vms.rules.test.yml"
OF_MUXD = {"benchlab_vm_info", "benchlab_vm_state"}


def promtool(component: Component, *words: str) -> str:
    program = component("promtool", "prometheus")
    done = subprocess.run([program, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_and_configuration_are_accepted(component: Component) -> None:
    assert "9 rules found" in promtool(component, "check", "rules", str(RULES))
    promtool(component, "check", "config", str(RULES.with_name("prometheus.yml")))


def test_each_alert_fires_on_its_fault_and_on_nothing_else(component: Component, tmp_path: Path) -> None:
    cases = tmp_path / "cases.yml"
    cases.write_text(CASES.read_text().replace("- RULES", f"- {RULES}"))
    assert "SUCCESS" in promtool(component, "test", "rules", str(cases))


def test_a_rule_that_is_another_one_fails_its_case(component: Component, tmp_path: Path) -> None:
    rules, cases = tmp_path / "rules.yml", tmp_path / "cases.yml"
    rules.write_text(RULES.read_text().replace(">= 0.02\n", ">= 0.2\n"))
    cases.write_text(CASES.read_text().replace("- RULES", f"- {rules}"))
    with pytest.raises(AssertionError, match="VmDiskSlow"):
        promtool(component, "test", "rules", str(cases))


def test_every_alert_is_seen_to_fire() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    fired = set(re.findall(r"alertname: (\w+)\n +exp_alerts", CASES.read_text()))
    assert len(alerts) == 7
    assert fired == alerts


def test_rules_are_about_series_that_muxd_shows() -> None:
    shown = {signal.prometheus for signal in SIGNALS if signal.prometheus} | OF_MUXD
    named = set(re.findall(r"(?<![:\w])benchlab_\w+", re.sub(r"#.*", "", RULES.read_text())))
    assert named - shown == set()
