#!/usr/bin/env python3
"""Train a model of a machine's power on exported features, and say how good it is beside always guessing the mean.

    pip install scikit-learn
    scripts/export_features.py telemetry.db --out training.csv --with-power-only
    docs/examples/train_power_model.py training.csv

The last part of the recording is held out: a random split would let the model look at the neighbours, five seconds
away, of what it is asked. Earlier watts are no features unless --with-past-power: a machine without a meter has none.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

TARGET = "watts"
FEATURES = ("cpu_total", "cpu_freq", "load1", "load5", "load15", "core_max", "core_min")
OF_PROCESSES = ("topn_cpu_sum", "top_cpu", "topn_mem_sum", "topn_count")
LAGGED = ("cpu_total", "cpu_freq", "load1", "topn_cpu_sum")
LAGS = 3
LEAST_ROWS = 100

Row = dict[str, float]


def columns(with_past_power: bool) -> list[str]:
    """Return the features, in the order in which the model takes them."""
    lagged = (*LAGGED, TARGET) if with_past_power else LAGGED
    return [*FEATURES, *OF_PROCESSES, *(f"{name}_lag{lag}" for name in lagged for lag in range(1, LAGS + 1))]


def read(path: Path) -> list[Row]:
    """Return the rows in which power is known, by time; what is empty is NaN, which the model understands."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{name: float(text) if text else math.nan for name, text in row.items()} for row in csv.DictReader(file)]
    return sorted((row for row in rows if not math.isnan(row[TARGET])), key=lambda row: row["time_s"])


def split(rows: Sequence[Row], held_out: float) -> tuple[list[Row], list[Row]]:
    """Return the earlier part and the later one; rows whose lags reach into the other part are in neither."""
    cut = int(len(rows) * (1 - held_out))
    return list(rows[:cut]), list(rows[cut + LAGS :])


def trained_and_judged(train: Sequence[Row], test: Sequence[Row], names: Sequence[str]) -> dict[str, float]:
    """Return R² and the mean error in watts on the held-out part, of the model and of guessing the mean."""
    from sklearn.dummy import DummyRegressor
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.metrics import mean_absolute_error, r2_score

    found: dict[str, float] = {"rows_train": len(train), "rows_test": len(test)}
    x_train, x_test = ([[row[name] for name in names] for row in part] for part in (train, test))
    y_train, y_test = ([row[TARGET] for row in part] for part in (train, test))
    models = {"model": HistGradientBoostingRegressor(random_state=0), "mean": DummyRegressor()}
    for name, model in models.items():
        guessed = model.fit(x_train, y_train).predict(x_test)
        found[f"{name}_r2"] = float(r2_score(y_test, guessed))
        found[f"{name}_mae_w"] = float(mean_absolute_error(y_test, guessed))
    return found


def main() -> int:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description="Train a model of power on exported features.")
    parser.add_argument("csv", type=Path, help="what export_features.py wrote")
    parser.add_argument("--held-out", type=float, default=0.3, help="share of the recording to judge by; default: 0.3")
    parser.add_argument("--with-past-power", action="store_true", help="take the watts before as features too")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = read(args.csv)
    if len(rows) < LEAST_ROWS:
        print(f"{args.csv}: found {len(rows)} rows with watts, expected {LEAST_ROWS} or more", file=sys.stderr)
        return 1
    train, test = split(rows, args.held_out)
    found = trained_and_judged(train, test, columns(args.with_past_power))
    if args.json:
        print(json.dumps(found))
        return 0
    print(f"{len(train)} rows to learn from, {len(test)} later ones held out")
    for name in ("model", "mean"):
        print(f"{name:>6}: R² {found[f'{name}_r2']:6.3f}, mean error {found[f'{name}_mae_w']:.3f} W")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
