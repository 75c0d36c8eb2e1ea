"""The last reading of every source on a regular grid, so that any two signals can be laid side by side.

As-of, never interpolated; absent where the reading is older than twice the source's period.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from benchlab.event import META, Event
from muxd.rows import LATE, SignalRow
from muxd.settings import Settings
from muxd.streams import stated_ns
from muxd.vm_energy import INPUTS, VmEnergy


class SignalState(msgspec.Struct):
    """What has to be kept for the grid to go on elsewhere."""

    grid_ns: int | None
    last: list[Event]
    periods_ns: dict[str, int]


class SignalGrid:
    """Holds the last reading of every (source, dev); what VMs cost is written in between, event by event."""

    def __init__(self, settings: Settings, vm_energy: VmEnergy) -> None:
        self._vm_energy = vm_energy
        self._step_ns = settings.grid_ns
        self._unstated_ns = settings.max_gap_ns
        self._grid_ns: int | None = None
        self._last: dict[tuple[str, str], Event] = {}
        self._periods_ns: dict[str, int] = {}

    def process(self, events: Iterable[Event], out: list[SignalRow]) -> None:
        """Take events in total order and append the rows of every grid time that they pass."""
        for event in events:
            if self._grid_ns is None or event.ts_ns > self._grid_ns:
                self._pass(event.ts_ns, out)
            if event.source == META:
                self._periods_ns.update(stated_ns(event, "period_ms"))
            elif event.source == LATE:
                out.append(late_row(event))
            else:
                self._last[(event.source, event.dev or "")] = event
            if event.source in INPUTS:
                self._vm_energy.take(event, out)

    def pass_time(self, now_ns: int, out: list[SignalRow]) -> None:
        """Write the grid times before ``now_ns``; every event before it has been processed."""
        if self._grid_ns is not None and self._grid_ns < now_ns:
            self._pass(now_ns, out)

    def state(self) -> SignalState:
        """Return what ``restore`` needs."""
        return SignalState(self._grid_ns, list(self._last.values()), self._periods_ns)

    def restore(self, state: SignalState) -> None:
        """Go on from another grid's state."""
        self._grid_ns = state.grid_ns
        self._last = {(event.source, event.dev or ""): event for event in state.last}
        self._periods_ns = dict(state.periods_ns)

    def _pass(self, ts_ns: int, out: list[SignalRow]) -> None:
        """Write every grid time before ``ts_ns``; where nothing is left to show, go straight to the next."""
        step_ns = self._step_ns
        next_ns = -(-ts_ns // step_ns) * step_ns
        grid_ns = next_ns if self._grid_ns is None else self._grid_ns
        while grid_ns < ts_ns:
            self._forget_stale(grid_ns)
            if not self._last:
                grid_ns = next_ns
                break
            out.extend(signal_row(grid_ns, self._last[key]) for key in sorted(self._last))
            grid_ns += step_ns
        self._grid_ns = grid_ns

    def _forget_stale(self, grid_ns: int) -> None:
        stale = [
            key
            for key, event in self._last.items()
            if grid_ns - event.ts_ns > 2 * self._periods_ns.get(event.source, self._unstated_ns // 2)
        ]
        for key in stale:
            del self._last[key]


def signal_row(grid_ns: int, event: Event) -> SignalRow:
    """Return a reading's row at a grid time, without the tables in it."""
    kv: dict[str, Any] = {key: value for key, value in event.kv.items() if not isinstance(value, (list, dict))}
    return SignalRow(grid_ns, event.source, kv, event.dev, event.unc_ns, event.sim)


def late_row(event: Event) -> SignalRow:
    """Return the row that reports a line which came too late in its own file."""
    return SignalRow(event.kv["ts_ns"], LATE, {k: v for k, v in event.kv.items() if k != "ts_ns"})
