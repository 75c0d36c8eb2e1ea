"""A real Prometheus scrapes a live edgepower, and the seed's queries return data."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchlab.cli import free_port
from support.edge_exporter import ask
from support.processes import until
from support.real_prometheus import scraping

Component = Callable[[str, str], str]
Start = Callable[..., "subprocess.Popen[bytes]"]

SEED_QUERIES = (
    'power_total_watts{device_type="jetson_orin"}',
    'power_gpu_watts{hostname="edge-01"}',
    "sum(power_total_watts)",
    "avg_over_time(power_total_watts[5m])",
)
NOT_BASE_UNITS = re.compile(r"jetson_\w+_(percent|mb|mhz) ")
"""What promtool says of the seed's own names stays: its percent, megabytes and megahertz are no base units."""


def test_the_seeds_queries_return_data_and_promtool_objects_to_the_seeds_units_alone(
    start: Start, component: Component, tmp_path: Path
) -> None:
    promtool = component("promtool", "prometheus")
    port, path = free_port(), tmp_path / "config.yaml"
    path.write_text(f"device_type: jetson_orin\ndiscovery: enabled\nport: {port}\nreload_port: {free_port()}\n")
    words = ("--simulate", "--no-record", "--device-config", str(path), "--interval", "0.5")
    start("edgepower", *words, BENCHLAB_GENERAL_NODE_NAME="edge-01")
    with scraping(component("prometheus", "prometheus"), port, tmp_path) as server:
        until(lambda: all(server.query(query) for query in SEED_QUERIES), 60)
        (total_w,) = server.query(SEED_QUERIES[2])
        assert 1 < total_w < 100
        assert server.query('edge_device_simulated{hostname="edge-01"}') == [1.0]
    text = ask(port, "GET", "/metrics")[2].decode()
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
    told = [line for line in (done.stdout + done.stderr).splitlines() if line]
    assert [line for line in told if not NOT_BASE_UNITS.match(line)] == []
