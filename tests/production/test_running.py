"""All services of the installation, each within its unit's own restrictions and as its user, side by side."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from production.conftest import Installation
from support.machine import Machine
from support.processes import until
from support.real_prometheus import metric_values, query_path
from support.sandbox import Service, wait_until_ready
from support.tree import program_env
from support.units import UNITS, Unit

pytestmark = pytest.mark.xdist_group("production")

Component = Callable[[str, str], str]

DAEMONS = [path.stem.removeprefix("benchlab-") for path in UNITS if Unit(path).one("Type") == "notify"]
SIMULATED = ("telemetry", "usb", "pimon", "vmstat", "edgepower")
COLLECTORS = ("telemetry", "usb", "pipeline", "pimon", "vmstat", "edgepower")
SOURCES = ("cpu.psutil", "gpu.nvml", "benchlab.usb", "pipeline", "pi.system", "vm.libvirt", "edge.jetson_orin")
EMULATED = b"SIM-EMULATED".hex().upper()
ADA, BOB = 1501, 1502

SENDER = """
import sys, time
import benchlab
for frame in range(int(sys.argv[1]), int(sys.argv[2])):
    benchlab.stage("ingress", frame=frame)
    time.sleep(0.01)
    benchlab.stage("encoded", frame=frame)
    time.sleep(0.01)
"""
INDEXER = """
import sys
from pathlib import Path
from benchlab.query.aligned import LATENCY_FILE
from benchlab.query.index import Index
print(Index(Path(sys.argv[1]), segment_bytes=256).refresh(LATENCY_FILE))
"""  # webd does this, of a file that is larger than those of a test
PROMETHEUS = """\
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: muxd
    static_configs:
      - targets: ["127.0.0.1:9109"]
  - job_name: edgepower
    static_configs:
      - targets: ["127.0.0.1:9100"]
"""


def stream_of(name: str) -> str:
    """Return the stream that a collector writes."""
    return f"raw/{'benchlab' if name == 'usb' else name}.jsonl"


class Site:
    """The services of an installation, by the name without ``benchlab-``; a program of ada sends stages to them."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.services: dict[str, Service] = {}
        self.frames = 0
        (machine.path("/mnt/cx-import")).mkdir(exist_ok=True)
        uid, gid = machine.ids("benchlab")
        os.chown(machine.path("/mnt/cx-import"), uid, gid)
        for name in DAEMONS:
            self.start(name)
        wait_until_ready(*self.services.values())

    def start(self, name: str) -> None:
        unit = Unit(self.machine.path(f"/etc/systemd/system/benchlab-{name}.service"))
        self.services[name] = Service(unit, self.machine, ["--simulate"] if name in SIMULATED else [])

    def restart(self, name: str, number: int) -> None:
        """Let a service end by a signal, and start it again as its unit says: whatever made it end."""
        self.services[name].kill(number)
        self.start(name)
        wait_until_ready(self.services[name])

    @property
    def session(self) -> Path:
        sessions = self.machine.path("/var/log/benchlab/sessions")
        return sessions / (sessions / "current").readlink()

    def lines(self, name: str, session: Path) -> list[dict[str, Any]]:
        path = session / name
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def members(self) -> list[int]:
        return [ADA, self.machine.gid("benchlab")]

    def send(self, frames: int) -> None:
        """Send frames to the stage socket as ada, who is in the group."""
        words = ["/opt/benchlab/.venv/bin/python", "-c", SENDER, str(self.frames), str(self.frames + frames)]
        done = subprocess.run(self.machine.words_of(ADA, self.members(), *words), capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        self.frames += frames

    def stop(self) -> dict[str, int]:
        return {name: service.stop() for name, service in self.services.items()}


@pytest.fixture(scope="module")
def site(installed: Installation) -> Iterator[Site]:
    made = Site(installed.machine)
    try:
        made.send(100)
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("name", DAEMONS)
def test_it_is_ready_and_tells_the_watchdog_that_it_lives(name: str, site: Site) -> None:
    until(site.services[name].has_petted, 60)
    assert site.services[name].is_ready()


@pytest.mark.parametrize("name", DAEMONS)
def test_it_runs_as_its_user_with_its_groups_and_no_privilege(name: str, site: Site) -> None:
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{site.services[name].pid}/status").read_text().splitlines()
    )
    uid, gid = site.machine.ids("benchlab")
    groups = {gid, *(site.machine.gid(one) for one in site.services[name].unit.words("SupplementaryGroups"))}
    assert status["Uid"].split() == [str(uid)] * 4 and status["Gid"].split() == [str(gid)] * 4
    assert set(map(int, status["Groups"].split())) == groups
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_collector_records(name: str, site: Site) -> None:
    until(lambda: [one for one in site.lines(stream_of(name), site.session) if one["source"] != "meta"], 60)


def test_what_is_recorded_belongs_to_the_group_and_to_nobody_else(site: Site) -> None:
    uid, gid = site.machine.ids("benchlab")
    for path in site.machine.path("/var/log/benchlab").rglob("*"):
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (uid, gid), path
        if not path.is_symlink():
            assert stat.S_IMODE(status.st_mode) & 0o777 == (0o750 if path.is_dir() else 0o640), path


def test_the_kernel_can_be_asked_whether_its_clock_is_synchronised(site: Site) -> None:
    assert json.loads((site.session / "session.json").read_text())["clock_synchronised"] in (True, False)


def test_frames_that_a_member_of_the_group_sends_are_paired(site: Site) -> None:
    until(lambda: len(site.lines("aligned/latency.jsonl", site.session)) >= 100, 60)


def test_dashboard_and_api_answer(site: Site) -> None:
    until(lambda: site.machine.get("http://127.0.0.1:3010/healthz"), 60)
    until(lambda: json.loads(site.machine.get("http://127.0.0.1:3010/api/live"))["rows"], 60)
    assert json.loads(site.machine.get("http://127.0.0.1:8585/health"))["status"] == "healthy"
    assert json.loads(site.machine.get("http://127.0.0.1:9101/health"))["status"] == "healthy"


def test_the_dashboard_keeps_what_people_say_and_the_index_of_a_session(site: Site) -> None:
    """As its user, within its unit: notes, bookmarks, and the index that makes long sessions quick."""
    session = site.session
    place = f"http://127.0.0.1:3010/api/sessions/{session.name}"
    assert json.loads(site.machine.get(f"{place}/notes", b'{"text": "cable swapped"}'))["text"] == "cable swapped"
    assert json.loads(site.machine.get(f"{place}/bookmarks", b'{"name": "load on"}'))["name"] == "load on"
    assert [note["text"] for note in site.lines("notes.jsonl", session)] == ["cable swapped"]
    marks = [one for one in site.lines("raw/bookmarks.jsonl", session) if one["source"] != "meta"]
    assert [one["kv"]["text"] for one in marks] == ["load on"]
    until(lambda: json.loads(site.machine.get(place) or b"{}").get("notes"), 60)
    unit = Unit(site.machine.path("/etc/systemd/system/benchlab-web.service"))
    indexer = [unit.command[0].replace("webd", "python"), "-c", INDEXER, f"/var/log/benchlab/sessions/{session.name}"]
    service = Service(unit, site.machine, command=indexer, log="index")
    assert service.wait() == 0, service.log.read_text()
    assert list((session / "state/index").glob("*")), service.log.read_text()
    test_what_is_recorded_belongs_to_the_group_and_to_nobody_else(site)


def test_edgepower_begins_with_the_configuration_of_etc_and_keeps_its_own(site: Site) -> None:
    given = site.machine.path("/etc/benchlab/edgepower.yaml").read_text()
    kept = site.machine.path("/var/lib/benchlab/edgepower/config.yaml")
    until(lambda: "metrics:\n  " in kept.read_text(), 60)  # which is what it found and chose
    assert kept.read_text().startswith(given.partition("\n")[0])
    assert site.machine.path("/etc/benchlab/edgepower.yaml").read_text() == given


def test_a_real_prometheus_scrapes_all(site: Site, component: Component, tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    config.write_text(PROMETHEUS)
    words = [
        component("prometheus", "prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
    ]
    command = site.machine.in_net(*words, "--web.listen-address=127.0.0.1:9090")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:

            def value(query: str) -> list[float]:
                answer = site.machine.get(f"http://127.0.0.1:9090{query_path(query)}")
                return metric_values(answer) if answer else []  # it has not begun to answer

            until(lambda: value("sum(up)") == [2.0], 60)
            for source in SOURCES:
                until(lambda: 1.0 in value(f'benchlab_source_up{{source="{source}"}}'), 60)  # noqa: B023
            until(lambda: value("benchlab_power_w"), 60)
            until(lambda: value("power_total_watts"), 60)
        finally:
            server.terminate()


def test_a_user_of_the_group_sees_the_sessions(site: Site) -> None:
    done = site.machine.run_as(ADA, site.members(), "benchctl", "session", "list")
    assert done.returncode == 0 and site.session.name in done.stdout
    done = site.machine.run_as(ADA, site.members(), "benchctl", "status", "--json")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [("session", "list"), ("status",), ("verify",), ("tail",)], ids=" ".join)
def test_who_is_not_in_the_group_gets_one_line_with_the_fix(words: tuple[str, ...], site: Site) -> None:
    done = site.machine.run_as(BOB, [BOB], "benchctl", *words)
    assert done.returncode == 5
    (line,) = done.stderr.splitlines()
    assert f"user {BOB} is not in: sudo usermod -aG benchlab $USER" in line


def test_who_may_only_read_is_told_how_to_record(site: Site) -> None:
    done = site.machine.run_as(ADA, site.members(), "benchctl", "session", "new")
    assert done.returncode == 5
    (line,) = done.stderr.splitlines()
    assert "sudo -u benchlab" in line


def test_root_makes_sessions_that_the_services_go_on_in(site: Site) -> None:
    before = site.session
    assert site.machine.run("benchctl", "session", "new").returncode == 0
    assert site.session != before
    until(lambda: len(site.lines("raw/benchlab.jsonl", site.session)) > 5, 60)
    assert site.session.stat().st_uid == site.machine.ids("benchlab")[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_restart_costs_the_others_an_event_or_muxd_a_row(number: signal.Signals, site: Site) -> None:
    site.machine.as_service("benchctl", "session", "new")
    session = site.session
    until(lambda: all(site.lines(stream_of(name), session) for name in COLLECTORS), 60)
    sent = 0
    for name in DAEMONS:
        if name == "pipeline":
            continue  # what is sent while nobody listens is lost: that is the sender's loss, see below
        site.send(25)
        site.restart(name, number)
        sent += 25
    site.send(25)
    sent += 25
    site.restart("pipeline", number)
    site.machine.as_service("benchctl", "session", "new")

    def verdict() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(site.machine.as_service("benchctl", "verify", "--json", session.name).stdout)
        return found

    until(lambda: verdict()["finished"], 90)
    (pair,) = verdict()["pairs"]
    assert (pair["pairs"], pair["drops"]) == (sent, {})
    for name in COLLECTORS:
        numbers = [line["seq"] for line in site.lines(stream_of(name), session)]
        assert numbers == list(range(len(numbers))), name
    replay = site.machine.as_service("muxd", "--session", session.name, "--replay")
    assert (replay.returncode, replay.stdout) == (0, ""), replay.stderr
    findings = {(finding["kind"], finding["file"]) for finding in verdict()["findings"]}
    killed = {("unclean_end", f"{stream_of(name).removeprefix('raw/')}") for name in COLLECTORS}
    assert findings == (killed if number == signal.SIGKILL else set())


def test_a_session_that_is_closed_is_exported_and_an_old_one_is_trimmed(site: Site) -> None:
    exported = site.machine.path("/mnt/cx-import")
    until(lambda: list(exported.glob("*.csv")) and list(exported.glob("*.json")), 60)
    unit = Unit(site.machine.path("/etc/systemd/system/benchlab-retention.service"))
    old = site.machine.path("/var/log/benchlab/sessions/2001-01-01T00-00-00Z/raw")
    old.mkdir(parents=True)
    (old / "telemetry.jsonl").write_text("")
    uid, gid = site.machine.ids("benchlab")
    for path in (old.parent, old, old / "telemetry.jsonl"):
        os.chown(path, uid, gid)
    assert Service(unit, site.machine).wait(120) == 0
    assert not old.exists() and site.session.exists()


def test_the_meter_is_read_through_its_node_only(site: Site) -> None:
    """A pty stands for the port: with the owner and mode that the udev rules give it."""
    words = [sys.executable, "-m", "benchctl", "emulate", "benchlab"]
    with subprocess.Popen(
        words, env=program_env(), stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as emulator:
        assert emulator.stdout is not None
        port = Path(emulator.stdout.readline().strip())
        try:
            os.chown(port, 0, site.machine.gid("benchlab"))
            port.chmod(0o660)
            site.services["usb"].stop()
            unit = Unit(site.machine.path("/etc/systemd/system/benchlab-usb.service"))
            there = replace(site.machine, devices={"ttyACM0": port})
            assert isinstance(there, Machine)
            site.services["usb"] = Service(unit, there)
            size = len(site.lines("raw/benchlab.jsonl", site.session))

            def measured() -> list[dict[str, Any]]:
                lines = site.lines("raw/benchlab.jsonl", site.session)[size:]
                return [one for one in lines if one["source"] == "benchlab.usb" and one.get("dev") == EMULATED]

            until(measured, 60)
        finally:
            site.services["usb"].stop()
            emulator.terminate()
            site.start("usb")


NODES = {
    "ttyACM0": ("benchlab", 0o660),
    "ttyUSB7": ("dialout", 0o660),
    "video0": ("benchlab", 0o660),
    "media0": ("video", 0o660),
    "dri/renderD128": ("render", 0o660),
    "i2c-1": ("i2c", 0o660),
    "vcio": ("video", 0o660),
    "nvidia0": ("root", 0o666),
}
"""Nodes as our udev rules, or those of the distribution and the driver, make them."""
SEEN = {
    "telemetry": {"nvidia0"},
    "usb": {"ttyACM0", "ttyUSB7"},
    "pipeline": {"video0", "media0", "dri/renderD128", "nvidia0"},
    "pimon": {"i2c-1", "vcio"},
    "edgepower": {"i2c-1", "vcio"},
}
LOOK = f"""
for node in {" ".join(NODES)}; do
    test -e /dev/$node && echo is $node
    test -r /dev/$node && test -w /dev/$node && echo yes $node
done
true
"""


@pytest.mark.parametrize("name", DAEMONS)
def test_of_all_nodes_it_may_use_its_own_and_sees_no_other(name: str, installed: Installation) -> None:
    """Plain files stand for the nodes: who may open one is decided by its owner, group and mode just so."""
    machine = installed.machine
    folder = machine.root.parent / "nodes"
    devices = {node: folder / node for node in NODES}
    for node, (group, mode) in NODES.items():
        devices[node].parent.mkdir(parents=True, exist_ok=True)
        devices[node].touch()
        os.chown(devices[node], 0, machine.gid(group))
        devices[node].chmod(mode)
    unit = Unit(machine.path(f"/etc/systemd/system/benchlab-{name}.service"))
    service = Service(unit, replace(machine, devices=devices), command=["/bin/sh", "-c", LOOK], log="nodes")
    assert service.wait() == 0
    told = [tuple(line.split()) for line in service.log.read_text().splitlines()]
    assert {node for word, node in told if word == "yes"} == {node for word, node in told if word == "is"}
    assert {node for _, node in told} == SEEN.get(name, set())


def test_all_end_well(site: Site) -> None:
    assert set(site.stop().values()) == {0}
    for name in DAEMONS:
        site.start(name)
    wait_until_ready(*site.services.values())
