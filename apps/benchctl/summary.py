"""What a recording comes to: latency percentiles, watts, joules and drops, from the aligned rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import fsum
from pathlib import Path

import msgspec

from benchlab.event import Aligned
from benchlab.query.aligned import LATENCY, pair_of, read_aligned
from benchlab.query.percentiles import percentiles

# As muxd does by default: power is not interpolated across a longer gap.
MAX_GAP_NS = 2_500_000_000
# Frames that the session's own beginning or end cut in two: listed, but nobody dropped them.
OPEN = ("open_at_end", "open_at_start")
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class PairSummary(msgspec.Struct, omit_defaults=True):
    """One pair of stages; what there is no value for is None.

    ``power_w`` is the mean of the pairs' power, ``energy_j`` the sum of their energy, each frame's while it was
    between the stages (so frames that overlap each count), ``frame_energy_j`` the mean.
    """

    pair: tuple[str, str]
    pairs: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    power_w: float | None = None
    energy_j: float | None = None
    frame_energy_j: float | None = None
    drops: dict[str, int] = {}


class Summary(msgspec.Struct, omit_defaults=True):
    """A recording. ``energy_j`` is the reference power over the ``powered_s`` seconds where it is known."""

    pairs: list[PairSummary]
    energy_j: float | None = None
    powered_s: float = 0.0
    power_sources: list[str] = []
    simulated: bool = False


class _Tally:
    """What is kept of one pair's rows."""

    def __init__(self) -> None:
        self.latencies_ms: list[float] = []
        self.powers_w: list[float] = []
        self.energies_j: list[float] = []
        self.drops: dict[str, int] = {}

    def take(self, row: Aligned) -> None:
        """Count one row."""
        kv = row.kv
        if row.source != LATENCY:
            reason = str(kv.get("reason"))
            self.drops[reason] = self.drops.get(reason, 0) + 1
            return
        self.latencies_ms.append(kv["lat_ms"])
        if "power_w" in kv:
            self.powers_w.append(kv["power_w"])
        if "energy_j" in kv:
            self.energies_j.append(kv["energy_j"])

    def summary(self, pair: tuple[str, str]) -> PairSummary:
        """Return the pair's summary."""
        made = PairSummary(pair, len(self.latencies_ms), drops=dict(sorted(self.drops.items())))
        if self.latencies_ms:
            made.p50_ms, made.p95_ms, made.p99_ms = percentiles(self.latencies_ms)
        if self.powers_w:
            made.power_w = fsum(self.powers_w) / len(self.powers_w)
        if self.energies_j:
            made.energy_j = fsum(self.energies_j)
            made.frame_energy_j = made.energy_j / len(self.energies_j)
        return made


def summarise(rows: Iterable[Aligned]) -> Summary:
    """Summarise aligned rows; memory grows with the number of pairs, by a few numbers each."""
    tallies: dict[tuple[str, str], _Tally] = {}
    power: list[tuple[int, float, str]] = []
    simulated = False
    for row in rows:
        pair = pair_of(row)
        if pair is None:
            continue
        simulated = simulated or row.sim
        tallies.setdefault(pair, _Tally()).take(row)
        if row.source == LATENCY and "power_w" in row.kv:
            midpoint_ns = row.ts_aligned_ns - int(row.kv["lat_ms"] * NS_PER_MS / 2)
            power.append((midpoint_ns, row.kv["power_w"], str(row.kv.get("power_source"))))
    summary = Summary([tally.summary(pair) for pair, tally in tallies.items()], simulated=simulated)
    _integrate(summary, power)
    return summary


def summarise_session(folder: Path) -> Summary:
    """Summarise a session folder, what muxd may still decide again included."""
    return summarise(read_aligned(folder))


def _integrate(summary: Summary, power: list[tuple[int, float, str]]) -> None:
    """Integrate the power at the pairs' midpoints, not across gaps nor from one reference to another."""
    power.sort()
    energy_j = powered_s = 0.0
    for (t0, w0, source), (t1, w1, next_source) in pairwise(power):
        if source == next_source and t1 - t0 <= MAX_GAP_NS:
            seconds = (t1 - t0) / NS_PER_S
            powered_s += seconds
            energy_j += seconds * (w0 + w1) / 2
    summary.power_sources = sorted({source for _, _, source in power})
    if powered_s:
        summary.energy_j, summary.powered_s = energy_j, powered_s


def lines(summary: Summary) -> Iterator[str]:
    """Yield the summary as lines for people; what is not known is not shown as zero."""
    if summary.simulated:
        yield "simulated  some or all of the devices: their figures were not measured"
    if not summary.pairs:
        yield "pairs      none"
    for pair in summary.pairs:
        yield from _pair_lines(pair)
    if summary.energy_j is not None:
        yield f"recording  {summary.energy_j:,.1f} J in {summary.powered_s:.1f} s"
    if summary.power_sources:
        yield f"power of   {', '.join(summary.power_sources)}"


def _pair_lines(pair: PairSummary) -> Iterator[str]:
    yield f"pairs      {pair.pairs:,} from {pair.pair[0]} to {pair.pair[1]}"
    if pair.p50_ms is not None:
        yield f"latency    p50 {pair.p50_ms:.3f}  p95 {pair.p95_ms:.3f}  p99 {pair.p99_ms:.3f} ms"
    if pair.power_w is None:
        yield "power      not known: no power source covers the pairs"
    else:
        yield f"power      {pair.power_w:.3f} W mean over the pairs"
    if pair.frame_energy_j is not None:
        yield f"energy     {pair.energy_j:,.3f} J in the frames, {pair.frame_energy_j:.4f} J per frame"
    drops = [f"{reason} {count:,}" for reason, count in pair.drops.items() if reason not in OPEN]
    yield f"dropped    {'  '.join(drops) or 'none'}"
    if undecided := [f"{reason} {count:,}" for reason, count in pair.drops.items() if reason in OPEN]:
        yield f"cut off    {'  '.join(undecided)}"
