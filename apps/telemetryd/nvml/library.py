"""The binding and the library behind it: imported only where there is a library, and loaded anew after an upgrade."""

from __future__ import annotations

import _ctypes
import ctypes
import sys
from typing import Any

from benchlab.daemon import Absent

LIBRARY = "libnvidia-ml.so.1"

INSTALL = "install the NVIDIA driver, which brings libnvidia-ml"


def load() -> Any:
    """Return the module ``pynvml`` with the library loaded into it. Raises Absent if there is no library.

    The module takes 5 MiB and 25 ms, which a host without the driver is spared.
    """
    loaded = sys.modules.get("pynvml")
    if loaded is not None and loaded.nvmlLib is not None:
        return loaded
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise Absent(f"cannot load {error}", INSTALL) from error
    import pynvml

    pynvml.nvmlLib = library
    return pynvml


def unload(binding: Any) -> None:
    """Let go of the library, which must be shut down, so that the next ``load`` finds the one that is installed now.

    The binding itself never does: after an upgrade of the driver it would go on with the old one, which fails.
    """
    library, binding.nvmlLib = binding.nvmlLib, None
    binding._nvmlGetFunctionPointer_cache.clear()
    if library is not None:
        _ctypes.dlclose(library._handle)
