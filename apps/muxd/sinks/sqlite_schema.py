"""The tables of ``store/telemetry.db``, as numbered migrations; references/schema.md describes them.

A migration that was released is never changed: the next one is appended.
"""

from __future__ import annotations

import sqlite3

from benchlab import telemetry_schema
from muxd.sinks.sink import Transient

_FIRST = """
CREATE TABLE latency (
  session TEXT NOT NULL, offset INTEGER NOT NULL, node TEXT, ts_ns INTEGER NOT NULL,
  from_stage TEXT NOT NULL, to_stage TEXT NOT NULL, flow TEXT, frame, pts_ns INTEGER, match TEXT,
  lat_ms REAL NOT NULL, power_w REAL, energy_j REAL, power_age_ms REAL, power_source TEXT, power_method TEXT,
  power_why TEXT, temp_c REAL, unc_ns INTEGER, sim INTEGER NOT NULL, sim_of TEXT,
  PRIMARY KEY (session, offset)
) WITHOUT ROWID;
CREATE INDEX latency_by_time ON latency (ts_ns);
CREATE INDEX latency_by_pair ON latency (from_stage, to_stage, lat_ms);

CREATE TABLE dropped (
  session TEXT NOT NULL, offset INTEGER NOT NULL, node TEXT, ts_ns INTEGER NOT NULL,
  from_stage TEXT NOT NULL, to_stage TEXT NOT NULL, stage TEXT NOT NULL, flow TEXT, frame, pts_ns INTEGER,
  reason TEXT NOT NULL, decided_ns INTEGER, sim INTEGER NOT NULL,
  PRIMARY KEY (session, offset)
) WITHOUT ROWID;
CREATE INDEX dropped_by_time ON dropped (ts_ns);

CREATE TABLE signal (
  session TEXT NOT NULL, offset INTEGER NOT NULL, key TEXT NOT NULL, node TEXT, ts_ns INTEGER NOT NULL,
  source TEXT NOT NULL, dev TEXT, value, text TEXT, unc_ns INTEGER, sim INTEGER NOT NULL,
  PRIMARY KEY (session, offset, key)
) WITHOUT ROWID;
CREATE INDEX signal_by_key ON signal (source, key, ts_ns);

CREATE TABLE bookmark (
  session TEXT NOT NULL, stream TEXT NOT NULL, offset INTEGER NOT NULL, node TEXT, ts_ns INTEGER NOT NULL,
  text TEXT, kv TEXT NOT NULL, sim INTEGER NOT NULL,
  PRIMARY KEY (session, stream, offset)
) WITHOUT ROWID;
CREATE INDEX bookmark_by_time ON bookmark (ts_ns);

CREATE TABLE cursor (
  session TEXT NOT NULL, stream TEXT NOT NULL, generation INTEGER NOT NULL, offset INTEGER NOT NULL,
  hash TEXT NOT NULL, sim INTEGER NOT NULL,
  PRIMARY KEY (session, stream)
) WITHOUT ROWID;

CREATE VIEW pair_summary AS
SELECT session, from_stage, to_stage, SUM(paired) AS frames, SUM(dropped) AS dropped, AVG(lat_ms) AS mean_lat_ms,
  MIN(lat_ms) AS min_lat_ms, MAX(lat_ms) AS max_lat_ms, AVG(power_w) AS mean_power_w, SUM(energy_j) AS energy_j,
  AVG(energy_j) AS energy_per_frame_j, MAX(sim) AS sim
FROM (
  SELECT session, from_stage, to_stage, 1 AS paired, 0 AS dropped, lat_ms, power_w, energy_j, sim FROM latency
  UNION ALL
  SELECT session, from_stage, to_stage, 0, reason NOT IN ('open_at_start', 'open_at_end'), NULL, NULL, NULL, sim
  FROM dropped
) GROUP BY session, from_stage, to_stage;

CREATE VIEW signal_latest AS
SELECT session, source, dev, key, MAX(ts_ns) AS ts_ns, value, text, sim
FROM signal GROUP BY session, source, dev, key;
"""

_THIRD = """
CREATE TABLE vm_metrics (
  session TEXT NOT NULL, offset INTEGER NOT NULL, node TEXT, ts_ns INTEGER NOT NULL,
  VMID INTEGER, name TEXT, uuid TEXT, state TEXT, cpu_count INTEGER, memory_max_kb INTEGER, memory_used_kb INTEGER,
  cputime_ns INTEGER, sim INTEGER NOT NULL,
  PRIMARY KEY (session, offset)
) WITHOUT ROWID;
CREATE INDEX vm_metrics_by_vm ON vm_metrics (uuid, ts_ns);
CREATE INDEX vm_metrics_by_time ON vm_metrics (ts_ns);

CREATE TABLE vm_features (
  session TEXT NOT NULL, offset INTEGER NOT NULL, node TEXT, ts_ns INTEGER NOT NULL,
  VMID INTEGER, name TEXT, uuid TEXT, memory_rate_kb_per_sec REAL, memory_angle_deg REAL, sim INTEGER NOT NULL,
  PRIMARY KEY (session, offset)
) WITHOUT ROWID;
CREATE INDEX vm_features_by_vm ON vm_features (uuid, ts_ns);
CREATE INDEX vm_features_by_time ON vm_features (ts_ns);
"""


def _first(connection: sqlite3.Connection) -> None:
    telemetry_schema.run(connection, _FIRST)


def _second(connection: sqlite3.Connection) -> None:
    """The tables of the telemetry logger, which the store has already if that program made it."""
    lacking = telemetry_schema.missing_columns(connection)
    if lacking:
        raise Transient(f"its table system_sample has no column {', '.join(lacking)}: no telemetry logger made it")
    telemetry_schema.bring_up_to_date(connection)


def _third(connection: sqlite3.Connection) -> None:
    telemetry_schema.run(connection, _THIRD)


MIGRATIONS = (_first, _second, _third)
"""Migration ``n`` (from 1) leads from ``PRAGMA user_version`` n - 1 to n, within a transaction."""

TABLES = ("latency", "dropped", "signal", "bookmark", "vm_metrics", "vm_features", "system_sample")
"""Those with a session in each row; what belongs to a row of ``system_sample`` goes with it."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a store to the present version. Raises Transient for one that a newer program made."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > len(MIGRATIONS):
        raise Transient(f"the store is of version {found}, expected at most {len(MIGRATIONS)}: a newer muxd made it")
    for version, change in enumerate(MIGRATIONS[found:], found + 1):
        connection.execute("BEGIN IMMEDIATE")
        change(connection)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
