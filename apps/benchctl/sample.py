"""benchctl demo --sample: the recorded sample session, and whether its known answers come out."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from benchctl.audit import Report, audit_session
from benchctl.exports import export, run_program, session_options
from benchctl.summary import Summary, lines, summarise_session
from benchlab.errors import Exit, Fault
from benchlab.files import make_dir
from benchlab.session import sessions_root

ANSWERS = "answers.json"
TOLERANCE = 1e-6


def run_sample(data_root: Path, sample: Path, pair: tuple[str, str], config: Path | None = None) -> int:
    """Copy the sample into a session of its own, align and export it; 0 if all answers are as known."""
    folder = copy_sample(sample, data_root)
    options = session_options(data_root, folder.name, config)
    code, said = run_program("muxd", *options, "--pair", *pair, "--once", "--sink", "sqlite")
    if code:
        raise Fault(said, Exit.IO)
    summary = summarise_session(folder)
    exported = export(folder, options, pair)
    print(f"session    {folder}")
    for text in (*lines(summary), *(f"export     {file}" for file in exported.files)):
        print(text)
    problems = [said for said in (exported.finding, exported.failure) if said]
    problems += compare(_found(summary, audit_session(folder, closed=True)), sample / ANSWERS)
    for problem in problems:
        print(f"benchctl demo: {problem}", file=sys.stderr)
    return Exit.FINDING if problems else Exit.OK


def copy_sample(sample: Path, data_root: Path) -> Path:
    """Make a session folder that holds nothing but the sample's raw streams, and return it."""
    streams = sorted(sample.glob("*.jsonl"))
    if not streams:
        raise Fault(f"no sample in {sample}: expected *.jsonl, as in data/sample of the repository", Exit.IO)
    root = sessions_root(data_root)
    stem = f"sample-{datetime.now(timezone.utc):%Y-%m-%dT%H-%M-%SZ}"
    number = 1
    while (folder := root / (stem if number == 1 else f"{stem}-{number}")).exists():
        number += 1
    make_dir(folder / "raw")
    for stream in streams:
        shutil.copyfile(stream, folder / "raw" / stream.name)
    return folder


def _found(summary: Summary, report: Report) -> dict[str, float]:
    """Return what came out, under the names of the known answers."""
    (pair,) = summary.pairs
    return {
        "pairs": pair.pairs,
        **{f"dropped.{reason}": count for reason, count in pair.drops.items()},
        "late": sum(stream.total.late for stream in report.streams),
        "bad": sum(stream.total.bad for stream in report.streams),
        "lat_ms.p50": pair.p50_ms or math.nan,
        "lat_ms.p95": pair.p95_ms or math.nan,
        "lat_ms.p99": pair.p99_ms or math.nan,
        "mean_power_w": pair.power_w or math.nan,
        "total_energy_j": pair.energy_j or math.nan,
    }


def compare(found: Mapping[str, float], answers: Path) -> list[str]:
    """Print each answer beside the known one; return one sentence for each that differs."""
    try:
        known = _flat(msgspec.json.decode(answers.read_bytes()))
    except (OSError, msgspec.DecodeError) as error:
        return [f"{answers}: found {error}, expected the sample's known answers"]
    problems = []
    for name, value in found.items():
        expected = known.get(name, 0)
        same = math.isclose(value, expected, rel_tol=TOLERANCE)
        print(f"answer     {name:20} {value:12.6g}  known {expected:12.6g}  {'same' if same else 'DIFFERENT'}")
        if not same:
            problems.append(f"{name} is {value}, expected {expected}")
    missing = sorted(name for name in known if name.startswith("dropped.") and name not in found)
    return problems + [f"{name} is 0, expected {known[name]}" for name in missing]


def _flat(answers: Mapping[str, Any]) -> dict[str, float]:
    """Flatten the answers to dotted names; a list (of frames) stands for its length."""
    flat: dict[str, float] = {}
    for name, value in answers.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{key}": part for key, part in _flat(value).items()})
        else:
            flat[name] = len(value) if isinstance(value, list) else value
    return flat
