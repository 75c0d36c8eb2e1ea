"""From command line, environment and config.toml to the exporter's parts."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchlab.config_schema import EdgePower
from benchlab.config_text import describe
from benchlab.errors import Exit, Fault
from edgepower.central import Central
from edgepower.collectors import MODULES, get_collectors
from edgepower.detect import device_type_of
from edgepower.device_config import DeviceConfig, Overrides
from edgepower.settings import TYPES

HERE = Path("config.yaml")
SYSTEM_PATH = Path("/etc/benchlab/edgepower.yaml")
SERVER_TOKEN_VARIABLE = "CONFIG_SERVER_TOKEN"
SIMULATED_TYPE = "jetson_orin"


def number(read: Callable[[str], float], key: str) -> Callable[[str], Any]:
    """Return what reads a flag as the document's key of that name is read."""

    def convert(text: str) -> Any:
        try:
            return msgspec.convert(read(text), TYPES[key])
        except ValueError:  # msgspec's is one
            raise argparse.ArgumentTypeError(f"found {text!r}, expected {describe(TYPES[key])}") from None

    return convert


def device_config_of(args: argparse.Namespace, keys: EdgePower) -> DeviceConfig:
    """Return the device's configuration. Raises Fault (CONFIG)."""
    path = config_path(keys)
    detected = device_type_of(args.root)
    device_type = detected or (SIMULATED_TYPE if args.simulate else "")
    if not device_type and not path.exists():
        raise Fault(
            f"{path}: no such file, and this is no board that is known: make it from "
            f"configs/edgepower/config.yaml.template, with device_type one of {', '.join(MODULES)}",
            Exit.CONFIG,
        )
    return DeviceConfig(
        path,
        get_collectors,
        device_type=device_type,
        overrides=Overrides(args.interval, args.port, args.reload_port),
        may_create=detected is not None and not args.simulate,
    )


def central_of(keys: EdgePower, hostname: str) -> Central | None:
    """Return the client of the central server, None if there is no server."""
    if not keys.server_url:
        return None
    return Central(keys.server_url, hostname, keys.server_timeout_s, os.environ.get(SERVER_TOKEN_VARIABLE, ""))


def config_path(keys: EdgePower) -> Path:
    """Return where the device document is: as configured, else ``./config.yaml``, else the system's."""
    if keys.config_path:
        return Path(keys.config_path).expanduser().absolute()
    return HERE.absolute() if HERE.exists() else SYSTEM_PATH
