"""The edge devices whose power can be read: one module a family.

A module has ``collectors(device_type, config, options)``, which returns its BaseCollector objects and touches no
device yet: what is missing is said by ``get_metrics``. ``config`` is the device's configuration as ``config.yaml`` has
it; a module reads its own section and ignores the rest. Heavy libraries are imported by the module that needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from benchlab.errors import Exit, Fault
from edgepower.collectors.base import BaseCollector, Options, Scope, Stamp

__all__ = ["MODULES", "BaseCollector", "Options", "Scope", "Stamp", "get_collector", "get_collectors"]

MODULES = {
    "jetson_tx1": "jetson",
    "jetson_tx2": "jetson",
    "jetson_nano": "jetson",
    "jetson_xavier": "jetson",
    "jetson_orin": "jetson",
    "jetson_thor": "jetson",
    "raspberry_pi": "raspberry_pi",
    "orange_pi": "orange_pi",
    "lattepanda": "lattepanda",
    "shelly": "shelly",
}
"""Module by device type. The type of a Jetson only names its events: the board is known by its rails."""


def get_collector(device_type: str, config: Mapping[str, Any], options: Options | None = None) -> BaseCollector:
    """Return the collector of the one device that the configuration describes.

    Raises Fault (CONFIG) for an unknown type, a wrong configuration, and one of several devices.
    """
    found = _of_type(device_type, config, options or Options())
    if len(found) != 1:
        raise Fault(f"{device_type}: found {len(found)} devices, expected one", Exit.CONFIG)
    return found[0]


def get_collectors(config: Mapping[str, Any], options: Options | None = None) -> list[BaseCollector]:
    """Return the collectors of all devices of a configuration, each told apart by (device_type, dev).

    The configuration has a ``device_type``, or a list ``devices`` whose entries have one, a ``name`` if they like, and
    the sections of their family; a section that an entry has not is that of the whole configuration.
    Raises Fault (CONFIG) naming the key that is wrong.
    """
    options = options or Options()
    entries = config.get("devices")
    if entries is None:
        found = _of_type(config.get("device_type"), config, options)
    else:
        found = []
        for number, entry in enumerate(_entries(entries)):
            found += _of_entry(number, entry, config, options)
    _refuse_twins(found)
    return found


def _entries(entries: object) -> Sequence[Mapping[str, Any]]:
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        raise Fault(f"devices: found {entries!r}, expected a list of devices", Exit.CONFIG)
    for number, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise Fault(f"devices[{number}]: found {entry!r}, expected device_type and more", Exit.CONFIG)
    return entries


def _of_entry(
    number: int, entry: Mapping[str, Any], config: Mapping[str, Any], options: Options
) -> list[BaseCollector]:
    name = entry.get("name")
    if name is not None and not isinstance(name, str):
        raise Fault(f"devices[{number}].name: found {name!r}, expected text", Exit.CONFIG)
    common = {key: value for key, value in config.items() if key not in ("devices", "device_type")}
    try:
        return _of_type(entry.get("device_type"), {**common, **entry}, replace(options, name=name))
    except Fault as fault:
        raise Fault(f"devices[{number}]: {fault.message}", fault.code) from None


def _of_type(device_type: object, config: Mapping[str, Any], options: Options) -> list[BaseCollector]:
    known = ", ".join(sorted(MODULES))
    if not isinstance(device_type, str) or device_type not in MODULES:
        near = get_close_matches(str(device_type), MODULES)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise Fault(f"device_type: found {device_type!r}, expected one of {known}{hint}", Exit.CONFIG)
    module = import_module(f"edgepower.collectors.{MODULES[device_type]}")
    if options.simulate is None:
        real: list[BaseCollector] = module.collectors(device_type, config, options)
        return real
    simulated = import_module("edgepower.collectors.simulated")
    twins = module.collectors(device_type, {**simulated.CONFIG, **config}, options)
    return [simulated.Simulated(device_type, options, twin.dev) for twin in twins]


def _refuse_twins(collectors: Sequence[BaseCollector]) -> None:
    seen = set()
    for one in collectors:
        which = (one.device_type, one.dev)
        if which in seen:
            twin = f"{one.device_type} {one.dev}" if one.dev else one.device_type
            raise Fault(f"devices: found {twin} twice, expected a name of its own for each", Exit.CONFIG)
        seen.add(which)
