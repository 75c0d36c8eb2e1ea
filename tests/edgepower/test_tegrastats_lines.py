from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchlab.catalog import lookup
from edgepower.collectors.jetson_rails import powers_of
from edgepower.collectors.tegrastats import parse
from support.edge_fixtures import FIXTURES, lines

RECORDED = sorted(path.name for path in (FIXTURES / "tegrastats").glob("*.txt"))
ALL = [line for name in RECORDED for line in lines(f"tegrastats/{name}")]

TEN = (
    "jetson_power_vdd_gpu_soc_watts jetson_power_vdd_cpu_cv_watts jetson_temp_cpu_celsius jetson_temp_gpu_celsius "
    "jetson_ram_used_mb jetson_ram_used_percent jetson_cpu_avg_usage_percent jetson_gpu_usage_percent "
    "jetson_cpu_core0_usage_percent jetson_emc_freq_mhz"
)

TOTALS = {
    "agx_orin.txt": (9.648 + 4.020 + 6.131, "module", 9.648),
    "agx_xavier.txt": (1.241 + 0.931 + 1.861 + 0.0 + 0.465 + 2.512, "module", 1.241),
    "agx_thor.txt": (-0.391 + 5.312 + 4.422, "module", -0.391),
    "nano.txt": (2.771, "module", 0.158),
    "orin_nano_user.txt": (5.142, "module", None),
    "tx1.txt": (None, None, None),
    "tx2.txt": (2.812, "module", 0.152),
    "xavier_nx.txt": (5.411, "module", None),
}


@pytest.mark.parametrize("name", RECORDED)
def test_every_line_is_read_with_no_token_left_over(name: str) -> None:
    for text in lines(f"tegrastats/{name}"):
        line = parse(text)
        assert line.unknown == []
        assert line.tokens >= 6


@pytest.mark.parametrize("name", RECORDED)
def test_every_metric_is_in_the_catalog(name: str) -> None:
    for text in lines(f"tegrastats/{name}"):
        line = parse(text)
        powers = powers_of(line.rails_w, line.rails_w.keys())
        names = {*line.metrics, *powers.metrics, *line.absent, *powers.absent}
        assert [metric for metric in names if lookup("edge.jetson_orin", metric) is None] == []


def test_the_ten_documented_names() -> None:
    line = parse(lines("tegrastats/agx_orin.txt")[0])
    found = line.metrics | powers_of(line.rails_w, line.rails_w.keys()).metrics
    assert {name: found[name] for name in TEN.split()} == {
        "jetson_power_vdd_gpu_soc_watts": 9.648,
        "jetson_power_vdd_cpu_cv_watts": 4.02,
        "jetson_temp_cpu_celsius": 58.281,
        "jetson_temp_gpu_celsius": 55.5,
        "jetson_ram_used_mb": 11873,
        "jetson_ram_used_percent": 18.89,
        "jetson_cpu_avg_usage_percent": 16.5,
        "jetson_gpu_usage_percent": 64,
        "jetson_cpu_core0_usage_percent": 21,
        "jetson_emc_freq_mhz": 3199,
    }


@pytest.mark.parametrize("name", TOTALS)
def test_total_and_gpu_by_the_rule_of_the_board(name: str) -> None:
    line = parse(lines(f"tegrastats/{name}")[0])
    powers = powers_of(line.rails_w, line.rails_w.keys())
    total_w, scope, gpu_w = TOTALS[name]
    assert powers.metrics.get("power_total_watts") == (None if total_w is None else pytest.approx(total_w))
    assert powers.scopes.get("power_total_watts") == scope
    assert powers.metrics.get("power_gpu_watts") == gpu_w
    for metric in ("power_total_watts", "power_gpu_watts"):
        assert (metric in powers.metrics) != (metric in powers.absent)


def test_every_board_has_its_total_checked() -> None:
    assert set(TOTALS) == set(RECORDED)


def test_input_of_the_carrier_is_the_total_where_it_is_measured() -> None:
    line = parse(lines("tegrastats/agx_thor.txt")[1])
    powers = powers_of(line.rails_w, line.rails_w.keys())
    assert (powers.metrics["power_total_watts"], powers.scopes["power_total_watts"]) == (21.904, "board_input")


def test_rail_that_is_silent_for_once_does_not_make_the_rest_the_total() -> None:
    known = {"VIN", "VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"}
    powers = powers_of({"VDD_GPU": 1.0, "VDD_CPU_SOC_MSS": 2.0, "VIN_SYS_5V0": 3.0}, known)
    assert "power_total_watts" not in powers.metrics
    assert powers.absent["power_total_watts"] == "no value of VIN at the moment"


def test_rails_of_an_unknown_board_are_not_added_up() -> None:
    powers = powers_of({"VDD_NEW": 1.0, "VIN_SYS_5V0": 3.0}, {"VDD_NEW", "VIN_SYS_5V0"})
    assert set(powers.metrics) == {"jetson_power_vdd_new_watts", "jetson_power_vin_sys_5v0_watts"}
    assert "VDD_NEW, VIN_SYS_5V0" in powers.absent["power_total_watts"]


def test_power_is_that_of_now_not_the_average_since_the_start() -> None:
    assert parse("VDD_IN 3140/3208").rails_w == {"VDD_IN": 3.14}
    assert parse("VDD_IN 3140mW/3208mW/9000mW").rails_w == {"VDD_IN": 3.14}
    assert parse("VDD_IN 3140mW").rails_w == {"VDD_IN": 3.14}


def test_rail_zone_and_cores_of_one_name_are_told_apart() -> None:
    line = parse("CPU [1%@1190,off] GPU@34.25C CPU@35C GPU 1241/1190 CPU 931/904")
    assert line.rails_w == {"GPU": 1.241, "CPU": 0.931}
    assert line.metrics["jetson_temp_cpu_celsius"] == 35.0
    assert line.metrics["jetson_cpu_core0_usage_percent"] == 1.0


def test_what_is_off_is_absent_with_its_reason() -> None:
    line = parse("CPU [5%@729,off] CV0@-256C GPU@-256C NVDEC off GR3D_FREQ @[0,0,0] EMC_FREQ 3%")
    assert line.absent == {
        "jetson_cpu_core1_usage_percent": "the core is off",
        "jetson_temp_cv0_celsius": "the sensor is off",
        "jetson_temp_gpu_celsius": "the sensor is off",
        "jetson_nvdec_freq_mhz": "the engine is off",
        "jetson_gpu_usage_percent": "tegrastats prints no load of it on this board",
        "jetson_emc_freq_mhz": "tegrastats prints no clock of it, unless run as root",
    }
    assert line.metrics["jetson_gpu_freq_mhz"] == 0.0


def test_constant_zone_and_unconnected_rail_are_dropped() -> None:
    line = parse("PMIC@100C NC 0mW/0mW VDD_NC_1 5mW/5mW SYNC_RAIL 7mW/7mW")
    assert (line.metrics, line.rails_w, line.unknown) == ({}, {"SYNC_RAIL": 0.007}, [])


@pytest.mark.parametrize(
    ("text", "metrics"),
    [
        ("cpu [17%,13%]@408", {"jetson_cpu_core0_freq_mhz": 408.0, "jetson_cpu_avg_usage_percent": 15.0}),
        ("CPU [17%,off]@408", {"jetson_cpu_core0_freq_mhz": 408.0, "jetson_cpu_avg_usage_percent": 17.0}),
        ("EMC 4%@1065", {"jetson_emc_usage_percent": 4.0, "jetson_emc_freq_mhz": 1065.0}),
        ("EMC_FREQ @1600", {"jetson_emc_freq_mhz": 1600.0}),
        ("GR3D 3%@76", {"jetson_gpu_usage_percent": 3.0, "jetson_gpu_freq_mhz": 76.0}),
        ("GR3D_FREQ 5%@[510]", {"jetson_gpu_freq_mhz": 510.0}),
        ("GR3D_FREQ 5%@[1300,0]", {"jetson_gpu_freq_mhz": 1300.0}),
        ("GR3D2_FREQ 7%@900", {"jetson_gpu2_usage_percent": 7.0}),
        ("NVENC 41%@793", {"jetson_nvenc_usage_percent": 41.0, "jetson_nvenc_freq_mhz": 793.0}),
        ("NVENC0_FREQ @1556", {"jetson_nvenc0_freq_mhz": 1556.0}),
        ("VIC_FREQ 601", {"jetson_vic_freq_mhz": 601.0}),
        ("MTS fg 1% bg 4%", {"jetson_mts_fg_percent": 1.0, "jetson_mts_bg_percent": 4.0}),
        ("cpu@34.3C/34.8C", {"jetson_temp_cpu_celsius": 34.3}),
        ("IRAM 2/252kB(lfb 252kB)", {"jetson_iram_used_kb": 2.0}),
        ("RAM 10/20MB (lfb 5x512kB)", {"jetson_ram_used_percent": 50.0}),
        ("SWAP 0/0MB (cached 0MB)", {"jetson_swap_used_mb": 0.0}),
    ],
)
def test_variant_of_a_token(text: str, metrics: dict[str, float]) -> None:
    line = parse(text)
    assert line.unknown == []
    assert line.metrics.items() >= metrics.items()


def test_memory_of_size_zero_has_no_share() -> None:
    assert "jetson_swap_used_percent" not in parse("SWAP 0/0MB (cached 0MB)").metrics


def test_unknown_tokens_are_kept_and_the_rest_is_read() -> None:
    line = parse("RAM 10/20MB (lfb 1x4MB) QUANTUM 5q cpu@30C NEW_FREQ 7%@[1:2]")
    assert line.unknown == ["QUANTUM", "5q", "NEW_FREQ", "7%@[1:2]"]
    assert line.metrics["jetson_temp_cpu_celsius"] == 30.0


TOKENS = st.sampled_from(
    [
        "RAM 1/2MB (lfb 1x4MB)",
        "SWAP 1/2MB (cached 0MB)",
        "CPU [1%@2,off]",
        "EMC_FREQ 3%@4",
        "GR3D_FREQ @[0,0]",
        "APE 174",
        "NVDEC off",
        "cpu@30.5C",
        "GPU@-256C",
        "VDD_IN 5mW/6mW",
        "GPU -5/6",
        "MTS fg 0% bg 0%",
    ]
)


@given(st.lists(TOKENS, unique=True))
def test_tokens_may_come_in_any_order(tokens: list[str]) -> None:
    line = parse(" ".join(tokens))
    assert (line.unknown, line.tokens) == ([], len(tokens))


@given(st.sampled_from(ALL), st.data())
def test_line_that_is_cut_anywhere_gives_no_value_that_the_whole_one_has_not(text: str, data: st.DataObject) -> None:
    whole = parse(text)
    cut = parse(text[: data.draw(st.integers(0, len(text)))].rpartition(" ")[0])
    assert {name: watts for name, watts in cut.rails_w.items() if whole.rails_w.get(name) != watts} == {}
    differ = {key for key, value in cut.metrics.items() if whole.metrics.get(key) != value}
    assert differ == set()


@given(st.text() | st.lists(st.text("RAMSWPCU [](),%@/0123456789.-mWC\n\t xoff", max_size=30)).map(" ".join))
def test_no_text_is_too_strange(text: str) -> None:
    line = parse(text)
    assert all(math.isfinite(value) for value in [*line.metrics.values(), *line.rails_w.values()])


@pytest.mark.parametrize("digits", [1, 9, 10, 5000])
def test_number_of_any_length_is_read_or_refused(digits: int) -> None:
    nines = "9" * digits
    line = parse(f"VDD_IN {nines}mW/1mW cpu@{nines}C RAM {nines}/1MB CPU [{nines}%@1]")
    assert bool(line.rails_w) == (digits <= 9)
    assert all(math.isfinite(value) for value in [*line.metrics.values(), *line.rails_w.values()])
