"""The benchmark of the InfluxDB sink runs, and compares what both ways have stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.influx import Server, _same, influx
from benchmarks.same import DifferentError

from support.real_influx import influxdb

Find = Callable[[str, str], str]


def test_drain_and_bulk_load_store_the_same(component: Find) -> None:
    component("influxd", "influxdb")
    component("influx", "influxdb-client")
    section = influx(frames=2000, rounds=1)
    assert section.facts["lines"] > 2000
    assert [row[0] for row in section.rows] == ["muxd --sink influx", "influx -import", "muxd / influx -import"]
    json.dumps(section.facts)


def test_databases_that_differ_by_one_point_are_found(component: Find, tmp_path: Path) -> None:
    with influxdb(component("influxd", "influxdb"), tmp_path) as real:
        for name, count in (("one", 3), ("other", 4)):
            real.ask(f"CREATE DATABASE {name}")
            real.write(b"\n".join(b"metric_latency lat_ms=%d.0 %d" % (at, at) for at in range(count)), name)
        server = Server(real.port, None)  # type: ignore[arg-type]
        _same(server, "one", "one")
        with pytest.raises(DifferentError, match="lat_ms"):
            _same(server, "one", "other")
