"""``--check``: which rules of CapFrameX files break, one finding a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from benchlab.errors import Exit, Fault
from cx_exporter import check_csv, check_json
from cx_exporter.rules import Finding

_MOST = 1000


def run(paths: Sequence[Path], as_json: bool) -> Exit:
    """Print what is wrong with each file; the exit code tells whether anything is. Raises Fault (IO)."""
    found = False
    for path, findings in _check_all(paths):
        told = list(islice(findings, _MOST + 1))
        if len(told) > _MOST:
            told[_MOST:] = [Finding(0, f"more than {_MOST} findings: the rest is not listed")]
        found = found or any(not finding.note for finding in told)
        print(_as_json(path, told) if as_json else "\n".join(_as_text(path, told)))
    return Exit.FINDING if found else Exit.OK


def findings(path: Path) -> Iterator[Finding]:
    """Return what is wrong with one file, CSV or JSON by its extension. Raises Fault (IO)."""
    checker = check_json.check if path.suffix.lower() == ".json" else check_csv.check
    try:
        yield from checker(path)
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error.strerror}") from error


def _check_all(paths: Iterable[Path]) -> Iterator[tuple[Path, Iterator[Finding]]]:
    """Yield each file with its findings; two files of the same rows are one capture to CapFrameX."""
    seen: dict[str, Path] = {}
    for path in paths:
        yield path, _with_twin(path, seen)


def _with_twin(path: Path, seen: dict[str, Path]) -> Iterator[Finding]:
    yield from findings(path)
    if path.suffix != ".csv":
        return
    twin = seen.setdefault(check_csv.rows_digest(path), path)
    if twin != path:
        yield Finding(0, f"has the same rows as {twin}: CapFrameX lists only one of them")


def _as_text(path: Path, told: Sequence[Finding]) -> Iterator[str]:
    for finding in told:
        place = f"{path}:{finding.line}" if finding.line else str(path)
        yield f"{place}: {'note: ' if finding.note else ''}{finding.reason}"
    if not any(not finding.note for finding in told):
        yield f"{path}: ok"


def _as_json(path: Path, told: Sequence[Finding]) -> str:
    breaches = [finding for finding in told if not finding.note]
    return json.dumps(
        {"file": str(path), "ok": not breaches, "findings": [finding._asdict() for finding in told]},
        ensure_ascii=False,
    )
