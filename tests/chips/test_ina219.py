from __future__ import annotations

import errno

import pytest

from benchlab.chips.ina219 import Ina219
from benchlab.daemon import Absent, Transient
from support.fake_i2c import FakeBus, ina219


def test_registers_are_scaled_and_signed() -> None:
    assert Ina219(ina219(7.6, 1.25)).read() == pytest.approx((7.6, 1.25, 9.5, 9.5))
    assert Ina219(ina219(12.0, -0.5)).read() == pytest.approx((12.0, -0.5, -6.0, 6.0))


def test_another_shunt_is_another_current() -> None:
    bus = ina219(4.0, 2.0, shunt_ohms=0.01)
    assert Ina219(bus, shunt_ohms=0.01).read().current_a == pytest.approx(2.0)
    assert Ina219(bus, shunt_ohms=0.1).read().current_a == pytest.approx(0.2)


def test_data_sheet_words() -> None:
    """Figure 20 of the data sheet: 4000 is 40 mV, 0x0FA0; bit 3 of the bus voltage is 4 mV, the flags are below it."""
    bus = FakeBus({0x40: {0x00: 0x399F, 0x01: 0x0FA0, 0x02: 0x5D9B}})
    found = Ina219(bus).read()
    assert (found.current_a, found.voltage_v) == pytest.approx((0.4, 2995 * 4e-3))


@pytest.mark.parametrize("gain", range(4))
def test_current_beyond_the_range_is_no_reading(gain: int) -> None:
    configuration = 0x2007 | gain << 11
    limit_a = 0.04 * (1 << gain) / 0.1
    assert Ina219(ina219(5.0, limit_a * 0.99, conf=configuration)).read().current_a == pytest.approx(limit_a * 0.99)
    with pytest.raises(Transient, match=f"more than the {40 << gain} mV"):
        Ina219(ina219(5.0, -limit_a, conf=configuration)).read()


def test_chip_that_does_not_measure_is_no_zero() -> None:
    with pytest.raises(Transient, match="found the configuration 0x3998, expected one that measures on and on"):
        Ina219(ina219(5.0, 0.0, conf=0x3998)).read()


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (errno.EREMOTEIO, Absent, "0x41: nobody answers"),
        (errno.EBUSY, Absent, "a driver of the kernel has it"),
        (errno.EIO, Transient, "Input/output error"),
    ],
)
def test_who_does_not_answer(error: int, kind: type[Exception], said: str) -> None:
    bus = ina219(5.0, 1.0, address=0x41)
    bus.error = error
    with pytest.raises(kind, match=said):
        Ina219(bus, 0x41).read()
