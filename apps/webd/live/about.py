"""What is told of a session beside its rows: what it is, and how it fares at this moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchlab import __version__
from benchlab.errors import Fault
from benchlab.files import FileLock
from benchlab.log.vouched import Vouched
from benchlab.session_file import SessionInfo
from benchlab.session_find import find
from benchlab.session_folder import HOST, timeline_ns
from webd.desk import Desk
from webd.live.rows import NS_PER_MS, Pair, Ring

POWER_AGE_MS = 5000.0


class About:
    """A session by its folder; one whose description cannot be read is one that nothing is known of."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self._desk = desk
        self._folder = folder
        self._session = None
        try:
            self._session = find(folder.parent.parent, folder.name, HOST)
        except (Fault, OSError):
            pass

    @property
    def info(self) -> SessionInfo | None:
        """The session's description, as far as it can be read."""
        return self._session.info if self._session else None

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is recorded into it."""
        return self.info is None or self.info.closed

    def refresh(self) -> None:
        """Read the description again if it was changed."""
        if self._session is not None:
            self._session.reload()

    def now_ms(self) -> float:
        """Return the present on the session's timeline."""
        return (timeline_ns(self.info) if self.info else self._desk.clock()) // 1000 / 1000

    def muxd(self, vouched: Vouched | None) -> str:
        """Return whether a muxd works on the session (``live``), did once (``stale``), or never did (``absent``)."""
        if FileLock(self._folder / "state" / "mux.lock", "").holder is not None:
            return "live"
        return "stale" if vouched else "absent"

    def default_pair(self, ring: Ring) -> Pair | None:
        """Return the pair that is shown first: the configured one if there are rows of it, else the first seen."""
        configured = (self._desk.config.pipeline.stage_a, self._desk.config.pipeline.stage_b)
        return configured if configured in ring.pairs else next(iter(ring.pairs), None)

    def hello(self, ring: Ring, is_open: bool, reset: bool) -> dict[str, Any]:
        """Return what a viewer is told first."""
        info = self.info
        unc_ns = ring.last.unc_ns if ring.last else None
        return {
            **no_hello(self._desk),
            "session": self._folder.name,
            "node": info.node if info else None,
            "open": is_open,
            "sim": ring.sim,
            "sim_of": ring.sim_of,
            "pairs": list(ring.pairs),
            "default_pair": self.default_pair(ring),
            "now_ms": self.now_ms(),
            "clock": {
                "synchronized": info.clock_synchronised if info else None,
                "unc_ms": None if unc_ns is None else unc_ns / NS_PER_MS,
            },
            "reset": reset,
        }

    def state(self, ring: Ring, vouched: Vouched | None, from_start: bool) -> dict[str, Any]:
        """Return what is told every second; ``from_start`` says whether the ring was given all rows of the file."""
        now_ms, newest_ms, power = self.now_ms(), ring.newest_ms, ring.last_power
        fresh = power is not None and now_ms - power.ts_aligned_ns / NS_PER_MS < POWER_AGE_MS
        return {
            "now_ms": now_ms,
            "newest_ms": newest_ms,
            "lag_ms": None if newest_ms is None else round(now_ms - newest_ms, 3),
            "muxd": self.muxd(vouched),
            "power_source": power.kv.power_source if power else None,
            "power_now_w": power.kv.power_w if power and fresh else None,
            "temp_c": power.kv.temp_c if power and fresh else None,
            "dropped": {",".join(pair): rows.dropped for pair, rows in ring.pairs.items()},
            "dropped_since_ms": None if from_start else ring.first_ms,
        }


def no_hello(desk: Desk) -> dict[str, Any]:
    """Return what a viewer is told where there is no session yet."""
    return {
        "session": None,
        "node": desk.config.general.node_name,
        "open": False,
        "sim": False,
        "sim_of": [],
        "pairs": [],
        "default_pair": None,
        "thresholds_ms": [desk.config.web.ok_ms, desk.config.web.slow_ms],
        "now_ms": desk.clock() // 1000 / 1000,
        "version": __version__,
        "clock": {"synchronized": None, "unc_ms": None},
        "reset": True,
    }


def no_state(desk: Desk) -> dict[str, Any]:
    """Return the state where there is no session yet."""
    unknown = dict.fromkeys(("newest_ms", "lag_ms", "power_source", "power_now_w", "temp_c", "dropped_since_ms"))
    return {"now_ms": desk.clock() // 1000 / 1000, "muxd": "absent", "dropped": {}, **unknown}
