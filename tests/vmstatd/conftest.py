"""libvirt, and real guests under it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import NoReturn

import pytest

from support.guests import Guests, find_kernel, running_guests

NEEDED = {
    "libvirtd": "libvirt-daemon-system",
    "virtlogd": "libvirt-daemon",
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
}


def without(message: str) -> NoReturn:
    """End a test whose component is missing: a failure in CI, elsewhere a skip."""
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def libvirt_module() -> None:
    try:
        import libvirt  # noqa: F401
    except ImportError:
        without("libvirt for Python is not there; to run this test: pip install -r requirements-vm.txt")


@pytest.fixture(scope="session")
def guests(libvirt_module: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guests]:
    """A libvirtd of one's own, in which real guests can be started."""
    for command, package in NEEDED.items():
        if shutil.which(command) is None:
            without(f"{command} is not there; to run this test: sudo apt-get install -y {package}")
    kernel = find_kernel()
    if kernel is None:
        without("no kernel for guests; to run this test: sudo apt-get install -y linux-image-cloud-amd64")
    if os.geteuid() != 0:
        without("only root may start guests in namespaces of their own")
    with running_guests(tmp_path_factory.mktemp("guests"), kernel) as running:
        yield running
