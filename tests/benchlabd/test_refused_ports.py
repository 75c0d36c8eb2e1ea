"""Ports that cannot be opened: one reason that names who or what is in the way, and what mends it."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import termios
from pathlib import Path

import pytest

from benchctl.emulator.emulator import Emulator
from benchlab.daemon import Absent
from benchlabd.line import LineGoneError, NoPortError, SerialLine, open_serial, refusal
from support.meters import source, why_not


def test_port_that_is_not_there_is_absent(tmp_path: Path) -> None:
    with pytest.raises(NoPortError) as found:
        open_serial(str(tmp_path / "ttyACM0"), 115200)
    assert found.value.reason == f"no {tmp_path}/ttyACM0: nothing is plugged in there"


def test_busy_port_names_who_has_it() -> None:
    with Emulator() as emulator:
        held = open_serial(emulator.path, 115200)
        error = why_not(source(emulator.path))
        held.close()
    assert f"{emulator.path} is in use by " in str(error)
    assert f"(pid {os.getpid()})" in str(error)
    assert isinstance(error, Absent) and "stop it" in error.fix


def test_port_is_closed_to_others_while_we_have_it() -> None:
    master, slave = os.openpty()
    line = SerialLine(os.ttyname(slave), 115200)
    with pytest.raises(BlockingIOError):
        fcntl.flock(slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
    exclusive = fcntl.ioctl(slave, 0x80045440, b"\0\0\0\0")  # TIOCGEXCL
    assert exclusive != b"\0\0\0\0"
    line.close()
    fcntl.flock(slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(slave)
    os.close(master)


def test_line_is_raw_and_without_flow_control() -> None:
    master, slave = os.openpty()
    line = SerialLine(os.ttyname(slave), 115200)
    iflag, oflag, cflag, lflag, _, speed, _ = termios.tcgetattr(slave)
    assert not iflag & (termios.IXON | termios.IXOFF | termios.ICRNL)
    assert not oflag & termios.OPOST
    assert not cflag & (termios.CRTSCTS | termios.PARENB | termios.CSTOPB)
    assert cflag & termios.CSIZE == termios.CS8
    assert not lflag & (termios.ICANON | termios.ECHO)
    assert speed == termios.B115200
    line.write(b"\x11\x13\r")
    assert os.read(master, 16) == b"\x11\x13\r"
    os.write(master, b"\x11\x13\r\n\x03")
    assert line.read(16, 10**9) == b"\x11\x13\r\n\x03"
    assert line.read(16, 0) == b""
    line.close()
    os.close(slave)
    os.close(master)


def test_line_whose_device_went_says_so_in_both_directions() -> None:
    master, slave = os.openpty()
    line = SerialLine(os.ttyname(slave), 115200)
    os.close(slave)
    os.close(master)
    with pytest.raises(LineGoneError):
        line.read(16, 10**9)
    with pytest.raises(LineGoneError):
        line.write(b"\0")
    line.close()


def node(tmp_path: Path, mode: int) -> tuple[str, str]:
    """Return a path that belongs to a group other than root's, and the group."""
    path = tmp_path / "ttyACM0"
    path.touch()
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 0, grp.getgrnam("dialout").gr_gid)
    return str(path), grp.getgrgid(path.stat().st_gid).gr_name


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_permission_names_the_ports_own_group(tmp_path: Path, number: int) -> None:
    path, group = node(tmp_path, 0o660)
    error = refusal(OSError(number, "no"), path)
    assert error.reason == f"no permission to open {path}, which belongs to the group {group}"
    assert error.fix == f"add yourself to that group: sudo usermod -aG {group} $USER (and log in again)"


def test_group_that_may_do_nothing_either_is_no_fix(tmp_path: Path) -> None:
    path, _ = node(tmp_path, 0o600)
    assert "chmod 660" in refusal(OSError(errno.EACCES, "no"), path).fix


def test_busy_port_of_another_users_process_is_still_busy(tmp_path: Path) -> None:
    error = refusal(OSError(errno.EBUSY, "busy"), "/dev/ttyACM0", root=tmp_path)
    assert error.reason == "/dev/ttyACM0 is in use by another process"


@pytest.mark.parametrize("path", ["/dev/null", "/tmp"])
def test_what_is_no_serial_port_is_called_so(path: str) -> None:
    assert f"cannot open {path} as a serial port" in str(why_not(source(path)))
