"""One sample of each source, for ``--once``."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from time import monotonic_ns, sleep
from typing import TextIO

from benchlab.catalog import lookup
from benchlab.daemon.source import Source, arrivals_of, failure, identity_of, take, told, waits
from benchlab.daemon.worker import Clock
from benchlab.errors import Exit
from benchlab.event import META, Event, Scalar, Value, encode_lines

RATE_S = 0.5
DEADLINE_S = 5.0

_Device = tuple[str, str | None]


def once(
    sources: Sequence[Source],
    clock: Clock,
    as_json: bool,
    out: TextIO,
    *,
    rate_s: float = RATE_S,
    deadline_s: float = DEADLINE_S,
) -> int:
    """Write one sample of each source to ``out`` and return the exit code: 4 if not one source is there.

    A rate needs two samples: each source is sampled twice, ``rate_s`` apart, and the second is shown. A
    source that does not answer within ``deadline_s`` is reported like one that is absent. Sources that one of
    them finds are sampled too. For people, what is known of a device stands above its first reading.
    """
    events: list[Event] = []
    known: dict[_Device, Mapping[str, Scalar]] = {}
    while sources:
        probes = [_Probe(source, clock, rate_s) for source in sources]
        give_up_ns = monotonic_ns() + round(deadline_s * 1e9)
        events += [event for probe in probes for event in probe.result(give_up_ns)]
        known.update(((source.name, getattr(source, "dev", None)), identity_of(source)) for source in sources)
        sources = [found for source in sources for found in arrivals_of(source)]
    out.write(encode_lines(events).decode() if as_json else _table(events, known))
    return Exit.OK if any(event.source != META for event in events) else Exit.NO_DEVICE


class _Probe:
    """Two samples of one source in a thread of their own, so that a stuck device holds nobody up."""

    def __init__(self, source: Source, clock: Clock, rate_s: float) -> None:
        self._source = source
        self._clock = clock
        self._rate_s = rate_s
        self._events: list[Event] | None = None
        self._thread = threading.Thread(target=self._run, name=source.name, daemon=True)
        self._thread.start()

    def result(self, give_up_ns: int) -> list[Event]:
        """Return the second sample, or a ``source_down`` line."""
        self._thread.join(max(0.0, (give_up_ns - monotonic_ns()) / 1e9))
        if self._events is None:
            return [self._down({"which": self._source.name, "reason": "no answer in time"})]
        return self._events

    def _run(self) -> None:
        try:
            first = take(self._source, self._clock.now_ns)
            sleep(self._rate_s)
            second = take(self._source, self._clock.now_ns)
            self._events = first + second if waits(self._source) else second
        except Exception as error:  # any failure of a source is its result
            self._events = [self._down(failure(error, self._source.name))]

    def _down(self, fields: Mapping[str, Value]) -> Event:
        return told(self._source, self._clock.now_ns(), "source_down", fields)


def _table(events: Sequence[Event], known: dict[_Device, Mapping[str, Scalar]]) -> str:
    return "".join(line + "\n" for event in events for line in _lines(event, known))


def _lines(event: Event, known: dict[_Device, Mapping[str, Scalar]]) -> list[str]:
    if event.source == META:
        if event.kv["event"] != "source_down":
            return []
        fix = f" ({event.kv['fix']})" if "fix" in event.kv else ""
        which = f"{event.kv['which']} {event.dev}" if event.dev else event.kv["which"]
        return [f"{which}: absent: {event.kv['reason']}{fix}"]
    head = " ".join(filter(None, (event.source, event.dev, "(simulated)" if event.sim else "")))
    rows = {**known.pop((event.source, event.dev), {}), **event.kv}
    return [head, *(_value(event.source, key, value) for key, value in rows.items())]


def _value(source: str, key: str, value: Value) -> str:
    if isinstance(value, list):
        rows = ["    " + " ".join(f"{column}={cell}" for column, cell in row.items()) for row in value]
        return "\n".join([f"  {key}:", *rows])
    signal = lookup(source, key)
    return f"  {key:<18} {value} {signal.unit if signal else ''}".rstrip()
