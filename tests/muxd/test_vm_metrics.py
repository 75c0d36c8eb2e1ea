"""Virtual machines on /metrics: by uuid, gone with their VM, bounded, and as promtool likes them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchlab.catalog import SIGNALS
from benchlab.event import Event
from muxd.metrics import Metrics
from muxd.mux import Mux
from muxd.opening import Opener, catch_up
from muxd.readings import MAX_VM_SERIES, STALE_NS
from support.mux_scenarios import T0
from support.mux_sessions import FOR_EVER_NS, NS, PAIRS, SETTINGS, FakeClock, append, make_session, meta

Component = Callable[[str, str], str]
UUIDS = ("6695eb01-f6a4-8304-79aa-97f2502e193f", "550e8400-e29b-41d4-a716-446655440000")
CORES = [{"core": n} for n in range(4)]


class Bench:
    """A session with VMs that muxd follows, on a clock of its own."""

    def __init__(self, folder: Path, period_ms: float = 5000.0) -> None:
        self.session = make_session(folder)
        self.clock = FakeClock()
        self.metrics = Metrics(PAIRS, self.clock)
        opener = Opener(self.session, SETTINGS, FOR_EVER_NS, observer=self.metrics, clock=self.clock)
        self.mux: Mux = opener.open()
        told = [{"source": "vm.libvirt", "period_ms": period_ms}]
        append(self.session, "vmstat", [meta(-1, "start", sources=told)])

    def poll(self, at_s: float, uuids: tuple[str, ...] = UUIDS) -> None:
        kv = {"name": 'a "web", server', "state": "running", "cpu_count": 2, "cpu_pct": 50.0, "memory_used_kb": 1024}
        more = {"block_rd_bytes": 10, "net_rx_bytes": 7, "vcpus": [{"id": 0, "state": "running", "time_ns": 5}]}
        events = []
        for number, uuid in enumerate(uuids):
            used = {"vmid": number, "cputime_ns": round(at_s * (number + 1) * NS / 2)}
            events.append(Event(T0 + round(at_s * NS), "vm.libvirt", {**kv, **more, **used}, dev=uuid))
        append(self.session, "vmstat", events)

    def host(self, at_s: float) -> None:
        at_ns = T0 + round(at_s * NS)
        rapl = Event(at_ns, "cpu.rapl", {"package_j": 20 * at_s})
        append(self.session, "telemetry", [rapl, Event(at_ns, "cpu.psutil", {"cpu_util": 50.0, "cores": CORES})])

    def text(self) -> str:
        catch_up(self.mux, False)
        self.metrics.see(self.mux)
        return self.metrics.render().decode()

    def samples(self) -> dict[str, float]:
        pairs = (line.rpartition(" ") for line in self.text().splitlines() if not line.startswith("#"))
        return {series: float(value) for series, _, value in pairs}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "s")
    for second in range(12):
        made.host(second)
        if second % 5 == 0:
            made.poll(second)
    append(made.session, "vmstat", [meta(11_500, "alive")])
    yield made
    made.mux.close()


def test_a_vm_has_its_uuid_for_a_label_and_its_name_in_one_place(bench: Bench) -> None:
    samples = bench.samples()
    first = f'{{uuid="{UUIDS[0]}"}}'
    assert samples[f"benchlab_vm_cpu_utilization_ratio{first}"] == 0.5
    assert samples[f"benchlab_vm_memory_used_bytes{first}"] == 1024 * 1024
    assert samples[f"benchlab_vm_cpu_seconds_total{first}"] == 5.0
    assert samples[f"benchlab_vm_block_read_bytes_total{first}"] == 10
    assert samples[f"benchlab_vm_network_receive_bytes_total{first}"] == 7
    assert samples[f'benchlab_vm_info{{name="a \\"web\\", server",uuid="{UUIDS[0]}"}}'] == 1
    assert samples[f'benchlab_vm_state{{state="running",uuid="{UUIDS[0]}"}}'] == 1
    named = [series for series in samples if "web" in series]
    assert len(named) == 2


def test_what_vms_cost_is_counted_and_so_is_what_they_did_not(bench: Bench) -> None:
    samples = bench.samples()
    assert samples[f'benchlab_vm_energy_joules_total{{uuid="{UUIDS[0]}"}}'] == pytest.approx(50.0)
    assert samples[f'benchlab_vm_power_watts{{uuid="{UUIDS[1]}"}}'] == pytest.approx(10.0)
    assert samples["benchlab_vm_rest_power_watts"] == pytest.approx(5.0)


def test_power_is_gone_where_the_counter_is_and_energy_stays(bench: Bench) -> None:
    bench.samples()
    for second in (15, 20, 25):
        bench.poll(second)
    append(bench.session, "telemetry", [meta(30_000, "alive")])
    bench.poll(30)
    samples = bench.samples()
    assert not [series for series in samples if series.startswith("benchlab_vm_power_watts")]
    assert samples[f'benchlab_vm_energy_joules_total{{uuid="{UUIDS[0]}"}}'] == pytest.approx(50.0)


@pytest.mark.parametrize("told", ["vm_gone", "vm_migrated"])
def test_series_vanish_with_their_vm(bench: Bench, told: str) -> None:
    assert UUIDS[0] in bench.text()
    line = meta(12_000, told, name="a")
    line.dev = UUIDS[0]
    append(bench.session, "vmstat", [line])
    text = bench.text()
    assert UUIDS[0] not in text
    assert UUIDS[1] in text


def test_a_vm_that_is_read_seldom_stays_as_long_as_its_period(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "s", period_ms=60_000.0)
    bench.poll(0)
    assert UUIDS[0] in bench.text()
    bench.clock.advance(6 * STALE_NS)
    assert UUIDS[0] in bench.text()
    assert bench.samples()['benchlab_source_up{source="vm.libvirt"}'] == 1
    bench.clock.advance(10 * STALE_NS)
    assert UUIDS[0] not in bench.text()
    assert bench.samples()['benchlab_source_up{source="vm.libvirt"}'] == 0
    bench.mux.close()


def test_very_many_vms_are_bounded_and_crowd_nobody_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "s")
    numbers = [signal.key for signal in SIGNALS if signal.source == "vm.libvirt" and signal.prometheus]
    many = [Event(T0, "vm.libvirt", dict.fromkeys(numbers, 1), dev=f"vm-{number}") for number in range(1000)]
    assert len(many) * len(numbers) > MAX_VM_SERIES
    append(bench.session, "vmstat", many)
    bench.host(0)
    samples = bench.samples()
    assert len([series for series in samples if series.startswith("benchlab_vm_")]) == MAX_VM_SERIES
    assert samples['benchlab_cpu_utilization_ratio{source="cpu.psutil"}'] == 0.5
    bench.mux.close()


def test_the_collectors_statistics_are_metrics(bench: Bench) -> None:
    kv = {
        "started_at_ns": T0,
        "total_collections": 3,
        "total_errors": 1,
        "last_collection_time_ns": T0 + 10 * NS,
        "vms_monitored": 2,
        "total_metrics_written": 12,
    }
    append(bench.session, "vmstat", [Event(T0 + 10 * NS, "self.vm", kv)])
    samples = bench.samples()
    of = '{source="self.vm"}'
    assert samples[f"benchlab_vm_collections_total{of}"] == 3
    assert samples[f"benchlab_vm_collector_errors_total{of}"] == 1
    assert samples[f"benchlab_vm_metrics_written_total{of}"] == 12
    assert samples[f"benchlab_vm_monitored{of}"] == 2
    assert samples[f"benchlab_vm_collector_started_timestamp_seconds{of}"] == T0 / 1e9
    assert samples[f"benchlab_vm_collector_last_collection_timestamp_seconds{of}"] == (T0 + 10 * NS) / 1e9


def test_promtool_finds_nothing_in_it(bench: Bench, component: Component) -> None:
    promtool = component("promtool", "prometheus")
    kept = [line for line in bench.text().splitlines(True) if re.match(r"(# \w+ )?benchlab_vm_", line)]
    assert len(kept) > 30
    done = subprocess.run([promtool, "check", "metrics"], input="".join(kept), capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    families = list(text_string_to_metric_families("".join(kept)))
    assert all(family.documentation for family in families)
