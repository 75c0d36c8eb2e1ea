"""libvirt's statistics of one machine, flat keys such as ``block.0.rd.bytes``, as a sample with typed parts.

Devices are known by their names, because the numbers in the keys have holes and move when one is unplugged.
Source: virConnectGetAllDomainStats in libvirt-domain.c. Times are ns, memory is KiB, the rest bytes and counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from vmstatd.states import UNKNOWN, VCPU_STATES, reason_name, state_name

Counters = dict[str, int]

_WHOLE = {
    "cpu.time": "cputime_ns",
    "cpu.user": "cpu_user_ns",
    "cpu.system": "cpu_system_ns",
    "balloon.current": "balloon_kb",
    "balloon.maximum": "memory_max_kb",
    "balloon.rss": "rss_kb",
    "balloon.available": "guest_available_kb",
    "balloon.unused": "guest_unused_kb",
    "balloon.usable": "guest_usable_kb",
    "balloon.swap_in": "swap_in_kb",
    "balloon.swap_out": "swap_out_kb",
    "balloon.major_fault": "major_faults",
    "balloon.minor_fault": "minor_faults",
    "balloon.last-update": "last_update_s",
    "vcpu.current": "cpu_count",
}
_VCPU = {"time": "time_ns", "wait": "wait_ns", "delay": "delay_ns"}
_BLOCK = {
    "rd.bytes": "rd_bytes",
    "wr.bytes": "wr_bytes",
    "rd.reqs": "rd_reqs",
    "wr.reqs": "wr_reqs",
    "rd.times": "rd_time_ns",
    "wr.times": "wr_time_ns",
    "fl.reqs": "fl_reqs",
    "fl.times": "fl_time_ns",
}
_NET = {f"{way}.{what}": f"{way}_{what}" for way in ("rx", "tx") for what in ("bytes", "pkts", "errs", "drop")}
_COLUMNS = {"vcpu": _VCPU, "block": _BLOCK, "net": _NET}


@dataclass
class Sample:
    """One machine at one moment; what was not told is not there.

    ``values`` are sizes and counters of the machine as a whole, by the names of the log, and ``last_update_s``, when
    its balloon spoke last (Unix seconds). ``vcpus``, ``blocks`` and ``nets`` are counters by number or name.
    """

    state: str = UNKNOWN
    reason: str = UNKNOWN
    values: Counters = field(default_factory=dict)
    vcpus: dict[int, Counters] = field(default_factory=dict)
    vcpu_states: dict[int, str] = field(default_factory=dict)
    blocks: dict[str, Counters] = field(default_factory=dict)
    nets: dict[str, Counters] = field(default_factory=dict)


def decode(stats: Mapping[str, object]) -> Sample:
    """Return the sample that these statistics are. Whatever is unknown, negative or of another type is left out."""
    state = state_name(stats.get("state.state"))
    sample = Sample(state, reason_name(state, stats.get("state.reason")))
    parts: dict[str, dict[int, Counters]] = {"vcpu": {}, "block": {}, "net": {}}
    for key, value in stats.items():
        if type(value) is not int or value < 0:
            continue
        if (name := _WHOLE.get(key)) is not None:
            sample.values[name] = value
        elif (place := _place(key)) is not None:
            group, index, column = place
            parts[group].setdefault(index, {})[column] = value
    sample.vcpus = dict(sorted(parts["vcpu"].items()))
    sample.vcpu_states = {n: _vcpu_state(stats.get(f"vcpu.{n}.state")) for n in sample.vcpus}
    sample.blocks = _by_name(stats, "block", parts["block"])
    sample.nets = _by_name(stats, "net", parts["net"])
    return sample


def groups_of(stats: Mapping[str, object]) -> frozenset[str]:
    """Return what was told by the machine's own process, which one that is stuck cannot: ``balloon``, ``block``."""
    told = set()
    if "balloon.rss" in stats:
        told.add("balloon")
    if any(key.startswith("block.") and key.endswith(".rd.bytes") for key in stats):
        told.add("block")
    return frozenset(told)


@lru_cache(maxsize=4096)
def _place(key: str) -> tuple[str, int, str] | None:
    """Return group, number and column of a key that belongs to a device, None for any other."""
    group, _, rest = key.partition(".")
    number, _, name = rest.partition(".")
    column = _COLUMNS.get(group, {}).get(name)
    if column is None or not (number.isascii() and number.isdecimal() and len(number) < 10):
        return None
    return group, int(number), column


def _by_name(stats: Mapping[str, object], group: str, parts: dict[int, Counters]) -> dict[str, Counters]:
    """Return counters by the device's name; where two have one name, as in a chain of images, the first counts."""
    found: dict[str, Counters] = {}
    for index, counters in sorted(parts.items()):
        name = stats.get(f"{group}.{index}.name")
        found.setdefault(name if isinstance(name, str) and name else f"#{index}", counters)
    return found


def _vcpu_state(number: object) -> str:
    return VCPU_STATES.get(number, UNKNOWN) if isinstance(number, int) else UNKNOWN
