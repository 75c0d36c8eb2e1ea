"""Buffers that an element dropped and said so: QoS messages, and queues that leak."""

from __future__ import annotations

from collections import deque
from time import monotonic_ns
from typing import Any

from benchlab.daemon import Reading
from benchlab.event import META
from pipeline_probes.gst.graph import Graph
from pipeline_probes.gst.running_time import NONE

NS = 1_000_000_000


class Drops:
    """Counts drops by element and cause, and tells them once a second."""

    def __init__(self, flow: str) -> None:
        self._flow = flow
        self._counts: dict[tuple[str, str], int] = {}
        self._totals: dict[str, int] = {}
        self._leaks: deque[str] = deque(maxlen=1 << 16)
        self._told_ns = 0

    def watch(self, graph: Graph) -> None:
        """Have every queue that leaks say when it does."""
        for element in graph.elements():
            if element.find_property("leaky") is not None and int(element.get_property("leaky")):
                element.connect("overrun", self._leaked)

    def heard(self, message: Any, gst: Any) -> None:
        """Take a QOS message. Its count is of all buffers since the element started; without one it stands for one."""
        element = message.src.get_name()
        unit, _, total = message.parse_qos_stats()
        dropped = 1
        if unit == gst.Format.BUFFERS and total != NONE:
            dropped = max(0, total - self._totals.get(element, 0))
            self._totals[element] = total
        self._count(element, "qos", dropped)

    def restarted(self) -> None:
        """Forget the elements' own counts: they begin again at 0."""
        self._totals.clear()

    def readings(self, ts_ns: int, at_once: bool = False) -> list[Reading]:
        """Return a line for each element that dropped something, at most once a second."""
        while self._leaks:
            self._count(self._leaks.popleft(), "leaky", 1)
        now_ns = monotonic_ns()
        if not self._counts or (now_ns - self._told_ns < NS and not at_once):
            return []
        self._told_ns = now_ns
        counts, self._counts = self._counts, {}
        return [
            Reading(
                {"event": "dropped", "flow": self._flow, "element": element, "n": n, "why": why},
                ts_ns=ts_ns,
                source=META,
            )
            for (element, why), n in counts.items()
        ]

    def _leaked(self, element: Any) -> None:
        """Note a leak, unless room was made while this call waited to run: then the queue keeps its buffers."""
        if any(_is_full(element, unit) for unit in ("buffers", "bytes", "time")):
            self._leaks.append(element.get_name())

    def _count(self, element: str, why: str, n: int) -> None:
        if n:
            self._counts[element, why] = self._counts.get((element, why), 0) + n


def _is_full(queue: Any, unit: str) -> bool:
    most = int(queue.get_property(f"max-size-{unit}"))
    return most > 0 and int(queue.get_property(f"current-level-{unit}")) >= most
