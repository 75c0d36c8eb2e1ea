"""Pairs stage events by identity, else by order, and says of every other one why it has no partner.

Pure: events come in total order, decisions go out in the order in which they fall. Time is the events' own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from benchlab.event import Event
from muxd.rows import DUPLICATE, LOST, OPEN_AT_END, OPEN_AT_START, ORPHAN, Completed, Unpaired
from muxd.settings import Settings

Key = tuple[object, ...]
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


class Arrival(msgspec.Struct, array_like=True):
    """A second-stage event with an identity, remembered for one window to know its duplicates."""

    ts_ns: int
    key: list[object]


class PairerState(msgspec.Struct):
    """What has to be kept for the pairing to go on elsewhere: everything within one window."""

    frames: list[Frame]
    arrivals: list[Arrival]


class Pairer:
    """Holds the open frames of all pairs."""

    def __init__(self, settings: Settings) -> None:
        self._window_ns = settings.window_ns
        self._starts_ns = settings.starts_ns
        self._pairs = settings.pairs
        self._frames: deque[Frame] = deque()
        self._index: dict[Key, Frame] = {}
        self._by_order: dict[tuple[int, str], list[Frame]] = {}
        self._arrivals: deque[tuple[int, Key]] = deque()
        self._arrived: set[Key] = set()
        self._roles = roles_by_stage(settings.pairs, self._first, self._second)

    def process(self, events: Iterable[Event], out: list[Decision]) -> None:
        """Take stage events in total order and append what they decide, and what their time decides, to out."""
        frames, arrivals, roles, window_ns = self._frames, self._arrivals, self._roles, self._window_ns
        for event in events:
            ts_ns = event.ts_ns
            horizon_ns = ts_ns - window_ns
            if frames and frames[0].ts_ns < horizon_ns:
                self._expire_frames(horizon_ns, out)
            if arrivals and arrivals[0][0] < horizon_ns:
                self._expire_arrivals(horizon_ns)
            for pair, take in roles[event.kv["stage"]]:
                take(pair, event, ts_ns, out)

    def pass_time(self, now_ns: int, out: list[Decision]) -> None:
        """Decide what is overdue when every event before ``now_ns`` has been processed."""
        self._expire_frames(now_ns - self._window_ns, out)

    def close(self, end_ns: int, out: list[Decision]) -> None:
        """Decide the rest at the end of a session: what is not overdue is ``open_at_end``."""
        self.pass_time(end_ns, out)
        for frame in self._frames:
            if frame.open:
                frame.open = False
                out.append(self._unpaired(frame, OPEN_AT_END, end_ns))

    def state(self) -> PairerState:
        """Return what ``restore`` needs."""
        return PairerState(list(self._frames), [Arrival(ts_ns, list(key)) for ts_ns, key in self._arrivals])

    def restore(self, state: PairerState) -> None:
        """Go on from another pairer's state."""
        self._frames = deque(state.frames)
        for frame in state.frames:
            self._remember(frame, frame.primary())
        self._arrivals = deque((arrival.ts_ns, tuple(arrival.key)) for arrival in state.arrivals)
        self._arrived = {key for _, key in self._arrivals}

    def _first(self, pair: int, event: Event, ts_ns: int, out: list[Decision]) -> None:
        flow, number, pts_ns = identity(event)
        frame = Frame(pair, ts_ns, flow, number, pts_ns, event.unc_ns, event.sim)
        key = frame.primary()
        if key is not None and key in self._index:
            out.append(self._unpaired(frame, DUPLICATE, ts_ns))
            return
        if pts_ns is not None:
            frame.under_pts = frame.by_pts() not in self._index
        self._frames.append(frame)
        self._remember(frame, key)

    def _remember(self, frame: Frame, key: Key | None) -> None:
        if key is None:
            if frame.open:
                self._by_order.setdefault((frame.pair, frame.flow), []).append(frame)
            return
        self._index[key] = frame
        if frame.under_pts:
            self._index[frame.by_pts()] = frame

    def _second(self, pair: int, event: Event, ts_ns: int, out: list[Decision]) -> None:
        flow, number, pts_ns = identity(event)
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

    def _expire_frames(self, horizon_ns: int, out: list[Decision]) -> None:
        frames = self._frames
        while frames and frames[0].ts_ns < horizon_ns:
            frame = frames.popleft()
            self._forget(frame)
            if frame.open:
                frame.open = False
                out.append(self._unpaired(frame, LOST, frame.ts_ns + self._window_ns))

    def _forget(self, frame: Frame) -> None:
        key = frame.primary()
        if key is None:
            waiting = self._by_order.get((frame.pair, frame.flow))
            if frame.open and waiting:
                waiting.remove(frame)
            return
        self._index.pop(key, None)
        if frame.under_pts:
            self._index.pop(frame.by_pts(), None)

    def _expire_arrivals(self, horizon_ns: int) -> None:
        arrivals = self._arrivals
        while arrivals and arrivals[0][0] < horizon_ns:
            self._arrived.discard(arrivals.popleft()[1])

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


Take = Callable[[int, Event, int, list[Decision]], None]


def roles_by_stage(pairs: Sequence[tuple[str, str]], first: Take, second: Take) -> dict[str, list[tuple[int, Take]]]:
    """Return what a stage's event does in each pair, in the pairs' order."""
    roles: dict[str, list[tuple[int, Take]]] = {}
    for pair, (a, b) in enumerate(pairs):
        roles.setdefault(a, []).append((pair, first))
        roles.setdefault(b, []).append((pair, second))
    return roles


def identity(event: Event) -> tuple[str, int | str | None, int | None]:
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
