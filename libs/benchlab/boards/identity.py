"""How a device that is made up says so on the wire, where nothing else could."""

from __future__ import annotations

SIMULATED = "53494D"
"""How the unique ids of made-up boards begin, in hex: "SIM". The ids of real ones are burnt into their processors.

Simulators and emulators bear such an id unless they are told to bear another one; a reader marks what a device with
such an id says as ``sim``.
"""

SIMULATED_FIRMWARE = 0xFF
"""The firmware of a made-up device that has no unique id, as the PMD-USB; no real one has this number."""


def is_simulated(uid: str | None, firmware: int) -> bool:
    """Whether a device says that it is made up; ``uid`` in hex, None for a device that has none."""
    return firmware == SIMULATED_FIRMWARE if uid is None else uid.upper().startswith(SIMULATED)
