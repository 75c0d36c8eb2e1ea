"""The figures that are shown: summaries, the live status, ports and tables."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from benchctl.live import EventRate, StatusLine
from benchctl.ports import moved
from benchctl.summary import lines, summarise
from benchctl.table import table
from benchlab.errors import Exit, Fault
from benchlab.event import Aligned

NS_PER_S = 1_000_000_000
MS = 1_000_000


def pair(at_s: float, lat_ms: float = 10.0, **kv: Any) -> Aligned:
    found = {"lat_ms": lat_ms, "pair": ["a", "b"], **kv}
    return Aligned(round(at_s * NS_PER_S) + round(lat_ms * MS / 2), "metric.latency", found)


def drop(reason: str) -> Aligned:
    return Aligned(0, "metric.dropped", {"pair": ["a", "b"], "stage": "a", "reason": reason})


def test_energy_of_the_recording_is_the_integral_of_power() -> None:
    rows = [pair(second, power_w=100.0 + second, power_source="x") for second in range(11)]
    summary = summarise(rows)
    assert summary.energy_j == pytest.approx(1050)
    assert summary.powered_s == pytest.approx(10)
    assert summary.power_sources == ["x"]


def test_energy_is_not_interpolated_across_a_gap_or_between_references() -> None:
    rows = [
        pair(0, power_w=100.0, power_source="x"),
        pair(1, power_w=100.0, power_source="x"),
        pair(10, power_w=100.0, power_source="x"),
        pair(11, power_w=50.0, power_source="y"),
    ]
    summary = summarise(rows)
    assert summary.energy_j == pytest.approx(100)
    assert summary.powered_s == pytest.approx(1)


def test_rows_in_order_of_decision_are_integrated_in_order_of_time() -> None:
    rows = [pair(at, power_w=100.0, power_source="x") for at in (0, 2, 1, 4, 3)]
    assert summarise(rows).energy_j == pytest.approx(400)


def test_missing_power_is_not_zero() -> None:
    summary = summarise([pair(0, power_why="no_source"), pair(1, power_w=50.0, energy_j=0.5, power_source="x")])
    (of_pair,) = summary.pairs
    assert (of_pair.power_w, of_pair.energy_j, of_pair.frame_energy_j) == (50.0, 0.5, 0.5)
    assert summarise([pair(0)]).pairs[0].power_w is None
    assert any("not known" in line for line in lines(summarise([pair(0)])))


def test_frames_cut_by_the_end_are_not_counted_as_dropped() -> None:
    said = list(lines(summarise([pair(0), drop("lost"), drop("lost"), drop("open_at_end")])))
    assert "dropped    lost 2" in said
    assert "cut off    open_at_end 1" in said


def test_summary_of_nothing_says_so() -> None:
    assert list(lines(summarise([]))) == ["pairs      none"]


def test_simulated_data_says_so_first() -> None:
    row = pair(0)
    row.sim = True
    assert next(iter(lines(summarise([row])))).startswith("simulated")


def test_event_rate_counts_new_lines_only(tmp_path: Path) -> None:
    now = [0.0]
    stream = tmp_path / "a.jsonl"
    stream.write_bytes(b"1\n" * 10)
    rate = EventRate(tmp_path, lambda: now[0])
    now[0] = 2.0
    assert rate.per_second() == 5.0
    with stream.open("ab") as file:
        file.write(b"1\n" * 2 + b"torn")
    now[0] = 4.0
    assert rate.per_second() == 3.0
    assert rate.total == 12
    now[0] = 60.0
    rate.per_second()
    now[0] = 61.0
    assert rate.per_second() == 0.0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_status_is_refreshed_in_place_on_a_terminal() -> None:
    out = Terminal()
    line = StatusLine(out)
    line.show("one")
    line.show("x" * 1000)
    line.end()
    assert out.getvalue().startswith("\r\x1b[2Kone\r\x1b[2Kxxx")
    assert out.getvalue().endswith("x\n")
    assert "x" * 1000 not in out.getvalue()


def test_status_is_a_line_every_few_seconds_elsewhere() -> None:
    now = [0.0]
    out = io.StringIO()
    line = StatusLine(out, lambda: now[0])
    for second in range(12):
        now[0] = float(second)
        line.show(f"at {second}")
    line.end()
    assert out.getvalue() == "at 5\nat 10\n"


def test_all_ports_move_together() -> None:
    assert moved("0.0.0.0:9109", 100) == "0.0.0.0:9209"
    assert moved("[::1]:9109", -1) == "[::1]:9108"


@pytest.mark.parametrize("offset", [60_000, -9_109])
def test_port_that_leaves_the_range_is_a_usage_error(offset: int) -> None:
    with pytest.raises(Fault, match="expected 1 to 65535") as caught:
        moved("0.0.0.0:9109", offset)
    assert caught.value.code == Exit.USAGE


def test_table_is_never_cut_and_numbers_stand_right() -> None:
    long = "x" * 200
    assert list(table(("name", "n"), [("a", 1), (long, 12345)])) == [
        "name" + " " * 196 + "       n",
        "a" + " " * 199 + "       1",
        long + "  12,345",
    ]


def test_table_without_rows_is_its_titles() -> None:
    assert list(table(("name", "n"), [])) == ["name  n"]
