"""The maker's own client reads the emulator, product by product and firmware by firmware, and sees what we see."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import serial
from benchlab_pycore.core import config_io, serial_io
from benchlab_pycore.core.contract import available
from benchlab_pycore.core.sensor_translation import translate_sensor_struct

from benchctl.emulator.emulator import Emulator
from benchctl.emulator.products import BOARDS, UID
from benchlab.boards.benchlab import Contract
from benchlab.sim import LogNormal
from support.makers_values import CONTRACTS, named, our_values
from support.processes import until

FRAMES = 3
PRODUCT = {board.product_id: name for name, board in BOARDS.items()}
QUICK = LogNormal(1.5, 4.0)


def emulated(contract: Contract, **options: Any) -> Emulator:
    return Emulator(PRODUCT[contract.product.product_id], contract.firmware, latency=QUICK, **options)


def opened(path: str) -> serial.Serial:
    """Open the port as the maker's client does."""
    return serial.Serial(path, 115200, timeout=10, rtscts=False, dsrdtr=False)


def chance_values(contract: Contract, seed: int) -> dict[str, object]:
    """Return values for about half of what a board shows; the rest is not there."""
    chance = random.Random(seed)
    ranges = {"_v": (-3.0, 30.0), "_a": (-50.0, 500.0), "_w": (-50.0, 2000.0), "_c": (-99.0, 99.0)}
    ranges |= {"_pct": (0, 100), "_rpm": (0, 65_535)}
    values: dict[str, object] = {}
    for product_key in sorted(_keys(contract)):
        ending = "_" + product_key.rpartition("_")[2]
        if ending in ranges and chance.random() < 0.5:
            low, high = ranges[ending]
            number = chance.uniform(max(low, 0.0) if product_key in ("vdd_v", "vref_v") else low, high)
            values[product_key] = round(number) if ending in ("_pct", "_rpm") else number
    return values


def _keys(contract: Contract) -> frozenset[str]:
    return emulated(contract).make.keys


@pytest.mark.parametrize("contract", CONTRACTS, ids=named)
def test_every_frame_reads_the_same(contract: Contract) -> None:
    with (
        emulated(contract, push_s=None) as device,
        opened(device.path) as port,
    ):  # the client is thrown off by a late one
        for seed in range(FRAMES):
            device.set(chance_values(contract, seed))
            sensors = serial_io.read_sensors(port)
            assert sensors is not None
            port.write(b"\x01")
            ours = our_values(contract, contract.decode(port.read(contract.frame_size)))
            assert ours == pytest.approx(translate_sensor_struct(sensors), abs=1e-9)
            assert None in ours.values()
        assert device.violations == []


@pytest.mark.parametrize("contract", CONTRACTS, ids=named)
def test_client_finds_the_device_that_is_played(contract: Contract) -> None:
    with emulated(contract, name="bench é") as device, opened(device.path) as port:
        if contract.pushes_welcome:
            port.timeout = 2
            assert port.read(32) in (contract.welcome, b"")  # on a slow machine, opening the port has thrown it away
        port.timeout = 0.2  # a short welcome makes the client wait for more
        until(lambda: config_io.ping(port))
        port.timeout = 10
        product_id, firmware = contract.product.product_id, contract.firmware
        assert serial_io.read_device(port) == {"VendorId": 0xEE, "ProductId": product_id, "FwVersion": firmware}
        assert serial_io.read_uid(port) == UID
        assert config_io.read_name(port) == "bench é"
        assert config_io.read_calibration(port, product_id) is not None


@pytest.fixture
def newest() -> Iterator[tuple[Emulator, serial.Serial]]:
    with Emulator("bl2", 7, latency=QUICK, push_s=None) as device, opened(device.path) as port:
        yield device, port


def test_client_reads_configuration_and_status(newest: tuple[Emulator, serial.Serial]) -> None:
    _, port = newest
    fan = config_io.read_fan_profile(port, 2, 8)
    assert fan is not None and fan.FixedDuty == 100
    assert config_io.read_rgb_profile(port, 1) is not None
    assert config_io.read_fault(port) is not None
    assert config_io.read_default_config(port, 0x11) is not None
    assert config_io.read_status(port) == 0


def test_client_that_writes_is_not_obeyed(newest: tuple[Emulator, serial.Serial]) -> None:
    device, port = newest
    writing: list[Callable[[], Any]] = [
        lambda: config_io.write_name(port, "changed"),
        lambda: config_io.send_action(port, 0, 0, 0, 0),
        lambda: config_io.reset(port),
    ]
    for number, write in enumerate(writing, 1):
        assert write()
        while len(device.violations) < number:
            time.sleep(0.005)
    assert config_io.read_name(port) == "EMULATOR"
    assert [text.split()[4] for text in device.violations] == ["0x04", "0x02", "0xf0"]


def test_client_meets_a_short_reply_and_goes_on(newest: tuple[Emulator, serial.Serial]) -> None:
    device, port = newest
    assert serial_io.read_sensors(port, 0x11, 7) is not None
    port.timeout = 1
    device.fault("short")
    assert serial_io.read_sensors(port, 0x11, 7) is None
    port.timeout = 10
    assert serial_io.read_sensors(port, 0x11, 7) is not None


def test_every_published_contract_is_among_those_that_were_read() -> None:
    assert set(available()) <= {(contract.product.product_id, contract.firmware) for contract in CONTRACTS}
