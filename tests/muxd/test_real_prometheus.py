"""A real Prometheus scrapes a live muxd that the simulators feed, and the dashboards' queries return data."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchlab.cli import free_port
from support.processes import until
from support.real_prometheus import Prometheus, scraping

Start = Callable[..., "subprocess.Popen[bytes]"]
Component = Callable[[str, str], str]

SEED_QUERIES = (
    "benchlab_pipeline_latency_ms{pair=\"('ingress', 'encoded')\"}",
    "benchlab_power_w",
    "rate(benchlab_pipeline_dropped[1m])",
)
CORRECTED_QUERIES = (
    "histogram_quantile(0.95, sum by (le) (rate(benchlab_stage_latency_seconds_bucket[1m])))",
    "sum by (reason) (rate(benchlab_frames_unpaired_total[1m]))",
    'avg_over_time(benchlab_rail_power_watts{source="benchlab.usb",rail="sys"}[1m])',
    "histogram_quantile(0.5, sum by (le) (rate(benchlab_frame_energy_joules_bucket[1m])))",
)


@pytest.fixture
def prometheus(component: Component, tmp_path: Path) -> Iterator[Callable[[int], Prometheus]]:
    """Start a Prometheus that scrapes a port."""
    with ExitStack() as running:
        program = component("prometheus", "prometheus")
        yield lambda target: running.enter_context(scraping(program, target, tmp_path))


@pytest.fixture
def live_muxd(start: Start, tmp_path: Path) -> int:
    """A muxd that the simulators feed; returns its port."""
    port, where = free_port(), ("--data-root", str(tmp_path), "--session", "s")
    start("benchlabd", "--simulate", *where)
    start("telemetryd", "--simulate", *where)
    start("pipeline_probes.r5c_capture", "--simulate", "--drop-rate", "0.1", *where)
    start("muxd", "--pair", "ingress", "encoded", "--prom-bind", f"127.0.0.1:{port}", *where)
    return port


def scrape(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
    except OSError:
        return ""
    return text


def test_a_real_prometheus_answers_the_queries_of_the_dashboards(
    live_muxd: int, prometheus: Callable[[int], Prometheus], component: Component
) -> None:
    server = prometheus(live_muxd)
    waiting = {*SEED_QUERIES, *CORRECTED_QUERIES}
    deadline = time.monotonic() + 60
    while waiting and time.monotonic() < deadline:
        waiting = {query for query in waiting if not server.query(query)}
        time.sleep(0.5)
    assert not waiting, scrape(live_muxd)
    (p95_s,) = server.query(CORRECTED_QUERIES[0])
    assert 0.005 < p95_s < 0.2
    (power_w,) = server.query("benchlab_power_w")
    assert 50 < power_w < 600
    assert server.query("up") == [1.0]
    assert server.query("scrape_samples_scraped")[0] > 100
    assert server.query('benchlab_source_simulated{source="benchlab.usb"}') == [1.0]
    metadata = json.loads(server.get("/api/v1/metadata"))["data"]
    assert metadata["benchlab_pipeline_dropped"][0]["type"] == "counter"
    assert metadata["benchlab_stage_latency_seconds"][0]["type"] == "histogram"


def test_promtool_is_content_with_a_live_scrape_but_for_the_contract(live_muxd: int, component: Component) -> None:
    promtool = component("promtool", "prometheus")
    until(lambda: "benchlab_cpu_" in scrape(live_muxd) and "benchlab_gpu_power" in scrape(live_muxd))
    done = subprocess.run([promtool, "check", "metrics"], input=scrape(live_muxd), capture_output=True, text=True)
    told = [line for line in (done.stdout + done.stderr).splitlines() if line]
    contract = ("benchlab_pipeline_latency_ms", "benchlab_pipeline_dropped", "benchlab_power_w")
    assert all(line.startswith(contract) for line in told), told
