"""Lines that wait for the disk."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import msgspec


class _Timed(msgspec.Struct):
    ts_ns: int


_decoder = msgspec.json.Decoder(_Timed)


@dataclass(slots=True)
class Loss:
    """Lines given up: how many, and the times of the first and the last of them."""

    lines: int
    from_ns: int
    to_ns: int


class Ring:
    """A queue of lines bounded in bytes: when it overflows, the oldest are given up and counted.

    The rest of a line that is partly on disk (``begun``) is kept apart: giving it up would tear the line.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.begun = b""
        self.loss: Loss | None = None  # not yet told
        self.lost = 0  # lines given up, ever
        self._limit = limit_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """The number of lines that wait, a begun one included."""
        return len(self._lines) + bool(self.begun)

    def put(self, data: bytes) -> None:
        """Queue whole lines."""
        self._lines.extend(line + b"\n" for line in data[:-1].split(b"\n"))
        self._bytes += len(data)
        while self._bytes > self._limit:
            self._give_up(self._lines.popleft())

    def put_back(self, data: bytes, written: int) -> None:
        """Queue what a short write of ``data`` left, when nothing else waits."""
        if written and data[written - 1 : written] != b"\n":
            cut = data.index(b"\n", written) + 1
            self.begun = data[written:cut]
            written = cut
        if written < len(data):
            self.put(data[written:])

    def front(self, size: int) -> bytes:
        """Return about ``size`` bytes to write next: whole lines, after what completes a begun one."""
        parts = [self.begun]
        for line in self._lines:
            if size <= 0:
                break
            parts.append(line)
            size -= len(line)
        return b"".join(parts)

    def written(self, count: int) -> None:
        """Take the first ``count`` bytes of ``front`` out of the queue."""
        if count < len(self.begun):
            self.begun = self.begun[count:]
            return
        count -= len(self.begun)
        self.begun = b""
        while count:
            line = self._lines.popleft()
            self._bytes -= len(line)
            self.begun = line[count:]
            count = max(0, count - len(line))

    def abandon(self) -> None:
        """Give up all that waits."""
        self.lost += bool(self.begun)
        self.begun = b""
        while self._lines:
            self._give_up(self._lines.popleft())

    def _give_up(self, line: bytes) -> None:
        self._bytes -= len(line)
        ts_ns = _decoder.decode(line).ts_ns
        if self.loss is None:
            self.loss = Loss(0, ts_ns, ts_ns)
        self.lost += 1
        self.loss.lines += 1
        self.loss.to_ns = ts_ns
