"""The management API: which metrics there are, turning them on and off, reloading, and how the exporter fares."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from time import monotonic, time
from typing import Any

from benchlab.errors import Fault
from benchlab.httpd import Answer, Refusal, Request, Routes, json_answer
from edgepower.control import Control
from edgepower.device_config import DeviceConfig, Unknown
from edgepower.live import Device, Live
from edgepower.settings import MAX_METRICS

MAX_BODY = 100 * 1024
SECRET = re.compile(r"pass|secret|token|api_?key|auth|credential", re.IGNORECASE)
REDACTED = "***"


class Management:
    """The routes of the API over what the exporter knows."""

    def __init__(self, config: DeviceConfig, live: Live, control: Control) -> None:
        self._config = config
        self._live = live
        self._control = control
        self._began_s = monotonic()

    def routes(self) -> Routes:
        """Return what serves which path."""
        return {
            "/metrics/list": {"GET": self.list_metrics},
            "/metrics/enable": {"POST": self.enable},
            "/reload": {"POST": self.reload},
            "/config": {"GET": self.show_config},
            "/health": {"GET": self.health},
        }

    def list_metrics(self, request: Request) -> Answer:
        """Every metric, and whether it is shown."""
        shown = {"metrics": self._config.metrics, "device_type": self._device_type(), "source": self._config.source}
        return json_answer(shown)

    def enable(self, request: Request) -> Answer:
        """Turn metrics on and off: all that the body names, or none."""
        chosen = _chosen(request.body)
        try:
            self._control.enable(chosen)
        except Unknown as unknown:
            raise Refusal(404, _sentence(unknown.names), {"unknown": unknown.names}) from None
        except Fault as fault:
            raise Refusal(500, fault.message) from None
        return json_answer({"status": "success", "updated": len(chosen), "metrics": chosen})

    def reload(self, request: Request) -> Answer:
        """Have the configuration read again, soon."""
        self._control.reload()
        if "application/json" in request.headers.get("Accept", ""):
            metrics_count = len(self._config.metrics)
            return json_answer(
                {"status": "reload_triggered", "source": self._config.source, "metrics_count": metrics_count}
            )
        return Answer(b"Config reload triggered", "text/plain; charset=utf-8")

    def show_config(self, request: Request) -> Answer:
        """The configuration in force, without its secrets."""
        return json_answer(redacted(self._config.document()))

    def health(self, request: Request) -> Answer:
        """How the exporter fares. The status is 200 whatever it says."""
        devices = self._live.devices
        states = [self._live.state(device) for device in devices]
        metrics = self._config.metrics
        read = [device.read_s for device in devices if device.read_s is not None]
        return json_answer(
            {
                "status": self._status(states),
                "device_id": self._live.hostname,
                "device_type": self._device_type(),
                "uptime_seconds": round(monotonic() - self._began_s, 1),
                "last_collection": _wall(max(read)) if read else None,
                "last_error": self._last_error(devices),
                "metrics_count": len(metrics),
                "enabled_metrics": sum(metrics.values()),
                "collector": "up" if states and set(states) == {"up"} else "down",
                "config_source": self._config.source,
                "config_error": self._control.problem or None,
                "devices": [_described(device, state) for device, state in zip(devices, states, strict=True)],
            }
        )

    def _status(self, states: list[str]) -> str:
        if self._control.problem or "down" in states:
            return "degraded"
        return "starting" if "starting" in states or not states else "healthy"

    def _last_error(self, devices: list[Device]) -> str | None:
        problems = [self._control.problem, *(device.problem for device in devices)]
        return next(filter(None, problems), None)

    def _device_type(self) -> str:
        return ",".join(dict.fromkeys(device.device_type for device in self._live.devices))


def redacted(value: Any) -> Any:
    """Return a configuration with what is secret in it made unreadable."""
    if isinstance(value, Mapping):
        return {
            key: REDACTED if SECRET.search(str(key)) and not isinstance(item, bool) else redacted(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redacted(item) for item in value]
    return re.sub(r"//[^/@\s]*@", f"//{REDACTED}@", value) if isinstance(value, str) else value


def _chosen(body: bytes) -> dict[str, bool]:
    """Return what the body of a request turns on and off. Raises Refusal."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, 'found no JSON, expected {"NAME": true, ...}') from None
    if not isinstance(found, dict) or not found:
        raise Refusal(400, 'expected an object {"NAME": true, ...} of at least one metric')
    if len(found) > MAX_METRICS:
        raise Refusal(400, f"found {len(found)} metrics, expected at most {MAX_METRICS}")
    for name, value in found.items():
        if not isinstance(value, bool):
            raise Refusal(400, f"{name[:200]}: found {json.dumps(value)[:60]}, expected true or false")
    return found


def _sentence(unknown: Mapping[str, list[str]]) -> str:
    meant = [
        f"{name[:200]}" + (f" (did you mean {' or '.join(near)}?)" if near else "") for name, near in unknown.items()
    ]
    return f"found no metric {', '.join(meant)}: GET /metrics/list has the names"


def _described(device: Device, state: str) -> dict[str, Any]:
    found: dict[str, Any] = {"device_type": device.device_type, "state": state}
    if device.dev:
        found["dev"] = device.dev
    if device.problem:
        found["reason"] = device.problem
    if device.scopes:
        found["scopes"] = dict(device.scopes)
    if device.absent:
        found["absent"] = dict(device.absent)
    return {**found, "simulated": True} if device.simulated else found


def _wall(read_s: float) -> str:
    moment = datetime.fromtimestamp(time() - (monotonic() - read_s), timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
