"""The pinned requirements are exactly what the product and its tests need, on every Python it supports."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
PRODUCT = "benchlab-linux-telemetry"
PYTHONS = ("3.10", "3.11", "3.13")


def lines(name: str) -> list[str]:
    text = (REPOSITORY / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pins(name: str, python: str) -> dict[str, str]:
    """Return version by distribution of what a requirements file installs, the product itself apart."""
    found: dict[str, str] = {}
    for line in lines(name):
        if line.startswith("-r "):
            found |= pins(line.removeprefix("-r "), python)
        elif line != "-e .":
            wanted = Requirement(line)
            assert re.fullmatch(r"==[^*]+", str(wanted.specifier)), f"{line} is no pin"
            if applies(wanted, python):
                found[canonicalize_name(wanted.name)] = str(wanted.specifier).removeprefix("==")
    return found


def applies(wanted: Requirement, python: str, extra: str = "") -> bool:
    env = {"python_version": python, "python_full_version": f"{python}.0", "extra": extra}
    return wanted.marker is None or wanted.marker.evaluate({**env, "sys_platform": "linux"})


def closure(roots: Iterable[str], python: str) -> set[str]:
    """Return every distribution that the roots need there, by the metadata of what is installed here."""
    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in roots]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += [canonicalize_name(wanted.name) for wanted in needs(name, python)]
    return found


def needs(name: str, python: str, extra: str = "") -> list[Requirement]:
    try:
        texts = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []  # needed only by another Python than this one
    return [wanted for wanted in map(Requirement, texts) if applies(wanted, python, extra)]


@pytest.mark.parametrize("python", PYTHONS)
def test_minimal_install_is_pinned_whole_and_pins_nothing_else(python: str) -> None:
    assert set(pins("requirements.txt", python)) == closure([PRODUCT], python) - {PRODUCT}


@pytest.mark.parametrize("python", PYTHONS)
def test_install_with_the_tests_is_pinned_whole_and_pins_nothing_else(python: str) -> None:
    tools = [wanted.name for wanted in needs(PRODUCT, python, "dev")]
    assert set(pins("requirements-dev.txt", python)) == closure([PRODUCT, *tools], python) - {PRODUCT}


@pytest.mark.parametrize("python", PYTHONS)
def test_install_for_edge_devices_is_pinned_whole_and_as_in_the_tests(python: str) -> None:
    extras = [wanted.name for extra in ("edge", "i2c") for wanted in needs(PRODUCT, python, extra)]
    pinned = pins("requirements-edge.txt", python)
    assert set(pinned) == closure([PRODUCT, *extras], python) - {PRODUCT}
    assert pinned.items() <= pins("requirements-dev.txt", python).items()


@pytest.mark.parametrize("python", PYTHONS)
def test_install_for_the_dashboard_is_pinned_whole_and_as_in_the_tests(python: str) -> None:
    extras = [wanted.name for wanted in needs(PRODUCT, python, "web")]
    pinned = pins("requirements-web.txt", python)
    assert set(pinned) == closure([PRODUCT, *extras], python) - {PRODUCT}
    assert pinned.items() <= pins("requirements-dev.txt", python).items()


def test_libvirt_for_python_is_pinned_as_the_extra_asks() -> None:
    (wanted,) = (wanted for wanted in needs(PRODUCT, PYTHONS[1], "vm") if wanted.name == "libvirt-python")
    assert wanted.specifier.contains(pins("requirements-vm.txt", PYTHONS[1])[wanted.name])


def test_pins_satisfy_what_pyproject_asks_for() -> None:
    for python in PYTHONS:
        pinned = pins("requirements-dev.txt", python)
        for wanted in needs(PRODUCT, python, "dev"):
            assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)]), wanted


@pytest.mark.parametrize("heavy", ["pyarrow", "polars", "duckdb", "libvirt-python", "uvicorn", "psutil"])
def test_minimal_install_has_nothing_heavy(heavy: str) -> None:
    assert heavy not in pins("requirements.txt", "3.11")


def test_requirements_install_the_product_itself() -> None:
    assert lines("requirements.txt")[-1] == "-e ."
