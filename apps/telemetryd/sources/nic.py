"""nic.psutil: traffic of the network interfaces, one event for each."""

from __future__ import annotations

from pathlib import Path

from benchlab.daemon import Absent, Reading, Source
from benchlab.event import Value
from benchlab.host.net import Interface, NetDevices
from telemetryd.sources import KERNEL_LANE, Options

_COUNTERS = ("rx_bytes", "tx_bytes", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped")


class NicSource:
    """Every interface that has carried a packet, but for the loopback; ``dev`` is its name."""

    name = "nic.psutil"
    lane = KERNEL_LANE
    stamping = "end"

    def __init__(self, root: Path = Path("/"), period_s: float = 0.1) -> None:
        self.window_ms = period_s * 1e3
        self._devices = NetDevices(root)

    def sample(self) -> list[Reading]:
        """Return a reading for each interface. Raises Absent if there is none, Transient for garbage."""
        found = self._devices.read()
        if not found:
            raise Absent("no interface but the loopback has carried a packet")
        return [Reading(_values(interface), dev=name) for name, interface in found.items()]


def _values(interface: Interface) -> dict[str, Value]:
    rates = {f"{key}_s": round(rate, 1) for key, rate in interface.rates.items()}
    return {**rates, **{key: interface.counters[key] for key in _COUNTERS}}


def sources(options: Options) -> list[Source]:
    """Return the network interfaces."""
    return [NicSource(options.root, options.period_s)]
