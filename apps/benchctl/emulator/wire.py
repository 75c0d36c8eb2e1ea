"""Values by their catalog keys as a device puts them on the wire: the reverse of what a reader makes of a frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from benchlab.boards.benchlab import (
    FAN_SWITCH,
    FANS,
    FAULTS,
    INPUTS,
    NO_SIGNAL,
    NOT_CONNECTED,
    RGB_SWITCH,
    Contract,
    Fan,
    Frame,
    Rail,
)
from benchlab.boards.pmd import PMD2, Meter, Pmd2Frame, Pmd2Rail, UsbRail, encode_pmd2, encode_usb

Values = Mapping[str, object]

COMPUTED = frozenset({"v_sys", "i_sys", "p_sys", "cpu_w", "gpu_w", "mb_w", "suspect"})
"""What a reader makes of the rest: no device sends it."""
VDD_MV, VREF_MV = 3301, 3000
"""What a board that works reads on itself, where the values do not say."""

_U8, _I16, _U16, _I32 = (0, 255), (-(2**15), 2**15 - 1), (0, 2**16 - 1), (-(2**31), 2**31 - 1)
_SENSOR = (_I16[0], NOT_CONNECTED - 1)
_MAIN = "atx12v"


def board_keys(contract: Contract) -> frozenset[str]:
    """Return the keys that a BENCHLAB can show."""
    fans = (f"fan{n}_{what}" for n in range(1, FANS + 1) for what in ("rpm", "pct"))
    inputs = (f"vin{n}_v" for n in range(1, INPUTS + 1))
    sensors = (f"{sensor}_c" for sensor in contract.product.sensors)
    own = ("chip_c", "temp_c", "humidity_pct", "vdd_v", "vref_v")
    state = ("fan_switch", "rgb_switch", "rgb_ext", "fan_ext_pct")
    faults = ("faults", "faults_latched") if contract.has_faults else ()
    return frozenset({*_rail_keys(contract.product.rails), *fans, *inputs, *sensors, *own, *state, *faults})


def meter_keys(meter: Meter) -> frozenset[str]:
    """Return the keys that a PMD can show."""
    supply = ("vdd_v",) if meter is PMD2 else ()
    return frozenset({*_rail_keys(meter.rails), *supply})


def encode_board(contract: Contract, values: Values) -> bytes:
    """Return the frame of a BENCHLAB that reads these values.

    An input or sensor without a value is not connected, a rail without one carries nothing. Raises ValueError, naming
    the key, for what does not fit the wire.
    """
    values = _with_rails(values)
    no_air = 0 if "temp_c" not in values and "humidity_pct" not in values else NOT_CONNECTED  # 0: it did not answer
    frame = Frame(
        inputs_mv=tuple(_wire(values, f"vin{n}_v", 1000, _SENSOR, NOT_CONNECTED) for n in range(1, INPUTS + 1)),
        vdd_mv=_wire(values, "vdd_v", 1000, _U16, VDD_MV),
        vref_mv=_wire(values, "vref_v", 1000, _U16, VREF_MV),
        chip=_wire(values, "chip_c", contract.chip_per_degree, _SENSOR, NOT_CONNECTED),
        sensors=tuple(_wire(values, f"{name}_c", 10, _SENSOR, NOT_CONNECTED) for name in contract.product.sensors),
        ambient=_wire(values, "temp_c", 10, _I16, no_air),
        humidity=_wire(values, "humidity_pct", 10, _U16, no_air),
        fan_switch=_choice(values, "fan_switch", FAN_SWITCH),
        rgb_switch=_choice(values, "rgb_switch", RGB_SWITCH),
        rgb_ext=_choice(values, "rgb_ext", (False, True)),
        fan_ext_duty_pct=_wire(values, "fan_ext_pct", 1, _U8, NO_SIGNAL),
        rails=tuple(Rail(*_rail(values, rail)) for rail in contract.product.rails),
        fans=tuple(_fan(values, n) for n in range(1, FANS + 1)),
        faults=(_mask(values, "faults"), _mask(values, "faults_latched")) if contract.has_faults else None,
    )
    return contract.encode(frame)


def encode_pmd_usb(meter: Meter, values: Values) -> bytes:
    """Return the readings of a PMD-USB. Raises ValueError for what does not fit the wire."""
    values = _with_rails(values, meter.rails[0])
    return encode_usb(
        tuple(
            UsbRail(_wire(values, f"{rail}_v", 100, _I16), _wire(values, f"{rail}_a", 10, _I16)) for rail in meter.rails
        )
    )


def encode_pmd_2(meter: Meter, values: Values) -> bytes:
    """Return the readings of a PMD2, its sums in watts. Raises ValueError for what does not fit the wire."""
    values = _with_rails(values)
    rails = {name: Pmd2Rail(*_rail(values, name)) for name in meter.rails}

    def watts(*beginnings: str) -> int:
        drawn = sum(rail.mw for name, rail in rails.items() if name.startswith(beginnings))
        return min(max(0, round(drawn / 1000)), _U16[1])

    sums = (watts("eps"), watts("pcie", "hpwr"), watts("atx"), watts(""))
    vdd_mv = _wire(values, "vdd_v", 1000, _U16, VDD_MV)
    return encode_pmd2(Pmd2Frame(vdd_mv, 0, tuple(rails.values()), sums, bytes(len(rails))))


def _rail_keys(rails: tuple[str, ...]) -> Iterator[str]:
    return (f"{rail}_{quantity}" for rail in rails for quantity in "vaw")


def _with_rails(values: Values, main: str = _MAIN) -> Values:
    """Return values that say what the rails carry: of a recording that has sums only, one rail carries all."""
    if "p_sys" not in values or any(key.endswith("_w") and key not in COMPUTED for key in values):
        return values
    sums = {f"{main}_{letter}": values.get(f"{key}_sys") for letter, key in (("v", "v"), ("a", "i"), ("w", "p"))}
    return {**values, **{key: value for key, value in sums.items() if value is not None}}


def _rail(values: Values, rail: str) -> tuple[int, int, int]:
    mv = _wire(values, f"{rail}_v", 1000, _I16)
    ma = _wire(values, f"{rail}_a", 1000, _I32)
    return mv, ma, _wire(values, f"{rail}_w", 1000, _I32, round(mv * ma / 1000))


def _fan(values: Values, number: int) -> Fan:
    duty = _wire(values, f"fan{number}_pct", 1, _U8, -1)
    rpm = _wire(values, f"fan{number}_rpm", 1, _U16, -1)
    return Fan(int(max(duty, rpm) >= 0), max(duty, 0), max(rpm, 0))


def _choice(values: Values, key: str, words: Sequence[str | bool]) -> int:
    """Return the number of a word, that of the first where there is none."""
    word = values.get(key, words[0])
    if word not in words or isinstance(word, bool) != isinstance(words[0], bool):
        raise ValueError(f"{key}: found {word!r}, expected {' or '.join(map(str, words))}")
    return words.index(word)


def _mask(values: Values, key: str) -> int:
    """Return the bits of the faults that are named, one word each; a word in hex stands for bits without a name."""
    mask = 0
    for word in str(values.get(key, "")).split():
        try:
            mask |= int(word, 16) if word.startswith("0x") else 1 << FAULTS.index(word)
        except ValueError:
            raise ValueError(f"{key}: found {word!r}, expected names as {FAULTS[0]}") from None
    if mask >= 1 << 64:
        raise ValueError(f"{key}: found 0x{mask:x}, expected at most 64 bits")
    return mask


def _wire(values: Values, key: str, per_unit: int, bounds: tuple[int, int], absent: int = 0) -> int:
    """Return a value in the steps of the wire; ``absent`` where there is none."""
    value = values.get(key)
    if value is None:
        return absent
    lowest, highest = bounds
    wanted = f"expected a number from {lowest / per_unit:g} to {highest / per_unit:g}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{key}: found {value!r}, {wanted}")
    steps = round(value * per_unit)
    if not lowest <= steps <= highest:
        raise ValueError(f"{key}: found {value:g}, {wanted}")
    return steps
