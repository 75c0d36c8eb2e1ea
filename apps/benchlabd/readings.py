"""From what a meter sent to readings by catalog key: units, sums over the right rails, and what is absent.

A reading that is not there, or that cannot be right, is left out. ``suspect`` names what a device said that cannot be
right, or that contradicts itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from benchlab.boards.benchlab import (
    FAN_SWITCH,
    FAULTS,
    NO_SIGNAL,
    NOT_CONNECTED,
    RGB_SWITCH,
    Contract,
    Frame,
    Rail,
)
from benchlab.boards.pmd import PMD2, PMD_USB, Pmd2Rail, decode_pmd2, decode_usb
from benchlab.catalog import RAIL_SUMS
from benchlab.event import Value
from benchlabd.handshake import Device

Kv = dict[str, Value]
Decoded = tuple[Kv, str | None]
"""Readings, and what about them can hardly be: the bytes are probably not those of one whole reply."""
Decode = Callable[[bytes], Decoded]
"""Raises ValueError for bytes that are no reading of the device at all."""

SUM_KEYS = {"cpu": "cpu_w", "gpu": "gpu_w", "mb": "mb_w"}

LEAST_VDD_MV, MOST_VDD_MV = 2500, 3700
LEAST_VREF_MV, MOST_VREF_MV = 2000, 3700
LEAST_12V_MV, MOST_12V_MV = 10_000, 14_000
SOME_CURRENT_MA = 1000
MOST_CHIP_C = 100.0
LEAST_V_SYS_MV = 1000
"""Below this, there is no voltage to divide the board's power by."""
TOLERANCE, TOLERANCE_MW = 0.05, 2000
"""How far a rail's power may lie from voltage times current: they are averaged apart."""


def decoder_of(device: Device) -> Decode:
    """Return what turns a reply of a device into readings."""
    if isinstance(device.layout, Contract):
        return partial(board_readings, device.layout)
    if device.layout is PMD_USB:
        return usb_readings
    if device.layout is PMD2:
        return pmd2_readings
    return raw_readings


def board_readings(contract: Contract, data: bytes) -> Decoded:
    """Return the readings of a BENCHLAB."""
    frame = contract.decode(data)
    rails = dict(zip(contract.product.rails, frame.rails, strict=True))
    suspect = list(_contradictions(rails))
    kv: Kv = {
        **_whole(rails),
        **_sums(rails),
        **_rails(rails),
        **_temperatures(contract, frame, suspect),
        **_fans(frame),
        **{f"vin{n}_v": mv / 1000 for n, mv in enumerate(frame.inputs_mv, 1) if mv != NOT_CONNECTED},
        "vdd_v": frame.vdd_mv / 1000,
        "vref_v": frame.vref_mv / 1000,
        **_faults(frame),
    }
    return _flagged(kv, suspect), _doubt(frame)


def usb_readings(data: bytes) -> Decoded:
    """Return the readings of a PMD-USB, which sees nothing of the mainboard; power is voltage times current."""
    rails = zip(PMD_USB.rails, decode_usb(data), strict=True)
    found = {name: Rail(10 * rail.cv, 100 * rail.da, rail.cv * rail.da) for name, rail in rails}
    return {**_sums(found), **_rails(found)}, None


def pmd2_readings(data: bytes) -> Decoded:
    """Return the readings of a PMD2."""
    frame = decode_pmd2(data)
    rails = dict(zip(PMD2.rails, frame.rails, strict=True))
    kv: Kv = {
        **_whole(rails),
        **_sums(rails),
        **_rails(rails),
        "vdd_v": frame.vdd_mv / 1000,
    }
    return _flagged(kv, list(_contradictions(rails))), _doubt_supply(frame.vdd_mv)


def raw_readings(data: bytes) -> Decoded:
    """Return the bytes of a device whose firmware nobody has described. Raises ValueError if there are none."""
    if not data:
        raise ValueError("found no reply at all")
    return {"raw_hex": data.hex()}, None


AnyRail = Rail | Pmd2Rail


def _rails(rails: Mapping[str, AnyRail]) -> Kv:
    kv: Kv = {}
    for name, rail in rails.items():
        if rail.mv != NOT_CONNECTED:
            kv[f"{name}_v"], kv[f"{name}_a"], kv[f"{name}_w"] = rail.mv / 1000, rail.ma / 1000, rail.mw / 1000
    return kv


def _sums(rails: Mapping[str, AnyRail]) -> Kv:
    """Return the power of CPU, graphics card and mainboard, as far as the meter has rails of them."""
    sums = ((key, _sum_mw(rails, part)) for part, key in SUM_KEYS.items())
    return {key: milliwatts / 1000 for key, milliwatts in sums if milliwatts is not None}


def _sum_mw(rails: Mapping[str, AnyRail], part: str) -> int | None:
    """Return the power of a part; None if the meter has no rail of it, or one of them reads nothing."""
    members = [rails[name] for name in RAIL_SUMS[part] if name in rails]
    if not members or any(rail.mv == NOT_CONNECTED for rail in members):
        return None
    return sum(rail.mw for rail in members)


def _whole(rails: Mapping[str, AnyRail]) -> Kv:
    """Return voltage, current and power of the whole board: of its main rail, and of all inputs together."""
    v_sys_mv, milliwatts = rails["atx12v"].mv, _sum_mw(rails, "sys")
    kv: Kv = {} if v_sys_mv == NOT_CONNECTED else {"v_sys": v_sys_mv / 1000}
    if milliwatts is None:
        return kv
    if v_sys_mv >= LEAST_V_SYS_MV:
        kv["i_sys"] = round(milliwatts / v_sys_mv, 4)
    return {**kv, "p_sys": milliwatts / 1000}


def _contradictions(rails: Mapping[str, AnyRail]) -> Iterator[str]:
    main = rails["atx12v"]
    if abs(main.ma) > SOME_CURRENT_MA and not LEAST_12V_MV <= main.mv <= MOST_12V_MV:
        yield "atx12v_v"  # kept: a supply that breaks down looks so too
    for name, rail in rails.items():
        if rail.mv == NOT_CONNECTED:
            continue
        product_mw = rail.mv * rail.ma / 1000
        if abs(rail.mw - product_mw) > TOLERANCE * abs(rail.mw) + TOLERANCE_MW:
            yield f"{name}_w"


def _temperatures(contract: Contract, frame: Frame, suspect: list[str]) -> Kv:
    sensors = zip(contract.product.sensors, frame.sensors, strict=True)
    kv: Kv = {f"{name}_c": tenths / 10 for name, tenths in sensors if tenths != NOT_CONNECTED}
    chip_c = frame.chip / contract.chip_per_degree
    if abs(chip_c) <= MOST_CHIP_C:
        kv["chip_c"] = chip_c
    else:
        suspect.append("chip_c")
    if frame.ambient == frame.humidity == 0:  # what a sensor that did not answer the board reads
        suspect += ["temp_c", "humidity_pct"]
        return kv
    if frame.ambient != NOT_CONNECTED:
        kv["temp_c"] = frame.ambient / 10
    if frame.humidity != NOT_CONNECTED:
        kv["humidity_pct"] = frame.humidity / 10
    return kv


def _fans(frame: Frame) -> Kv:
    kv: Kv = {}
    for n, fan in enumerate(frame.fans, 1):
        kv[f"fan{n}_rpm"], kv[f"fan{n}_pct"] = fan.rpm, fan.duty_pct
    if frame.fan_ext_duty_pct != NO_SIGNAL:
        kv["fan_ext_pct"] = frame.fan_ext_duty_pct
    if frame.fan_switch < len(FAN_SWITCH):
        kv["fan_switch"] = FAN_SWITCH[frame.fan_switch]
    if frame.rgb_switch < len(RGB_SWITCH):
        kv["rgb_switch"] = RGB_SWITCH[frame.rgb_switch]
    return {**kv, "rgb_ext": bool(frame.rgb_ext)}


def _faults(frame: Frame) -> Kv:
    if frame.faults is None:
        return {}
    live, latched = frame.faults
    return {"faults": _names(live), "faults_latched": _names(latched)}


def _names(mask: int) -> str:
    known = [name for bit, name in enumerate(FAULTS) if mask >> bit & 1]
    rest = mask >> len(FAULTS)
    return " ".join([*known, *([f"0x{rest << len(FAULTS):x}"] if rest else [])])


def _flagged(kv: Kv, suspect: list[str]) -> Kv:
    return {**kv, "suspect": " ".join(suspect)} if suspect else kv


def _doubt(frame: Frame) -> str | None:
    """Return why a frame is hardly what the board sent; there is no checksum that would tell."""
    if (doubt := _doubt_supply(frame.vdd_mv)) is not None:
        return doubt
    if not LEAST_VREF_MV <= frame.vref_mv <= MOST_VREF_MV:
        return f"a reference of {frame.vref_mv} mV, expected {LEAST_VREF_MV} to {MOST_VREF_MV}"
    duties = [*(fan.duty_pct for fan in frame.fans), *({frame.fan_ext_duty_pct} - {NO_SIGNAL})]
    if max(duties) > 100:
        return f"a fan duty of {max(duties)} %, expected at most 100"
    switches = (frame.fan_switch, frame.rgb_switch, frame.rgb_ext)
    if frame.fan_switch >= len(FAN_SWITCH) or frame.rgb_switch >= len(RGB_SWITCH) or frame.rgb_ext > 1:
        return f"switches at {switches}, expected at most (2, 1, 1)"
    return None


def _doubt_supply(vdd_mv: int) -> str | None:
    if LEAST_VDD_MV <= vdd_mv <= MOST_VDD_MV:
        return None
    return f"a supply of {vdd_mv} mV, expected {LEAST_VDD_MV} to {MOST_VDD_MV}"
