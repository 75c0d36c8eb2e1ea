"""What a driver leaves out of the bulk answer, asked for one machine at a time: state only is what test:// tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vmstatd.faults import NO_DOMAIN, code_of
from vmstatd.host import BALLOON, CPU, VCPU, Domain, Rows

_MEMORY = {
    "actual": "balloon.current",
    "swap_in": "balloon.swap_in",
    "swap_out": "balloon.swap_out",
    "major_fault": "balloon.major_fault",
    "minor_fault": "balloon.minor_fault",
    "unused": "balloon.unused",
    "available": "balloon.available",
    "usable": "balloon.usable",
    "last_update": "balloon.last-update",
    "rss": "balloon.rss",
}
_MARKS = {CPU: "cpu.time", BALLOON: "balloon.current", VCPU: "vcpu.current"}


def missing_groups(rows: Rows, wanted: int) -> int:
    """Return the groups that were asked for and that not one of the machines that run was told of."""
    running = [stats for domain, stats in rows if domain.ID() >= 0]
    missing = 0
    for group, mark in _MARKS.items():
        if group & wanted and running and not any(mark in stats for stats in running):
            missing |= group
    return missing


def filled(rows: Rows, groups: int) -> Rows:
    """Return the rows with these groups asked of each machine; one that has gone meanwhile is left out."""
    if not groups:
        return rows
    found: list[tuple[Domain, Mapping[str, Any]]] = []
    for domain, stats in rows:
        try:
            more = _asked(domain, groups)
        except Exception as error:
            if code_of(error) != NO_DOMAIN:
                raise
            continue
        found.append((domain, {**more, **stats}))
    return found


def _asked(domain: Domain, groups: int) -> dict[str, int]:
    _, most_kb, memory_kb, vcpus, cpu_ns = domain.info()
    found: dict[str, int] = {}
    if groups & VCPU:
        found["vcpu.current"] = vcpus
    if groups & BALLOON:
        found["balloon.maximum"] = most_kb
    if domain.ID() < 0:  # off, it has its sizes and nothing else
        return found
    if groups & CPU:
        found["cpu.time"] = cpu_ns
    if groups & BALLOON:
        told = {_MEMORY[key]: value for key, value in domain.memoryStats().items() if key in _MEMORY}
        found |= {"balloon.current": memory_kb, **told}
    return found
