"""Where the past of a virtual machine is found: InfluxDB if asked so, the store, the signals, else the raw tail."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from benchlab.config_schema import Influx
from benchlab.errors import Fault
from benchlab.event import Event
from benchlab.log.file_end import each_last_row
from benchlab.query.aligned import SIGNALS_FILE
from webd.errors import Refusal
from webd.history.shelf import Shelf, answer
from webd.vms.columns import Found, Values, of_series, of_values, source_of
from webd.vms.influx import from_influx
from webd.vms.sightings import RAW_FILE, VM
from webd.vms.store import from_store

RAW_BYTES = 16 * 1024 * 1024


class Past:
    """Finds fields of the VMs of sessions."""

    def __init__(self, influx: Influx) -> None:
        self._influx = influx
        self._shelf = Shelf()

    def field(self, folder: Path, uuid: str, key: str, from_ns: int, to_ns: int, points: int) -> Found:
        """Return a field between two times, of at most so many points. Raises Refusal (500, 502)."""
        if self._influx.query:
            try:
                return from_influx(self._influx, uuid, key, from_ns, to_ns, points)
            except Fault as fault:  # its token
                raise Refusal(500, fault.message) from fault
        try:
            stored = from_store(folder, uuid, key, from_ns, to_ns, points)
        except sqlite3.Error as error:
            raise Refusal(500, f"the store of {folder.name} cannot be read: {error}") from error
        if stored is not None:
            return stored
        return self.fields(folder, uuid, [key], from_ns, to_ns, points)[key]

    def fields(
        self, folder: Path, uuid: str, keys: list[str], from_ns: int, to_ns: int, points: int
    ) -> dict[str, Found]:
        """Return several fields from the session's own files. Raises Refusal (500, 503)."""
        history = self._shelf.history(folder)
        answer(history, lambda h: self._shelf.indexed(h, SIGNALS_FILE))
        wanted = {(source_of(key), uuid, key) for key in keys}
        series = answer(history, lambda h: h.signals.window(wanted.__contains__, from_ns, to_ns, points))
        found = {one.address[2]: of_series(one) for one in series if one.values or one.spans}
        missing = [key for key in keys if key not in found]
        if len(missing) == len(keys) and (of_vms := [key for key in keys if source_of(key) == VM]):
            found |= from_raw(folder, uuid, of_vms, from_ns, to_ns, points)
        return {key: found.get(key, Found("signals")) for key in keys}


def from_raw(folder: Path, uuid: str, keys: list[str], from_ns: int, to_ns: int, points: int) -> dict[str, Found]:
    """Return fields from the last 16 MiB of the raw stream, where muxd has not been there. Raises Fault (IO)."""
    values: dict[str, Values] = {key: [] for key in keys}
    sim = False
    for event in each_last_row(folder / "raw" / RAW_FILE, Event, RAW_BYTES):
        if event.source != VM or event.dev != uuid or not from_ns <= event.ts_ns < to_ns:
            continue
        sim = sim or event.sim
        for key in keys:
            value = event.kv.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                values[key].append((event.ts_ns, value))
    return {key: of_values("raw", sorted(found), sim, points) for key, found in values.items()}
