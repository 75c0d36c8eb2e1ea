"""BENCHLAB and BENCHLAB 2: one contract a product and firmware, with the layout of what READ_SENSORS answers.

Little-endian, natural C alignment. Source: the maker's contracts as published with benchlab-pycore 0.8 (firmware 2 to
6 of the BENCHLAB, 3 to 7 of the BENCHLAB 2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from benchlab.boards.command import WELCOME, Command
from benchlab.catalog import RAILS

VENDOR_ID = 0xEE
WELCOME_TEXT = b"BENCHLAB"
BOOT_LOADER_TEXT = b"EEBL0"
SHORT_WELCOME, LONG_WELCOME = 9, 32
FANS = 9
INPUTS = 13

NOT_CONNECTED = 0x7FFF
"""What an input or a temperature sensor reads that is not there."""
NO_SIGNAL = 255
"""External fan duty without a signal."""

FAN_SWITCH = ("auto", "half", "full")
RGB_SWITCH = ("work", "play")
"""Where the two switches of a board stand, by number."""

_PLACES = ("hpwr1_in", "hpwr1_out", "hpwr2_in", "hpwr2_out")
_CURRENTS = ("cpu1", "cpu2", "atx3v", "atx5v", "atx5vsb", "atx12v", "gpu1", "gpu2", "gpu3", "hpwr1", "hpwr2")
FAULTS = (
    "otp_tchip",
    *(f"otp_ts{n}" for n in range(1, 5)),
    *(f"otp_ts_{place}" for place in _PLACES),
    *(f"ocp_{rail}" for rail in _CURRENTS),
    *(f"wire_ocp_hpwr{plug}_wire{wire}" for plug in (1, 2) for wire in range(1, 7)),
    *(f"current_imbalance_hpwr{plug}" for plug in (1, 2)),
)
"""What the bits of a fault mask mean, by the maker's names: too hot, too much current, unequal currents."""

_BOARD_SENSORS = ("ts1", "ts2", "ts3", "ts4")


@dataclass(frozen=True)
class Product:
    """A kind of board: its rails and temperature sensors in the order of the wire, and from when on what holds."""

    product_id: int
    name: str
    rails: tuple[str, ...]
    sensors: tuple[str, ...]
    firmware: range
    drafts: frozenset[int]
    long_welcome_from: int
    tenths_from: int  # the chip's temperature in tenths of a degree, whole degrees before
    queries_from: int  # READ_DEFAULT_CONFIG, STATUS
    faults_from: int | None  # fault masks behind the fans
    calibration_size: int
    config_size: int


ORIGINAL = Product(
    product_id=0x10,
    name="BENCHLAB",
    rails=RAILS[:11],
    sensors=_BOARD_SENSORS,
    firmware=range(1, 7),
    drafts=frozenset({1, 4}),  # of 1 no contract was ever published; the maker's sample reads it like 2
    long_welcome_from=5,
    tenths_from=3,
    queries_from=5,
    faults_from=None,
    calibration_size=178,
    config_size=426,
)
BENCHLAB_2 = Product(
    product_id=0x11,
    name="BENCHLAB 2",
    rails=RAILS,
    sensors=_BOARD_SENSORS + _PLACES,
    firmware=range(3, 8),
    drafts=frozenset({3, 5}),
    long_welcome_from=6,
    tenths_from=4,
    queries_from=6,
    faults_from=5,
    calibration_size=294,
    config_size=560,
)
PRODUCTS = {product.product_id: product for product in (ORIGINAL, BENCHLAB_2)}


class Rail(NamedTuple):
    """One power input: millivolts, milliamperes, milliwatts (the firmware's own average, not the product)."""

    mv: int
    ma: int
    mw: int


class Fan(NamedTuple):
    """One fan: whether it is enabled, duty in percent, revolutions a minute."""

    enabled: int
    duty_pct: int
    rpm: int


class Frame(NamedTuple):
    """What READ_SENSORS answers, as integers of the wire.

    ``chip`` is in whole or tenths of degrees Celsius, as the contract says; ``sensors`` and ``ambient`` are tenths of a
    degree, ``humidity`` tenths of a percent. ``faults`` are the live and the latched mask, None where not sent.
    """

    inputs_mv: tuple[int, ...]
    vdd_mv: int
    vref_mv: int
    chip: int
    sensors: tuple[int, ...]
    ambient: int
    humidity: int
    fan_switch: int
    rgb_switch: int
    rgb_ext: int
    fan_ext_duty_pct: int
    rails: tuple[Rail, ...]
    fans: tuple[Fan, ...]
    faults: tuple[int, int] | None = None


@dataclass(frozen=True)
class Contract:
    """What one firmware of one product promises."""

    product: Product
    firmware: int

    @property
    def is_draft(self) -> bool:
        """Whether the maker has not released this contract as final."""
        return self.firmware in self.product.drafts

    @property
    def has_faults(self) -> bool:
        """Whether frames end with the fault masks."""
        return self.product.faults_from is not None and self.firmware >= self.product.faults_from

    @property
    def chip_per_degree(self) -> int:
        """By what ``Frame.chip`` is divided to get degrees Celsius."""
        return 10 if self.firmware >= self.product.tenths_from else 1

    @property
    def pushes_welcome(self) -> bool:
        """Whether the device greets unasked when the port is opened."""
        return self.firmware >= self.product.long_welcome_from

    @property
    def welcome(self) -> bytes:
        """The whole answer to WELCOME."""
        return WELCOME_TEXT.ljust(LONG_WELCOME if self.pushes_welcome else SHORT_WELCOME, b"\0")

    @property
    def vendor_data(self) -> bytes:
        """The answer to READ_VENDOR_DATA."""
        return bytes((VENDOR_ID, self.product.product_id, self.firmware))

    @property
    def frame_size(self) -> int:
        """Length of the answer to READ_SENSORS in bytes."""
        return self._struct.size

    @property
    def commands(self) -> dict[int, Command]:
        """The read-only commands of this firmware by number; nothing else may be sent to it."""
        known = [
            Command(WELCOME, len(self.welcome)),
            Command(READ_SENSORS, self.frame_size),
            READ_NAME,
            READ_FAN_PROFILE,
            READ_RGB,
            Command(READ_CALIBRATION, self.product.calibration_size),
            READ_UID,
            READ_VENDOR_DATA,
        ]
        if self.firmware >= self.product.queries_from:
            known += [Command(READ_DEFAULT_CONFIG, self.product.config_size), STATUS]
            known += [READ_FAULT] if self.product.faults_from is not None else []
        return {command.opcode: command for command in known}

    def decode(self, data: bytes) -> Frame:
        """Return the frame that ``data`` holds. Raises ValueError unless it has exactly ``frame_size`` bytes."""
        if len(data) != self.frame_size:
            raise ValueError(f"found a frame of {len(data)} bytes, expected {self.frame_size}")
        numbers = iter(self._struct.unpack(data))

        def take(count: int) -> tuple[int, ...]:
            return tuple(next(numbers) for _ in range(count))

        inputs, (vdd, vref, chip) = take(INPUTS), take(3)
        sensors, (ambient, humidity) = take(len(self.product.sensors)), take(2)
        fan_switch, rgb_switch, rgb_ext, ext_duty = take(4)
        rails = tuple(Rail(*take(3)) for _ in self.product.rails)
        fans = tuple(Fan(*take(3)) for _ in range(FANS))
        live, latched = take(2) if self.has_faults else (0, 0)
        faults = (live, latched) if self.has_faults else None
        return Frame(
            *(inputs, vdd, vref, chip, sensors, ambient, humidity),
            *(fan_switch, rgb_switch, rgb_ext, ext_duty, rails, fans, faults),
        )

    def encode(self, frame: Frame) -> bytes:
        """Return the bytes of a frame; padding is zero. Raises ValueError for what does not fit the layout."""
        rails = [number for rail in frame.rails for number in rail]
        fans = [number for fan in frame.fans for number in fan]
        faults = (frame.faults or (0, 0)) if self.has_faults else ()
        head = (*frame.inputs_mv, frame.vdd_mv, frame.vref_mv, frame.chip, *frame.sensors, frame.ambient)
        state = (frame.humidity, frame.fan_switch, frame.rgb_switch, frame.rgb_ext, frame.fan_ext_duty_pct)
        try:
            return self._struct.pack(*head, *state, *rails, *fans, *faults)
        except struct.error as error:
            raise ValueError(f"{self.product.name} firmware {self.firmware}: {error}") from None

    @property
    def _struct(self) -> struct.Struct:
        return _layout(len(self.product.sensors), len(self.product.rails), self.has_faults)


@cache
def _layout(sensors: int, rails: int, has_faults: bool) -> struct.Struct:
    masks = "QQ" if has_faults else ""
    return struct.Struct(f"<{INPUTS}hHHh{sensors}hhHBBBB" + "hxxii" * rails + "BBH" * FANS + masks)


READ_SENSORS = 0x01
READ_NAME = Command(0x03, 32)
READ_FAN_PROFILE = Command(0x05, 14, arguments=2)
READ_RGB = Command(0x07, 6, arguments=1)
READ_CALIBRATION = 0x09
READ_UID = Command(0x0D, 12)
READ_VENDOR_DATA = Command(0x0E, 3)
READ_FAULT = Command(0x0F, 128)
READ_DEFAULT_CONFIG = 0x13
STATUS = Command(0x14, 1)


def contract_of(product_id: int, firmware: int) -> Contract | None:
    """Return the contract of a device, None where nobody has published one: its frames must not be guessed at."""
    product = PRODUCTS.get(product_id)
    return Contract(product, firmware) if product is not None and firmware in product.firmware else None
