"""What is exported, read back by the rules CapFrameX imports by."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchlab.host.identity import host_facts
from cx_exporter.check import findings
from cx_exporter.main import main
from support.capframex_reader import read_csv, read_json
from support.cx_sessions import MS, PAIR, START_NS, Recording, S, board, drop, event, frame, steady

GOLDEN = Path(__file__).parent.parent / "fixtures" / "capframex"


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recording:
    for name in ("CX_APP", "CX_STAGE_A", "CX_STAGE_B", "BENCHLAB_SESSION", "BENCHLAB_DATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return Recording(tmp_path / "data")


def export(recording: Recording, *args: str, name: str = "out.csv") -> Path:
    out = recording.data_root / name
    assert main(["--data-root", str(recording.data_root), "--session", "dev", "--out", str(out), *args]) == 0
    assert not [f for path in (out, out.with_suffix(".json")) if path.exists() for f in findings(path)]
    return out


def golden_session(recording: Recording) -> None:
    """A session in which everything happens: drops, power with a gap, a frame of no latency, two at one instant."""
    recording.describe(os="Debian 12", cpu_model="Intel(R) Core(TM) i9", memory_total="32795736 kB", gpu="RTX 4090")
    rows = [
        frame(START_NS + i * 20 * MS, 10.0 + i % 7, power_w=246.2, energy_j=2.5851, power_source="benchlab.usb:p_sys")
        for i in range(40)
    ]
    rows[5] = frame(START_NS + 100 * MS, 0.0, power_why="gap")
    rows[9] = frame(START_NS + 160 * MS, 12.25, power_why="gap")
    rows.insert(20, drop(START_NS + 310 * MS))
    recording.aligned(rows)
    recording.raw(board(START_NS - 150 * MS, START_NS + 400 * MS) + board(START_NS + 5 * S, START_NS + 6 * S))
    gpu = [event(START_NS + k * 100 * MS, "gpu.nvml", {"power_w": 120.0 + k, "temp_c": 60}) for k in range(-2, 12)]
    recording.raw(gpu, "telemetry")


@pytest.mark.parametrize("metric", ["latency", "interval"])
def test_files_are_byte_for_byte_the_golden_ones(recording: Recording, metric: str) -> None:
    golden_session(recording)
    out = export(recording, "--metric", metric)
    assert out.read_text() == (GOLDEN / f"{metric}.csv").read_text()
    assert out.with_suffix(".json").read_text() == (GOLDEN / f"{metric}.json").read_text()


def test_frames_and_metadata_come_back_from_csv_and_json(recording: Recording) -> None:
    golden_session(recording)
    out = export(recording)
    csv, native = read_csv(out), read_json(out.with_suffix(".json"))
    assert csv.frame_ms == native.frame_ms
    assert csv.seconds == pytest.approx(native.seconds)
    assert csv.dropped == native.dropped
    assert csv.metadata["GameName"] == native.metadata["GameName"] == "Vantage:Pipeline"
    assert csv.metadata["Comment"] == native.metadata["Comment"]
    assert csv.metadata["System RAM"] == native.metadata["SystemRam"] == "31.3 GiB"
    assert (csv.metadata["CreationDate"], csv.metadata["CreationTime"]) == ("2025-11-22", "08:26:40")
    assert csv.frame_ms[:3] == [10.0, 11.0, 12.0]
    assert csv.seconds[:3] == pytest.approx([0, 0.02, 0.04])


def test_a_drop_stands_at_its_entry_with_the_latency_of_the_row_before(recording: Recording) -> None:
    rows = steady(40)
    rows[7]["kv"]["lat_ms"] = 33.0
    recording.aligned([*rows, drop(START_NS + 7 * 16 * MS + 5 * MS)])
    csv = read_csv(export(recording))
    at = csv.dropped.index(True)
    assert csv.seconds[at] == pytest.approx(0.117)
    assert csv.frame_ms[at] == 33.0
    assert sum(csv.dropped) == 1
    assert "1 dropped frame placed at the time of entry" in csv.metadata["Comment"]


def test_a_drop_before_the_first_frame_has_the_latency_of_that_frame(recording: Recording) -> None:
    recording.aligned([*steady(40, lat_ms=12.5), drop(START_NS - 3 * MS)])
    csv = read_csv(export(recording))
    assert csv.dropped[:2] == [True, False]
    assert csv.frame_ms[0] == 12.5


def test_in_interval_mode_rows_hold_the_time_since_the_last_completed_frame(recording: Recording) -> None:
    recording.aligned([*steady(40), drop(START_NS + 36 * MS)])
    csv = read_csv(export(recording, "--metric", "interval"))
    at = csv.dropped.index(True)
    assert csv.frame_ms[at] == 4.0
    assert csv.frame_ms[at + 1] == 16.0
    assert len(csv.frame_ms) == 40
    assert csv.pc_latency_ms[0] == 10.5
    assert csv.pc_latency_ms[at] == 0


def test_interval_mode_without_drops_gives_the_true_frame_rate(recording: Recording) -> None:
    recording.aligned([*steady(61, step_ms=20), drop(START_NS + 36 * MS)])
    csv = read_csv(export(recording, "--metric", "interval", "--drops", "omit"))
    assert csv.average_fps == pytest.approx(50)
    assert not any(csv.dropped)
    assert "1 dropped frame left out" in csv.metadata["Comment"]


def test_two_frames_completed_at_one_instant_keep_their_rows_and_the_frame_rate(recording: Recording) -> None:
    batches = [frame(START_NS + i * 20 * MS, 5.0) for i in range(41) for _ in range(2)]
    recording.aligned(batches)
    csv = read_csv(export(recording, "--metric", "interval"))
    assert min(csv.frame_ms) == 0.000001
    assert csv.average_fps == pytest.approx(1000 * 81 / 800, rel=1e-6)
    assert "of less than 1 ns written as 0.000001 ms" in csv.metadata["Comment"]


def test_an_interval_reaches_back_to_the_frame_before_the_stretch(recording: Recording) -> None:
    recording.aligned(steady(80))
    csv = read_csv(export(recording, "--metric", "interval", "--from", "0.16"))
    assert len(csv.frame_ms) == 70
    assert csv.frame_ms[0] == 16.0
    assert csv.seconds[0] == 0


def test_from_and_to_cut_in_seconds_and_in_iso_times(recording: Recording) -> None:
    recording.aligned(steady(100, step_ms=10))
    seconds = export(recording, "--from", "0.2", "--to", "0.6")
    zoned = export(
        recording, "--from", "2025-11-22T09:26:40.200+01:00", "--to", "2025-11-22T08:26:40.6Z", name="iso.csv"
    )
    assert len(read_csv(seconds).frame_ms) == 40
    assert seconds.read_bytes() == zoned.read_bytes()


def test_power_lies_on_a_uniform_grid_from_the_first_row(recording: Recording) -> None:
    recording.aligned(steady(100))
    ramp = [event(START_NS + k * 100 * MS, "benchlab.usb", {"p_sys": 200.0 + k}) for k in range(-5, 30)]
    recording.raw(ramp)
    native = read_json(export(recording).with_suffix(".json"))
    assert native.step_ms == 100
    assert native.power["PmdSystemPower"] == pytest.approx([200.5 + k for k in range(16)])
    assert native.power["PmdGpuPower"] == []


def test_rails_and_chips_fill_their_arrays_and_charts(recording: Recording) -> None:
    recording.aligned(steady(100))
    recording.raw(board(START_NS - S, START_NS + 3 * S, watts=240.0))
    span = range(START_NS - S, START_NS + 3 * S, 100 * MS)
    chips = [event(t, "gpu.nvml", {"power_w": 111.4}) for t in span]
    chips += [event(t, "cpu.rapl", {"package_w": 55.0}) for t in span]
    recording.raw(chips, "telemetry")
    native = read_json(export(recording).with_suffix(".json"))
    assert set(native.power["PmdGpuPower"]) == {120.0}
    assert set(native.power["PmdCpuPower"]) == {60.0}
    assert set(native.power["PmdSystemPower"]) == {240.0}
    assert set(native.charted["GPU Power"]) == {111}
    assert set(native.charted["CPU Package"]) == {55}


def test_power_of_a_gpu_alone_is_not_called_system_power(recording: Recording) -> None:
    recording.aligned(steady(100, power_w=99.0, power_source="gpu.nvml:power_w"))
    recording.raw([event(START_NS + k * 100 * MS, "gpu.nvml", {"power_w": 99.0}) for k in range(-5, 30)])
    native = read_json(export(recording).with_suffix(".json"))
    assert native.power["PmdSystemPower"] == []
    assert set(native.power["PmdGpuPower"]) == {99.0}


def test_arrays_end_at_a_gap_in_power_and_the_comment_says_where(recording: Recording) -> None:
    recording.aligned(steady(1000))
    recording.raw(board(START_NS - S, START_NS + 4 * S + 1) + board(START_NS + 10 * S, START_NS + 20 * S, watts=300.0))
    native = read_json(export(recording).with_suffix(".json"))
    assert native.power["PmdSystemPower"] == [246.0] * 40
    assert "PmdSystemPower: benchlab.usb:p_sys, up to a gap at 4.000 s" in native.metadata["Comment"]


def test_power_that_begins_late_is_left_out_with_the_advice_that_mends_it(recording: Recording) -> None:
    recording.aligned(steady(1000))
    recording.raw(board(START_NS + 2 * S, START_NS + 20 * S))
    native = read_json(export(recording).with_suffix(".json"))
    assert native.power["PmdSystemPower"] == []
    assert "--from 2.000" in native.metadata["Comment"]
    assert native.sensor_seconds[0] == 2.0
    later = read_json(export(recording, "--from", "2.000", name="later.csv").with_suffix(".json"))
    assert set(later.power["PmdSystemPower"]) == {246.0}


def test_signals_serve_where_raw_is_gone(recording: Recording) -> None:
    recording.aligned(steady(1000))
    rows = [
        {"ts_aligned_ns": START_NS + k * S, "source": "benchlab.usb", "kv": {"p_sys": 100.0}} for k in range(-2, 20)
    ]
    recording.aligned(rows, "signals.jsonl")
    native = read_json(export(recording).with_suffix(".json"))
    assert native.step_ms == 1000
    assert native.power["PmdSystemPower"] == [100.0] * 16
    assert "aligned/signals.jsonl" in native.metadata["Comment"]


@pytest.mark.parametrize(("sim_of", "label"), [(None, "simulated"), (["gpu.nvml"], "partly simulated")])
def test_simulated_data_says_so_where_captures_are_listed(
    recording: Recording, sim_of: list[str] | None, label: str
) -> None:
    recording.aligned(steady(50, sim=True, sim_of=sim_of))
    out = export(recording)
    for capture in (read_csv(out), read_json(out.with_suffix(".json"))):
        assert capture.metadata["GameName"] == capture.metadata["ProcessName"] == f"Vantage:Pipeline ({label})"
        assert capture.metadata["Comment"].startswith("SIMULATED DATA")


def test_simulated_power_beside_real_frames_says_so(recording: Recording) -> None:
    recording.aligned(steady(50))
    recording.raw(board(START_NS - S, START_NS + 2 * S, sim=True))
    csv = read_csv(export(recording))
    assert csv.metadata["GameName"] == "Vantage:Pipeline (partly simulated)"
    assert csv.metadata["Comment"].startswith("SIMULATED DATA: benchlab.usb")


def test_the_same_session_exports_the_same_bytes_and_another_has_another_hash(
    recording: Recording, tmp_path: Path
) -> None:
    recording.aligned(steady(50))
    first, again = export(recording), export(recording, name="again.csv")
    assert first.read_bytes() == again.read_bytes()
    assert first.with_suffix(".json").read_bytes() == again.with_suffix(".json").read_bytes()
    other = Recording(tmp_path / "other")
    other.aligned(steady(50, lat_ms=10.6))
    assert read_json(export(other).with_suffix(".json")).hash != read_json(first.with_suffix(".json")).hash
    omitted = export(recording, "--metric", "interval", name="interval.csv")
    assert read_json(omitted.with_suffix(".json")).hash != read_json(first.with_suffix(".json")).hash


def test_metadata_survives_equals_signs_and_slashes_in_host_facts(recording: Recording) -> None:
    recording.describe(os="Debian // v=12\nsid", cpu_model="Ryzen, 9")
    recording.aligned(steady(50))
    csv = read_csv(export(recording))
    assert csv.metadata["OS"] == "Debian / v:12 sid"
    assert csv.metadata["Processor"] == "Ryzen, 9"


def test_one_flow_is_taken_alone_and_a_mixture_says_so(recording: Recording) -> None:
    rows = steady(50, flow="r5c") + steady(50, lat_ms=20.0, flow="yuan")
    recording.aligned(rows)
    assert "flows r5c, yuan are mixed" in read_csv(export(recording)).metadata["Comment"]
    alone = read_csv(export(recording, "--flow", "yuan", name="yuan.csv"))
    assert set(alone.frame_ms) == {20.0}


def test_notes_hold_power_and_energy_and_nothing_where_they_are_not_known(recording: Recording) -> None:
    rows = steady(50, power_w=246.2, energy_j=2.5851)
    del rows[1]["kv"]["power_w"], rows[1]["kv"]["energy_j"]
    recording.aligned(rows)
    lines = export(recording).read_text().splitlines()
    columns = next(line for line in lines if line.startswith("Application"))
    assert columns.endswith(",Note_Power_W,Note_Energy_J")
    data = lines[lines.index(columns) + 1 :]
    assert data[0].endswith(",246.200,2.585100")
    assert data[1].endswith(",,")


def test_rows_far_out_of_order_come_out_by_time(recording: Recording) -> None:
    rows = steady(200)
    recording.aligned(rows[::-1])
    csv = read_csv(export(recording))
    assert csv.seconds == pytest.approx([i * 0.016 for i in range(200)])


def test_golden_columns_are_those_of_presentmon_v1() -> None:
    line = next(x for x in (GOLDEN / "latency.csv").read_text().splitlines() if x.startswith("Application"))
    real = (GOLDEN / "presentmon_v1.csv").read_text(encoding="utf-8-sig").splitlines()[0]
    assert line.split(",")[:15] == real.split(",")[:15]


def test_aligned_rows_of_the_seeds_form_are_enough(recording: Recording) -> None:
    rows = [
        {"ts_aligned_ns": START_NS + i * 16 * MS, "source": "metric.latency", "kv": {"lat_ms": 10.5, "pair": [*PAIR]}}
        for i in range(30)
    ]
    recording.aligned(rows)
    assert len(read_csv(export(recording)).frame_ms) == 30


def test_identifier_is_a_guid(recording: Recording) -> None:
    recording.aligned(steady(50))
    identifier = read_json(export(recording).with_suffix(".json")).metadata["Id"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", identifier)


def test_the_facts_a_session_records_of_its_host_reach_the_metadata(recording: Recording, tmp_path: Path) -> None:
    root = tmp_path / "host"
    files = {
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12"\n',
        "proc/cpuinfo": "model name\t: Ryzen 9\n",
        "proc/meminfo": "MemTotal:       16777216 kB\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    recording.describe(**host_facts(root))
    recording.aligned(steady(50))
    found = read_csv(export(recording)).metadata
    assert (found["OS"], found["Processor"], found["System RAM"]) == ("Debian GNU/Linux 12", "Ryzen 9", "16.0 GiB")
    assert found["Motherboard"] == "unknown"
