"""A device of the edge that reads what a test tells it to, and the parts of the exporter around it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgepower.collectors import BaseCollector, Stamp
from edgepower.device_config import DeviceConfig

READING = {
    "power_total_watts": 7.5,
    "power_gpu_watts": 2.25,
    "jetson_temp_gpu_celsius": 41.0,
    "jetson_gpu_usage_percent": 12.0,
}


class FakeDevice(BaseCollector):
    """Reads ``values``, or raises ``error``."""

    def __init__(self, device_type: str = "jetson_orin", dev: str | None = None, **values: float) -> None:
        self.device_type = device_type
        self.dev = dev
        self.values: dict[str, float] = values or dict(READING)
        self.error: Exception | None = None
        self.reads = 0
        self.is_closed = False

    def get_metrics(self) -> dict[str, float]:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return dict(self.values)

    def stamped(self, ts_ns: int) -> None:
        self.stamp = Stamp(ts_ns, 5, 10)

    def close(self) -> None:
        self.is_closed = True


def config_of(folder: Path, text: str = "device_type: jetson_orin\n", **options: Any) -> DeviceConfig:
    """Return the configuration that a file with this text is; any device will do."""
    path = folder / "config.yaml"
    path.write_text(text)
    return DeviceConfig(path, lambda device: None, **options)


def ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers in lower case, and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, dict(headers or {}))
    answer = connection.getresponse()
    found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    connection.close()
    return found


def ask_json(port: int, method: str, path: str, content: object = None, **headers: str) -> tuple[int, Any]:
    """Return status and decoded body of an answer."""
    body = None if content is None else json.dumps(content).encode()
    status, _, answer = ask(port, method, path, body, headers)
    return status, json.loads(answer)
