"""Pairs stage events by identity, else by order, and says of every other one why it has no partner.

Pure: events come in total order, decisions go out in the order in which they fall. Time is the events' own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from benchlab.event import Event
from muxd.rows import DUPLICATE, LOST, OPEN_AT_END, OPEN_AT_START, ORPHAN, Completed, Unpaired
from muxd.settings import Settings

Key = tuple[object, ...]
Identity = tuple[str, int | str | None, int | None]  # flow, frame, pts_ns
Decision = Completed | Unpaired


class Frame(msgspec.Struct, array_like=True, gc=False):
    """A first-stage event that is remembered for one window: open until paired, then to know its duplicates."""

    pair: int
    ts_ns: int
    flow: str
    frame: int | str | None
    pts_ns: int | None
    unc_ns: int | None
    sim: bool
    open: bool = True
    under_pts: bool = False  # found by its pts too: another frame may have taken that pts first

    def primary(self) -> Key | None:
        """Return the identity under which a repetition is a duplicate: the frame number, else the pts."""
        if self.frame is not None:
            return (self.pair, self.flow, self.frame)
        return None if self.pts_ns is None else self.by_pts()

    def by_pts(self) -> Key:
        """Return the identity under which a second stage without frame number looks it up."""
        return (self.pair, self.flow, "pts", self.pts_ns)


class PairerState(msgspec.Struct):
    """What has to be kept for the pairing to go on elsewhere: everything within one window."""

    frames: list[Frame]
    arrivals: list[tuple[int, tuple[Any, ...]]]


class Pairer:
    """Holds the open frames of all pairs."""

    def __init__(self, settings: Settings) -> None:
        self._window_ns = settings.window_ns
        self._starts_ns = settings.starts_ns
        self._pairs = settings.pairs
        self._frames: deque[tuple[Frame, Key | None]] = deque()  # each with its primary identity
        self._index: dict[Key, Frame] = {}
        self._by_order: dict[tuple[int, str], list[Frame]] = {}
        self._arrivals: deque[tuple[int, Key]] = deque()  # second stages with an identity, for one window
        self._arrived: set[Key] = set()
        self._roles = roles_by_stage(settings.pairs, self._first, self._second)

    def process(self, events: Iterable[Event], out: list[Decision]) -> None:
        """Take stage events in total order and append what they decide, and what their time decides, to out."""
        roles = self._roles
        for event in events:
            who = identity(event)
            for pair, take in roles[event.kv["stage"]]:
                take(pair, event, who, out)

    def pass_time(self, now_ns: int, out: list[Decision]) -> None:
        """Decide what is overdue when every event before ``now_ns`` has been processed."""
        horizon_ns = now_ns - self._window_ns
        frames, arrivals = self._frames, self._arrivals
        while frames and frames[0][0].ts_ns < horizon_ns:
            frame, key = frames.popleft()
            if key is not None:
                self._index.pop(key, None)
            if key is None or frame.under_pts:
                self._forget(frame)
            if frame.open:
                frame.open = False
                out.append(self._unpaired(frame, LOST, frame.ts_ns + self._window_ns))
        while arrivals and arrivals[0][0] < horizon_ns:
            self._arrived.discard(arrivals.popleft()[1])

    def close(self, end_ns: int, out: list[Decision]) -> None:
        """Decide the rest at the end of a session: what is not overdue is ``open_at_end``."""
        self.pass_time(end_ns, out)
        for frame, _ in self._frames:
            if frame.open:
                frame.open = False
                out.append(self._unpaired(frame, OPEN_AT_END, end_ns))

    def state(self) -> PairerState:
        """Return what ``restore`` needs."""
        frames = [frame for frame, _ in self._frames]
        return PairerState(frames, list(self._arrivals))

    def restore(self, state: PairerState) -> None:
        """Go on from another pairer's state."""
        for frame in state.frames:
            self._remember(frame, frame.primary())
        self._arrivals = deque(state.arrivals)
        self._arrived = {key for _, key in self._arrivals}

    def _first(self, pair: int, event: Event, who: Identity, out: list[Decision]) -> None:
        flow, number, pts_ns = who
        ts_ns = event.ts_ns
        frame = Frame(pair, ts_ns, flow, number, pts_ns, event.unc_ns, event.sim)
        key: Key | None = (pair, flow, number) if number is not None else frame.primary()
        index = self._index
        if key in index or (pts_ns is not None and frame.by_pts() in index):
            self.pass_time(ts_ns, out)  # what is overdue is no first of its kind any more
            if key in index:
                out.append(self._unpaired(frame, DUPLICATE, ts_ns))
                return
        if pts_ns is not None:
            frame.under_pts = frame.by_pts() not in index
        self._remember(frame, key)

    def _remember(self, frame: Frame, key: Key | None) -> None:
        self._frames.append((frame, key))
        if key is None:
            if frame.open:
                self._by_order.setdefault((frame.pair, frame.flow), []).append(frame)
            return
        self._index[key] = frame
        if frame.under_pts:
            self._index[frame.by_pts()] = frame

    def _second(self, pair: int, event: Event, who: Identity, out: list[Decision]) -> None:
        flow, number, pts_ns = who
        ts_ns = event.ts_ns
        self.pass_time(ts_ns, out)
        if number is None and pts_ns is None:
            self._second_by_order(pair, flow, event, out)
            return
        key = (pair, flow, "pts", pts_ns) if number is None else (pair, flow, number)
        if key in self._arrived:
            out.append(self._stray(pair, event, DUPLICATE))
            return
        self._arrived.add(key)
        self._arrivals.append((ts_ns, key))
        frame = self._index.get(key)
        match = "pts" if number is None else "frame"
        if (frame is None or not frame.open) and number is not None and pts_ns is not None:
            frame = self._index.get((pair, flow, "pts", pts_ns))
            match = "pts"
        if frame is None or not frame.open:
            out.append(self._stray(pair, event, self._orphan_reason(ts_ns)))
            return
        frame.open = False
        number = frame.frame if frame.frame is not None else number
        shown_pts_ns = pts_ns if match == "pts" else None
        unc_ns = combined_uncertainty(frame.unc_ns, event.unc_ns)
        sim = frame.sim or event.sim
        out.append(Completed(pair, frame.ts_ns, ts_ns, match, flow, number, shown_pts_ns, unc_ns, sim))

    def _second_by_order(self, pair: int, flow: str, event: Event, out: list[Decision]) -> None:
        """Pair with the newest open frame: right as long as latency is under one frame interval."""
        waiting = self._by_order.pop((pair, flow), None)
        if not waiting:
            out.append(self._stray(pair, event, self._orphan_reason(event.ts_ns)))
            return
        for frame in waiting:
            frame.open = False
        newest = waiting.pop()
        out.extend(self._unpaired(frame, LOST, event.ts_ns) for frame in waiting)
        unc_ns = combined_uncertainty(newest.unc_ns, event.unc_ns)
        sim = newest.sim or event.sim
        out.append(Completed(pair, newest.ts_ns, event.ts_ns, "order", flow, None, None, unc_ns, sim))

    def _forget(self, frame: Frame) -> None:
        """Take a frame out of where it stands beside its primary identity."""
        if frame.under_pts:
            self._index.pop(frame.by_pts(), None)
        waiting = self._by_order.get((frame.pair, frame.flow))
        if frame.open and waiting and frame.primary() is None:
            waiting.remove(frame)

    def _orphan_reason(self, ts_ns: int) -> str:
        """A partner before the cut between two sessions is in the session before: no loss."""
        if self._starts_ns is not None and ts_ns - self._window_ns < self._starts_ns:
            return OPEN_AT_START
        return ORPHAN

    def _unpaired(self, frame: Frame, reason: str, decided_ns: int) -> Unpaired:
        stage = self._pairs[frame.pair][0]
        flow, number, pts_ns = frame.flow, frame.frame, frame.pts_ns
        return Unpaired(frame.pair, stage, frame.ts_ns, reason, decided_ns, flow, number, pts_ns, frame.sim)

    def _stray(self, pair: int, event: Event, reason: str) -> Unpaired:
        flow, number, pts_ns = identity(event)
        stage = self._pairs[pair][1]
        return Unpaired(pair, stage, event.ts_ns, reason, event.ts_ns, flow, number, pts_ns, event.sim)


Take = Callable[[int, Event, Identity, list[Decision]], None]


def roles_by_stage(pairs: Sequence[tuple[str, str]], first: Take, second: Take) -> dict[str, list[tuple[int, Take]]]:
    """Return what a stage's event does in each pair, in the pairs' order."""
    roles: dict[str, list[tuple[int, Take]]] = {}
    for pair, (a, b) in enumerate(pairs):
        roles.setdefault(a, []).append((pair, first))
        roles.setdefault(b, []).append((pair, second))
    return roles


def identity(event: Event) -> Identity:
    """Return flow, frame and pts of a stage event; a value of another type than the format's counts as absent."""
    kv = event.kv
    flow, number, pts_ns = kv.get("flow", ""), kv.get("frame"), kv.get("pts_ns")
    if flow.__class__ is not str:
        flow = ""
    if number.__class__ is not int and number.__class__ is not str:
        number = None
    if pts_ns.__class__ is not int:
        pts_ns = None
    return flow, number, pts_ns


def combined_uncertainty(a_ns: int | None, b_ns: int | None) -> int | None:
    """Return the half-width for a difference of two times: the sum of theirs, absent where neither states one."""
    if a_ns is None and b_ns is None:
        return None
    return (a_ns or 0) + (b_ns or 0)
