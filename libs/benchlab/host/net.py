"""Network interfaces, from /proc/net/dev.

Source: proc_pid_net(5).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns

import msgspec

from benchlab.host.procfile import ProcFile, Rates

LOOPBACK = "lo"
RATED = ("rx_bytes", "rx_packets", "tx_bytes", "tx_packets")

_COLUMNS = {
    "rx_bytes": 0,
    "rx_packets": 1,
    "rx_errors": 2,
    "rx_dropped": 3,
    "tx_bytes": 8,
    "tx_packets": 9,
    "tx_errors": 10,
    "tx_dropped": 11,
}
_HEADER_LINES = 2


class Interface(msgspec.Struct, frozen=True):
    """One interface: its counters, and the rates since the reading before of those in RATED."""

    counters: dict[str, int]
    rates: dict[str, float]


class NetDevices:
    """Reads the interfaces that have ever carried a packet; the loopback is none of them."""

    def __init__(self, root: Path = Path("/"), monotonic: Callable[[], int] = monotonic_ns) -> None:
        self._file = ProcFile(root, "proc/net/dev")
        self._monotonic = monotonic
        self._rates: dict[str, Rates] = {}

    def read(self) -> dict[str, Interface]:
        """Return the interfaces by name. Raises Absent or Transient."""
        data = self._file.read()
        now_ns = self._monotonic()
        lines = data.splitlines()[_HEADER_LINES:]
        try:
            parsed = dict(_parse(line) for line in lines)
        except (ValueError, IndexError):
            raise self._file.garbage(data, "a name and 16 counters a line") from None
        found = {name: counters for name, counters in parsed.items() if _in_use(name, counters)}
        self._rates = {name: self._rates.get(name) or Rates() for name in found}
        return {name: self._interface(name, counters, now_ns) for name, counters in found.items()}

    def _interface(self, name: str, counters: dict[str, int], now_ns: int) -> Interface:
        rated = {key: counters[key] for key in RATED}
        return Interface(counters, self._rates[name].update(rated, now_ns))


def _parse(line: bytes) -> tuple[str, dict[str, int]]:
    name, colon, rest = line.rpartition(b":")
    fields = rest.split()
    if not colon:
        raise ValueError("no name")
    return name.strip().decode("utf-8", "backslashreplace"), {
        key: int(fields[column]) for key, column in _COLUMNS.items()
    }


def _in_use(name: str, counters: dict[str, int]) -> bool:
    return name != LOOPBACK and (counters["rx_packets"] > 0 or counters["tx_packets"] > 0)
