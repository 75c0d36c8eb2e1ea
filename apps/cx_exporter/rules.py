"""What CapFrameX 1.8.4 imports: the names and numbers of docs/CAPFRAMEX.md, and how a breach of them is told.

Established by running its importer, and by reading it (CXWorld/CapFrameX) and PresentMon
(GameTechDev/PresentMon).
"""

from __future__ import annotations

from typing import NamedTuple

MARKER = "//"
IGNORE = "//Ignore=true"

REQUIRED_COLUMNS = ("Application", "Dropped", "TimeInSeconds", "MsBetweenPresents", "MsBetweenDisplayChange")
EXACT_CASE = (
    "Application",
    "TimeInSeconds",
    "Dropped",
    "Runtime",
    "PresentMode",
    "AllowsTearing",
    "SyncInterval",
    "QPCTime",
    "MsPCLatency",
)
ANY_CASE = ("MsBetweenPresents", "MsUntilDisplayed", "MsBetweenDisplayChange", "MsInPresentAPI")
NUMERIC = ("MsUntilDisplayed", "MsBetweenDisplayChange", "MsInPresentAPI", "QPCTime", "MsPCLatency")

MIN_LINES = 21

METADATA_NEEDED = ("Processor", "GPU", "System RAM", "GameName", "Comment")

CAPTURE_NUMBERS = (
    "TimeInSeconds",
    "MsBetweenPresents",
    "MsInPresentAPI",
    "MsBetweenDisplayChange",
    "MsUntilRenderComplete",
    "MsUntilDisplayed",
    "QPCTime",
    "PcLatency",
    "AnimationError",
    "GpuActive",
    "CpuActive",
)
CAPTURE_INTEGERS = ("PresentMode", "AllowsTearing", "SyncInterval")
CAPTURE_BOOLEANS = ("Dropped",)
PMD = ("PmdGpuPower", "PmdCpuPower", "PmdSystemPower")
TIMES = ("MeasureTime", "BetweenMeasureTime")


class Finding(NamedTuple):
    """One breach: ``line`` counts from 1, 0 is the file as a whole. A ``note`` is no breach."""

    line: int
    reason: str
    note: bool = False


def number(text: str) -> float | None:
    """Return a number as CapFrameX's parser reads it (invariant culture); None if it is none."""
    if not text.isascii() or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None
