"""A real Prometheus that scrapes one port, and what it answers."""

from __future__ import annotations

import json
import math
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchlab.cli import free_port
from support.processes import until

CONFIG = """\
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: benchlab
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


def query_path(text: str) -> str:
    """Return where an instant query is answered."""
    return "/api/v1/query?" + urllib.parse.urlencode({"query": text})


def metric_values(body: bytes) -> list[float]:
    """Return the samples in the answer to an instant query."""
    answer = json.loads(body)
    assert answer["status"] == "success", answer
    values = [float(sample["value"][1]) for sample in answer["data"]["result"]]
    return [value for value in values if not math.isnan(value)]


class Prometheus:
    """A running server; ``query`` returns the samples of an instant query."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            found: bytes = answer.read()
        return found

    def is_ready(self) -> bool:
        try:
            return bool(self.get("/-/ready"))
        except OSError:
            return False

    def query(self, text: str) -> list[float]:
        return metric_values(self.get(query_path(text)))


@contextmanager
def scraping(program: str, target: int, folder: Path) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes a port every second; its files go into ``folder``."""
    config, port = folder / "prometheus.yml", free_port()
    config.write_text(CONFIG.format(port=target))
    words = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([program, *words, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        server = Prometheus(port)
        until(server.is_ready)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)
