"""The emulated device on its port: opening, closing, faults, pulling the plug and putting it back."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchctl.emulator.emulator import Emulator
from benchctl.emulator.faults import line_fault
from benchctl.emulator.port import Port
from benchlab.boards.benchlab import BENCHLAB_2, Contract
from benchlab.errors import Fault
from benchlab.sim import LogNormal
from support.processes import until
from support.serial_host import Host, unanswered

Open = Callable[..., Host]
CONTRACT = Contract(BENCHLAB_2, 7)
WELCOME = CONTRACT.welcome
VENDOR = b"\xee\x11\x07"


def quick(**options: object) -> Emulator:
    """Return an emulator that answers at once and does not greet unasked."""
    return Emulator("bl2", 7, **{"latency": None, "push_s": None, **options})  # type: ignore[arg-type]


def test_requests_are_answered_one_after_the_other(host: Open) -> None:
    with quick(values={"eps1_v": 12.0}) as device:
        port = host(device.path)
        for _ in range(50):
            assert port.ask(b"\x00", 32) == WELCOME
            assert CONTRACT.decode(port.ask(b"\x01", 384)).rails[0].mv == 12_000
        assert device.requests == 100


def test_values_change_when_they_are_set(host: Open) -> None:
    with quick() as device:
        port = host(device.path)
        for volts in (11.9, 12.1):
            device.set({"eps1_v": volts, "ts1_c": 30.0})
            frame = CONTRACT.decode(port.ask(b"\x01", 384))
            assert (frame.rails[0].mv, frame.sensors[0]) == (volts * 1000, 300)
        with pytest.raises(ValueError, match="eps1_v: found 99"):
            device.set({"eps1_v": 99.0})
        assert CONTRACT.decode(port.ask(b"\x01", 384)).rails[0].mv == 12_100


def test_welcome_comes_unasked_at_every_opening(host: Open) -> None:
    with quick(push_s=0.01) as device:
        for _ in range(3):
            port = host(device.path)
            assert port.read(32) == WELCOME
            assert port.ask(b"\x0e", 3) == VENDOR
            port.close()


def test_late_welcome_lands_in_front_of_a_reply(host: Open) -> None:
    with quick(push_s=0.05, latency=LogNormal(300.0, 300.0)) as device:
        assert host(device.path).ask(b"\x0e", 35) == WELCOME + VENDOR


def test_firmware_that_does_not_greet_says_nothing(host: Open) -> None:
    with Emulator("bl2", 5, latency=None, push_s=0.0) as device:
        port = host(device.path)
        assert port.read(1, patience_s=0.2) == b""
        assert port.ask(b"\x00", 9) == b"BENCHLAB\0"


def test_what_was_on_its_way_to_one_program_does_not_reach_the_next(host: Open) -> None:
    with quick() as device:
        first = host(device.path)
        first.send(b"\x01")
        select.select([first.fd], [], [], 30)  # answered, and never read
        device.fault("late", 300)
        unanswered(device, first, b"\x01")
        first.close()
        time.sleep(0.4)
        assert host(device.path).ask(b"\x0e", 3) == VENDOR


def test_exclusive_use_ends_with_the_program_that_asked_for_it(host: Open) -> None:
    with quick() as device:
        first = host(device.path)
        fcntl.ioctl(first.fd, termios.TIOCEXCL)
        first.close()
        second = host(device.path)  # a user without privileges may have to try again for a moment
        assert second.ask(b"\x0e", 3) == VENDOR
        flag = fcntl.ioctl(second.fd, 0x80045440, b"\0\0\0\0")  # TIOCGEXCL
        assert flag == b"\0\0\0\0"


def test_forbidden_command_is_not_obeyed_and_is_told(host: Open) -> None:
    said: list[str] = []
    with quick(say=said.append) as device:
        port = host(device.path)
        unanswered(device, port, b"\x04EVIL")
        assert port.ask(b"\x03", 32) == b"EMULATOR".ljust(32, b"\0")
        until(lambda: said)
        assert device.violations == said == ["a monitoring program sent 0x04 WRITE_NAME; it was not obeyed"]


def test_wrong_request_gets_no_byte_and_the_next_one_its_own_answer(host: Open) -> None:
    with quick() as device:
        port = host(device.path)
        for wrong in (b"\x42", b"\x05\x00", b"\x09\x00", b"\x02\0\0\0\0"):
            unanswered(device, port, wrong)
            assert port.ask(b"\x0e", 3) == VENDOR


@pytest.mark.parametrize(
    ("kind", "amount", "count"),
    [("short", 1, 383), ("welcome", 1, 416), ("split", 1, 384), ("late", 50, 384), ("garbage", 7, 391)],
)
def test_fault_is_on_the_wire_and_is_over_after_it(host: Open, kind: str, amount: float, count: int) -> None:
    with quick() as device:
        port = host(device.path)
        device.fault(kind, amount)
        port.send(b"\x01")
        assert len(port.read(count)) == count
        assert port.ask(b"\x0e", 3) == VENDOR


def test_dropped_reply_never_comes(host: Open) -> None:
    with quick() as device:
        port = host(device.path)
        device.fault("drop")
        unanswered(device, port, b"\x01")
        assert port.ask(b"\x0e", 3) == VENDOR


def test_pulling_the_plug_ends_reads_and_fails_writes(host: Open) -> None:
    with quick() as device:
        port = host(device.path)
        assert port.ask(b"\x0e", 3) == VENDOR
        device.unplug()
        assert port.read(1) == b""
        with pytest.raises(OSError) as caught:
            port.send(b"\x01")
        assert caught.value.errno == errno.EIO


def test_replug_is_another_pty_behind_the_same_link(host: Open, tmp_path: Path) -> None:
    link = tmp_path / "ttyBENCHLAB0"
    with quick(link=link) as device:
        assert device.path == str(link)
        before = host(link)
        was = link.readlink()
        device.unplug()
        assert not os.path.lexists(link)
        with pytest.raises(FileNotFoundError):
            host(link)
        device.unplug()  # that is no news
        device.replug()
        assert link.readlink() != was  # the old one is still held open
        after = host(link)
        assert after.ask(b"\x0e", 3) == VENDOR
        assert before.read(1) == b""
    assert not os.path.lexists(link)


def test_unplugged_for_a_while_it_comes_back_by_itself(host: Open, tmp_path: Path) -> None:
    link = tmp_path / "ttyBENCHLAB0"
    with quick(link=link) as device:
        port = host(link)
        device.fault("unplug", 0.2)
        assert port.read(1) == b""
        until(link.exists)
        assert host(link).ask(b"\x0e", 3) == VENDOR


def test_faults_come_at_their_time(host: Open, tmp_path: Path) -> None:
    link = tmp_path / "tty"
    with quick(faults=[(0.0, line_fault("short"))]) as device:
        port = host(device.path)
        device.set({})  # what was due at the start has been done when this has
        port.send(b"\x01")
        assert len(port.read(384, patience_s=1.0)) == 383
    with quick(link=link, faults=[(0.1, line_fault("unplug", float("inf")))]):
        until(lambda: not os.path.lexists(link))


def test_link_takes_the_place_of_an_old_one_and_of_nothing_else(tmp_path: Path) -> None:
    link = tmp_path / "tty"
    link.symlink_to("/dev/pts/4096")
    with quick(link=link):
        assert link.exists()
    for there in ("/dev/ttyACM0", "elsewhere"):
        link.symlink_to(there)
        with pytest.raises(Fault, match=f"found a link to {there}, expected one to /dev/pts/"), quick(link=link):
            pass
        assert str(link.readlink()) == there
        link.unlink()
    link.write_text("mine")
    with pytest.raises(Fault, match="found a file, expected"), quick(link=link):
        pass
    assert link.read_text() == "mine"


def test_link_of_somebody_else_is_not_taken_away(tmp_path: Path) -> None:
    link = tmp_path / "tty"
    with quick(link=link):
        link.unlink()
        link.symlink_to("/dev/pts/4096")
    assert str(link.readlink()) == "/dev/pts/4096"


def test_nothing_stays_open(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with quick():
        pass
    before = open_files()
    for _ in range(3):
        with quick(link=tmp_path / "tty") as device:
            device.unplug()
            device.replug()
    assert open_files() == before


def test_failure_of_the_thread_is_not_swallowed(tmp_path: Path) -> None:
    link = tmp_path / "tty"
    with pytest.raises(Fault, match="found a file"), quick(link=link) as device:
        device.fault("unplug", 1.0)
        link.write_text("mine")
        until(lambda: device.is_over)


def test_port_without_notice_of_openings_still_carries_bytes(monkeypatch: pytest.MonkeyPatch, host: Open) -> None:
    monkeypatch.setattr("benchctl.emulator.port._watch", lambda path: None)
    port = Port()
    try:
        assert port.users is None
        assert port.came_and_went() == (False, False)
        reader = host(port.path)
        port.write(b"abc")
        assert reader.read(3) == b"abc"
    finally:
        port.close()
