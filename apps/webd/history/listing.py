"""The sessions there are, and what each of them says of itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from benchlab.errors import Fault
from benchlab.event import Event
from benchlab.log.reader import StreamReader
from benchlab.log.tail import line_start
from benchlab.query.aligned import LATENCY_FILE, Pair
from benchlab.query.latency_index import PairTotals
from benchlab.query.pair_rows import ALL
from benchlab.query.segments import extent
from benchlab.session import Session, list_sessions
from webd.desk import Desk
from webd.errors import Refusal
from webd.history.asked import ms, ms_or_none
from webd.history.remarks import read_bookmarks, read_notes
from webd.history.shelf import History, Shelf, answer

BUDGET_S = 1.0
"""A list waits so long for sessions that are not indexed yet; then it comes without their figures."""

_LOOK_BYTES = 64 * 1024


class _Ledger(msgspec.Struct):
    bad: int = 0


class _Checkpoint(msgspec.Struct):
    streams: dict[str, _Ledger] = {}


class _Counted(msgspec.Struct, frozen=True):
    """The pairs of a session as they were when its files had a certain signature."""

    signature: tuple[object, ...]
    pairs: dict[Pair, PairTotals]
    indexing: float


class Listing:
    """Answers about sessions as a whole. Used by threads."""

    def __init__(self, desk: Desk, shelf: Shelf) -> None:
        self._desk = desk
        self._shelf = shelf
        self._lock = threading.Lock()
        self._counted: dict[Path, _Counted] = {}

    def page(self, sought: str, limit: int, offset: int) -> dict[str, Any]:
        """Return the sessions whose id, node or notes hold a text, newest first. Raises Refusal."""
        sessions = list(reversed(list_sessions(self._desk.data_root)))
        self._forget_all_but({session.dir for session in sessions})
        found = [session for session in sessions if _holds(session, sought.casefold())]
        deadline_s = time.monotonic() + BUDGET_S
        current = self._desk.current()
        rows: list[dict[str, Any]] = []
        for session in found[offset : offset + limit]:
            try:
                history = self._shelf.history(session.dir, keep=False)
                pairs, share = self.pairs(history, max(0.0, deadline_s - time.monotonic()))
                rows.append(_row(session, current, pairs, share))
            except Refusal as refusal:
                if refusal.status != 404:  # one that was deleted meanwhile is no session
                    rows.append({**_empty_row(session, current), "why": refusal.content["error"]})
        return {"total": len(found), "sessions": rows}

    def session(self, name: str) -> dict[str, Any]:
        """Return all about one session. Raises Refusal."""
        session = self._desk.session(name)
        history = self._shelf.history(session.dir)
        pairs, share = self.pairs(history, BUDGET_S)
        row = _row(session, self._desk.current(), pairs, share)
        info, now = session.info, extent(session.dir, LATENCY_FILE)
        simulated = {name for total in pairs.values() for name in total.simulated or ()}
        offset_ns = info.clock_offset_ns
        return {
            **row,
            "host": info.host,
            "version": info.version,
            "clock": {
                "synchronized": info.clock_synchronised,
                "unc_ms": None,
                "offset_ms": None if offset_ns is None else offset_ns / 1e6,
            },
            "streams": _streams(session.dir),
            "bad_lines": answer(history, lambda h: h.latency.bad_lines()),
            "provisional": now.is_provisional,
            "notes": read_notes(session.dir),
            "bookmarks": read_bookmarks(session.dir),
            "sim_of": None if ALL in simulated or not simulated else sorted(simulated),
        }

    def pairs(self, history: History, patience_s: float) -> tuple[dict[Pair, PairTotals], float]:
        """Return a session's pairs, and what share of its rows they are taken from. Raises Refusal."""
        now = extent(history.folder, LATENCY_FILE)
        with self._lock:
            kept = self._counted.get(history.folder)
        if kept is None or kept.signature != (now,) or kept.indexing < 1:
            share = answer(history, lambda h: self._shelf.indexed(h, LATENCY_FILE, patience_s))
            kept = _Counted((now,), answer(history, lambda h: h.latency.pairs()), share)
            with self._lock:
                self._counted[history.folder] = kept
        return kept.pairs, kept.indexing

    def _forget_all_but(self, folders: set[Path]) -> None:
        with self._lock:
            self._counted = {folder: kept for folder, kept in self._counted.items() if folder in folders}


def _row(session: Session, current: Path | None, pairs: dict[Pair, PairTotals], share: float) -> dict[str, Any]:
    firsts = [total.first_ns for total in pairs.values() if total.first_ns is not None]
    lasts = [total.last_ns for total in pairs.values() if total.last_ns is not None]
    return {
        **_empty_row(session, current),
        "first_ms": ms_or_none(min(firsts, default=session.info.starts_ns)),
        "last_ms": ms_or_none(max(lasts, default=session.info.closed_ns)),
        "sim": any(total.simulated for total in pairs.values()),
        "pairs": [{"pair": pair, "frames": total.frames, "drops": total.drops} for pair, total in pairs.items()],
        **({"indexing": share} if share < 1 else {}),
    }


def _empty_row(session: Session, current: Path | None) -> dict[str, Any]:
    info = session.info
    return {
        "id": session.name,
        "node": info.node,
        "created_ms": ms(session.born_ns),
        "first_ms": ms_or_none(info.starts_ns),
        "last_ms": ms_or_none(info.closed_ns),
        "open": not info.closed and session.problem is None,
        "current": session.dir == current,
        "pinned": info.pinned,
        "sim": False,
        "size_bytes": _size_bytes(session.dir),
        "pairs": [],
        "notes": len(read_notes(session.dir)),
        "why": session.problem,
    }


def _holds(session: Session, sought: str) -> bool:
    if not sought:
        return True
    texts = [session.name, session.info.node or ""]
    return any(sought in text.casefold() for text in texts) or any(
        sought in note["text"].casefold() for note in read_notes(session.dir)
    )


def _size_bytes(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        total += sum(_length(Path(root) / name) for name in names)
    return total


def _length(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _streams(folder: Path) -> list[dict[str, Any]]:
    """Return the raw streams with the bad lines that muxd has counted in them; null where it never read one."""
    try:
        checkpoint = msgspec.json.decode((folder / "state" / "mux.json").read_bytes(), type=_Checkpoint)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        checkpoint = _Checkpoint()
    found = []
    for path in sorted((folder / "raw").glob("*.jsonl")):
        ledger = checkpoint.streams.get(path.name) or checkpoint.streams.get(path.stem)
        found.append(
            {
                "name": path.stem,
                "size_bytes": _length(path),
                "first_ms": ms_or_none(_time(path, 0, min)),
                "last_ms": ms_or_none(_time(path, max(0, _length(path) - _LOOK_BYTES), max)),
                "bad_lines": None if ledger is None else ledger.bad,
            }
        )
    return found


def _time(path: Path, offset: int, pick: Callable[[Iterable[int]], int]) -> int | None:
    """Return the least or greatest time in 64 KiB of a stream; None if there is no good line in them."""
    try:
        start = line_start(path, offset)
        with StreamReader(path, Event, start, limit=start + _LOOK_BYTES, guard_time=False) as reader:
            times = [event.ts_ns for event in reader.read().rows]
    except (OSError, Fault):  # it was deleted, or is unreadable: what the rest of the answer says goes on
        return None
    return pick(times) if times else None
