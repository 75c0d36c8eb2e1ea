"""The power reference: which samples stand for the power drawn during a pair.

An entry of ``[mux].power_sources`` is a cut of the power tree: its members add up to the whole, nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from benchlab.errors import Exit, Fault
from muxd.power import AFTER_LAST, BEFORE_FIRST, GAP, NO_SOURCE, PENDING, Cover, Series

# When several series of a cut fail, the reason that can be known first counts: so it never depends on reading order.
_RANK = (NO_SOURCE, BEFORE_FIRST, GAP, AFTER_LAST, PENDING)

Found = list[Cover] | str


class Member:
    """One signal of a cut: ``source:key``, where source may hold ``*``.

    Series of one source (several GPUs) add up. Where the pattern names several sources one of them is taken, the
    first by name that covers the pair: a meter may contain another, so a sum over sources could count twice.
    """

    def __init__(self, text: str) -> None:
        self._pattern, colon, self.key = text.partition(":")
        if not (self._pattern and colon and self.key):
            raise Fault(f'[mux] power_sources: found "{text}", expected "source:key"', Exit.CONFIG)
        self._groups: list[list[Series]] = []

    def matches(self, source: str) -> bool:
        """Tell whether a source's events feed this member."""
        return fnmatchcase(source, self._pattern)

    def attach(self, series: Series) -> None:
        """Take a series that this member names; the order of names, not of arrival, decides between sources."""
        for group in self._groups:
            if group[0].source == series.source:
                group.append(series)
                group.sort(key=lambda one: one.dev or "")
                return
        self._groups.append([series])
        self._groups.sort(key=lambda group: group[0].source)

    def cover(self, a_ns: int, b_ns: int, known_ns: int, final: bool) -> Found:
        """Return what covers [a_ns, b_ns], one cover a series, or the reason why nothing does."""
        reason = NO_SOURCE
        for group in self._groups:
            parts = [series.cover(a_ns, b_ns, known_ns, final) for series in group]
            found = all_or_reason([[part] if isinstance(part, Cover) else part for part in parts if part != NO_SOURCE])
            if not isinstance(found, str) or found == PENDING:
                return found
            reason = found if reason == NO_SOURCE else reason
        return reason

    def series(self) -> list[Series]:
        """Return all series of this member."""
        return [series for group in self._groups for series in group]

    def begins_by(self, ts_ns: int) -> bool:
        """Tell whether a sample of this member lies at or before a time."""
        return any(0 <= series.first_ns <= ts_ns for series in self.series())

    def fresh(self, since_ns: int) -> list[Series]:
        """Return the series of the first source whose newest sample is not older than a time."""
        for group in self._groups:
            fresh = [series for series in group if series.samples and series.samples[-1].ts_ns >= since_ns]
            if fresh:
                return fresh
        return []


class Reference:
    """All entries, in the order of preference."""

    def __init__(self, power_sources: Sequence[Sequence[str]], max_gap_ns: int) -> None:
        self._entries = [[Member(text) for text in entry] for entry in power_sources]
        self._max_gap_ns = max_gap_ns
        self._sole: Series | None = None  # all that the first entry consists of, where that is one series: a shortcut

    def wants(self, source: str) -> bool:
        """Tell whether a source's events may feed an entry."""
        return any(member.matches(source) for member in self._members())

    def keys(self, source: str) -> list[str]:
        """Return the keys under which entries look for power in a source's events."""
        return sorted({member.key for member in self._members() if member.matches(source)})

    def attach(self, series: Series) -> None:
        """Give a series to every member that names it."""
        for member in self._members():
            if member.key == series.key and member.matches(series.source):
                member.attach(series)
        first = [one for member in self._entries[0] for one in member.series()] if self._entries else []
        self._sole = first[0] if len(first) == 1 == len(self._entries[0]) else None

    def cover(self, a_ns: int, b_ns: int, known_ns: int, final: bool) -> Found:
        """Return what covers [a_ns, b_ns] in the first entry that does, PENDING, or why none does.

        Every sample before ``known_ns`` is in its series; with ``final`` there will be no other.
        """
        if known_ns <= b_ns and not final:
            return PENDING
        if self._sole is not None:
            sole = self._sole.cover(a_ns, b_ns, known_ns, final)
            if isinstance(sole, Cover):
                return [sole]
        reason = NO_SOURCE
        for entry in self._entries:
            found = all_or_reason([member.cover(a_ns, b_ns, known_ns, final) for member in entry])
            if not isinstance(found, str) or found == PENDING:
                return found
            reason = found if reason == NO_SOURCE else reason
        return reason if reason != NO_SOURCE else self._never_seen(b_ns, known_ns, final)

    def current(self, now_ns: int) -> tuple[str, float] | None:
        """Return name and watts of the first entry whose newest samples are fresh, for a live gauge."""
        for entry in self._entries:
            groups = [member.fresh(now_ns - self._max_gap_ns) for member in entry]
            if groups and all(groups):
                chosen = [series for group in groups for series in group]
                return name_of([one.name for one in chosen]), sum(one.samples[-1].power_w for one in chosen)
        return None

    def _never_seen(self, b_ns: int, known_ns: int, final: bool) -> str:
        """Wait for a first sample as long as a stretch could have lasted, then tell "not yet" from "none".

        What had begun before is gone over the whole interval: that is a gap.
        """
        if any(all(member.begins_by(b_ns) for member in entry) for entry in self._entries):
            return GAP
        limit_ns = b_ns + self._max_gap_ns
        if known_ns <= limit_ns and not final:
            return PENDING
        seen = any(all(member.begins_by(limit_ns) for member in entry) for entry in self._entries)
        return BEFORE_FIRST if seen else NO_SOURCE

    def _members(self) -> Iterable[Member]:
        return (member for entry in self._entries for member in entry)


def all_or_reason(parts: Sequence[Found]) -> Found:
    """Return all covers together, or the reason of the part that is known to fail first."""
    reasons = [part for part in parts if isinstance(part, str)]
    if reasons:
        return min(reasons, key=_RANK.index)
    together = [cover for part in parts if not isinstance(part, str) for cover in part]
    return together or NO_SOURCE


def name_of(names: Sequence[str]) -> str:
    """Return what a reference is called in ``power_source``: its signals, each once, joined by ``+``."""
    return names[0] if len(names) == 1 else "+".join(dict.fromkeys(names))
