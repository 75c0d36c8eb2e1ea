"""A workstation with everything on it, in one session: what its frames cost while the power meter comes and goes."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchctl.emulator.emulator import Emulator
from benchlab.cli import free_port
from benchlab.event import Aligned, Event
from support.fake_nvml import FakeNvml
from support.processes import Run, Start, ended, until
from support.recorded_sysfs import RecordedRapl

UID = "0123456789ABCDEF01234567"
SYSTEM_W, GPU_W, CPU_W = 330.0, 150.0, 80.0
RAILS = {
    "eps1_v": 12.0,
    "eps1_a": 10.0,
    "eps1_w": 120.0,
    "atx12v_v": 12.0,
    "atx12v_a": 5.0,
    "atx12v_w": 60.0,
    "hpwr1_v": 12.0,
    "hpwr1_a": 12.5,
    "hpwr1_w": 150.0,
    "temp_c": 24.5,
    "humidity_pct": 40.0,
    "vdd_v": 3.3,
    "vref_v": 3.0,
}
BOARD, CONSUMERS = "benchlab.usb:p_sys", "gpu.nvml:power_w+cpu.rapl:package_w"
PIPELINE = (
    "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! tee name=ingress "
    "! x264enc name=enc tune=zerolatency speed-preset=ultrafast ! fakesink"
)
PATIENCE_S = 120.0
ENOUGH = 30


@contextmanager
def busy_processor(rapl: RecordedRapl) -> Iterator[None]:
    """Let the recorded counter count CPU_W while the block lasts."""
    stop = threading.Event()

    def count() -> None:
        start_uj, began_s = rapl.energy_uj("intel-rapl:0"), time.monotonic()
        while not stop.wait(0.02):
            rapl.set_uj("intel-rapl:0", start_uj + round(CPU_W * 1e6 * (time.monotonic() - began_s)))

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Workstation:
    """The session folder of a running workstation, and its port of /metrics."""

    def __init__(self, root: Path, port: int) -> None:
        self.dir = root / "sessions" / "s"
        self.port = port

    def raw(self, stream: str) -> list[Event]:
        return [msgspec.json.decode(line, type=Event) for line in whole_lines(self.dir / f"raw/{stream}.jsonl")]

    def told(self, stream: str, what: str, which: str) -> list[Event]:
        """Return the lines in which a source's story goes on."""
        return [row for row in self.raw(stream) if row.kv.get("event") == what and row.kv.get("which") == which]

    def pairs(self) -> list[Aligned]:
        rows = [msgspec.json.decode(line, type=Aligned) for line in whole_lines(self.dir / "aligned/latency.jsonl")]
        return [row for row in rows if row.source == "metric.latency"]

    def costed_by(self, power_source: str, since_ns: int = 0) -> list[dict[str, Any]]:
        rows = [row for row in self.pairs() if row.ts_aligned_ns > since_ns]
        return [row.kv for row in rows if row.kv.get("power_source") == power_source]

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text: bytes = answer.read()
        return text.decode()


def whole_lines(path: Path) -> list[bytes]:
    return path.read_bytes().rpartition(b"\n")[0].splitlines() if path.exists() else []


def stop(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        code, _, said = ended(process)
        assert code == 0, said


@pytest.mark.usefixtures("gst")
def test_frames_are_costed_by_real_meters_through_an_unplugged_board(start: Start, run: Run, tmp_path: Path) -> None:
    root, port, link = tmp_path / "root", free_port(), tmp_path / "ttyBOARD"
    where = ("--data-root", str(root), "--session", "s")
    nvml = FakeNvml(tmp_path / "nvml")
    gpu = nvml.gpu(0, power_w=GPU_W)
    nvml.energy_runs(0, 5000.0, GPU_W)
    rapl = RecordedRapl(tmp_path / "machine", "intel_client")
    here = Workstation(root, port)

    def count(power_source: str, since_ns: int = 0) -> Callable[[], bool]:
        return lambda: len(here.costed_by(power_source, since_ns)) >= ENOUGH

    with Emulator("original", uid=UID, values=RAILS, link=link) as board, busy_processor(rapl):
        muxd = start("muxd", *where, "--pair", "ingress", "encoded", "--prom-bind", f"127.0.0.1:{port}")
        collectors = (
            start("benchlabd", *where, "--device", str(link)),
            start("telemetryd", *where, **nvml.env, BENCHLAB_CPU_ENABLE_RAPL="false"),
            start("telemetryd", *where, "--stream", "rapl", "--source", "cpu.rapl", "--root", str(rapl.root)),
            start("pipeline_probes", *where, "--pipeline", PIPELINE, *stages("ingress.src", "enc.src")),
        )
        until(count(BOARD), PATIENCE_S)
        text = here.metrics()
        board.unplug()
        until(lambda: here.told("benchlab", "source_down", "benchlab.usb"), PATIENCE_S)
        until(count(CONSUMERS), PATIENCE_S)
        assert 'benchlab_source_up{source="benchlab.usb"} 0.0' in here.metrics()
        board.replug()
        until(lambda: here.told("benchlab", "source_up", "benchlab.usb"), PATIENCE_S)
        back_ns = here.told("benchlab", "source_up", "benchlab.usb")[-1].ts_ns
        until(count(BOARD, back_ns), PATIENCE_S)
        stop(*collectors)
        assert run("benchctl", "session", "close", "s", "--data-root", str(root)).returncode == 0
        stop(muxd)
    assert board.violations == []

    (down,) = here.told("benchlab", "source_down", "benchlab.usb")
    assert (down.dev, here.told("benchlab", "source_up", "benchlab.usb")[-1].dev) == (UID, UID)
    readings = [row for row in here.raw("benchlab") if row.source == "benchlab.usb"]
    assert {row.kv["p_sys"] for row in readings} == {SYSTEM_W}
    assert not [row for row in readings if down.ts_ns < row.ts_ns < back_ns]
    assert {row.dev for row in here.raw("telemetry") if row.source == "gpu.nvml"} == {gpu}
    seen = {row.source for stream in ("benchlab", "telemetry", "rapl", "pipeline") for row in here.raw(stream)}
    assert {"benchlab.usb", "gpu.nvml", "cpu.rapl", "cpu.psutil", "mem.psutil", "pipeline"} <= seen
    assert not any(row.sim for row in here.pairs())

    for pair in here.costed_by(BOARD):
        assert pair["power_w"] == pytest.approx(SYSTEM_W)
        assert pair["energy_j"] == pytest.approx(SYSTEM_W * pair["lat_ms"] / 1e3)
    middle = [row.kv["power_w"] for row in here.pairs() if row.kv.get("power_source") == CONSUMERS]
    assert sorted(middle)[len(middle) // 2] == pytest.approx(GPU_W + CPU_W, rel=0.1)
    for name in ("benchlab_rail_power_watts", "benchlab_gpu_power_watts", "benchlab_cpu_package_power_watts"):
        assert f"\n{name}{{" in text, name
    for name in ("benchlab_stage_latency_seconds_count", "benchlab_frame_energy_joules_count"):
        assert f"\n{name}{{" in text, name

    assert run("muxd", *where, "--replay", "--pair", "ingress", "encoded").returncode == 0
    verified = run("benchctl", "verify", "s", "--data-root", str(root))
    assert verified.returncode == 0, verified.stdout


def stages(*pads: str) -> list[str]:
    names = ("ingress", "encoded")
    return [word for name, pad in zip(names, pads, strict=True) for word in ("--stage", f"{name}={pad}")]
