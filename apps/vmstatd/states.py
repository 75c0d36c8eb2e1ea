"""What libvirt's numbers for the states of a machine mean, and why one is in its state.

Source: libvirt-domain.h, virDomainState, virVcpuState and the enumerations of reasons.
"""

from __future__ import annotations

UNKNOWN = "unknown"

STATES = {
    0: UNKNOWN,
    1: "running",
    2: "blocked",
    3: "paused",
    4: "shutdown",
    5: "stopped",
    6: "crashed",
    7: "suspended",
}
HALTED = ("paused", "suspended")

VCPU_STATES = {0: "offline", 1: "running", 2: "blocked"}

MIGRATED = "migrated"

_REASONS = {
    "running": (
        "booted migrated restored from_snapshot unpaused migration_canceled save_canceled wakeup crashed postcopy "
        "postcopy_failed"
    ),
    "paused": (
        "user migration save dump ioerror watchdog from_snapshot shutting_down snapshot crashed starting_up postcopy "
        "postcopy_failed api_error"
    ),
    "shutdown": "user",
    "stopped": "shutdown destroyed crashed migrated saved failed from_snapshot daemon",
    "crashed": "panicked",
}
"""The words of the reasons from 1 on; 0 is unknown everywhere."""
_WORDS = {state: dict(enumerate(text.split(), 1)) for state, text in _REASONS.items()}


def state_name(number: object) -> str:
    """Return the word for a state; ``unknown`` for a number that this version of libvirt did not have."""
    return STATES.get(number, UNKNOWN) if isinstance(number, int) else UNKNOWN


def reason_name(state: str, number: object) -> str:
    """Return why a machine is in its state; ``unknown`` where nobody says."""
    return _WORDS.get(state, {}).get(number, UNKNOWN) if isinstance(number, int) else UNKNOWN
