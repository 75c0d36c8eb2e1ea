"""Where a stage is: ``NAME=ELEMENT.PAD``, as the command line says it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SPEC = re.compile(r"(?P<name>[^=\s]+)=(?P<element>[^=\s]+)\.(?P<pad>[^.=\s]+)")

CAPTURE = "capture"
"""The stage whose time the frame itself brings along; no pad can be probed under this name."""


@dataclass(frozen=True)
class StageSpec:
    """A stage is reached when a buffer passes this pad of this element."""

    name: str
    element: str
    pad: str

    def __str__(self) -> str:
        """Return it as it was written."""
        return f"{self.name}={self.element}.{self.pad}"


def stage_spec(text: str) -> StageSpec:
    """Read a stage, for argparse. Raises ArgumentTypeError, which argparse turns into a usage error."""
    found = _SPEC.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"found {text!r}, expected NAME=ELEMENT.PAD, as in encoded=enc.src (ELEMENT is a name=... of the pipeline)"
        )
    if found["name"] == CAPTURE:
        raise argparse.ArgumentTypeError(
            f"found {text!r}: the stage {CAPTURE} is the capture time that frames bring along, expected another name"
        )
    return StageSpec(found["name"], found["element"], found["pad"])


def merged(preset: Sequence[StageSpec], given: Iterable[StageSpec]) -> tuple[StageSpec, ...]:
    """Return the stages of a preset with those given in place of, or behind, them.

    Raises ValueError for a name that is given twice.
    """
    stages = {stage.name: stage for stage in preset}
    seen: set[str] = set()
    for stage in given:
        if stage.name in seen:
            raise ValueError(f"--stage {stage}: found {stage.name} twice, expected each stage once")
        seen.add(stage.name)
        stages[stage.name] = stage
    return tuple(stages.values())
