"""One sink at work: reads on, writes, waits longer after each failure, and starts over where the log was replaced."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence

from benchlab.log.lines import BadLine
from muxd.sinks.cursor import Cursors
from muxd.sinks.feed import Batch, Feed, LogChanged
from muxd.sinks.letters import DeadLetter, DeadLetters
from muxd.sinks.sink import Record, Rejected, Sink, StoreChanged, Transient

log = logging.getLogger("muxd")

POLL_S = 0.2
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 60.0


class Worker:
    """Moves the rows of one session into one sink, a step at a time; what goes wrong stays in here.

    ``cursors`` is how far it has come, ``failing`` why nothing can be written now, ``is_idle`` whether the last step
    found nothing to do, ``stored`` the number of batches, ``rejected`` that of dead letters by reason.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        feed: Feed,
        letters: DeadLetters,
        *,
        rejected: Counter[str] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.cursors: Cursors = {}
        self.failing: str | None = None
        self.is_idle = False
        self.rejected = Counter() if rejected is None else rejected
        self.stored = 0
        self.feed = feed
        self._sink = sink
        self._letters = letters
        self._chance = chance
        self._poll_s: float = getattr(sink, "poll_s", POLL_S)
        self._generation: int | None = None
        self._pending: Batch | None = None
        self._failures = 0

    def step(self) -> float:
        """Do the next piece of work and return how many seconds to wait before the one after it."""
        self.is_idle = False
        try:
            busy = self._advance()
        except (LogChanged, StoreChanged) as change:
            self._start_over(change)
            return POLL_S
        except (Transient, OSError) as error:
            return self._failed(str(error), getattr(error, "retry_after_s", None))
        except Exception as error:  # a defect of one sink must not end the others, nor the muxing
            log.debug("sink %s", self.name, exc_info=True)
            return self._failed(f"{type(error).__name__}: {error}", None)
        self._succeeded()
        self.is_idle = not busy
        return 0.0 if busy else self._poll_s

    def close(self) -> None:
        """Let go of the store."""
        try:
            self._sink.close()
        except Exception as error:  # as in step
            log.warning("sink %s could not be closed: %s", self.name, error)

    def _advance(self) -> bool:
        if self._generation is None:
            self._generation = self._begin()
        if self._generation is None:
            return False
        self._pending = self._pending or self.feed.read(self.cursors, self._generation)
        if self._pending is None:
            return False
        self._write(self._pending)
        self.stored += 1
        self.cursors, self._pending = self._pending.cursors, None
        return True

    def _begin(self) -> int | None:
        """Find where the sink stands in the log and return its generation; None while nothing is vouched for."""
        cursors = self._sink.open()
        word = self.feed.word()
        if word is None:
            return None
        why = self.feed.mismatch(cursors, word)
        if why:
            log.warning("sink %s: %s; its rows of this session are written again", self.name, why)
        if why or not cursors:
            cursors = {}
            self._sink.clear()
        self._letters.cut(cursors)
        self.cursors = cursors
        return word.generation

    def _write(self, batch: Batch) -> None:
        if batch.bad:
            self._bury([_letter_of_line(batch, stream, line) for stream, line in batch.bad])
            batch.bad = []
        while True:
            try:
                return self._sink.write(batch.records, batch.cursors)
            except Rejected as rejected:
                self._set_aside(batch, rejected)

    def _set_aside(self, batch: Batch, rejected: Rejected) -> None:
        """Take what was rejected out of a batch, and bury it; once only, however often the rest is tried."""
        places = {(record.stream, record.offset) for record in rejected.records}
        left = [record for record in batch.records if (record.stream, record.offset) not in places]
        if len(left) == len(batch.records):
            raise Transient(f"it rejects what it was not given: {rejected}")
        self._bury([_letter_of_record(batch, record, rejected) for record in rejected.records])
        batch.records = left

    def _bury(self, letters: Sequence[DeadLetter]) -> None:
        self._letters.append(letters)
        for letter in letters:
            self.rejected[letter.reason] += 1

    def _start_over(self, change: LogChanged | StoreChanged) -> None:
        if isinstance(change, StoreChanged):
            log.warning("sink %s: %s", self.name, change)
        self._generation = self._pending = None

    def _failed(self, why: str, retry_after_s: float | None) -> float:
        if self.failing is None:
            log.warning("sink %s: %s; nothing is lost, it is tried again", self.name, why)
        self.failing = why
        self._failures += 1
        if retry_after_s is not None:
            return retry_after_s
        longest = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 16))
        return longest * (0.5 + self._chance() / 2)

    def _succeeded(self) -> None:
        if self.failing is not None:
            log.info("sink %s works again", self.name)
        self.failing, self._failures = None, 0


def _letter_of_record(batch: Batch, record: Record, why: Rejected) -> DeadLetter:
    generation = batch.cursors[record.stream].generation
    return DeadLetter(generation, record.stream, record.offset, why.reason, why.detail, record.event)


def _letter_of_line(batch: Batch, stream: str, bad: BadLine) -> DeadLetter:
    generation = batch.cursors[stream].generation
    return DeadLetter(generation, stream, bad.offset, bad.reason, bad.detail, head=bad.head)
