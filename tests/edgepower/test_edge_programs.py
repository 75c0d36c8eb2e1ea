"""The program itself: each device from its fixture or emulator to /metrics, to raw, and to muxd's energy."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchlab.cli import free_port
from benchlab.event import Event
from edgepower.collectors import MODULES
from edgepower.detect import device_type_of
from support.edge_exporter import ask, ask_json
from support.edge_fixtures import FIXTURES, load, plant
from support.emulated_shelly import EmulatedShelly
from support.processes import ended, until
from support.recorded_sysfs import RecordedRapl
from support.tree import REPOSITORY, program_env

Start = Callable[..., "subprocess.Popen[bytes]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

FAKE_TEGRASTATS = REPOSITORY / "tests" / "support" / "fake_tegrastats.py"
NS = 1_000_000_000


class Exporter:
    """A running edgepower on ports of its own."""

    def __init__(
        self, start: Start, folder: Path, document: str, *flags: str, program: str = "edgepower", **env: str
    ) -> None:
        self.folder = folder
        self.port, self.reload_port = free_port(), free_port()
        self.path = folder / "config.yaml"
        self.path.write_text(document)
        self.data = folder / "data"
        ports = ("--port", str(self.port), "--reload-port", str(self.reload_port))
        where = ("--data-root", str(self.data), "--session", "s", "--device-config", str(self.path))
        self.process = start(program, *where, *ports, *flags, **env)

    def metrics(self) -> str:
        try:
            return ask(self.port, "GET", "/metrics")[2].decode()
        except OSError:
            return ""

    def value(self, name: str) -> float | None:
        found = re.search(rf"^{name}(?:\{{.*\}})? (\S+)$", self.metrics(), re.MULTILINE)
        return float(found[1]) if found else None

    def events(self, source: str) -> list[Event]:
        path = self.data / "sessions" / "s" / "raw" / "edgepower.jsonl"
        if not path.exists():
            return []
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        events = [msgspec.json.decode(line, type=Event) for line in whole.splitlines()]
        return [event for event in events if event.source == source]

    def end(self) -> None:
        self.process.terminate()
        code, _, err = ended(self.process)
        assert code == 0, err
        assert "Traceback" not in err, err


class Device:
    """A device type's document, its root, the total that it must read, and what keeps it going."""

    def __init__(self, document: str, root: Path, total_w: float, tick: Callable[[], object] = lambda: None) -> None:
        self.document = document
        self.root = root
        self.total_w = total_w
        self.tick = tick


def jetson(folder: Path, using: ExitStack) -> Device:
    lines = FIXTURES / "tegrastats" / "agx_orin.txt"
    one = folder / "line.txt"
    one.write_text(lines.read_text().splitlines()[0] + "\n")
    command = json.dumps([sys.executable, str(FAKE_TEGRASTATS), str(one)])
    return Device(f"device_type: jetson_orin\ntegrastats:\n  command: {command}\n", plant(folder / "root", {}), 19.799)


def raspberry_pi(folder: Path, using: ExitStack) -> Device:
    chip = {"name": "ina260", "in1_input": "5100", "curr1_input": "1000", "power1_input": "5100000"}
    root = plant(folder / "root", {f"sys/class/hwmon/hwmon0/{name}": text for name, text in chip.items()})
    return Device("device_type: raspberry_pi\n", root, 5.1)


def orange_pi(folder: Path, using: ExitStack) -> Device:
    supply = {"type": "Mains", "online": "1", "voltage_now": "5000000", "current_now": "800000"}
    files = {f"sys/class/power_supply/axp20x-ac/{name}": text for name, text in supply.items()}
    return Device("device_type: orange_pi\n", plant(folder / "root", files), 4.0)


def lattepanda(folder: Path, using: ExitStack) -> Device:
    tree = RecordedRapl(folder / "root", "intel_client")
    return Device("device_type: lattepanda\n", folder / "root", 0.0, lambda: tree.draw(p0=1.0))


def shelly(folder: Path, using: ExitStack) -> Device:
    status = load("shelly/gen2_plug_status.json")
    plug = EmulatedShelly(2, load("shelly/gen2_plug_about.json"), status, "secret")
    using.enter_context(plug.running())

    def burn() -> None:
        status["switch:0"]["aenergy"]["total"] += 0.01

    document = f"device_type: shelly\nshelly:\n  host: {plug.host}\n  password: secret\n"
    return Device(document, folder, 61.9, burn)


DEVICES = {make.__name__: make for make in (jetson, raspberry_pi, orange_pi, lattepanda, shelly)}


@pytest.fixture
def using() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def frames_between(exporter: Exporter, first_ns: int, last_ns: int) -> None:
    """Record three frames of a pipeline, spread over the time between two readings."""
    step_ns = (last_ns - first_ns) // 4
    events: list[dict[str, Any]] = []
    for frame in range(3):
        for stage, after_ns in (("ingress", 0), ("encoded", step_ns // 2)):
            ts_ns = first_ns + frame * step_ns + step_ns // 2 + after_ns
            events.append({"ts_ns": ts_ns, "source": "pipeline", "kv": {"stage": stage, "frame": frame}})
    path = exporter.data / "sessions" / "s" / "raw" / "pipeline.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))


@pytest.mark.parametrize("kind", DEVICES)
def test_each_device_reaches_metrics_raw_and_the_energy_of_a_frame(
    kind: str, start: Start, run: Run, tmp_path: Path, using: ExitStack
) -> None:
    device = DEVICES[kind](tmp_path, using)
    exporter = Exporter(start, tmp_path, device.document, "--root", str(device.root), "--interval", "0.2")
    device_type = device.document.split()[1]
    source = f"edge.{device_type}"

    def is_measured() -> bool:
        device.tick()
        return len([event for event in exporter.events(source) if "power_total_watts" in event.kv]) >= 4

    until(is_measured, 60)
    labels = f'device_type="{device_type}",hostname="{os.uname().nodename}"'
    shown = [line for line in exporter.metrics().splitlines() if line.startswith("power_total_watts{")]
    assert len(shown) == 1 and labels in shown[0], exporter.metrics() + exporter.path.read_text()
    total_w = float(shown[0].split()[-1])
    assert total_w > 0 and (not device.total_w or total_w == pytest.approx(device.total_w, rel=1e-3))
    assert "power_total_watts: true" in exporter.path.read_text()
    exporter.end()

    powers = [event for event in exporter.events(source) if "power_total_watts" in event.kv]
    assert all(event.sim is False for event in powers)
    frames_between(exporter, powers[0].ts_ns, powers[-1].ts_ns)
    done = run("muxd", "--data-root", str(exporter.data), "--session", "s", "--pair", "ingress", "encoded", "--once")
    assert done.returncode == 0, done.stderr
    rows = (exporter.data / "sessions" / "s" / "aligned" / "latency.jsonl").read_text().splitlines()
    pairs = [json.loads(row)["kv"] for row in rows]
    assert len(pairs) == 3
    for pair in pairs:
        assert pair["power_source"] == f"{source}:power_total_watts", pair
        assert pair["power_w"] > 0 and pair["energy_j"] > 0
        if device.total_w:
            assert pair["power_w"] == pytest.approx(device.total_w, rel=1e-3)


@pytest.mark.parametrize("kind", DEVICES)
def test_once_shows_each_device_and_changes_nothing(kind: str, run: Run, tmp_path: Path, using: ExitStack) -> None:
    device = DEVICES[kind](tmp_path, using)
    path = tmp_path / "config.yaml"
    path.write_text(device.document)
    done = run("edgepower", "--device-config", str(path), "--root", str(device.root), "--once", "--json")
    assert done.returncode == 0, done.stderr
    (event,) = map(json.loads, done.stdout.splitlines())
    assert event["source"] == f"edge.{device.document.split()[1]}"
    assert not device.total_w or event["kv"]["power_total_watts"] == pytest.approx(device.total_w, rel=1e-3)
    assert path.read_text() == device.document


@pytest.mark.parametrize("device_type", MODULES)
def test_every_device_type_can_be_simulated_and_is_marked_so(device_type: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"device_type: {device_type}\n")
    if device_type == "shelly":
        path.write_text("device_type: shelly\nshelly:\n  host: 192.0.2.1\n")
    done = run("edgepower", "--device-config", str(path), "--simulate", "--once", "--json")
    assert done.returncode == 0, done.stderr
    (event,) = map(json.loads, done.stdout.splitlines())
    assert (event["source"], event["sim"]) == (f"edge.{device_type}", True)
    powers_w = [value for key, value in event["kv"].items() if key.endswith("_watts") and value > 0]
    assert bool(powers_w) == (device_type != "jetson_tx1")  # whose tegrastats tells no power


SIMULATED = "device_type: jetson_orin\ninterval: 0.2\nmetrics:\n  power_total_watts: true\n"


def test_a_device_that_vanishes_leaves_metrics_and_comes_back(start: Start, tmp_path: Path) -> None:
    device = raspberry_pi(tmp_path, ExitStack())
    exporter = Exporter(start, tmp_path, device.document, "--root", str(device.root), "--interval", "0.2")
    until(lambda: exporter.value("power_total_watts") == 5.1)
    chip = device.root / "sys/class/hwmon/hwmon0"
    chip.rename(tmp_path / "away")
    until(lambda: exporter.value("power_total_watts") is None and exporter.value("edge_device_up") == 0)
    assert ask_json(exporter.reload_port, "GET", "/health")[1]["status"] == "degraded"
    (tmp_path / "away").rename(chip)
    until(lambda: exporter.value("power_total_watts") == 5.1 and exporter.value("edge_device_up") == 1)
    exporter.end()
    told = [event.kv["event"] for event in exporter.events("meta")]
    assert "source_down" in told and "source_up" in told


def test_a_reload_changes_interval_and_device_without_a_restart(start: Start, tmp_path: Path) -> None:
    exporter = Exporter(start, tmp_path, SIMULATED, "--simulate")
    until(lambda: exporter.value("power_total_watts"))
    until(lambda: "power_gpu_watts: false" in exporter.path.read_text())
    exporter.path.write_text(SIMULATED.replace("jetson_orin", "raspberry_pi").replace("0.2", "0.3"))
    assert ask(exporter.reload_port, "POST", "/reload")[2] == b"Config reload triggered"
    until(lambda: exporter.events("edge.raspberry_pi"))
    until(lambda: "raspberry_pi_temp" in exporter.path.read_text())
    assert "jetson_orin" not in exporter.metrics()
    assert exporter.process.poll() is None
    exporter.path.write_text("device_type: [")
    ask(exporter.reload_port, "POST", "/reload")
    until(lambda: ask_json(exporter.reload_port, "GET", "/health")[1]["config_error"])
    assert exporter.value("power_total_watts")
    exporter.end()
    starts = [event.kv for event in exporter.events("meta") if event.kv["event"] == "start"]
    assert [each["period_ms"] for each in starts] == [200.0, 300.0]
    assert [event.kv["event"] for event in exporter.events("meta")].count("gap") == 0


def test_several_devices_of_one_type_are_told_apart(start: Start, tmp_path: Path) -> None:
    document = "interval: 0.2\ndevices:\n  - device_type: lattepanda\n  - device_type: orange_pi\n    name: desk\n"
    exporter = Exporter(start, tmp_path, document, "--simulate")
    host = os.uname().nodename
    wanted = (
        f'power_total_watts{{device_type="lattepanda",hostname="{host}"}} ',
        f'power_total_watts{{device_type="orange_pi",hostname="{host}",dev="desk"}} ',
        f'edge_device_simulated{{device_type="lattepanda",hostname="{host}"}} 1\n',
    )
    until(lambda: all(text in exporter.metrics() for text in wanted))
    exporter.end()
    assert {event.dev for event in exporter.events("edge.orange_pi")} == {"desk"}


def test_without_a_session_nothing_is_written_but_the_document(start: Start, tmp_path: Path) -> None:
    exporter = Exporter(start, tmp_path, SIMULATED, "--simulate", "--no-record")
    until(lambda: exporter.value("power_total_watts"))
    until(lambda: "power_gpu_watts: false" in exporter.path.read_text())
    exporter.end()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml"]


def test_the_seeds_entry_point_serves_without_recording(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"port: {free_port()}\nreload_port: {free_port()}\n{SIMULATED}")
    port = int((tmp_path / "config.yaml").read_text().split()[1])
    script = REPOSITORY / "scripts" / "exporter.py"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("BENCHLAB_", "PYTHON"))}
    env |= {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "none")}
    process = subprocess.Popen(
        [sys.executable, str(script), "--simulate"], cwd=tmp_path, env=env, stderr=subprocess.PIPE
    )
    try:
        until(lambda: b"\npower_total_watts{" in _body(port))
    finally:
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert not (tmp_path / "state").exists()


def _body(port: int) -> bytes:
    try:
        return ask(port, "GET", "/metrics")[2]
    except OSError:
        return b""


@pytest.mark.parametrize(("flag", "key"), [("--port", "port:"), ("--reload-port", "reload_port:")])
def test_a_port_that_is_taken_is_one_line_with_its_owner_and_the_key(
    flag: str, key: str, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(SIMULATED)
    ports = {"--port": str(free_port()), "--reload-port": str(free_port())}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports[flag] = str(taken.getsockname()[1])
        words = [word for pair in ports.items() for word in pair]
        done = run("edgepower", "--simulate", "--device-config", str(path), "--no-record", *words)
    assert done.returncode == 5
    assert re.fullmatch(
        rf"edgepower: \S+:{ports[flag]} is taken by \S+ \(pid {os.getpid()}\): "
        rf"set {key} in {path}, or {flag}, to another\n",
        done.stderr,
    )


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("device_type: jetson_orion\n", "line 1: device_type: found 'jetson_orion', expected one of"),
        ("device_type: jetson_orin\ninterval: 0\n", "line 2: interval: found 0, expected a number from 0.1"),
        ("device_type: shelly\nshelly:\n  hostname: x\n", "config.yaml, line"),
        ("a: [\n", "expected YAML"),
        (None, "no such file, and this is no board that is known: make it from configs/edgepower/config.yaml.template"),
    ],
)
def test_a_document_with_an_error_ends_the_program_with_one_line(
    document: str | None, words: str, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    if document is not None:
        path.write_text(document)
    done = run("edgepower", "--device-config", str(path), "--root", str(tmp_path))
    assert done.returncode == 3
    assert words in done.stderr and str(path) in done.stderr and done.stderr.count("\n") == 1


def test_without_the_library_for_its_document_the_program_says_what_installs_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['ruamel'] = None; from edgepower.main import main; sys.exit(main(['--simulate']))"
    done = subprocess.run([sys.executable, "-c", code], env=program_env(), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 3
    assert "needs ruamel.yaml" in done.stderr and "[edge]" in done.stderr and done.stderr.count("\n") == 1


def test_another_address_without_a_token_is_refused_before_anything_is_served(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(SIMULATED)
    env = {"BENCHLAB_EDGEPOWER_MANAGEMENT_BIND": "0.0.0.0"}
    done = run("edgepower", "--simulate", "--device-config", str(path), "--no-record", **env)
    assert done.returncode == 3
    assert "EDGEPOWER_TOKEN" in done.stderr and done.stderr.count("\n") == 1


def test_a_board_that_is_recognised_needs_no_document(start: Start, tmp_path: Path) -> None:
    device = raspberry_pi(tmp_path, ExitStack())
    plant(device.root, {"proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0"})
    exporter = Exporter(start, tmp_path, "", "--root", str(device.root), "--device-config", str(tmp_path / "made.yaml"))
    until(lambda: exporter.value("power_total_watts") == 5.1)
    made = tmp_path / "made.yaml"
    until(made.exists)
    assert 'device_type: "raspberry_pi"' in made.read_text()
    assert "power_total_watts: true" in made.read_text() and "power_voltage_volts: false" in made.read_text()
    exporter.end()


@pytest.mark.parametrize(
    ("files", "device_type"),
    [
        ({"proc/device-tree/compatible": "nvidia,p3701-0005\0nvidia,tegra234\0"}, "jetson_orin"),
        ({"proc/device-tree/compatible": "nvidia,p2972-0000\0nvidia,tegra194\0"}, "jetson_xavier"),
        ({"proc/device-tree/compatible": "nvidia,p2371-2180\0nvidia,jetson-tx1\0nvidia,tegra210\0"}, "jetson_tx1"),
        ({"proc/device-tree/compatible": "nvidia,jetson-nano\0nvidia,tegra210\0"}, "jetson_nano"),
        ({"proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0"}, "raspberry_pi"),
        ({"proc/device-tree/compatible": "xunlong,orangepi-5\0rockchip,rk3588s\0"}, "orange_pi"),
        ({"proc/device-tree/model": "Orange Pi 5\0"}, "orange_pi"),
        ({"sys/class/dmi/id/board_vendor": "LattePanda\n"}, "lattepanda"),
        ({"sys/class/dmi/id/product_name": "Standard PC (Q35)\n"}, None),
        ({}, None),
    ],
)
def test_boards_are_recognised(files: dict[str, str], device_type: str | None, tmp_path: Path) -> None:
    assert device_type_of(plant(tmp_path, files)) == device_type
