"""What an emulated device shows: given values, a recording at its own pace, the simulated computer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchctl.emulator.products import make
from benchctl.emulator.sources import LINES_TOLD, Given, Modelled, Recorded, read_values
from benchlab.boards.benchlab import BENCHLAB_2, ORIGINAL, Contract
from benchlab.boards.model import BoardModel, PowerRange
from benchlab.event import Event, encode_lines, meta
from benchlab.sim import LoadModel

NOW = 1_763_800_000_000_000_000
MS = 1_000_000
MAKE = make("original")
CONTRACT = Contract(ORIGINAL, 6)
Write = Callable[..., Path]


def event(at_ms: int, volts: float, dev: str | None = None) -> Event:
    return Event(ts_ns=NOW + at_ms * MS, source="benchlab.usb", kv={"eps1_v": volts, "atx12v_w": 1.0}, dev=dev)


def volts(frame: bytes) -> float:
    return CONTRACT.decode(frame).rails[0].mv / 1000


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(*lines: Event | bytes) -> Path:
        path = tmp_path / "benchlab.jsonl"
        path.write_bytes(b"".join(line if isinstance(line, bytes) else encode_lines([line]) for line in lines))
        return path

    return _write


def recorded(path: Path, said: list[str] | None = None, speed: float = 1.0, *, loop: bool = False) -> Recorded:
    told: list[str] = [] if said is None else said
    return Recorded(MAKE, path, told.append, speed, loop=loop)


def test_recording_keeps_its_distances_from_the_first_reading_on(write: Write) -> None:
    path = write(meta(NOW, "start"), event(0, 1), event(100, 2), event(350, 3))
    source = recorded(path)
    shown = [(at, volts(source.frame(70.0 + at))) for at in (0.0, 0.099, 0.101, 0.349, 0.351)]
    assert shown == [(0.0, 1), (0.099, 1), (0.101, 2), (0.349, 2), (0.351, 3)]


def test_recording_is_over_once_its_last_line_was_shown(write: Write) -> None:
    source = recorded(write(event(0, 1), event(100, 2), event(350, 3)))
    assert not source.is_over(1e9)  # nobody has read it
    source.frame(10.0)
    source.frame(10.4)
    assert not source.is_over(10.59)
    assert source.is_over(10.61)
    assert volts(source.frame(10.61)) == 3


def test_speed_shortens_the_distances(write: Write) -> None:
    source = recorded(write(event(0, 1), event(100, 2), event(350, 3)), speed=10.0)
    assert [volts(source.frame(5.0 + at)) for at in (0.0, 0.009, 0.011, 0.036)] == [1, 1, 2, 3]


def test_loop_begins_again_one_step_behind_the_last_line(write: Write) -> None:
    source = recorded(write(event(0, 1), event(100, 2), event(200, 3)), loop=True)
    shown = [volts(source.frame(5.0 + at / 1000)) for at in (0, 150, 250, 310, 450, 510, 3010)]
    assert shown == [1, 2, 3, 1, 2, 3, 1]
    assert not source.is_over(1e9)


def test_recording_of_one_line_can_be_looped(write: Write) -> None:
    source = recorded(write(event(0, 1)), loop=True)
    assert [volts(source.frame(5.0 + at)) for at in (0.0, 0.5)] == [1, 1]


def test_loop_that_nobody_has_read_for_a_year_goes_on_at_once(write: Write) -> None:
    source = recorded(write(event(0, 1), event(100, 2), event(200, 3)), loop=True)
    year_s = 30_000_000 * 0.3  # whole laps
    shown = [volts(source.frame(5.0 + at)) for at in (0.0, 0.01 + year_s, 0.11 + year_s, 0.21 + year_s, 0.31 + year_s)]
    assert shown == [1, 1, 2, 3, 1]


def test_time_of_a_recording_never_runs_back(write: Write) -> None:
    source = recorded(write(event(0, 1), event(100, 2), event(90, 3), event(200, 4)))
    assert [volts(source.frame(5.0 + at)) for at in (0.0, 0.095, 0.105, 0.205)] == [1, 1, 3, 4]


def test_of_several_devices_the_first_is_shown(write: Write) -> None:
    source = recorded(write(event(0, 1, "A"), event(50, 9, "B"), event(100, 2, "A")))
    assert [volts(source.frame(5.0 + at)) for at in (0.0, 0.06, 0.11)] == [1, 1, 2]


def test_bad_lines_are_named_and_left_out(write: Write) -> None:
    said: list[str] = []
    path = write(b"{half\n", event(0, 1), event(50, 40.0), b'{"ts_ns":-1,"source":"s","kv":{}}\n', event(100, 2))
    source = recorded(path, said)
    assert [volts(source.frame(5.0 + at)) for at in (0.0, 0.06, 0.11)] == [1, 1, 2]
    assert [text.split(": ")[0] for text in said] == [f"{path}:1", f"{path}:3", f"{path}:4"]
    assert "not_json" in said[0]
    assert "eps1_v: found 40, expected" in said[1]
    assert "bad_ts_ns" in said[2]


def test_what_the_product_cannot_show_is_told_once(write: Write) -> None:
    said: list[str] = []
    strange = [Event(ts_ns=NOW + n, source="benchlab.usb", kv={"eps1_v": 12.0, "hpwr1_wire1_a": 1.0}) for n in range(3)]
    path = write(*strange)
    assert volts(recorded(path, said).frame(1.0)) == 12.0
    assert said == [f"{path}:1: a BENCHLAB firmware 6 does not show hpwr1_wire1_a"]


def test_thousand_bad_lines_are_not_told_one_by_one(write: Write) -> None:
    said: list[str] = []
    source = recorded(write(event(0, 1), *[b"junk\n"] * 1000), said)
    source.frame(0.0)
    assert len(said) == LINES_TOLD + 1
    assert "1000 lines left out in all" in said[-1]


@pytest.mark.parametrize(
    "lines", [(), (b"junk\n",), (meta(NOW, "start"),), (Event(NOW, "cpu.psutil", {"cpu_util": 3}),)]
)
def test_file_without_a_reading_is_refused(write: Write, lines: tuple[Event | bytes, ...]) -> None:
    with pytest.raises(ValueError, match="found no reading that a BENCHLAB firmware 6 could show"):
        recorded(write(*lines))


def test_given_values_must_be_shown_by_the_product() -> None:
    with pytest.raises(ValueError, match="hpwr1_wire1_a: a BENCHLAB firmware 6 does not show this"):
        Given(MAKE, {"hpwr1_wire1_a": 1.0})
    assert volts(Given(MAKE, {"eps1_v": 12.0, "p_sys": 100.0}).frame(0.0)) == 12.0


def test_values_are_read_by_key_or_by_rail(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    path.write_text('{"eps1": {"v": 12.1, "a": 3}, "ts1_c": 31.5, "fan_switch": "auto"}')
    assert read_values(path) == {"eps1_v": 12.1, "eps1_a": 3.0, "ts1_c": 31.5, "fan_switch": "auto"}


@pytest.mark.parametrize("text", ["", "[1]", '{"eps1_v": [1]}', '{"eps1_v": 1'])
def test_values_that_are_no_object_of_values_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "values.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"values\.json: .*expected an object of values by key"):
        read_values(path)


def test_model_is_the_simulator_s() -> None:
    frame = CONTRACT.decode(Modelled(MAKE, 7, lambda: NOW).frame(0.0))
    model = BoardModel(LoadModel(7), PowerRange(), 7).measure(NOW)
    shown = {name: rail.mw / 1000 for name, rail in zip(ORIGINAL.rails, frame.rails, strict=True)}
    assert shown == {name: model[f"{name}_w"] for name in ORIGINAL.rails}
    assert frame.fans[0].rpm == model["fan1_rpm"]


def test_wires_of_a_plug_carry_what_the_plug_carries() -> None:
    rails = Contract(BENCHLAB_2, 7).decode(Modelled(make("bl2"), 1, lambda: NOW).frame(0.0)).rails
    for plug, wires in ((rails[9], rails[11:17]), (rails[10], rails[17:23])):
        assert sum(wire.ma for wire in wires) == pytest.approx(plug.ma, abs=6)
        assert sum(wire.mw for wire in wires) == pytest.approx(plug.mw, abs=6)
        assert {wire.mv for wire in wires} == {plug.mv}
