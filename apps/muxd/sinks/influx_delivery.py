"""Lines to a server, so that it has every good one, and it is known which ones it will never take."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import NamedTuple

from muxd.sinks.influx_api import Api
from muxd.sinks.influx_http import Answer, Client
from muxd.sinks.sink import Record, Transient

LARGEST_BODY = 4 << 20  # bytes, before compression: below what any version takes

_OF_LINES = re.compile(r"partial write|unable to parse|type conflict|parsing failed|dropped=|line protocol", re.I)
_OF_THE_REQUEST = re.compile(r"\b(org|orgID|organization|bucket|database|db|precision|token|content)\b", re.I)


class Line(NamedTuple):
    """A line and the record that it says."""

    data: bytes
    record: Record


class Refused(NamedTuple):
    """A line that the server does not take, in its words."""

    line: Line
    words: str


class NoDatabase(Exception):
    """The server does not know the database, or the path."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.words)
        self.answer = answer


class Delivery:
    """Writes batches of at most ``most_lines`` lines, fewer once the server said that they are too large."""

    def __init__(self, client: Client, api: Api, most_lines: int) -> None:
        self._client = client
        self._api = api
        self.most_lines = most_lines

    def deliver(self, lines: Sequence[Line]) -> list[Refused]:
        """Write lines and return those that are refused for good; all others are then stored.

        Raises Transient, NoDatabase: it is not known then which of them are stored.
        """
        refused: list[Refused] = []
        left = list(lines)
        while left:
            count = _fitting(left, self.most_lines)
            refused += self._post(left[:count])
            left = left[count:]
        return refused

    def _post(self, lines: list[Line]) -> list[Refused]:
        answer = self._client.write(self._api.path, self._api.params, b"\n".join([*(line.data for line in lines), b""]))
        if answer.status in (200, 204):
            return []
        if answer.status == 404:
            raise NoDatabase(answer)
        if answer.status == 413:
            return self._smaller(lines, answer)
        if answer.status in (400, 422):
            return self._without_bad(lines, answer)
        raise Transient(f"found the answer {answer.status} to a write ({answer.words}), expected 204")

    def _smaller(self, lines: list[Line], answer: Answer) -> list[Refused]:
        if len(lines) == 1:
            return [Refused(lines[0], answer.words or "413: the line is too large for the server")]
        self.most_lines = max(1, len(lines) // 2)
        return self.deliver(lines)

    def _without_bad(self, lines: list[Line], answer: Answer) -> list[Refused]:
        """Find the bad lines, and write the others again: a good line that is written twice is there once."""
        if not _is_of_lines(answer):
            raise Transient(
                f"found the answer {answer.status} to a write ({answer.words or 'no reason'}), expected 204"
            )
        refusal = self._api.refusal(answer, [line.data for line in lines])
        if refusal.named:
            bad = [Refused(lines[at], words) for at, words in sorted(refusal.named.items())]
            return bad + self.deliver([line for at, line in enumerate(lines) if at not in refusal.named])
        if len(lines) == 1 or refusal.dropped == len(lines):
            return [Refused(line, refusal.words) for line in lines]
        alike = sorted(lines, key=lambda line: line.data.partition(b" ")[0])  # what is bad is often so for a series
        half = len(lines) // 2
        return self._post(alike[:half]) + self._post(alike[half:])


class Sender:
    """Delivers a batch while the next one is made: two of them are in memory, never more."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._under_way: _Parcel | None = None

    def send(self, lines: Sequence[Line]) -> list[Refused]:
        """Begin to deliver lines, once those before are; return what was refused of these. Raises as ``deliver``."""
        refused = self.wait()
        self._under_way = _Parcel(self._delivery, lines)
        return refused

    def wait(self) -> list[Refused]:
        """Return what was refused of the lines on their way, once they are delivered. Raises as ``deliver``."""
        parcel, self._under_way = self._under_way, None
        return parcel.outcome() if parcel is not None else []

    def abandon(self) -> None:
        """Wait for what is on its way, however it ends."""
        if self._under_way is not None:
            self._under_way.join()


class _Parcel(threading.Thread):
    """Lines on their way. A daemon, so that a server that hangs does not keep the program."""

    def __init__(self, delivery: Delivery, lines: Sequence[Line]) -> None:
        super().__init__(name="influx", daemon=True)
        self._delivery = delivery
        self._lines = lines
        self._refused: list[Refused] = []
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        """Deliver."""
        try:
            self._refused = self._delivery.deliver(self._lines)
        except Exception as error:  # raised where the outcome is asked for
            self._error = error

    def outcome(self) -> list[Refused]:
        """Return what was refused, once that is known. Raises as ``deliver``."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._refused


def _is_of_lines(answer: Answer) -> bool:
    """Whether a refusal is about the lines: one of the request, or of whatever stands before the server, is not."""
    if answer.status == 400 and _OF_THE_REQUEST.search(answer.words):
        return _OF_LINES.search(answer.words) is not None
    return bool(answer.words)


def _fitting(lines: Sequence[Line], most: int) -> int:
    """Return how many of the first lines go into one request: one at least."""
    size = 0
    for count, line in enumerate(lines[:most]):
        size += len(line.data) + 1
        if size > LARGEST_BODY:
            return max(1, count)
    return min(len(lines), most)
