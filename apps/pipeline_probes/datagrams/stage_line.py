"""A datagram of stage lines to readings. The protocol is in docs/STAGES.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from benchlab.daemon import Reading
from benchlab.event import BOOKMARK, Nanoseconds, Value
from benchlab.stages import MAX_LINE, MAX_NAME, MAX_TEXT, is_name, is_text
from pipeline_probes.datagrams.senders import Sender, Senders

PAST_NS = 3600 * 10**9
FUTURE_NS = 10**9
SHOWN = 80

_NAMES_KEPT = 4096

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Line(msgspec.Struct, gc=False):
    """One line; without ``stage`` and ``bookmark`` it only says how far the numbering has come."""

    seq: Count | None = None
    boottime_ns: Nanoseconds | None = None
    monotonic_ns: Nanoseconds | None = None
    stage: Name | None = None
    frame: Int64 | Name | None = None
    pts_ns: Int64 | None = None
    flow: Name | None = None
    bookmark: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)] | None = None
    sender: Name | None = None
    v: Literal[1] = 1


class Timeline(NamedTuple):
    """What leads from a host's clocks to the session's timeline at this moment, all in ns."""

    now_ns: int
    from_boottime_ns: int
    from_monotonic_ns: int


class Arrival(NamedTuple):
    """When a datagram was sent, by the kernel, on the timeline, and who sent it, by its pid."""

    ts_ns: int
    unc_ns: int
    sender: str


_decoder = msgspec.json.Decoder(Line)
_SEQ = re.compile(rb'"seq"\s*:\s*(\d{1,18})\b')
_SENDER = re.compile(rb'"sender"\s*:\s*"([^"\\]{1,128})"')
_EXPECTED = 'expected a line such as {"stage":"ingress","frame":17}'


class StageReader:
    """Turns datagrams into readings; what is missing or malformed goes into the books of ``senders``."""

    def __init__(self, senders: Senders) -> None:
        self.received = 0
        self._senders = senders
        self._names: set[str] = set()

    def read(self, data: bytes, arrival: Arrival, timeline: Timeline) -> list[Reading]:
        """Return what a datagram says. A line that is none costs no other one.

        A line that names no sender is of the one named before it in the datagram, else of the process that sent it.
        """
        sender: Sender | None = None
        readings: list[Reading] = []
        for line in _decoded(data):
            if isinstance(line, tuple):
                sender = self._refuse(*line, sender or self._senders.named(arrival.sender))
                continue
            if line.sender is not None:
                sender = self._senders.named(line.sender)
            elif sender is None:
                sender = self._senders.named(arrival.sender)
            if (reading := self._reading(line, sender, arrival, timeline)) is not None:
                readings.append(reading)
        self.received += len(readings)
        return readings

    def _reading(self, line: Line, sender: Sender, arrival: Arrival, timeline: Timeline) -> Reading | None:
        """Return the reading of a line, None if it holds none."""
        unc_ns = None
        if line.boottime_ns is not None:
            ts_ns = line.boottime_ns + timeline.from_boottime_ns
        elif line.monotonic_ns is not None:
            ts_ns = line.monotonic_ns + timeline.from_monotonic_ns
        else:
            ts_ns, unc_ns = arrival.ts_ns, arrival.unc_ns
        seq = line.seq
        if line.stage is None and line.bookmark is None:
            if seq is None:
                self._senders.err(sender, f"found no stage, bookmark or seq, {_EXPECTED}")
            else:
                self._senders.count_up_to(sender, seq, ts_ns)
            return None
        if seq is not None:
            if seq == sender.next_seq:
                sender.next_seq = seq + 1
            else:
                self._senders.count(sender, seq)
        if (wrong := self._wrong(line, ts_ns - timeline.now_ns)) is not None:
            self._senders.err(sender, wrong)
            return None
        if line.stage is None:
            return Reading({"text": line.bookmark or ""}, ts_ns, unc_ns, BOOKMARK)
        kv: dict[str, Value] = {"stage": line.stage}
        if line.frame is not None:
            kv["frame"] = line.frame
        if line.pts_ns is not None:
            kv["pts_ns"] = line.pts_ns
        if line.flow is not None:
            kv["flow"] = line.flow
        return Reading(kv, ts_ns, unc_ns)

    def _wrong(self, line: Line, ahead_ns: int) -> str | None:
        """Return what is found and expected where the types alone do not tell."""
        if not -PAST_NS <= ahead_ns <= FUTURE_NS:
            when = f"{abs(ahead_ns) / 1e9:.3f} s {'ahead' if ahead_ns > 0 else 'ago'}"
            return f"found a time {when}, expected CLOCK_BOOTTIME or CLOCK_MONOTONIC of the last hour, in nanoseconds"
        if line.bookmark is not None:
            if line.stage is not None:
                return f"found a stage and a bookmark in one line, {_EXPECTED}"
            return None if is_text(line.bookmark) else "found a bookmark of white space, expected text"
        for name in (line.stage, line.flow, line.frame):
            if name.__class__ is str and name not in self._names and not self._learn(str(name)):
                return f"found the name {str(name)[:SHOWN]!r}, expected 1 to {MAX_NAME} printable characters"
        return None

    def _learn(self, name: str) -> bool:
        if is_name(name):
            if len(self._names) < _NAMES_KEPT:
                self._names.add(name)
            return True
        return False

    def _refuse(self, line: bytes, wrong: str, sender: Sender) -> Sender:
        """Enter a line that is none under the sender and the number that can be made out; return the sender."""
        found = _SENDER.search(line)
        if found is not None and is_name(name := found[1].decode("utf-8", "replace")):
            sender = self._senders.named(name)
        if (number := _SEQ.search(line)) is not None:
            self._senders.count(sender, int(number[1]))
        self._senders.err(sender, wrong)
        return sender


def _decoded(data: bytes) -> Sequence[Line | tuple[bytes, str]]:
    """Return the lines, and for each that is none its bytes and what is wrong with it."""
    if len(data) <= MAX_LINE or max(map(len, data.split(b"\n"))) <= MAX_LINE:
        try:
            return _decoder.decode_lines(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    return [_decoded_line(line) for line in data.split(b"\n") if line.strip()]


def _decoded_line(line: bytes) -> Line | tuple[bytes, str]:
    if len(line) > MAX_LINE:
        return line, f"found a line of {len(line)} bytes, expected at most {MAX_LINE}"
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        head = line[:SHOWN].decode("utf-8", "backslashreplace")
        return line, f"found {head!r} ({error}), {_EXPECTED}"
