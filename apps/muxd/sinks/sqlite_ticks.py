"""Ticks of pimon as rows of the telemetry logger's tables: the events of one ``ts_ns`` are one row group."""

from __future__ import annotations

import sqlite3

import msgspec

from benchlab.event import Aligned, Event
from benchlab.telemetry_schema import INSERT_CORE, INSERT_PROCESS, INSERT_SYSTEM, next_key, system_row
from muxd.sinks.feed import PI_BATTERY, PI_SYSTEM
from muxd.sinks.sink import Record
from muxd.sinks.sqlite_rows import Unfit

UNKNOWN_FREQ = 0.0  # the logger's contract, in this table only

_LAST_KEY = "SELECT ts FROM system_sample WHERE session = ? ORDER BY ts DESC LIMIT 1"
_KEY_OF_TICK = "SELECT ts FROM system_sample WHERE ts_ns = ? AND session = ? ORDER BY ts DESC LIMIT 1"
_ADD_BATTERY = "UPDATE system_sample SET voltage = ?, current = ?, power = ?, battery_pct = ? WHERE ts = ?"


class _Core(msgspec.Struct):
    core: int
    util_pct: float | None = None


class _System(msgspec.Struct):
    cpu_util_pct: float | None = None
    cpu_freq_mhz: float = UNKNOWN_FREQ
    load1: float | None = None
    load5: float | None = None
    load15: float | None = None
    cores: list[_Core] = []

    @property
    def is_whole(self) -> bool:
        """Whether it has what the table cannot do without."""
        return None not in (self.cpu_util_pct, self.load1, self.load5, self.load15)


class _Battery(msgspec.Struct):
    voltage_v: float | None = None
    current_a: float | None = None
    power_w: float | None = None
    capacity_pct: float | None = None


class _Process(msgspec.Struct):
    pid: int
    name: str
    cpu_pct: float
    mem_pct: float


class _Processes(msgspec.Struct):
    processes: list[_Process] = []


class Ticks:
    """Inserts the ticks of one session in the order of the log, in which a tick's ``pi.system`` comes first.

    A tick without processor or load has no row, for the table knows no NULL there; the first one after a start is
    such. What else that tick tells is then in the table ``signal`` only.
    """

    def __init__(self, session: str, node: str | None) -> None:
        self._session = session
        self._node = node

    def insert(self, connection: sqlite3.Connection, record: Record) -> None:
        """Insert what one event adds, within the caller's transaction. Raises Unfit, sqlite3.Error."""
        event = record.event
        assert not isinstance(event, Aligned)
        try:
            if event.source == PI_SYSTEM:
                self._begin(connection, event, msgspec.convert(event.kv, _System))
            elif event.source == PI_BATTERY:
                self._add_battery(connection, event, msgspec.convert(event.kv, _Battery))
            else:
                self._add_processes(connection, event, msgspec.convert(event.kv, _Processes))
        except msgspec.ValidationError as error:
            raise Unfit(str(error)) from error

    def _begin(self, connection: sqlite3.Connection, event: Event, found: _System) -> None:
        if not found.is_whole:
            return
        key = self._free_key(connection, event.ts_ns)
        values = {
            "cpu_total": found.cpu_util_pct,
            "cpu_freq": found.cpu_freq_mhz,
            **{name: getattr(found, name) for name in ("load1", "load5", "load15")},
        }
        where = (self._node, self._session, event.sim)
        connection.execute(INSERT_SYSTEM, system_row(key, event.ts_ns, values, where))
        rows = [(key, core.core, core.util_pct) for core in found.cores if core.util_pct is not None]
        connection.executemany(INSERT_CORE, rows)

    def _add_battery(self, connection: sqlite3.Connection, event: Event, found: _Battery) -> None:
        key = self._key_of(connection, event)
        if key is not None:
            values = (found.voltage_v, found.current_a, found.power_w, found.capacity_pct)
            connection.execute(_ADD_BATTERY, (*values, key))

    def _add_processes(self, connection: sqlite3.Connection, event: Event, found: _Processes) -> None:
        key = self._key_of(connection, event)
        if key is not None:
            rows = [(key, p.pid, p.name, p.cpu_pct, p.mem_pct) for p in found.processes]
            connection.executemany(INSERT_PROCESS, rows)

    def _key_of(self, connection: sqlite3.Connection, event: Event) -> int | None:
        row = connection.execute(_KEY_OF_TICK, (event.ts_ns, self._session)).fetchone()
        return None if row is None else int(row[0])

    def _free_key(self, connection: sqlite3.Connection, ts_ns: int) -> int:
        """Return the tick's key: beyond the last one of this session, and not that of anybody else's row."""
        last = connection.execute(_LAST_KEY, (self._session,)).fetchone()
        key = next_key(ts_ns, last and last[0])
        while connection.execute("SELECT 1 FROM system_sample WHERE ts = ?", (key,)).fetchone():
            key += 1
        return key
