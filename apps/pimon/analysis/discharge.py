"""Discharges of a battery: how fast it ran down, and how long it will last.

The time to empty is what is left over the mean rate. Its interval is a prediction interval of Student's t over the
means of equal blocks of the discharge: the load so far is one sample of the load to come. It widens with the spread of
the blocks, beside which a usual spread has some weight, with what neighbouring blocks have in common, with how far
ahead it looks, and with the gauge's whole percents. Nothing is interpolated across a gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, variance

from pimon.analysis.history import Reading

HOUR_S = 3600.0
LEAST_GAP_S = 60.0
BLOCKS = 12
LEAST_DROP_PCT = 2.0
LEAST_S = 600.0
LEAST_KNOWN = 0.9  # of the time, for a quantity to be used
LARGEST_LIKENESS = 0.7
GAUGE_STEP_SD = math.sqrt(2 / 12)  # of the difference of two readings in whole percents
SUPPOSED_SPREAD, SUPPOSED_WEIGHT = 0.4, 2  # of the load, relative to its mean, before anything is known of it
NOISE = 0.08  # of a block, relative to the mean
T_95 = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83, 1.81, 1.80, 1.78, 1.77)
"""The 95 % quantile of Student's t for 1 to 13 degrees of freedom (any table of it)."""


@dataclass(frozen=True)
class Discharge:
    """One stretch without a gap in which the battery was discharged; None is what was not measured throughout."""

    start_s: float
    duration_s: float
    start_pct: float | None
    end_pct: float | None
    drop_pct: float | None
    pct_per_hour: float | None
    energy_wh: float | None
    mean_w: float | None
    charge_mah: float | None
    is_simulated: bool


@dataclass(frozen=True)
class TimeToEmpty:
    """Hours until the battery is empty, and the interval that holds nine in ten such times."""

    hours: float
    low_hours: float
    high_hours: float


def discharges(readings: Sequence[Reading]) -> list[list[Reading]]:
    """Return the stretches in which the battery was discharged, each of two readings or more."""
    longest_s = longest_gap_s(readings)
    found: list[list[Reading]] = [[]]
    for reading in readings:
        if not _is_discharging(reading):
            found.append([])
            continue
        last = found[-1][-1] if found[-1] else None
        if last is not None and (not 0 < reading.time_s - last.time_s <= longest_s or _rose(last, reading)):
            found.append([])
        found[-1].append(reading)
    return [stretch for stretch in found if len(stretch) > 1]


def longest_gap_s(readings: Sequence[Reading]) -> float:
    """Return how far two readings may lie apart and still belong together."""
    steps = [b.time_s - a.time_s for a, b in pairwise(readings)]
    return max(LEAST_GAP_S, 5 * median(steps)) if steps else LEAST_GAP_S


def describe(stretch: Sequence[Reading]) -> Discharge:
    """Return what a stretch comes to."""
    duration_s = stretch[-1].time_s - stretch[0].time_s
    first, last = _ends(stretch)
    drop = None if first is None or last is None else first - last
    energy_wh = used(stretch, _power)
    charge_ah = used(stretch, _current)
    return Discharge(
        start_s=stretch[0].time_s,
        duration_s=duration_s,
        start_pct=first,
        end_pct=last,
        drop_pct=drop,
        pct_per_hour=None if drop is None else -drop / duration_s * HOUR_S,
        energy_wh=energy_wh,
        mean_w=None if energy_wh is None else energy_wh / duration_s * HOUR_S,
        charge_mah=None if charge_ah is None else charge_ah * 1000,
        is_simulated=any(reading.is_simulated for reading in stretch),
    )


def used(stretch: Sequence[Reading], quantity: Callable[[Reading], float | None]) -> float | None:
    """Return the integral of a quantity's magnitude over a stretch, per hour; None where it is not known throughout."""
    total = known_s = 0.0
    for a, b in pairwise(stretch):
        at_a, at_b = quantity(a), quantity(b)
        if at_a is not None and at_b is not None:
            known_s += b.time_s - a.time_s
            total += (abs(at_a) + abs(at_b)) / 2 * (b.time_s - a.time_s) / HOUR_S
    duration_s = stretch[-1].time_s - stretch[0].time_s
    return total * duration_s / known_s if known_s >= LEAST_KNOWN * duration_s > 0 else None


def time_to_empty(stretch: Sequence[Reading]) -> TimeToEmpty | str:
    """Return how long the battery will last if it goes on as in this stretch, or why there is no telling."""
    duration_s = stretch[-1].time_s - stretch[0].time_s
    first, last = _ends(stretch)
    if first is None or last is None:
        return "the charge in percent is not recorded"
    if duration_s < LEAST_S or first - last < LEAST_DROP_PCT:
        return (
            f"found {first - last:g} % in {duration_s / 60:.0f} min, "
            f"expected a discharge of {LEAST_DROP_PCT:g} % and {LEAST_S / 60:.0f} min or more"
        )
    hours = last * duration_s / HOUR_S / (first - last)
    margin = _margin(list(_block_rates(stretch)), hours * HOUR_S / (duration_s / BLOCKS))
    gauge = GAUGE_STEP_SD / (first - last)
    # Of the logarithm, for a time is never below nothing.
    wide = math.hypot(margin, T_95[BLOCKS - 2] * math.hypot(gauge, GAUGE_STEP_SD / max(last, 1.0) / 2))
    return TimeToEmpty(hours, hours * math.exp(-wide), hours * math.exp(wide))


def _margin(rates: Sequence[float], ahead: float) -> float:
    """Return the relative margin at 95 % of the mean rate of so many blocks ahead, predicted from these.

    Blocks that resemble their neighbours count as fewer. That the spread is SUPPOSED_SPREAD counts like
    SUPPOSED_WEIGHT degrees of freedom: a load that was of one kind so far may have others.
    """
    mean, count = fmean(rates) if rates else 0.0, len(rates)
    if count < BLOCKS or mean <= 0:
        return 1.0  # hardly anything is known of the load: the interval says so
    deviations = [rate / mean - 1 for rate in rates]
    alike = _likeness(deviations)
    inflation = (1 + alike) / (1 - alike)
    seen = count / inflation - 1
    freedom = SUPPOSED_WEIGHT + seen
    spread = (SUPPOSED_WEIGHT * SUPPOSED_SPREAD**2 + seen * variance(deviations, 0.0)) / freedom
    share = 1 / count + 1 / max(ahead, 1.0)
    return T_95[round(freedom) - 1] * math.sqrt(spread * share * inflation)


def _likeness(deviations: Sequence[float]) -> float:
    """Return the correlation of neighbours, from 0 to LARGEST_LIKENESS.

    The bias of so short a series is taken off it (Kendall 1954); NOISE keeps it low where they hardly differ.
    """
    count = len(deviations)
    squares = sum(d * d for d in deviations) + count * NOISE**2
    found = sum(a * b for a, b in pairwise(deviations)) / squares
    return min(max((count * found + 1) / (count - 3), 0.0), LARGEST_LIKENESS)


def _block_rates(stretch: Sequence[Reading]) -> Iterator[float]:
    """Yield the mean of the best known quantity in each of equal blocks of time."""
    quantity = next((q for q in (_power, _current) if used(stretch, q) is not None), None)
    start_s = stretch[0].time_s
    block_s = (stretch[-1].time_s - start_s) / BLOCKS
    for number in range(BLOCKS):
        low, high = start_s + number * block_s, start_s + (number + 1) * block_s
        block = [reading for reading in stretch if low <= reading.time_s <= high]
        if len(block) < 2:
            continue
        if quantity is None:
            first, last = _ends(block)
            rate = None if first is None or last is None else first - last
        else:
            found = used(block, quantity)
            rate = None if found is None else found / (block[-1].time_s - block[0].time_s)
        if rate is not None:
            yield rate


def _ends(stretch: Sequence[Reading]) -> tuple[float | None, float | None]:
    known = [reading.pct for reading in stretch if reading.pct is not None]
    return (known[0], known[-1]) if known else (None, None)


def _is_discharging(reading: Reading) -> bool:
    """Whether the battery is; one that tells neither current nor power may be."""
    flow = reading.power_w if reading.current_a is None else reading.current_a
    return reading.pct is not None if flow is None else flow < 0


def _rose(before: Reading, after: Reading) -> bool:
    return before.pct is not None and after.pct is not None and after.pct > before.pct + 1


def _power(reading: Reading) -> float | None:
    return reading.power_w


def _current(reading: Reading) -> float | None:
    return reading.current_a
