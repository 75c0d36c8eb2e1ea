"""How a log ends, as a writer that goes on with it has to know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchlab.event import META, Event
from benchlab.log.reader import Batch, StreamReader

_FIRST_LOOK = 64 * 1024  # bytes from the end; enough unless the end is damaged


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a log: whether its last line is torn, whether it was stopped, and the next ``seq``."""

    torn: bool = False
    stopped: bool = True
    next_seq: int = 0


def read_tail(path: Path) -> Tail:
    """Look at the end of a log. Raises Fault (IO) if it cannot be read.

    A damaged line behind the last good one is counted in ``next_seq``: it was a line once, and the jump shows
    that it is lost. A log without ``seq`` (as other programs may write it) begins to have one at 0.
    """
    size = path.stat().st_size
    if size == 0:
        return Tail()
    torn = not _ends_with_newline(path, size)
    back = _FIRST_LOOK
    while True:
        last, damaged = _last_event(path, max(0, size - back))
        if last is not None or back >= size:
            break
        back *= 16
    stopped = last is not None and last.source == META and last.kv.get("event") == "stop" and not damaged
    seq = -1 if last is None or last.seq is None else last.seq
    return Tail(torn, stopped, seq + 1 + damaged)


def _ends_with_newline(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read() == b"\n"


def _last_event(path: Path, start: int) -> tuple[Event | None, int]:
    """Return the last good line of the file from ``start`` on, and how many damaged ones follow it."""
    last: Event | None = None
    damaged = 0
    with StreamReader(path, Event, line_start(path, start), guard_time=False) as reader:
        for batch in _batches(reader):
            if batch.rows:
                last, good_until = batch.rows[-1], batch.offset_of(len(batch.rows) - 1)
                damaged = 0
            else:
                good_until = -1
            damaged += sum(bad.offset > good_until for bad in batch.bad)
        torn = reader.unread() > 0
    return last, damaged + torn


def _batches(reader: StreamReader[Event]) -> Iterator[Batch[Event]]:
    """Read to the end, and take a last line that lacks only its newline: closed, it will be a good one."""
    at_end = False
    while not at_end:
        batch = reader.read()
        at_end = batch.at_end
        yield batch
    yield reader.flush_held()


def line_start(path: Path, offset: int) -> int:
    """Return where the first line at or after ``offset`` begins; the end of the file if none does.

    Raises OSError.
    """
    if offset == 0:
        return 0
    with path.open("rb") as file:
        file.seek(offset - 1)
        while block := file.read(_FIRST_LOOK):
            if newline := block.find(b"\n") + 1:
                return file.tell() - len(block) + newline
        return file.tell()
