"""One clean Debian for all tests of this room, and the product installed in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import pytest

from support.machine import Machine, Manifest, machine

NEEDED = {"debootstrap": "debootstrap", "bwrap": "bubblewrap", "nsenter": "util-linux", "systemd-analyze": "systemd"}
PYTHON = "python3.11"


@dataclass(frozen=True)
class Installation:
    """A machine on which all services were installed; what it was before, and what the installer said."""

    machine: Machine
    before: Manifest
    said: str


def lacking(message: str) -> NoReturn:
    """Skip; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def clean() -> Iterator[Machine]:
    """A clean Debian, on which nothing was installed yet."""
    if os.geteuid() != 0:
        lacking("a Debian below a folder is made by root; to run this test: sudo ./scripts/test.sh tests/production")
    for command, package in NEEDED.items():
        if shutil.which(command) is None:
            lacking(f"{command} is not there; to run this test: sudo apt-get install -y {package}")
    python = shutil.which(PYTHON, path=f"/usr/bin:{os.environ['PATH']}")
    if python is None:
        lacking(f"{PYTHON}, that of the clean Debian, is not there; to run this test: install it")
    with machine(str(shutil.which("debootstrap")), python) as made:
        yield made


@pytest.fixture(scope="session")
def installed(clean: Machine) -> Installation:
    """The clean Debian with all services, whether it can use them or not."""
    before = clean.manifest()
    return Installation(clean, before, clean.install("--components", "all").stderr)
