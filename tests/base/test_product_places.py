"""What is told of files beside the programs is where they are: in a checkout, in an installation, or nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchlab.product import dashboard_dir, shipped

RULES = "udev/99-benchlab.rules"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Where install.sh put it all."""
    rules = tmp_path / "opt" / RULES
    rules.parent.mkdir(parents=True)
    rules.touch()
    return tmp_path / "opt"


def test_a_checkout_names_its_own_files(installed: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / RULES).parent.mkdir(parents=True)
    (checkout / RULES).touch()
    (checkout / "pyproject.toml").touch()
    assert shipped(RULES, checkout, installed / ".venv") == checkout / RULES
    assert dashboard_dir(checkout, installed / ".venv") == checkout / "web/out"


def test_an_installation_names_what_lies_beside_its_programs(installed: Path) -> None:
    library = installed / ".venv/lib/python3.11"
    assert shipped(RULES, library, installed / ".venv") == installed / RULES
    assert dashboard_dir(library, installed / ".venv") == installed / "web"


def test_what_is_nowhere_keeps_its_name(tmp_path: Path) -> None:
    assert shipped(RULES, tmp_path, tmp_path / "usr") == Path(RULES)
