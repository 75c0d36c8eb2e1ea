from __future__ import annotations

import subprocess
from collections import Counter

import pytest

from benchlab.catalog import RAIL_SUMS, RAILS, SIGNALS, energy_key, energy_step_ms, lookup, unknown_keys

PROMISED = {
    "gpu.nvml": "gpu_util mem_util gpu_mem_used gpu_mem_total power_w temp_c sm_clock_mhz mem_clock_mhz fan_pct "
    "enc_util dec_util pcie_rx_kib_s pcie_tx_kib_s energy_j throttle_reasons pstate xid",
    "cpu.psutil": "cpu_util cores freq_mhz load1 load5 load15 ctx_switches_s",
    "benchlab.usb": "v_sys i_sys p_sys temp_c cpu_w gpu_w mb_w humidity_pct eps1_v eps1_a eps1_w "
    "hpwr2_wire6_w fan9_rpm",
    "cpu.rapl": "package_w package_j",
    "pipeline": "stage frame pts_ns flow",
    "bookmark": "text",
    "edge.shelly_plug": "power_total_watts",
    "edge.jetson_orin": "power_total_watts power_gpu_watts jetson_power_vdd_gpu_soc_watts "
    "jetson_power_vdd_cpu_cv_watts jetson_temp_cpu_celsius jetson_temp_gpu_celsius jetson_ram_used_mb "
    "jetson_ram_used_percent jetson_cpu_avg_usage_percent jetson_gpu_usage_percent "
    "jetson_cpu_core11_usage_percent jetson_emc_freq_mhz",
    "self.telemetryd": "late_ticks lost",
}


@pytest.mark.parametrize("source", PROMISED)
def test_promised_keys_are_described(source: str) -> None:
    assert [key for key in PROMISED[source].split() if lookup(source, key) is None] == []


def test_no_signal_is_described_twice() -> None:
    assert [pair for pair, n in Counter((s.source, s.key) for s in SIGNALS).items() if n > 1] == []


def test_unknown_sources_and_keys_are_not_found() -> None:
    assert lookup("gpu.nvml", "watts") is None
    assert lookup("gpu.amd", "power_w") is None
    assert lookup("edge", "power_total_watts") is None


def test_part_of_a_key_that_the_hardware_names_becomes_its_label() -> None:
    core = lookup("edge.jetson_thor", "jetson_cpu_core13_usage_percent")
    assert core is not None
    assert (core.prometheus, core.labels) == ("benchlab_edge_core_utilization_ratio", (("core", "13"),))
    channel = lookup("edge.shelly", "shelly_channel2_power_watts")
    assert channel is not None
    assert (channel.key, channel.labels) == ("shelly_channel2_power_watts", (("rail", "channel2"),))


@pytest.mark.parametrize(
    "key",
    [
        "jetson_power__watts",
        "jetson_power_watts",
        "xjetson_power_a_watts",
        "jetson_power_a_wattss",
        "jetson_temp_celsius",
    ],
)
def test_key_that_only_resembles_a_pattern_is_not_found(key: str) -> None:
    assert lookup("edge.jetson_orin", key) is None


def test_key_of_one_device_is_not_another_ones() -> None:
    assert lookup("edge.orange_pi", "jetson_temp_cpu_celsius") is None


def test_special_key_goes_before_the_general_pattern() -> None:
    mean = lookup("edge.jetson_orin", "jetson_cpu_avg_usage_percent")
    engine = lookup("edge.jetson_orin", "jetson_nvenc_usage_percent")
    assert mean is not None and engine is not None
    assert mean.prometheus == "benchlab_edge_cpu_utilization_ratio"
    assert (engine.prometheus, engine.labels) == ("benchlab_edge_engine_utilization_ratio", (("engine", "nvenc"),))


def test_unknown_keys_are_told_and_so_are_unknown_columns() -> None:
    rows = [{"core": 0, "util": 1.0}, {"core": 1, "wattage": 3.0}]
    assert unknown_keys("cpu.psutil", {"cpu_util": 1.0, "cores": rows, "mood": 1}.items()) == ["cores.wattage", "mood"]


def test_every_energy_counter_counts_the_joules_of_its_own_source() -> None:
    powers = [signal for signal in SIGNALS if signal.energy_key]
    assert {signal.key for signal in powers} >= {"power_w", "package_w"}
    for power in powers:
        counter = lookup(power.source, power.energy_key or "")
        assert counter is not None
        assert (power.unit, counter.unit, counter.kind) == ("W", "J", "counter")


def test_energy_key_of_powers_with_and_without_a_counter() -> None:
    assert energy_key("gpu.nvml", "power_w") == "energy_j"
    assert energy_key("cpu.rapl", "package_w") == "package_j"
    assert energy_key("benchlab.usb", "p_sys") is None
    assert energy_key("nobody", "power_w") is None


def test_only_the_counter_of_a_gpu_moves_in_steps_that_matter() -> None:
    assert energy_step_ms("gpu.nvml", "power_w") == 100.0
    assert {energy_step_ms("cpu.rapl", "package_w"), energy_step_ms("nobody", "power_w")} == {0.0}


@pytest.mark.parametrize(
    ("source", "key", "recorded", "sample"),
    [
        ("gpu.nvml", "gpu_util", 85.0, 0.85),
        ("gpu.nvml", "sm_clock_mhz", 1980.0, 1.98e9),
        ("gpu.nvml", "pcie_rx_kib_s", 2.0, 2048.0),
        ("disk.psutil", "read_wait_ms", 0.5, 0.0005),
        ("benchlab.usb", "p_sys", 246.0, 246.0),
    ],
)
def test_samples_are_in_base_units(source: str, key: str, recorded: float, sample: float) -> None:
    signal = lookup(source, key)
    assert signal is not None
    assert recorded * signal.scale == pytest.approx(sample)


def test_signals_of_one_family_agree_on_type_help_and_labels() -> None:
    families: dict[str, set[tuple[str, str, tuple[str, ...]]]] = {}
    for signal in SIGNALS:
        if signal.prometheus:
            said = (signal.prometheus_type, signal.prometheus_help, tuple(name for name, _ in signal.labels))
            families.setdefault(signal.prometheus, set()).add(said)
    assert {name: said for name, said in families.items() if len(said) > 1} == {}


def test_no_two_signals_are_one_series() -> None:
    series = Counter((s.prometheus, s.source, s.labels) for s in SIGNALS if s.prometheus)
    assert [key for key, n in series.items() if n > 1] == []


def test_no_label_has_a_name_that_others_use() -> None:
    names = {name for signal in SIGNALS for name, _ in signal.labels}
    assert names.isdisjoint({"stage", "type", "env", "service", "source", "dev", "instance", "job"})


def test_promtool_finds_nothing_to_say_about_the_names() -> None:
    lines: dict[str, list[str]] = {}
    for signal in SIGNALS:
        if (name := signal.prometheus) is not None:
            head = [f"# HELP {name} {signal.prometheus_help}", f"# TYPE {name} {signal.prometheus_type}"]
            labels = ",".join(f'{k}="{v}"' for k, v in (("source", signal.source), *signal.labels))
            lines.setdefault(name, head).append(f"{name}{{{labels}}} 1")
    page = "".join(f"{line}\n" for family in lines.values() for line in family)
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_whole_board_is_the_sum_of_its_parts_and_wires_are_in_no_sum() -> None:
    parts = [rail for name in ("cpu", "mb", "gpu") for rail in RAIL_SUMS[name]]
    assert sorted(parts) == sorted(RAIL_SUMS["sys"])
    assert len(RAILS) == 23
    assert not [rail for rail in RAIL_SUMS["sys"] if "wire" in rail]
