"""The rows of ``aligned/*.jsonl`` as muxd writes them; docs/FORMAT.md is their contract."""

from __future__ import annotations

from typing import Any

import msgspec

LATENCY = "metric.latency"
DROPPED = "metric.dropped"
LATE = "metric.late"
VM_ENERGY = "metric.vm_energy"
OURS = "metric."  # begins the sources of rows; a raw line that bears one is not used

LOST = "lost"
ORPHAN = "orphan"
DUPLICATE = "duplicate"
OPEN_AT_START = "open_at_start"
OPEN_AT_END = "open_at_end"


class LatencyKv(msgspec.Struct, omit_defaults=True, gc=False):
    """What one frame cost between two stages: milliseconds, watts at its midpoint, joules over its length."""

    lat_ms: float
    pair: tuple[str, str]
    flow: str | None = None
    frame: int | str | None = None
    pts_ns: int | None = None
    match: str | None = None
    power_w: float | None = None
    energy_j: float | None = None
    power_age_ms: float | None = None
    power_source: str | None = None
    power_method: str | None = None
    temp_c: float | None = None
    power_why: str | None = None


class LatencyRow(msgspec.Struct, omit_defaults=True, gc=False):
    """A pair; ``ts_aligned_ns`` is its completion."""

    ts_aligned_ns: int
    source: str
    kv: LatencyKv
    unc_ns: int | None = None
    sim: bool = False
    sim_of: list[str] | None = None


class DroppedKv(msgspec.Struct, omit_defaults=True, gc=False):
    """Why a stage event found no partner, and when that was certain."""

    pair: tuple[str, str]
    stage: str
    flow: str | None = None
    frame: int | str | None = None
    pts_ns: int | None = None
    reason: str | None = None
    decided_ns: int | None = None


class DroppedRow(msgspec.Struct, omit_defaults=True, gc=False):
    """A stage event without partner; ``ts_aligned_ns`` is its entry."""

    ts_aligned_ns: int
    source: str
    kv: DroppedKv
    sim: bool = False


class SignalRow(msgspec.Struct, omit_defaults=True):
    """The last reading of a source at a grid time, a line that came too late in its file, or what a VM cost."""

    ts_aligned_ns: int
    source: str
    kv: dict[str, Any]
    dev: str | None = None
    unc_ns: int | None = None
    sim: bool = False
    sim_of: list[str] | None = None


class LateEntry(msgspec.Struct):
    """A line of ``aligned/late.jsonl``: it turned up behind the frontier, so replay leaves it out as well."""

    stream: str
    offset: int
    ts_ns: int
    frontier_ns: int


class Completed(msgspec.Struct, tag="pair", array_like=True, gc=False):
    """A decided pair that may still wait for its power."""

    pair: int
    a_ns: int
    b_ns: int
    match: str
    flow: str
    frame: int | str | None
    pts_ns: int | None
    unc_ns: int | None
    sim: bool


class Unpaired(msgspec.Struct, tag="drop", array_like=True, gc=False):
    """A decided drop, kept in line behind the pairs that were decided before it."""

    pair: int
    stage: str
    ts_ns: int
    reason: str
    decided_ns: int
    flow: str
    frame: int | str | None
    pts_ns: int | None
    sim: bool

    def row(self, pairs: tuple[tuple[str, str], ...]) -> DroppedRow:
        """Return the row that is written for it."""
        kv = DroppedKv(
            pairs[self.pair],
            self.stage,
            self.flow or None,
            self.frame,
            self.pts_ns,
            self.reason,
            self.decided_ns,
        )
        return DroppedRow(self.ts_ns, DROPPED, kv, self.sim)
