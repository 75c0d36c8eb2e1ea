"""What a device must offer to be sampled, and how it says that it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from benchlab.event import Event, Scalar, Value, meta


class Absent(Exception):
    """The device is not on this host. ``reason`` says what was looked for, ``fix`` what would bring it."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


class Transient(Exception):
    """The device is there and did not answer as it should: try later."""


class Ended(Exception):
    """The source came to its end by itself, as a file does, and all is well: it is not sampled again."""


class Reading(msgspec.Struct):
    """One reading of one device, before it has become a line of the log.

    ``ts_ns`` is when it was true, on the session's timeline; without it the loop stamps by the source's rule.
    ``source`` is needed only where it is not the name of the Source that took the reading.
    """

    kv: dict[str, Value]
    ts_ns: int | None = None
    unc_ns: int | None = None
    source: str | None = None
    dev: str | None = None
    cal: dict[str, Any] | None = None
    sim: bool = False


class Source(Protocol):
    """Anything that can be sampled; whatever the device, this is all the loop knows of it.

    It may also have these attributes: ``period_s`` (the collector's unless it says otherwise), ``stamping``
    ("midpoint", the rule unless it says otherwise, or "end", for what was measured since the sample before),
    ``window_ms`` (the time a reading is averaged over), ``dev``, and ``lane``: sources with the same lane
    share a thread, which saves wake-ups. It is for those that read kernel memory only, and so cannot block.
    ``identity`` is a flat map of what is known of the device (name, firmware, port), None or empty until it is.
    ``waits`` is true of a source whose ``sample`` itself waits for something to happen, for 0.25 s at most, and
    returns what came: it is called again at once, and its readings bear their own times.
    ``shut()`` is called when the daemon ends: from then on nothing more is taken in, and one last sample returns what
    has come. A source that has no ``shut`` is not sampled again.
    ``arrivals()`` returns the sources that this one has found since it was last asked; it must not block.
    ``status()`` returns a line on how it fares, for the service manager; it must not block.
    """

    name: str

    def sample(self) -> Iterable[Reading]:
        """Return what the device reads now.

        Raises Absent, Transient or Ended. Anything else is a defect, which the loop logs and survives.
        """
        ...


def period_of(source: Source, default_s: float) -> float:
    """Return how often a source is sampled, in seconds."""
    period_s: float | None = getattr(source, "period_s", None)
    return default_s if period_s is None else period_s


def lane_of(source: Source) -> str | None:
    """Return the name of the thread a source shares, None if it has its own."""
    lane: str | None = getattr(source, "lane", None)
    return lane


def waits(source: Source) -> bool:
    """Return whether a source waits for events itself instead of being sampled by the clock."""
    return bool(getattr(source, "waits", False))


def shut(source: Source) -> bool:
    """Have a source take nothing more in; return whether it can, and so has to be sampled once more."""
    tell: Callable[[], None] | None = getattr(source, "shut", None)
    if tell is not None:
        tell()
    return tell is not None


def identity_of(source: Source) -> dict[str, Scalar]:
    """Return what is known of the device behind a source."""
    return dict(getattr(source, "identity", None) or {})


def arrivals_of(source: Source) -> Sequence[Source]:
    """Return the sources that a source has found since it was last asked."""
    ask: Callable[[], Sequence[Source]] | None = getattr(source, "arrivals", None)
    return ask() if ask is not None else ()


def status_of(sources: Iterable[Source]) -> str:
    """Return how sources fare, as far as they have something to say."""
    asked: list[Callable[[], str] | None] = [getattr(source, "status", None) for source in sources]
    return "; ".join(ask() for ask in asked if ask is not None)


def describe(source: Source, default_s: float) -> dict[str, Any]:
    """Return the row of a source in the ``sources`` table of a ``start`` line."""
    row: dict[str, Any] = {"source": source.name, "stamping": getattr(source, "stamping", "midpoint")}
    if not waits(source):
        row["period_ms"] = round(period_of(source, default_s) * 1e3, 3)
    for key in ("window_ms", "dev"):
        if (value := getattr(source, key, None)) is not None:
            row[key] = value
    return {**identity_of(source), **row}


def take(source: Source, now_ns: Callable[[], int]) -> list[Event]:
    """Sample a source once and return its readings as events, stamped by its rule. Raises what it raises."""
    begin_ns = now_ns()
    readings = list(source.sample())
    end_ns = now_ns()
    if getattr(source, "stamping", "midpoint") == "end":
        ts_ns, unc_ns = end_ns, None
    else:
        ts_ns, unc_ns = (begin_ns + end_ns) // 2, (end_ns - begin_ns + 1) // 2
    return [_event(source.name, reading, ts_ns, unc_ns) for reading in readings]


def _event(name: str, reading: Reading, ts_ns: int, unc_ns: int | None) -> Event:
    if reading.ts_ns is not None:
        ts_ns, unc_ns = reading.ts_ns, reading.unc_ns
    return Event(
        ts_ns=ts_ns,
        source=reading.source or name,
        kv=reading.kv,
        dev=reading.dev,
        cal=reading.cal,
        unc_ns=unc_ns,
        sim=reading.sim,
    )


def told(source: Source, ts_ns: int, event: str, fields: Mapping[str, Value]) -> Event:
    """Return the line in which a source's story goes on; its ``dev`` is the source's."""
    line = meta(ts_ns, event, fields)
    line.dev = getattr(source, "dev", None)
    return line


def failure(error: Exception, which: str) -> Mapping[str, Value]:
    """Return the fields of the ``source_down`` line that reports a failed sample."""
    if isinstance(error, Absent):
        fix = {"fix": error.fix} if error.fix else {}
        return {"which": which, "reason": error.reason, **fix}
    if isinstance(error, Transient | Ended):
        return {"which": which, "reason": str(error)}
    return {"which": which, "reason": f"{type(error).__name__}: {error}"}
