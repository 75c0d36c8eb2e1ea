"""A real InfluxDB 1 and a real VictoriaMetrics on loopback, and what they answer."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchlab.cli import free_port
from support.processes import until

CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
  auth-enabled = {auth}
[monitor]
  store-enabled = false
"""


class InfluxDb:
    """A running server; ``query`` returns the rows of a statement as they stand in its answer, names before values."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=5) as answer:
                return int(answer.status) == 204
        except OSError:
            return False

    def ask(self, text: str, database: str = "vmstats") -> list[dict[str, Any]]:
        """Return the series of an answer. Raises urllib.error.HTTPError."""
        query = urllib.parse.urlencode({"db": database, "epoch": "ns", "q": text}).encode()
        with urllib.request.urlopen(f"{self.url}/query", query, timeout=60) as answer:
            result = json.loads(answer.read())["results"][0]
        assert "error" not in result, result
        found: list[dict[str, Any]] = result.get("series", [])
        return found

    def rows(self, text: str, database: str = "vmstats") -> list[dict[str, Any]]:
        """Return every row of an answer, with the tags that it was grouped by."""
        return [
            dict(zip(series["columns"], values, strict=True)) | series.get("tags", {})
            for series in self.ask(text, database)
            for values in series["values"]
        ]

    def write(self, lines: bytes, database: str = "vmstats") -> None:
        """Write lines as they are. Raises urllib.error.HTTPError."""
        path = f"{self.url}/write?" + urllib.parse.urlencode({"db": database, "precision": "ns"})
        urllib.request.urlopen(path, lines, timeout=60).close()


@contextmanager
def influxdb(program: str, folder: Path, auth: bool = False) -> Iterator[InfluxDb]:
    """Run an InfluxDB 1; its files go into ``folder``."""
    port, config = free_port(), folder / "influxdb.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, rpc=free_port(), auth=str(auth).lower()))
    with _running([program, "-config", str(config)], folder / "influxdb.log"):
        server = InfluxDb(port)
        until(server.is_ready, 60)
        yield server


class VictoriaMetrics:
    """A running server; ``export`` returns the samples of the series that a selector names."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            found: bytes = answer.read()
        return found

    def is_ready(self) -> bool:
        try:
            return self.get("/health") == b"OK"
        except OSError:
            return False

    def export(self, selector: str) -> list[dict[str, Any]]:
        self.get("/internal/force_flush")
        query = urllib.parse.urlencode({"match[]": selector})
        return [json.loads(line) for line in self.get(f"/api/v1/export?{query}").splitlines()]


@contextmanager
def victoria_metrics(program: str, folder: Path) -> Iterator[VictoriaMetrics]:
    """Run a VictoriaMetrics; its files go into ``folder``."""
    port = free_port()
    words = [f"-storageDataPath={folder / 'vm'}", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=100y"]
    with _running([program, *words], folder / "victoria-metrics.log"):
        server = VictoriaMetrics(port)
        until(server.is_ready, 60)
        yield server


@contextmanager
def _running(words: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
