"""What /metrics says: names, labels, types and help, what vanishes, and what never grows without bound."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchlab.catalog import SIGNALS
from benchlab.event import Event
from benchlab.log.reader import Batch
from benchlab.session import Session
from muxd.metrics import Metrics
from muxd.opening import Opener, catch_up
from muxd.readings import MAX_SERIES, STALE_NS
from muxd.settings import Settings
from support.mux_scenarios import T0
from support.mux_sessions import (
    FOR_EVER_NS,
    MS,
    NS,
    PAIRS,
    SETTINGS,
    FakeClock,
    append,
    make_session,
    meta,
    power,
    record,
    stage,
    usual_run,
)

Component = Callable[[str, str], str]
CONTRACT = ("benchlab_pipeline_latency_ms", "benchlab_power_w", "benchlab_pipeline_dropped")


class Bench:
    """A session with muxd's metrics on it, on a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.session: Session = make_session(folder)
        self.clock = FakeClock()
        self.metrics = Metrics(PAIRS, self.clock)
        self.mux = Opener(self.session, SETTINGS, FOR_EVER_NS, observer=self.metrics, clock=self.clock).open()

    def text(self) -> str:
        catch_up(self.mux, False)
        self.metrics.see(self.mux)
        return self.metrics.render().decode()

    def samples(self) -> dict[str, float]:
        """Return the values by series, as Prometheus writes a series."""
        found = {}
        for line in self.text().splitlines():
            if not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                assert series not in found, f"{series} is there twice"
                found[series] = float(value)
        return found


def series(name: str, **labels: str) -> str:
    """Return how muxd writes a series."""
    return name + "{" + ",".join(f'{key}="{labels[key]}"' for key in sorted(labels)) + "}"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path / "s")
    record(made.session, usual_run(frames=30))
    append(made.session, "pipeline", [stage(483, "encoded", 999), stage(484, "encoded", 0), stage(620, "ingress", 31)])
    gpu = {"power_w": 50.0, "gpu_util": 25.0, "temp_c": 60.0, "gpu_mem_used": 1024, "energy_j": 7.5}
    cores = [{"cpu": 0, "cpu_util": 10.0}, {"cpu": 1, "cpu_util": 30.0}]
    append(
        made.session,
        "telemetry",
        [
            meta(650, "start", disorder_ms=50),
            Event(T0 + 660 * MS, "gpu.nvml", gpu, dev='GPU-"1"\\', sim=True, unc_ns=2_000_000),
            Event(T0 + 660 * MS, "cpu.psutil", {"cpu_util": 12.5, "cores": cores}),
            meta(661, "alive"),
        ],
    )
    return made


def test_the_seeds_names_and_labels_are_exact(bench: Bench) -> None:
    samples = bench.samples()
    assert samples["benchlab_pipeline_latency_ms{pair=\"('ingress', 'encoded')\"}"] == 10.0
    assert 100 <= samples["benchlab_power_w"] <= 107
    assert samples["benchlab_pipeline_dropped"] == 2
    text = bench.text()
    assert "# TYPE benchlab_pipeline_dropped counter\n" in text
    assert "# TYPE benchlab_pipeline_latency_ms gauge\n" in text
    assert "# TYPE benchlab_power_w gauge\n" in text


def test_idiomatic_names_and_labels_are_exact(bench: Bench) -> None:
    samples = bench.samples()
    pair = {"from_stage": "ingress", "to_stage": "encoded"}
    gpu = {"source": "gpu.nvml", "dev": r"GPU-\"1\"\\"}
    assert samples[series("benchlab_stage_latency_seconds_count", **pair)] == 30
    assert samples[series("benchlab_stage_latency_seconds_sum", **pair)] == pytest.approx(0.3)
    assert samples[series("benchlab_stage_latency_seconds_bucket", **pair, le="0.01")] == 30
    assert samples[series("benchlab_stage_latency_seconds_bucket", **pair, le="0.007")] == 0
    assert samples[series("benchlab_frame_energy_joules_count", **pair)] == 30
    for reason, count in (("orphan", 1), ("duplicate", 1), ("lost", 0)):
        assert samples[series("benchlab_frames_unpaired_total", **pair, reason=reason)] == count
    assert samples['benchlab_rail_power_watts{rail="sys",source="benchlab.usb"}'] > 99
    assert samples['benchlab_rail_energy_joules_total{dev="",rail="sys",source="benchlab.usb"}'] > 50
    assert samples[series("benchlab_gpu_power_watts", **gpu)] == 50.0
    assert samples[series("benchlab_gpu_utilization_ratio", **gpu)] == 0.25
    assert samples[series("benchlab_gpu_energy_joules_total", **gpu)] == 7.5
    for source, sim in (("gpu.nvml", 1), ("cpu.psutil", 0), ("benchlab.usb", 0)):
        assert samples[series("benchlab_source_up", source=source)] == 1
        assert samples[series("benchlab_source_simulated", source=source)] == sim
    assert samples['benchlab_source_last_event_timestamp_seconds{source="gpu.nvml"}'] == (T0 + 660 * MS) / 1e9
    assert samples['benchlab_clock_uncertainty_seconds{source="gpu.nvml"}'] == 0.002
    assert samples['benchlab_tail_lag_bytes{stream="pipeline.jsonl"}'] == 0
    assert any(series.startswith("benchlab_cpu_") for series in samples)
    assert any(series.startswith("benchlab_build_info{version=") for series in samples)


def test_type_and_help_of_readings_are_the_catalogs(bench: Bench) -> None:
    families = {family.name: family for family in text_string_to_metric_families(bench.text())}
    catalog = {signal.prometheus: signal for signal in SIGNALS if signal.prometheus}
    told = 0
    for name, signal in catalog.items():
        family = families.get(str(name).removesuffix("_total"))
        if family is not None:
            told += 1
            assert (family.type, family.documentation) == (signal.prometheus_type, signal.prometheus_help)
    assert told >= 7


def test_no_label_bears_a_name_that_others_have_taken(bench: Bench) -> None:
    labels = set(re.findall(r'[{,](\w+)="', bench.text()))
    assert not labels & {"stage", "type", "env", "service", "job", "instance"}


def test_promtool_finds_nothing_in_the_idiomatic_set(bench: Bench, component: Component) -> None:
    promtool = component("promtool", "prometheus")
    text = bench.text()
    kept = [line for line in text.splitlines(True) if not re.match(rf"(# \w+ )?({'|'.join(CONTRACT)})\b", line)]
    assert len(kept) > 100
    done = subprocess.run([promtool, "check", "metrics"], input="".join(kept), capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_series_vanish_when_nobody_renews_them(bench: Bench) -> None:
    before = bench.samples()
    bench.clock.advance(STALE_NS + 1)
    after = bench.samples()
    gone = {series.partition("{")[0] for series in before.keys() - after.keys()}
    assert {"benchlab_pipeline_latency_ms", "benchlab_power_w", "benchlab_rail_power_watts"} <= gone
    assert {"benchlab_gpu_power_watts", "benchlab_rail_energy_joules_total"} <= gone
    assert after['benchlab_source_up{source="benchlab.usb"}'] == 0
    assert after['benchlab_source_last_event_timestamp_seconds{source="benchlab.usb"}'] > 0
    append(bench.session, "benchlab", [power(700, 120.0)])
    again = bench.samples()
    assert again['benchlab_rail_power_watts{rail="sys",source="benchlab.usb"}'] == 120.0
    assert again['benchlab_source_up{source="benchlab.usb"}'] == 1


def test_series_vanish_at_once_when_their_source_says_so(bench: Bench) -> None:
    bench.samples()
    append(bench.session, "telemetry", [meta(670, "source_down", which="gpu.nvml", reason="lost", fix="reload")])
    after = bench.samples()
    assert not any(series.startswith("benchlab_gpu_") for series in after)
    assert after['benchlab_source_up{source="gpu.nvml"}'] == 0
    assert after['benchlab_source_errors_total{reason="down",source="gpu.nvml"}'] == 1


def test_rail_energy_is_the_trapezoid_and_knows_no_gap(bench: Bench) -> None:
    rail = 'benchlab_rail_energy_joules_total{dev="",rail="sys",source="benchlab.usb"}'
    before = bench.samples()[rail]
    newest = 670
    append(bench.session, "benchlab", [power(newest + 1000, 200.0), power(newest + 2000, 400.0)])
    last = 100.0 + newest % 7
    assert bench.samples()[rail] == pytest.approx(before + (last + 200) / 2 + 300)
    append(bench.session, "benchlab", [power(newest + 9000, 200.0)])
    assert bench.samples()[rail] == pytest.approx(before + (last + 200) / 2 + 300)


def batch(events: list[Event]) -> Batch[Event]:
    return Batch(events, 0, 0, [], True)


@pytest.mark.parametrize(
    "make",
    [
        lambda i: Event(T0 + i, f"edge.{i}", {"power_total_watts": 1.0}),
        lambda i: Event(T0 + i, "benchlab.usb", {"p_sys": 1.0}, dev=str(i)),
        lambda i: Event(T0 + i, "meta", {"event": "source_down", "which": f"x{i}"}),
        lambda i: Event(T0 + i, f"unheard.of.{i}", {"x": 1}),
        lambda i: Event(T0, "cpu.psutil", {"cores": [{"cpu": n, "cpu_util": 1.0} for n in range(2000)]}, dev=str(i)),
    ],
    ids=["sources", "devices", "source_down", "unknown sources", "tables"],
)
def test_no_stray_source_makes_series_without_bound(make: Callable[[int], Event]) -> None:
    metrics = Metrics(PAIRS)
    count = 20 if make(0).source == "cpu.psutil" else 3 * MAX_SERIES
    metrics.read(batch([make(i) for i in range(count)]))
    assert metrics.render().count(b"\n") <= 6 * MAX_SERIES


def test_two_rows_of_a_table_that_claim_to_be_the_same_are_one_series() -> None:
    metrics = Metrics(PAIRS)
    cores = [{"cpu": 0, "cpu_util": 10.0}, {"cpu": 0, "cpu_util": 20.0}]
    metrics.read(batch([Event(T0, "cpu.psutil", {"cores": cores})]))
    lines = [line for line in metrics.render().splitlines() if not line.startswith(b"#")]
    series = [line.rpartition(b" ")[0] for line in lines]
    assert len(series) == len(set(series))


def test_what_a_rebuild_writes_again_is_not_counted_again(bench: Bench) -> None:
    count = 'benchlab_stage_latency_seconds_count{from_stage="ingress",to_stage="encoded"}'
    assert bench.samples()[count] == 30
    bench.mux.checkpoint(now=True)
    bench.mux.close()
    other = Settings(PAIRS, SETTINGS.power_sources, grid_ns=NS // 2)
    bench.mux = Opener(bench.session, other, FOR_EVER_NS, observer=bench.metrics, clock=bench.clock).open()
    assert bench.mux.generation == 2
    assert bench.samples()[count] == 30
    append(bench.session, "pipeline", [stage(630, "encoded", 31), stage(700, "ingress", 32)])
    assert bench.samples()[count] == 31
