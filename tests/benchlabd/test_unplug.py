"""Unplugged and plugged in again in mid-run: a gap that is recorded, and right data on both sides of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchctl.emulator.emulator import Emulator
from benchlab.event import Event
from benchlab.session import open_session
from support.meters import UID_A, UID_B, plug_in, pull_out
from support.mux_sessions import append, mux_closed, replayed, rows, written
from support.processes import Start, ended, until

BEFORE_W, AFTER_W = 120.0, 360.0
PATIENCE_S = 120.0


def watts(watts: float) -> dict[str, float]:
    """Return what a board shows that measures this power at one of its inputs."""
    return {"eps1_v": 12.0, "eps1_a": watts / 12.0, "eps1_w": watts, "vdd_v": 3.3, "vref_v": 3.0, "temp_c": 30.0}


class Recording:
    """A session that a benchlabd writes."""

    def __init__(self, start: Start, data_root: Path, *args: str) -> None:
        words = ("--data-root", str(data_root), "--session", "s", "--hz", "20", *args)
        self._process = start("benchlabd", *words)
        self._path = data_root / "sessions/s/raw/benchlab.jsonl"
        self._events: list[Event] = []
        self._offset = 0

    def events(self) -> list[Event]:
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, newline, _ = file.read().rpartition(b"\n")
            self._offset += len(whole + newline)
            self._events += [msgspec.json.decode(line, type=Event) for line in whole.splitlines()]
        return self._events

    def readings(self, dev: str = UID_A) -> list[Event]:
        return [event for event in self.events() if event.source == "benchlab.usb" and event.dev == dev]

    def metas(self, kind: str) -> list[Event]:
        return [event for event in self.events() if event.source == "meta" and event.kv["event"] == kind]

    def until_shown(self, watts: float, times: int = 10, dev: str = UID_A) -> None:
        until(lambda: sum(event.kv.get("p_sys") == watts for event in self.readings(dev)) >= times, PATIENCE_S)

    def until_down(self, dev: str = UID_A) -> None:
        until(lambda: any(event.dev == dev for event in self.metas("source_down")))

    def stop(self) -> str:
        self._process.terminate()
        code, _, said = ended(self._process)
        assert code == 0, said
        return said


def test_unplugging_leaves_a_gap_and_true_power_on_both_sides(start: Start, tmp_path: Path) -> None:
    link = tmp_path / "ttyBENCHLAB0"
    with Emulator("original", uid=UID_A, values=watts(BEFORE_W), link=link) as emulator:
        recording = Recording(start, tmp_path, "--device", str(link))
        recording.until_shown(BEFORE_W)
        emulator.unplug()
        recording.until_down()
        emulator.set(watts(AFTER_W))
        emulator.replug()
        recording.until_shown(AFTER_W)
        recording.stop()
    (down,) = [event for event in recording.metas("source_down") if event.dev == UID_A][:1]
    assert str(down.kv["reason"]).startswith(f"gone from {link}")
    up = recording.metas("source_up")[-1]
    assert (up.dev, up.kv["which"]) == (UID_A, "benchlab.usb")
    assert {event.kv["p_sys"] for event in recording.readings()} == {BEFORE_W, AFTER_W}

    found = frames_over(recording, tmp_path)
    before = [kv for ns, kv in found if ns < down.ts_ns - 100_000_000]
    between = [kv for ns, kv in found if down.ts_ns < ns < up.ts_ns - 20_000_000]
    after = [kv for ns, kv in found if ns > up.ts_ns + 100_000_000]
    assert before and between and after
    assert all(kv["power_w"] == pytest.approx(BEFORE_W) for kv in before if "power_why" not in kv)
    assert all(kv["power_w"] == pytest.approx(AFTER_W) for kv in after if "power_why" not in kv)
    assert sum("power_w" in kv for kv in before) >= 5
    assert sum("power_w" in kv for kv in after) >= 5
    assert {kv.get("power_why") for kv in between} == {"gap"}
    assert not any("energy_j" in kv for kv in between)


def frames_over(recording: Recording, data_root: Path) -> list[tuple[int, dict[str, object]]]:
    """Have frames pass all along a recording, and return when, and what muxd says of their power."""
    readings = recording.readings()
    session = open_session(data_root, "s", create=False)
    stages = [Event(ts_ns=readings[0].ts_ns, source="meta", kv={"event": "start", "disorder_ms": 20})]
    for frame, ns in enumerate(range(readings[0].ts_ns, readings[-1].ts_ns, 10_000_000)):
        stages.append(Event(ts_ns=ns, source="pipeline", kv={"stage": "ingress", "frame": frame}))
        stages.append(Event(ts_ns=ns + 5_000_000, source="pipeline", kv={"stage": "encoded", "frame": frame}))
    append(session, "pipeline", stages)
    mux_closed(session)
    assert replayed(session, data_root / "replayed") == written(session)
    return [(row["ts_aligned_ns"], row["kv"]) for row in rows(session) if row["source"] == "metric.latency"]


def test_board_that_comes_back_on_another_port_goes_on_there(start: Start, tmp_path: Path) -> None:
    """As udev does it: what was ttyACM0 is ttyACM1 when it is plugged in while somebody still held the first."""
    root = tmp_path / "host"
    with (
        Emulator("original", uid=UID_A, values=watts(BEFORE_W)) as first,
        Emulator("bl2", uid=UID_B, values=watts(AFTER_W)) as other,
    ):
        plug_in(root, "ttyACM0", first, "1-1")
        plug_in(root, "ttyACM1", other, "1-2")
        recording = Recording(start, tmp_path, "--device", "auto", "--root", str(root))
        recording.until_shown(BEFORE_W)
        recording.until_shown(AFTER_W, dev=UID_B)
        pull_out(root, "ttyACM0")
        first.unplug()
        recording.until_down()
        first.replug()
        plug_in(root, "ttyACM2", first, "1-3")
        seen, others = len(recording.readings()), len(recording.readings(UID_B))
        recording.until_shown(BEFORE_W, seen + 10)
        recording.until_shown(AFTER_W, others + 10, UID_B)
        recording.stop()
        assert first.violations == other.violations == []
    described = [row for event in recording.metas("source_up") for row in event.kv.get("sources", [])]
    ports = [Path(str(row["port"])).name for row in described if row.get("dev") == UID_A]
    assert ports == ["ttyACM0", "ttyACM2"]
    assert {event.dev for event in recording.metas("source_down")} == {UID_A}
