"""BenchLab Linux Telemetry: the parts that two or more of its programs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchlab.sdk import bookmark, stage

__all__ = ["__version__", "bookmark", "stage"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load the SDK for a program when it first uses it: the daemons never do."""
    if name not in ("bookmark", "stage"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from benchlab import sdk

    globals().update(bookmark=sdk.bookmark, stage=sdk.stage)
    return globals()[name]
