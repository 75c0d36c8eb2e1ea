"""A simulated BENCHLAB as a source: the readings of the model, stamped as those of a board would be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchlab.boards.identity import SIMULATED
from benchlab.boards.model import RAILS, ROUND_TRIP_MS, BoardModel, PowerRange
from benchlab.daemon import Reading
from benchlab.event import Value
from benchlab.sim import SEED, Chance, LoadModel

UID = f"{SIMULATED}3030303153494D3030"
"""A device id as the maker's tools print it: 12 bytes in hex, which here spell "SIM"."""

ROUND_TRIP_RANGE_NS = (1_000_000, 5_000_000)


class SimulatedBoard:
    """A source that answers as a BENCHLAB would, its request and reply taking 1 to 5 ms.

    What it measures is a pure function of (seed, time), so a restart leaves no trace in the signals.
    """

    name = "benchlab.usb"
    stamping = "midpoint"
    dev = UID

    def __init__(
        self,
        now_ns: Callable[[], int],
        model: LoadModel,
        power: PowerRange,
        seed: int = SEED,
    ) -> None:
        self._now_ns = now_ns
        self._board = BoardModel(model, power, seed)
        self._chance = Chance(seed, self.name)

    def sample(self) -> Iterator[Reading]:
        """Yield one reading, stamped in the middle of an exchange that has just ended."""
        received_ns = self._now_ns()
        rtt_ns = self._round_trip_ns(received_ns)
        ts_ns = received_ns - rtt_ns // 2
        yield Reading(
            kv=self.measure(ts_ns),
            ts_ns=ts_ns,
            unc_ns=rtt_ns // 2,
            cal={"offset_ns": 0, "rtt_ns": rtt_ns},
            dev=self.dev,
            sim=True,
        )

    def measure(self, ts_ns: int) -> dict[str, Value]:
        """Return all that the board shows at a time, by catalog key."""
        return self._board.measure(ts_ns)

    def _round_trip_ns(self, number: int) -> int:
        shortest, longest = ROUND_TRIP_RANGE_NS
        drawn = round(ROUND_TRIP_MS.at(self._chance.normal(number, len(RAILS))) * 1e3) * 1000
        return min(max(drawn, shortest), longest)
