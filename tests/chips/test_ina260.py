from __future__ import annotations

import errno

import pytest

from benchlab.chips.ina260 import Ina260, averaging_us
from benchlab.daemon import Absent, Transient
from support.fake_i2c import FakeBus, ina260


def test_registers_are_scaled_and_signed() -> None:
    measured = Ina260(ina260(5.0, 1.5)).read()
    assert measured == pytest.approx((5.0, 1.5, 7.5, 7.5))
    reverse = Ina260(ina260(12.0, -0.25)).read()
    assert reverse == pytest.approx((12.0, -0.25, -3.0, 3.0))


def test_data_sheet_words() -> None:
    bus = FakeBus({0x40: {0xFE: 0x5449, 0xFF: 0x2270, 0x00: 0x6127, 0x01: 0xFFFF, 0x02: 0x0FA0, 0x03: 0x0001}})
    assert Ina260(bus).read() == pytest.approx((5.0, -0.00125, -0.00625, 0.01))


def test_chip_says_who_it_is_before_anything_is_believed() -> None:
    bus = ina260(5.0, 1.0)
    chip = Ina260(bus)
    chip.read()
    chip.read()
    assert [register for _, register in bus.read] == [0xFE, 0xFF, 0x00, 0x01, 0x02, 0x03, 0x01, 0x02, 0x03]


@pytest.mark.parametrize("revision", range(16))
def test_every_revision_of_the_die_is_one(revision: int) -> None:
    bus = ina260(5.0, 1.0)
    bus.chips[0x40][0xFF] = 0x2270 | revision
    assert Ina260(bus).read().voltage_v == 5.0


@pytest.mark.parametrize(
    ("maker", "die", "said"),
    [
        (0x5449, 0x2260, "an INA226"),
        (0x0000, 0x0000, r"another chip \(maker 0x0000, die 0x0000\)"),
        (0xFFFF, 0xFFFF, "another chip"),
        (0x5449, 0x2280, "another chip"),
    ],
)
def test_another_chip_is_refused_and_not_read(maker: int, die: int, said: str) -> None:
    bus = ina260(5.0, 1.0)
    bus.chips[0x40] |= {0xFE: maker, 0xFF: die}
    with pytest.raises(Absent, match=said):
        Ina260(bus).read()
    assert {register for _, register in bus.read} <= {0xFE, 0xFF}


def test_bytes_in_the_wrong_order_are_found_out() -> None:
    bus = ina260(5.0, 1.0)
    bus.swaps = True
    with pytest.raises(Absent, match="bytes in the wrong order"):
        Ina260(bus).read()


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (errno.ENXIO, Absent, "0x40: nobody answers"),
        (errno.EREMOTEIO, Absent, "0x40: nobody answers"),
        (errno.EBUSY, Absent, "a driver of the kernel has it"),
        (errno.EIO, Transient, "Input/output error"),
        (errno.ETIMEDOUT, Transient, "timed out"),
    ],
)
def test_failed_transfer(error: int, kind: type[Exception], said: str) -> None:
    bus = ina260(5.0, 1.0)
    bus.error = error
    with pytest.raises(kind, match=said):
        Ina260(bus).read()


def test_after_a_failure_the_chip_is_asked_again_who_it_is() -> None:
    bus = ina260(5.0, 1.0)
    chip = Ina260(bus)
    chip.read()
    bus.error = errno.EREMOTEIO
    with pytest.raises(Absent):
        chip.read()
    bus.error = None
    bus.chips[0x40][0xFF] = 0x2260
    with pytest.raises(Absent, match="INA226"):
        chip.read()


@pytest.mark.parametrize(
    ("configuration", "window_us"), [(0x6127, 2200), (0x6727, 2200 * 64), (0x6FFF, 2 * 8244 * 1024), (0x6007, 280)]
)
def test_window_is_that_of_the_configuration(configuration: int, window_us: int) -> None:
    assert averaging_us(configuration) == window_us
    chip = Ina260(ina260(5.0, 1.0, configuration=configuration))
    chip.read()
    assert chip.window_ms == window_us / 1e3
