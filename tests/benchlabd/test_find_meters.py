"""Which meter is read, when the operator names one, none, or all: on a made tree of /sys with real ptys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from benchctl.emulator.emulator import Emulator
from benchctl.emulator.products import make
from benchlab.clock import boottime_ns
from benchlab.config_schema import BenchLab
from benchlab.daemon import Absent, Source
from benchlab.daemon.source import arrivals_of, identity_of
from benchlab.errors import Exit, Fault
from benchlabd.line import Line, open_serial
from benchlabd.scout import DEFAULT, Scout, meters
from benchlabd.usb import usb_port, usb_ports
from support.meters import MS, UID_A, UID_B, FakeLine, Time, plug_in, pull_out, take, why_not

CH340 = ("1a86", "7523")


@pytest.fixture
def plugged() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class Ports:
    """Opens ports and remembers which."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def __call__(self, path: str, baud: int) -> Line:
        self.opened.append(Path(path).name)
        return open_serial(path, baud)


def default(root: Path, ports: Ports | None = None) -> Source:
    (one,) = meters(BenchLab(), boottime_ns, is_chosen=False, root=root, open_port=ports or Ports())
    return one


def auto(root: Path, ports: Ports | None = None) -> Scout:
    (one,) = meters(BenchLab(device="auto"), boottime_ns, root=root, open_port=ports or Ports())
    assert isinstance(one, Scout)
    return one


def look_again(scout: Scout) -> list[Source]:
    """Have a scout look without waiting for the second to pass, and return what it found."""
    scout._due_ns = 0
    scout.sample()
    return list(scout.arrivals())


def test_ports_on_usb_are_found_with_their_place_and_ids(tmp_path: Path) -> None:
    plug_in(tmp_path, "ttyACM10", Path("/dev/null"), "1-2")
    plug_in(tmp_path, "ttyACM9", Path("/dev/null"), "1-1.4")
    plug_in(tmp_path, "ttyUSB0", Path("/dev/null"), "3-1", CH340)
    (tmp_path / "sys/class/tty/ttyS0").mkdir()
    (tmp_path / "sys/class/tty/ttyACM3").mkdir()  # went while we looked
    found = [(Path(port.path).name, port.place, port.ids) for port in usb_ports(tmp_path)]
    stock = ("0483", "5740")
    assert found == [("ttyACM9", "1-1.4", stock), ("ttyUSB0", "3-1", CH340), ("ttyACM10", "1-2", stock)]
    assert usb_port("ttyS0", tmp_path) is None
    assert usb_ports(tmp_path / "empty") == []


def test_default_port_is_taken_if_a_board_is_there(tmp_path: Path, plugged: ExitStack) -> None:
    for number, uid in enumerate((UID_A, UID_B)):
        plug_in(tmp_path, f"ttyACM{number}", plugged.enter_context(Emulator(uid=uid)), f"1-{number}")
    ports = Ports()
    assert take(default(tmp_path, ports)).dev == UID_A
    assert ports.opened == ["ttyACM0"]


def test_without_a_default_port_the_others_are_asked_and_the_taken_one_is_named(
    tmp_path: Path, plugged: ExitStack
) -> None:
    modem = plugged.enter_context(Emulator())
    modem.fault("silence", float("inf"))
    plug_in(tmp_path, "ttyACM1", modem, "1-1")
    plug_in(tmp_path, "ttyACM2", plugged.enter_context(Emulator("bl2", uid=UID_B)), "1-2")
    board = default(tmp_path)
    assert take(board).dev == UID_B
    assert identity_of(board)["port"] == str(tmp_path / "dev/ttyACM2")


def test_default_port_with_somebody_else_on_it_is_passed_over(tmp_path: Path, plugged: ExitStack) -> None:
    stranger = plugged.enter_context(Emulator())
    stranger.fault("bootloader")
    plug_in(tmp_path, "ttyACM0", stranger, "1-1")
    plug_in(tmp_path, "ttyUSB0", plugged.enter_context(Emulator("pmd-usb")), "1-1.2", CH340)
    assert take(default(tmp_path)).dev == "pmd-usb:1-1.2"
    assert stranger.violations == []


def test_ports_that_cannot_be_a_meters_are_not_even_opened(tmp_path: Path, plugged: ExitStack) -> None:
    plug_in(tmp_path, "ttyUSB0", plugged.enter_context(Emulator()), "1-1", ("0403", "6001"))
    ports = Ports()
    assert "no other port that could be" in str(why_not(default(tmp_path, ports)))
    assert ports.opened == []


def test_nothing_plugged_in_is_one_steady_reason_with_a_fix(tmp_path: Path) -> None:
    board = default(tmp_path)
    first, second = why_not(board), why_not(board)
    assert str(first) == str(second)
    assert str(first).startswith(f"no {tmp_path}/dev/ttyACM0, and no other port")
    assert isinstance(first, Absent) and "--device" in first.fix


def test_stranger_is_not_asked_again_before_it_was_plugged_in_anew(tmp_path: Path, plugged: ExitStack) -> None:
    stranger = plugged.enter_context(Emulator())
    stranger.fault("bootloader")
    plug_in(tmp_path, "ttyACM0", stranger, "1-1")
    ports = Ports()
    board = default(tmp_path, ports)
    for _ in range(3):
        assert "boot loader" in str(why_not(board))
    assert ports.opened == ["ttyACM0"]
    stranger.fault("bootloader", 0)
    pull_out(tmp_path, "ttyACM0")
    stranger.unplug()
    stranger.replug()
    plug_in(tmp_path, "ttyACM0", stranger, "1-1")
    assert take(board).kv


def test_silent_port_is_asked_again_after_longer_and_longer_waits(tmp_path: Path) -> None:
    plug_in(tmp_path, "ttyACM0", Path("/dev/null"), "1-1")
    time, asked_ns = Time(), list[int]()

    def open_port(path: str, baud: int) -> Line:
        asked_ns.append(time.ns)
        return FakeLine(time, lambda request: b"")

    (board,) = meters(BenchLab(), time, is_chosen=False, root=tmp_path, open_port=open_port)
    began_ns = time.ns
    while time.ns < began_ns + 300_000 * MS:
        assert "nothing answered" in str(why_not(board))
        time.ns += 100 * MS
    waits_s = [round((b - a) / 1e9) for a, b in pairwise(asked_ns)]
    assert waits_s[:4] == [2, 3, 5, 9]  # the asking itself takes half a second
    assert waits_s == sorted(waits_s) and waits_s[-1] in (60, 61)


def test_known_board_is_waited_for_and_no_other_taken_for_it(tmp_path: Path, plugged: ExitStack) -> None:
    board = plugged.enter_context(Emulator(uid=UID_A))
    plug_in(tmp_path, "ttyACM0", board, "1-1")
    mine = default(tmp_path)
    take(mine)
    pull_out(tmp_path, "ttyACM0")
    board.unplug()
    assert "gone from" in str(why_not(mine))
    plug_in(tmp_path, "ttyACM0", plugged.enter_context(Emulator(uid=UID_B)), "1-1")
    assert "gone from" in str(why_not(mine))
    board.replug()
    plug_in(tmp_path, "ttyACM1", board, "1-2")
    assert take(mine).dev == UID_A
    assert identity_of(mine)["port"] == str(tmp_path / "dev/ttyACM1")


def test_auto_takes_all_that_are_there_and_those_that_come_later(tmp_path: Path, plugged: ExitStack) -> None:
    for number, (product, uid) in enumerate((("original", UID_A), ("bl2", UID_B))):
        plug_in(tmp_path, f"ttyACM{number}", plugged.enter_context(Emulator(product, uid=uid)), f"1-{number}")
    ports = Ports()
    scout = auto(tmp_path, ports)
    assert list(scout.sample()) == []
    found = list(arrivals_of(scout))
    assert [take(board).dev for board in found] == [UID_A, UID_B]
    assert look_again(scout) == []
    assert ports.opened == ["ttyACM0", "ttyACM1"]
    plug_in(tmp_path, "ttyUSB3", plugged.enter_context(Emulator("pmd-usb")), "1-1.2", CH340)
    (late,) = look_again(scout)
    assert (late.name, take(late).dev) == ("pmd.usb", "pmd-usb:1-1.2")


def test_board_that_is_found_while_others_are_fetched_is_not_forgotten(tmp_path: Path) -> None:
    for number in range(2):
        plug_in(tmp_path, f"ttyACM{number}", Path("/dev/null"), f"1-{number}")
    time, fetched = Time(), list[Source]()
    lines = [FakeLine(time, made=make("original", 6, uid)) for uid in (UID_A, UID_B)]

    def open_port(path: str, baud: int) -> Line:
        fetched.extend(arrivals_of(scout))  # as the daemon's other thread does, at any time
        return lines.pop(0)

    (scout,) = meters(BenchLab(device="auto"), time, root=tmp_path, open_port=open_port)
    scout.sample()
    fetched.extend(arrivals_of(scout))
    assert [getattr(board, "dev", None) for board in fetched] == [UID_A, UID_B]


def test_auto_is_down_only_while_nothing_was_ever_found(tmp_path: Path, plugged: ExitStack) -> None:
    """A scout has no device of its own: were it down, every meter of its name would count as gone."""
    scout = auto(tmp_path)
    assert "no port that could be" in str(why_not(scout))
    board = plugged.enter_context(Emulator(uid=UID_A))
    plug_in(tmp_path, "ttyACM0", board, "1-1")
    (found,) = look_again(scout)
    take(found)
    pull_out(tmp_path, "ttyACM0")
    board.unplug()
    assert look_again(scout) == []
    assert "gone from" in str(why_not(found))


def test_port_that_is_named_is_taken_at_its_word(tmp_path: Path, plugged: ExitStack) -> None:
    plug_in(tmp_path, "ttyACM1", plugged.enter_context(Emulator(uid=UID_A)), "1-1")
    (named,) = meters(BenchLab(device=DEFAULT), boottime_ns, root=tmp_path, open_port=Ports())
    assert getattr(named, "dev", None) == DEFAULT
    assert str(why_not(named)).startswith(f"no {DEFAULT}")


def test_several_ports_are_several_sources_each_with_a_name_before_it_is_known() -> None:
    opened: list[str] = []

    def open_port(path: str, baud: int) -> Line:
        opened.append(f"{path} {baud}")
        return FakeLine(time)

    time = Time()
    found = meters(BenchLab(device="/dev/a, /dev/b,/dev/a", baud=460800), time, open_port=open_port)
    assert [getattr(one, "dev", None) for one in found] == ["/dev/a", "/dev/b"]
    for one in found:
        take(one)
    assert opened == ["/dev/a 460800", "/dev/b 460800"]


@pytest.mark.parametrize("device", ["auto,/dev/ttyACM0", "/dev/ttyACM0,,/dev/ttyACM1", ","])
def test_device_that_means_nothing_is_refused(device: str) -> None:
    with pytest.raises(Fault, match="expected auto, or ports separated by commas") as found:
        meters(BenchLab(device=device), boottime_ns)
    assert found.value.code == Exit.USAGE
