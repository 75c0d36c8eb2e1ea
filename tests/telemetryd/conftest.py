"""What the tests of NVIDIA GPUs share."""

from __future__ import annotations

import _ctypes
import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import pynvml
import pytest

from support.fake_nvml import FakeNvml
from support.nvml_host import Host
from telemetryd.nvml import library


@pytest.fixture
def host(fake_nvml: Callable[..., FakeNvml]) -> Iterator[Callable[..., Host]]:
    """Put a library in this process, and take it out again."""
    loaded = []

    def _host(fake: FakeNvml | None = None, **options: Any) -> Host:
        fake = fake or fake_nvml()
        loaded.append(ctypes.CDLL(str(fake.library)))
        return Host(fake, **options)

    yield _host
    for one in loaded:
        library.unload(pynvml)
        _ctypes.dlclose(one._handle)
