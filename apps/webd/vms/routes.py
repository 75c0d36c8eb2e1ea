"""``/api/telemetry``: the virtual machines of a session. All work is done by two threads, never on the event loop."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchlab.catalog import lookup
from benchlab.errors import Fault
from benchlab.log.reader import RawChanged
from benchlab.session_folder import timeline_ns
from webd.desk import Desk
from webd.errors import Refusal
from webd.history.asked import points_of, stretch_of
from webd.vms import answers
from webd.vms.analysis import KEYS, WINDOW_S, assess
from webd.vms.columns import columns, source_of
from webd.vms.columns import points_of as as_points
from webd.vms.names import is_uuid, uuid_of
from webd.vms.past import Past
from webd.vms.sightings import Sighted, Sightings

T = TypeVar("T")

AT_ONCE = 2
KEPT_SESSIONS = 4
KEPT_ANALYSES = 256
FRESH_S = 30.0
"""An analysis is given to everybody who asks within this time."""

ANALYSIS_POINTS = 10_000
NS = 1_000_000_000
DAY_NS = 86_400 * NS
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")


def routes(desk: Desk) -> list[Route]:
    """Return the routes about virtual machines."""
    here = _Routes(desk)
    return [
        Route("/api/telemetry/vms", here.vms),
        Route("/api/telemetry/stats/{vm_id}", here.stats),
        Route("/api/telemetry/history", here.history),
    ]


class _Routes:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._past = Past(desk.config.influx)
        self._lock = threading.Lock()
        self._sightings: OrderedDict[Path, Sightings] = OrderedDict()
        self._analyses: OrderedDict[tuple[Path, str], tuple[float, dict[str, Any]]] = OrderedDict()
        self._limiter: CapacityLimiter | None = None

    async def vms(self, request: Request) -> Response:
        """Return the VMs of the session that is named, else of the one that is shown."""
        return await self._answer(partial(self._vms, self._folder(request)))

    async def stats(self, request: Request) -> Response:
        """Return all about one VM."""
        return await self._answer(partial(self._stats, self._folder(request), request.path_params["vm_id"]))

    async def history(self, request: Request) -> Response:
        """Return one field of one VM over time."""
        query = request.query_params
        asked, points = stretch_of(request), points_of(request)
        which, key = query.get("vm", ""), query.get("field", "")
        if not which:
            raise Refusal(400, "vm: found nothing, expected a uuid, a name or a number")
        if not _FIELD.fullmatch(key):
            raise Refusal(400, f"field: found {key[:80]!r}, expected a key such as memory_used_kb or power_w")
        folder = self._folder(request)
        to_ns = asked.to_ns if asked.to_us is not None else None
        from_ns = asked.from_ns if asked.from_us is not None else None
        return await self._answer(partial(self._history, folder, which, key, (from_ns, to_ns), points))

    def _vms(self, folder: Path | None) -> dict[str, Any]:
        if folder is None:
            return {"session": None, "now_ms": self._desk.clock() // 1000 / 1000, "vms": [], "why": "no session yet"}
        seen, now_ns = self._seen(folder), self._now_ns(folder)
        listed = sorted(seen.vms.values(), key=lambda event: (str(event.kv.get("name", "")), event.dev or ""))
        found = {
            "session": folder.name,
            "now_ms": now_ns // 1000 / 1000,
            "vms": [answers.vm(event, seen, now_ns) for event in listed],
            "rest": answers.energy(seen.energy.get("")),
            "collector": answers.collector(seen.collector),
        }
        return found if listed else {**found, "why": "no VM was recorded in this session: is vmstatd running?"}

    def _stats(self, folder: Path | None, asked: str) -> dict[str, Any]:
        folder = _required(folder)
        seen, now_ns = self._seen(folder), self._now_ns(folder)
        event = seen.vms[uuid_of(asked, seen.vms)]
        kv = {**seen.lasting.get(event.dev or "", {}), **event.kv}
        return {
            "session": folder.name,
            "now_ms": now_ns // 1000 / 1000,
            **answers.vm(event, seen, now_ns),
            "tables": answers.tables(event),
            "collector": answers.collector(seen.collector),
            "analytics": self._analysis(folder, event.dev or "", kv, event.ts_ns),
        }

    def _history(
        self, folder: Path | None, asked: str, key: str, times: tuple[int | None, int | None], points: int
    ) -> dict[str, Any]:
        folder = _required(folder)
        seen = self._seen(folder)
        uuid = asked if asked not in seen.vms and is_uuid(asked) else uuid_of(asked, seen.vms)
        event = seen.vms.get(uuid)
        signal = lookup(source_of(key), key)
        if signal is None or signal.kind in ("info", "table"):
            raise Refusal(400, f"field: found {key!r}, expected a number that VMs have (docs/METRICS.md)")
        from_ns, to_ns = times
        to_ns = self._now_ns(folder) + 1 if to_ns is None else to_ns
        from_ns = max(0, to_ns - DAY_NS) if from_ns is None else from_ns
        found = self._past.field(folder, uuid, key, from_ns, to_ns, points)
        return {
            "session": folder.name,
            "vm": {"uuid": uuid, "name": event.kv.get("name") if event else None},
            "field": key,
            "unit": signal.unit or None,
            "kind": signal.kind,
            "from": found.origin,
            "from_ms": from_ns // 1000 / 1000,
            "to_ms": to_ns // 1000 / 1000,
            "sim": found.sim,
            **columns(found),
        }

    def _analysis(self, folder: Path, uuid: str, kv: dict[str, Any], last_ns: int) -> dict[str, Any]:
        """Return what the last day says of a VM, of which the end is its newest reading."""
        with self._lock:
            kept = self._analyses.get((folder, uuid))
        if kept is not None and time.monotonic() - kept[0] < FRESH_S:
            return kept[1]
        span = (max(0, last_ns - round(WINDOW_S * NS)), last_ns + NS)
        found = self._past.fields(folder, uuid, list(KEYS), *span, ANALYSIS_POINTS)
        told = assess(kv, {key: as_points(one) for key, one in found.items()}, last_ns / NS)
        with self._lock:
            self._analyses[(folder, uuid)] = (time.monotonic(), told)
            while len(self._analyses) > KEPT_ANALYSES:
                self._analyses.popitem(last=False)
        return told

    def _seen(self, folder: Path) -> Sighted:
        """Return what is known of the VMs of a session. Raises Refusal (500)."""
        with self._lock:
            sightings = self._sightings.pop(folder, None) or Sightings(folder)
            self._sightings[folder] = sightings
            while len(self._sightings) > KEPT_SESSIONS:
                self._sightings.popitem(last=False)[1].close()
        try:
            return sightings.look()
        except (Fault, OSError, RawChanged) as error:
            raise Refusal(500, f"session {folder.name} cannot be read: {error}") from error

    def _now_ns(self, folder: Path) -> int:
        return timeline_ns(self._desk.session(folder.name).info)

    def _folder(self, request: Request) -> Path | None:
        name = request.query_params.get("session")
        return self._desk.session_dir(name) if name else self._desk.current()

    async def _answer(self, work: Callable[[], dict[str, Any]]) -> Response:
        if self._limiter is None:
            self._limiter = CapacityLimiter(AT_ONCE)
        body = msgspec.json.encode(await to_thread.run_sync(work, limiter=self._limiter))
        return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


def _required(folder: Path | None) -> Path:
    if folder is None:
        raise Refusal(404, "found no session yet: a collector makes one")
    return folder
