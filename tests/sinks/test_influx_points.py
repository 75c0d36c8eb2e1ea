"""Rows of the log as points: types from the catalog, tags that identify a row, nothing made up, nothing unbounded."""

from __future__ import annotations

from typing import Any

import pytest

from benchlab.event import Aligned, Event
from muxd.sinks.influx_lines import Unfit
from muxd.sinks.influx_points import Points
from muxd.sinks.influx_ties import KEPT, number
from muxd.sinks.sink import Record
from support.influx_sinks import UUID, vm
from support.line_protocol import Point, parse
from support.mux_scenarios import T0

POINTS = Points("dev", "bench")


def points(event: Event | Aligned, number: int = 1) -> list[Point]:
    stream = "raw/x.jsonl" if isinstance(event, Event) else "aligned/latency.jsonl"
    return [parse(line.decode()) for line in POINTS.of(Record(stream, 0, event), number)]


def latency(**kv: Any) -> Aligned:
    return Aligned(T0, "metric.latency", {"lat_ms": 10, "pair": ["ingress", "encoded"], **kv})


PAIR = (("from_stage", "ingress"), ("node", "bench"), ("session", "dev"), ("to_stage", "encoded"))


def test_a_pair_is_a_point_of_its_stages_and_its_frame_a_field() -> None:
    (point,) = points(latency(frame=17, match="frame", power_w=246, power_source="benchlab.usb:p_sys"))
    assert point.measurement == "metric_latency"
    assert point.tags == PAIR
    assert point.fields == {
        "lat_ms": 10.0,
        "frame": 17,
        "match": "frame",
        "power_w": 246.0,
        "power_source": "benchlab.usb:p_sys",
    }
    assert [type(point.fields[key]) for key in ("lat_ms", "frame", "power_w")] == [float, int, float]


@pytest.mark.parametrize("frame", ["f-1", 2**64, -(2**63) - 1])
def test_a_frame_that_is_no_integer_of_64_bits_has_a_field_of_its_own(frame: object) -> None:
    (point,) = points(latency(frame=frame))
    assert point.fields == {"lat_ms": 10.0, "frame_id": str(frame)}


def test_a_drop_without_identity_is_a_point_too() -> None:
    kv = {"pair": ["ingress", "encoded"], "stage": "ingress", "flow": "cam 1", "reason": "lost"}
    (point,) = points(Aligned(T0, "metric.dropped", kv))
    more = (("flow", "cam 1"), ("reason", "lost"), ("stage", "ingress"))
    assert point.tags == tuple(sorted(PAIR + more))
    assert point.fields == {"dropped": 1}


def test_what_was_simulated_bears_a_tag_and_of_which_inputs_a_field() -> None:
    row = latency()
    row.sim, row.sim_of, row.unc_ns = True, ["benchlab.usb", "pipeline"], 750
    (point,) = points(row)
    assert ("sim", "true") in point.tags
    assert point.fields == {"lat_ms": 10.0, "sim_of": "benchlab.usb,pipeline", "unc_ns": 750}


def test_a_signal_has_the_types_of_the_catalog_and_its_device_as_a_tag() -> None:
    kv = {"gpu_util": 5, "power_w": 200, "pstate": 2, "made_up": 3, "text": None, "dev": "x", "node": "y"}
    (point,) = points(Aligned(T0, "gpu.nvml", kv, dev="GPU-1"))
    assert point.measurement == "gpu_nvml"
    assert point.tags == (("dev", "GPU-1"), ("node", "bench"), ("session", "dev"))
    assert type(point.fields["power_w"]) is float
    assert point.fields["made_up"] == 3.0 and type(point.fields["made_up"]) is float
    assert (point.fields["dev_"], point.fields["node_"]) == ("x", "y")


def test_a_signal_with_nothing_to_say_is_no_point() -> None:
    assert points(Aligned(T0, "gpu.nvml", {})) == []


def test_a_guest_has_the_two_measurements_of_the_contract_and_no_other_tag() -> None:
    metrics, features = points(vm(0, memory_rate_kb_per_sec=1024.5, memory_angle_deg=89))
    assert metrics.measurement == "vm_metrics"
    assert metrics.tags == features.tags == (("VMID", "1"), ("name", "ubuntu-vm"), ("uuid", UUID))
    assert metrics.fields == {
        "state": "running",
        "cpu_count": 2,
        "memory_max_kb": 2097152,
        "memory_used_kb": 1048576,
        "cputime_ns": 5000000000,
    }
    assert {type(value) for key, value in metrics.fields.items() if key != "state"} == {int}
    assert features.measurement == "vm_features"
    assert features.fields == {"memory_rate_kb_per_sec": 1024.5, "memory_angle_deg": 89.0}
    assert type(features.fields["memory_angle_deg"]) is float


def test_a_guest_that_is_shut_off_tells_what_is_known_and_a_simulated_one_says_so() -> None:
    (point,) = points(vm(0, vmid=0, state="stopped", memory_used_kb=None, cputime_ns=None, sim=True))
    assert point.tags == (("VMID", "0"), ("name", "ubuntu-vm"), ("sim", "true"), ("uuid", UUID))
    assert point.fields == {"state": "stopped", "cpu_count": 2, "memory_max_kb": 2097152}


def test_a_guest_of_which_nothing_is_told_is_no_point() -> None:
    event = Event(T0, "vm.libvirt", {"vmid": 1, "name": "x"}, dev=UUID)
    assert points(event) == []


def test_rows_of_a_table_are_told_apart_by_what_the_catalog_calls_their_identity() -> None:
    event = Event(T0, "pi.system", {"cores": [{"core": 0, "util_pct": 5}, {"core": 1, "util_pct": 7.5}]})
    zero, one = points(event)
    assert zero.measurement == "pi_system_cores"
    assert dict(zero.tags)["core"] == "0" and dict(one.tags)["core"] == "1"
    assert (zero.fields, one.fields) == ({"util_pct": 5.0}, {"util_pct": 7.5})


def test_processes_are_series_by_name_never_by_number_and_two_of_a_name_are_two_points() -> None:
    rows = [
        {"pid": pid, "name": name, "cpu_pct": 1.0, "mem_pct": 2.0} for pid, name in ((7, "cc1"), (8, "cc1"), (9, "ld"))
    ]
    found = points(Event(T0, "pi.processes", {"processes": rows}))
    assert [(dict(p.tags)["name"], dict(p.tags).get("n"), p.fields["pid"]) for p in found] == [
        ("cc1", None, 7),
        ("cc1", "2", 8),
        ("ld", None, 9),
    ]


@pytest.mark.parametrize(
    "event",
    [
        Aligned(T0, "metric.latency", {"lat_ms": 1.0}),
        Aligned(T0, "metric.latency", {"lat_ms": "x", "pair": ["a", "b"]}),
        Event(T0, "vm.libvirt", {"cpu_count": "two"}, dev=UUID),
        Event(T0, "pi.system", {"cores": [5]}),
    ],
)
def test_what_no_field_can_hold_is_unfit(event: Event | Aligned) -> None:
    with pytest.raises(Unfit):
        points(event)


def test_equal_times_in_a_series_are_numbered_alike_however_the_log_is_cut() -> None:
    rows = [(("s", at), f"series {at % 2}", at // 6) for at in range(40)]
    whole = number(rows, {})
    assert set(whole.above_one.values()) == {2, 3}
    for cut in range(1, 40):
        first = number(rows[:cut], {})
        second = number(rows[cut:], first.after)
        assert first.above_one | second.above_one == whole.above_one
        assert second.after == whole.after


def test_numbers_remember_a_series_last_times_only() -> None:
    rows = [(("s", at), "series", at) for at in range(1000)]
    assert len(number(rows, {}).after["series"]) == KEPT
