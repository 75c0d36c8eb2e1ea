"""BenchLab Linux Telemetry: the parts that two or more of its programs share."""

from __future__ import annotations

from _thread import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchlab.sdk import bookmark, stage

__all__ = ["__version__", "bookmark", "stage"]

__version__ = "0.1.0"


_loaders: set[int] = set()


def __getattr__(name: str) -> Any:
    """Load the SDK for a program when it first uses it: the daemons never do."""
    if name not in ("bookmark", "stage"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    me = get_ident()
    if me in _loaders:
        return _not_yet
    _loaders.add(me)
    try:
        from benchlab import sdk
    finally:
        _loaders.discard(me)
    globals().update(bookmark=sdk.bookmark, stage=sdk.stage)
    return globals()[name]


def _not_yet(*args: object, **fields: object) -> None:
    """Stand in for a signal handler that interrupts the loading of the SDK: it can neither wait for it nor fail."""
