"""The power rails of the Jetson boards: which of them are the whole, and which one is the GPU's.

Sources: NVIDIA's developer guides by board, and jetson_stats (issue 344: VIN_SYS_5V0 of an AGX Orin is no input).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from edgepower.collectors.base import GPU, TOTAL, Scope, metric_part

_INPUTS: dict[str, Scope] = {"VIN": "board_input", "VDD_IN": "module", "POM_5V_IN": "module"}
"""Rails that all others are behind, the outermost first."""

_SUMS = (
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),  # AGX Xavier
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),  # AGX Orin; VDDQ_VDD2_1V8AO is behind VIN_SYS_5V0
    ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),  # AGX Thor on a carrier that does not measure its input
)
"""Rails side by side that make up the module, for boards without an input rail."""

_GPUS: dict[str, Scope] = {
    "VDD_GPU": "gpu",
    "VDD_SYS_GPU": "gpu",
    "POM_5V_GPU": "gpu",
    "GPU": "gpu",
    "VDD_GPU_SOC": "rail",  # the smallest that an AGX Orin measures: GPU and SoC together, as its name says
}
_NOT_CONNECTED = re.compile(r"(?:^|[^A-Z])NC(?:[^A-Z]|$)")


@dataclass
class Powers:
    """Metrics of a reading's rails in watts, the scope of each, and why a metric is not there."""

    metrics: dict[str, float] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def is_connected(rail: str) -> bool:
    """Return whether a monitor's channel by this name measures anything."""
    return bool(rail) and not _NOT_CONNECTED.search(rail.upper())


def powers_of(rails_w: Mapping[str, float], known: AbstractSet[str]) -> Powers:
    """Return the powers of a reading; ``known`` are the rails that the board has, also those it did not read now."""
    found = Powers()
    for rail, watts in rails_w.items():
        metric = f"jetson_power_{metric_part(rail)}_watts"
        found.metrics[metric] = watts
        found.scopes[metric] = _GPUS.get(rail, _INPUTS.get(rail, "rail"))
    _add_up(found, rails_w, known)
    _find_gpu(found, rails_w, known)
    return found


def _add_up(found: Powers, rails_w: Mapping[str, float], known: AbstractSet[str]) -> None:
    parts, scope = _parts(known)
    missing = [rail for rail in parts if rail not in rails_w]
    if not parts:
        listed = ", ".join(sorted(known)) or "none"
        found.absent[TOTAL] = f"found the rails {listed}: no input among them, and no board whose rails add up"
    elif missing:
        found.absent[TOTAL] = f"no value of {', '.join(missing)} at the moment"
    else:
        found.metrics[TOTAL] = round(sum(rails_w[rail] for rail in parts), 6)
        found.scopes[TOTAL] = scope


def _parts(known: AbstractSet[str]) -> tuple[tuple[str, ...], Scope]:
    for rail, scope in _INPUTS.items():
        if rail in known:
            return (rail,), scope
    return next((rails for rails in _SUMS if known >= set(rails)), ()), "module"


def _find_gpu(found: Powers, rails_w: Mapping[str, float], known: AbstractSet[str]) -> None:
    rail = next((rail for rail in _GPUS if rail in known), None)
    if rail is None:
        shared = next((name for name in sorted(known) if "GPU" in name), None)
        found.absent[GPU] = f"the GPU shares {shared} with other parts" if shared else "no rail of the GPU"
    elif rail not in rails_w:
        found.absent[GPU] = f"no value of {rail} at the moment"
    else:
        found.metrics[GPU] = rails_w[rail]
        found.scopes[GPU] = _GPUS[rail]
