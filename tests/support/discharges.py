"""Batteries that run down under a load that comes in phases, and databases of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from random import Random

from benchlab.telemetry_schema import bring_up_to_date, insert_sample, system_row
from pimon.analysis.history import Reading

T0_S = 1_763_800_000
STEP_S = 10.0
CAPACITY_WH = 37.0


def discharged(random: Random, mean_phase_s: float = 600.0) -> list[Reading]:
    """Return a battery from full to empty: phases of work with a power each, and a gauge of whole percents."""
    left_wh, phase_s, watts = CAPACITY_WH, 0.0, 0.0
    found: list[Reading] = []
    while left_wh > 0:
        if phase_s <= 0:
            phase_s, watts = random.expovariate(1 / mean_phase_s), random.choice([2.0, 3.0, 4.5, 6.0, 8.0])
        now_w = max(0.5, random.gauss(watts, 0.1 * watts))
        pct = float(round(100 * left_wh / CAPACITY_WH))
        found.append(Reading(T0_S + len(found) * STEP_S, pct, -now_w, -now_w / 7.5))
        left_wh -= now_w * STEP_S / 3600
        phase_s -= STEP_S
    return found


def steady(hours: float, watts: float = 3.0, pct_per_hour: float = 10.0, start_s: float = T0_S) -> list[Reading]:
    """Return a battery that runs down evenly from 100 %, a reading every ten seconds."""
    steps = range(int(hours * 360) + 1)
    return [Reading(start_s + i * STEP_S, 100 - pct_per_hour * i / 360, -watts, -watts / 7.5) for i in steps]


def database(path: Path, readings: Sequence[Reading]) -> Path:
    connection = sqlite3.connect(path)
    bring_up_to_date(connection)
    for reading in readings:
        ts = int(reading.time_s)
        values = {"power": reading.power_w, "current": reading.current_a, "battery_pct": reading.pct, "cpu_total": 1.0}
        values |= {"cpu_freq": 0.0, "load1": 0.0, "load5": 0.0, "load15": 0.0}
        row = system_row(ts, int(reading.time_s * 1e9), values, ("pi", None, int(reading.is_simulated)))
        insert_sample(connection, row, [], [])
    connection.commit()
    connection.close()
    return path
