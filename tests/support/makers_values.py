"""A frame in the words of the maker's library: as that decodes it, and as we do."""

from __future__ import annotations

from typing import Any

from benchlab_pycore.core.sensor_translation import translate_sensor_struct
from benchlab_pycore.core.structures import SensorStructBL2, SensorStructBL2Legacy, SensorStructOriginal

from benchlab.boards.benchlab import NO_SIGNAL, NOT_CONNECTED, ORIGINAL, PRODUCTS, Contract, Frame

CONTRACTS = [Contract(product, firmware) for product in PRODUCTS.values() for firmware in product.firmware]
SENSOR_NAMES = ("TS_1", "TS_2", "TS_3", "TS_4", "TS_HPWR1_IN", "TS_HPWR1_OUT", "TS_HPWR2_IN", "TS_HPWR2_OUT")
HOTTEST_C = 100.0
"""Beyond this either way, the maker's library shows no temperature."""


def named(contract: Contract) -> str:
    return f"{contract.product.name}-{contract.firmware}"


def makers_values(contract: Contract, data: bytes) -> dict[str, Any]:
    """Return what the maker's library makes of a reply, as its own reader chooses the layout."""
    if contract.product is ORIGINAL:
        layout = SensorStructOriginal
    else:
        layout = SensorStructBL2 if contract.has_faults else SensorStructBL2Legacy
    sensors = layout.from_buffer_copy(data)
    values: dict[str, Any] = translate_sensor_struct(sensors, contract.product.product_id, contract.firmware)
    return values


def our_values(contract: Contract, frame: Frame) -> dict[str, Any]:
    """Return our frame in the maker's words."""

    def celsius(raw: int, per_degree: int = 10) -> float | None:
        return None if raw == NOT_CONNECTED or abs(raw / per_degree) > HOTTEST_C else raw / per_degree

    def watts(members: slice) -> float:
        return sum(rail.mw for rail in frame.rails[members]) / 1000

    parts = {"CPU_Power": watts(slice(0, 2)), "GPU_Power": watts(slice(6, 11)), "MB_Power": watts(slice(2, 6))}
    values: dict[str, Any] = {**parts, "SYS_Power": sum(parts.values())}
    for name, rail in zip(contract.product.rails, frame.rails, strict=True):
        maker = name.upper().replace("_WIRE", "_W")
        values |= {f"{maker}_Voltage": rail.mv / 1000, f"{maker}_Current": rail.ma / 1000}
        values[f"{maker}_Power"] = rail.mw / 1000
    for n, mv in enumerate(frame.inputs_mv):
        values[f"VIN_{n}"] = None if mv == NOT_CONNECTED else mv / 1000
    values |= {"Vdd": frame.vdd_mv / 1000, "Vref": frame.vref_mv / 1000, "Humidity": frame.humidity / 10}
    values |= {"Chip_Temp": celsius(frame.chip, contract.chip_per_degree), "Ambient_Temp": celsius(frame.ambient)}
    values |= {name: celsius(raw) for name, raw in zip(SENSOR_NAMES, frame.sensors, strict=False)}
    for n, fan in enumerate(frame.fans, 1):
        values |= {f"Fan{n}_Duty": fan.duty_pct, f"Fan{n}_RPM": fan.rpm, f"Fan{n}_Status": fan.enabled}
    external = frame.fan_ext_duty_pct
    return {**values, "FanExtDuty": None if external == NO_SIGNAL else external}
