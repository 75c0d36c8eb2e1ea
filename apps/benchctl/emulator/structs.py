"""What a BENCHLAB answers to the commands that no monitoring program needs: profiles, lights, calibration, limits.

The layouts are the maker's (contracts of benchlab-pycore 0.8); the contents are plausible and fixed. How the maker
computes the two checksums is not published, so they are 0.
"""

from __future__ import annotations

import struct

from benchlab.boards.benchlab import FANS, INPUTS, Product

FAN_PROFILES = 3
RGB_PROFILES = 2
NAME_BYTES = 32
FAULTS = 34

_FAN = struct.Struct("<BB2h2BBBBBBx")
_FAULT = struct.Struct(f"<6Q6B{FAULTS}B{FAULTS}B6x")
_CURRENT_LIMIT_A, _TEMPERATURE_LIMIT_C = 40, 90
_TEMPERATURE_FAULTS = 9  # the first ones; the others are of currents


def name_bytes(name: str) -> bytes:
    """Return a device's name, filled up with NUL. Raises ValueError if it is too long."""
    encoded = name.encode()
    if len(encoded) >= NAME_BYTES:
        raise ValueError(f"found a name of {len(encoded)} bytes, expected at most {NAME_BYTES - 1}")
    return encoded.ljust(NAME_BYTES, b"\0")


def fan_config(profile: int, fan: int) -> bytes:
    """Return how a fan is driven in a profile: by temperature in the first, at a fixed duty in the others."""
    mode, fixed_pct = (0, 50) if profile == 0 else (1, 50 * profile)
    source, stop = min(fan, 4), 0
    return _FAN.pack(mode, source, 300, 600, 30, 80, 2, fixed_pct, 20, 100, stop)


def rgb_config(profile: int) -> bytes:
    """Return mode, red, green, blue, direction and speed of the lights: one colour, or the rainbow."""
    return bytes((9, 0, 114, 178, 0, 50) if profile == 0 else (2, 0, 0, 0, 1, 50))


def calibration(product: Product) -> bytes:
    """Return the calibration: offsets and gains of a few steps for everything that is measured."""
    sensors, rails = len(product.sensors), len(product.rails)

    def pairs(count: int, step: int) -> bytes:
        return b"".join(struct.pack("<hh", step * (n % 5 - 2), 3 * (n % 7 - 3)) for n in range(count))

    checksum = bytes(2)
    measured = pairs(INPUTS, 1) + pairs(2, 1) + pairs(sensors, 1) + bytes(sensors) + pairs(2, 1)
    return checksum + measured + pairs(rails, 2) + pairs(rails, 8)


def fault_config() -> bytes:
    """Return what a BENCHLAB 2 does when a limit is passed: light and buzzer for all, nothing that switches off."""
    every = (1 << FAULTS) - 1
    limits = [_TEMPERATURE_LIMIT_C if n < _TEMPERATURE_FAULTS else _CURRENT_LIMIT_A for n in range(FAULTS)]
    return _FAULT.pack(every, every, 0, 0, 0, 0, *[0] * 6, *limits, *[1] * FAULTS)


def device_config(product: Product) -> bytes:
    """Return the configuration that is compiled in."""
    fans = b"".join(fan_config(profile, fan) for profile in range(FAN_PROFILES) for fan in range(FANS))
    lights = b"".join(map(rgb_config, range(RGB_PROFILES)))
    config = struct.pack("<BxH", 0, 0) + name_bytes(product.name) + fans + lights
    return config if product.faults_from is None else config.ljust(432, b"\0") + fault_config()
