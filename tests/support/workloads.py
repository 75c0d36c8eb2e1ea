"""A made-up Pi under workloads of many kinds, as the telemetry logger would have recorded it; marked as simulated."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from random import Random

from benchlab.telemetry_schema import bring_up_to_date, insert_sample, system_row

T0_S = 1_763_800_000
STEP_S = 5

KINDS = {
    "idle": ("systemd", 3.0, 1, 0.0),
    "compile": ("cc1", 92.0, 4, 0.0),
    "video": ("mpv", 35.0, 2, 0.5),
    "browse": ("chromium", 45.0, 3, 0.3),
    "game": ("game", 70.0, 2, 0.9),
    "download": ("wget", 12.0, 1, 0.3),
}
"""Program, load of all cores in percent, how many processes share it, watts beside the processor's."""
HELD_BACK = ("render", 80.0, 4, 0.2)
"""A kind that comes only in the last third: no model has seen it."""


def workload_database(path: Path, samples: int, random: Random) -> Path:
    """Record phases of work whose power is that of the clocked load, of what else they use, and of chance."""
    connection = sqlite3.connect(path)
    bring_up_to_date(connection)
    left, load1 = 0, 0.0
    kind, load, freq_mhz = KINDS["idle"], 0.0, 600.0
    for number in range(samples):
        if left == 0:
            left = random.randint(12, 60)
            kinds = [*KINDS.values(), *([HELD_BACK] * 2 if number > samples * 2 / 3 else [])]
            kind = random.choice(kinds)
            load = kind[1] * random.uniform(0.6, 1.1)
            freq_mhz = random.choice([600.0, 1000.0, 1500.0])
        left -= 1
        cpu = min(100.0, max(0.0, random.gauss(load, 4.0)))
        load1 += (cpu / 25 - load1) / 12
        watts = 2.2 + cpu * 0.035 * (freq_mhz / 1500) + kind[3] + random.gauss(0, 0.12)
        ts = T0_S + number * STEP_S
        values = {"power": -watts, "current": -watts / 7.5, "voltage": 7.5, "battery_pct": 90.0, "cpu_total": cpu}
        values |= {"cpu_freq": freq_mhz, "load1": load1, "load5": load1, "load15": load1}
        row = system_row(ts, ts * 10**9, values, ("pi", None, 1))
        cores = [(ts, core, min(100.0, max(0.0, random.gauss(cpu, 5.0)))) for core in range(4)]
        processes = [(ts, 100 + i, kind[0], 4 * cpu / kind[2], 2.0) for i in range(kind[2])]
        insert_sample(connection, row, cores, processes)
    connection.commit()
    connection.close()
    return path
