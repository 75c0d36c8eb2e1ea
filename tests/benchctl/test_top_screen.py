"""top's screen at every width, with every content: no line is longer than the terminal, nothing in it is obeyed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from benchctl.sink_status import SinkStatus
from benchctl.summary import PairSummary
from benchctl.top import press
from benchctl.top_screen import View, footer, lines
from benchctl.top_session import MuxRow, Snapshot, VmRow
from benchctl.top_stream import SourceRow
from benchctl.top_terminal import keys_of

UP = SourceRow("telemetry", "gpu.nvml", "GPU-1", "up", 0.1, 10.0, 212.5)
DOWN = SourceRow("telemetry", "cpu.rapl", None, "down", 90.0, reason="no RAPL zone", fix="modprobe intel_rapl_msr")
SIMULATED = SourceRow("benchlab", "benchlab.usb", "A1", "up", 0.2, 9.9, 93.0, simulated=True)
PAIR = PairSummary(("ingress", "encoded"), 60, 10.5, 19.25, 24.125, 311.0, 200.0, 3.5, {"lost": 4, "open_at_end": 9})
VM = VmRow("6a", "db-1", "running", 1.0, 28.9, 1 << 30, 12.5, 750.0)


def snapshot(**more: object) -> Snapshot:
    made = Snapshot(
        1_700_000_000_000_000_000,
        "/data",
        "lab-1",
        "open",
        75.0,
        pairs=[PAIR],
        sources=[UP, DOWN, SIMULATED],
        vms=[VM],
        muxd=MuxRow(7, 2048, 0.5, 0.4),
        sinks=[SinkStatus("sqlite", {"raw/telemetry.jsonl": 0}), SinkStatus("influx", {"latency.jsonl": 4096})],
    )
    for name, value in more.items():
        setattr(made, name, value)
    return made


def shown(found: Snapshot, width: int = 120, view: View | None = None) -> str:
    return "\n".join(line.plain for line in lines(found, view or View(), width))


def line_of(found: str, name: str) -> str:
    (line,) = (line for line in found.splitlines() if name in line)
    return line


WORDS = st.text(max_size=60)


@given(
    width=st.integers(20, 200),
    reason=st.none() | WORDS,
    name=WORDS,
    dev=st.none() | WORDS,
    rate_hz=st.none() | st.floats(0, 1e12),
)
def test_no_line_is_longer_than_the_terminal_nor_holds_what_it_obeys(
    width: int, reason: str | None, name: str, dev: str | None, rate_hz: float | None
) -> None:
    source = SourceRow("s", name, dev, "down", 5.0, rate_hz, 1.5, reason, reason)
    pair = PairSummary((name, name), 3, 1.0, 2.0, 3.0)
    vm = VmRow("u", name, "running", 1.0)
    found = snapshot(session=name, sources=[source], pairs=[pair], vms=[vm], power_sources=[name])
    for line in [*lines(found, View(contains=name), width), footer(View(), width, 12)]:
        assert cell_len(line.plain) <= width
        assert line.plain.isprintable(), repr(line.plain)


@pytest.mark.parametrize("width", [60, 80])
def test_narrow_terminal_keeps_latency_watts_and_what_is_down(width: int) -> None:
    found = shown(snapshot(), width)
    pair = line_of(found, "ingress→encoded")
    assert all(part in pair for part in ("10.500", "24.125", "311.0", "3.500", " 4"))
    assert line_of(found, "cpu.rapl").startswith("down")
    assert "212.5" in line_of(found, "gpu.nvml")
    assert all(part in line_of(found, "db-1") for part in ("28.9", "1.0 GiB", "12.5"))


def test_columns_are_dropped_and_not_the_names() -> None:
    assert "GPU-1" in shown(snapshot(), 100)
    narrow = shown(snapshot(), 50)
    assert "GPU-1" not in narrow and "gpu.nvml" in narrow


def test_what_is_not_known_is_not_shown_as_zero() -> None:
    bare = PairSummary(("a", "b"), 2, 1.0, 1.0, 1.0)
    found = shown(snapshot(pairs=[bare], vms=[VmRow("6a", "db-1", "stopped", 9.0)]))
    assert "0.0" not in line_of(found, "a→b")
    assert line_of(found, "db-1").split() == ["stopped", "db-1", "9.0", "s"]
    assert "power of the frames is not known" in found


def test_simulated_is_said_in_the_heading_and_at_the_source() -> None:
    found = shown(snapshot(simulated=True))
    assert "SIMULATED" in found.splitlines()[0]
    assert line_of(found, "benchlab.usb").endswith("sim")
    assert "sim" not in line_of(found, "gpu.nvml")


def test_open_frames_are_no_drops() -> None:
    assert line_of(shown(snapshot()), "ingress→encoded").split()[-2] == "4"


def test_absent_source_has_its_reason_and_fix() -> None:
    assert "no RAPL zone (fix: modprobe intel_rapl_msr)" in line_of(shown(snapshot(), 150), "cpu.rapl")


def test_sinks_and_muxd_tell_how_far_they_are_behind() -> None:
    found = shown(snapshot())
    assert "2.0 KiB unread, last pair 0.4 s ago" in line_of(found, "muxd  ")
    assert line_of(found, "sqlite") == "sqlite  up to date"
    assert line_of(found, "influx") == "influx  4.0 KiB behind"
    assert line_of(shown(snapshot(sinks=[SinkStatus("influx")])), "influx") == "influx  nothing stored yet"
    anew = snapshot(sinks=[SinkStatus("sqlite", {"latency.jsonl": None})])
    assert line_of(shown(anew), "sqlite") == "sqlite  begins anew"


def test_no_session_says_what_makes_one() -> None:
    assert "benchctl demo" in shown(Snapshot(0, "/data"))


def test_order_puts_the_greatest_first_and_the_unknown_last() -> None:
    names = {"power": ["gpu.nvml", "benchlab.usb", "cpu.rapl"], "name": ["benchlab.usb", "cpu.rapl", "gpu.nvml"]}
    for order, expected in names.items():
        found = shown(snapshot(), 120, View(order=order))
        places = [found.index(name) for name in expected]
        assert places == sorted(places), order


def test_typed_text_filters_by_name_and_escape_shows_all() -> None:
    view = View()
    for key in ("/", "N", "v", "x", "backspace", "enter"):
        assert press(view, key, 24)
    assert (view.contains, view.typing) == ("Nv", False)
    found = shown(snapshot(), 120, view)
    assert "gpu.nvml" in found and "cpu.rapl" not in found
    press(view, "escape", 24)
    assert "cpu.rapl" in shown(snapshot(), 120, view)


def test_q_ends_unless_it_is_typed() -> None:
    view = View()
    assert not press(view, "q", 24)
    press(view, "/", 24)
    assert press(view, "q", 24)
    assert view.contains == "q"


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q", ["q"]),
        (b"\x1b[A\x1b[B", ["up", "down"]),
        (b"\x1bOA", ["up"]),
        (b"\x1b[5~s", ["page up", "s"]),
        (b"\x1b", ["escape"]),
        (b"\x1b[1;5Cq", ["q"]),
        (b"\x1b[99", []),
        ("ä/".encode(), ["ä", "/"]),
        (b"\xff?", ["\ufffd", "?"]),
    ],
)
def test_keys_are_told_apart(data: bytes, keys: list[str]) -> None:
    assert list(keys_of(data)) == keys


@given(st.binary(max_size=40))
def test_no_bytes_from_a_keyboard_are_too_much(data: bytes) -> None:
    assert all(list(keys_of(data)))
