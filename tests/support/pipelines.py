"""What tests of pipelines ask of a source: everything up to its end, or up to a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from benchlab.daemon import Ended, Reading

PATIENCE_S = 60.0


class Sampled(Protocol):
    def sample(self) -> list[Reading]: ...


def until(source: Sampled, is_enough: Callable[[list[Reading]], object]) -> list[Reading]:
    """Return what a source says until that is enough; it must be before the source ends or time is out."""
    found: list[Reading] = []
    give_up_s = time.monotonic() + PATIENCE_S
    while not is_enough(found):
        assert time.monotonic() < give_up_s, f"waited in vain; found {found[-3:]}"
        found += source.sample()
    return found


def to_the_end(source: Sampled) -> list[Reading]:
    """Return all that a source says until it ends."""
    found: list[Reading] = []
    give_up_s = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < give_up_s:
            found += source.sample()
    except Ended:
        return found
    raise AssertionError("it never ended")


def failure_of(source: Sampled) -> Exception:
    """Return what a source raises at last."""
    try:
        until(source, lambda found: False)
    except AssertionError:
        raise
    except Exception as error:
        return error
    raise AssertionError("unreachable")


def frames(readings: list[Reading], stage: str) -> list[Reading]:
    """Return what was seen at a stage, in order."""
    return [reading for reading in readings if reading.source is None and reading.kv["stage"] == stage]


def at(readings: list[Reading], stage: str) -> list[Any]:
    """Return the presentation times of the frames seen at a stage, in order."""
    return [reading.kv.get("pts_ns") for reading in frames(readings, stage)]


def moments(readings: list[Reading], stage: str) -> dict[Any, int]:
    """Return when each frame was seen at a stage, by its presentation time."""
    return {reading.kv["pts_ns"]: reading.ts_ns or 0 for reading in frames(readings, stage)}


def told(readings: list[Reading], event: str) -> list[dict[str, Any]]:
    """Return the lines in which the stream tells of an event."""
    return [reading.kv for reading in readings if reading.kv.get("event") == event]
