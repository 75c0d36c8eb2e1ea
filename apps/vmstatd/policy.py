"""Which fields of a machine are recorded, and how often: ``fields`` and ``every`` of ``[vmstatd]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from benchlab.catalog.vm import ALWAYS, field_names
from benchlab.event import Value
from vmstatd.host import BALLOON, BLOCK, CPU, NET, STATE, VCPU

_GROUPS = {
    "cpu": CPU,
    "cputime": CPU,
    "vcpu": VCPU,
    "vcpus": VCPU,
    "block": BLOCK,
    "blocks": BLOCK,
    "net": NET,
    "nets": NET,
}
"""By the first word of a field: what has to be asked for it. All others but those that are always there: BALLOON."""


class Policy:
    """The fields that are recorded, and every how many polls; those that name a machine are always there.

    ``fields`` are names or patterns, empty: all. ``every`` maps such to seconds, of which the first that fits counts;
    a field that it does not name is recorded at every poll. A machine's first event has all fields.
    """

    def __init__(self, fields: Sequence[str], every: Mapping[str, float], period_s: float) -> None:
        kept = [name for name in field_names() if not fields or name in ALWAYS or _fits(name, fields)]
        self._polls = {name: 1 if name in ALWAYS else _polls(name, every, period_s) for name in kept}
        self._is_plain = not fields and max(self._polls.values()) == 1

    @property
    def groups(self) -> int:
        """The statistics that have to be asked for (virDomainStatsTypes)."""
        groups = STATE
        for name in self._polls:
            if name == "cpu_count":
                groups |= VCPU
            elif name not in ALWAYS:
                groups |= _GROUPS.get(name.partition("_")[0], BALLOON)
        return groups

    def kept(self, kv: dict[str, Value], number: int) -> dict[str, Value]:
        """Return what is recorded of the event of a machine's poll, counted from 0."""
        if self._is_plain:
            return kv
        return {key: value for key, value in kv.items() if key in self._polls and number % self._polls[key] == 0}


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _polls(name: str, every: Mapping[str, float], period_s: float) -> int:
    seconds = next((seconds for pattern, seconds in every.items() if fnmatchcase(name, pattern)), 0.0)
    return max(1, round(seconds / period_s))
