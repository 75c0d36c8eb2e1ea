from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from benchlab.daemon import Absent, Transient
from pimon import firmware
from pimon.firmware import Firmware, Mailbox
from pimon.system import SystemReader
from support.pi_machines import answers, pi

NOW_NS = 1_763_800_000_000_000_000


class FakeFirmware:
    """The kernel's side of /dev/vcio, which answers as a Pi 4 does."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.code = 0

    def ioctl(self, fd: int, request: int, buffer: bytearray, mutate: bool) -> int:
        assert request == (0xC0086464 if sys.maxsize > 2**32 else 0xC0046464)
        assert mutate
        if self.error is not None:
            raise self.error
        size, process, tag, length, request_length, error = struct.unpack_from("=6I", buffer)
        assert (size, process, tag, length, request_length, error) == (len(buffer), 0, 0x00030080, 1024, 0, 0)
        assert struct.unpack_from("=I", buffer, len(buffer) - 4) == (0,)
        question = bytes(buffer[24:1048]).partition(b"\0")[0].decode()
        said = answers("pi4").get(question, 'error=1 error_msg="Command not registered"').encode()
        struct.pack_into("=I", buffer, 20, self.code)
        buffer[24:1048] = said.ljust(1024, b"\0")
        return 0


@pytest.fixture
def vcio(tmp_path: Path) -> Path:
    path = tmp_path / "vcio"
    path.touch()
    return path


def test_mailbox_is_asked_as_vcgencmd_asks_it(vcio: Path) -> None:
    box = Mailbox(vcio, FakeFirmware().ioctl)
    assert box.ask("measure_volts core") == "volt=0.8500V"
    assert box.ask("version").startswith("Jan  5 2023")
    with pytest.raises(Absent, match="vcio: pmic_read_adc: error=1"):
        box.ask("pmic_read_adc")


def test_mailbox_that_may_not_be_opened_says_how(tmp_path: Path) -> None:
    with pytest.raises(Absent, match="No such file") as caught:
        Mailbox(tmp_path / "vcio").ask("version")
    assert "group video" in caught.value.fix


def test_mailbox_that_is_no_mailbox_fails_by_itself(vcio: Path) -> None:
    with pytest.raises(Transient, match="vcio: version: Inappropriate ioctl"):
        Mailbox(vcio).ask("version")


def test_error_of_the_firmware_is_no_answer(vcio: Path) -> None:
    fake = FakeFirmware()
    fake.code = 1
    with pytest.raises(Absent):
        Mailbox(vcio, fake.ioctl).ask("version")


def test_all_is_asked_at_once_where_that_costs_nothing(vcio: Path) -> None:
    told = Firmware(Mailbox(vcio, FakeFirmware().ioctl).ask, ["measure_clock arm", "measure_clock v3d"])
    told.update()
    assert [clock.freq_hz for clock in firmware.clocks(told.answers)] == [1800457088, 250000496]


class Answering:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.now_s = 100.0

    def ask(self, question: str) -> str:
        self.asked.append(question)
        if self.error is not None:
            raise self.error
        return "volt=1.0V"

    def clock(self) -> float:
        return self.now_s


def test_firmware_that_hangs_is_left_alone_for_a_minute() -> None:
    one = Answering()
    one.error = Transient("vcgencmd a: no answer within 2 s")
    told = Firmware(one.ask, ["a", "b", "c"], ["always"], is_dear=True, clock=one.clock)
    for _ in range(10):
        told.update()
    assert one.asked == ["always"]
    assert told.why == {"always": "vcgencmd a: no answer within 2 s"}
    one.now_s += firmware.RETRY_S
    one.error = None
    told.update()
    assert told.why == {}
    assert set(told.answers) == {"always", "b"}


def test_question_that_is_not_known_takes_no_other_with_it() -> None:
    one = Answering()
    told = Firmware(one.ask, ["a", "b"], is_dear=False, clock=one.clock)
    told.update()
    one.error = Absent("error=1")
    one.asked.clear()
    told.update()
    assert sorted(one.asked) == ["a", "b"]
    assert told.answers == {}  # what is old is not shown as if it were new
    told.update()
    assert sorted(one.asked) == ["a", "b"]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("", r"No such file or directory \(sudo apt install"),
        (
            "#!/bin/sh\necho 'VCHI initialization failed' >&2\nexit 255\n",
            "VCHI initialization failed .join the group video",
        ),
        ("#!/bin/sh\necho 'error=1 error_msg=\"Command not registered\"'\n", "error=1 error_msg"),
        ("#!/bin/sh\nsleep 60\n", "no answer within 0.2 s"),
        ("#!/bin/sh\necho frequency=soon\n", None),
    ],
)
def test_vcgencmd_that_fails_is_named_and_hides_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str | None
) -> None:
    monkeypatch.setattr("benchlab.host.vcgencmd.TIMEOUT_S", 0.2)
    path = tmp_path / "vcgencmd"
    if program:
        path.write_text(program)
        path.chmod(0o755)
    reader = SystemReader(pi(tmp_path / "root", "pi4"), lambda: NOW_NS, [str(path)])
    for _ in range(3):
        found = reader.read()
        assert (found.cpu_temp_c, found.throttled_flags) == (45.764, 0x50005)
        assert (found.clocks, found.voltages, found.gpu_mem_b) == ((), (), None)
        if said is not None:
            with pytest.raises(AssertionError, match=said):
                raise AssertionError(found.why)
    assert reader.hardware.model == "Raspberry Pi 4 Model B Rev 1.4"
