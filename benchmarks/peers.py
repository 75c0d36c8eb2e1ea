"""Other programs that watch a host, set to sample the same things at the same rate as telemetryd."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import threading
from pathlib import Path
from time import monotonic

from benchmarks.daemons import free_port
from benchmarks.measure import REPOSITORY, program_env, python

PERIOD_S = 0.1
NODE_EXPORTER = "prometheus-node-exporter"
PLUGINS = ("cpu", "load", "memory", "interface", "disk", "csv")
COLLECTD = """\
Interval {period_s}
BaseDir "{folder}"
PIDFile "{folder}/pid"
TypesDB "/usr/share/collectd/types.db"
{plugins}
<Plugin csv>
  DataDir "{folder}"
</Plugin>
"""


def plain(folder: Path) -> subprocess.Popen[bytes]:
    """Start the usual psutil program."""
    command = python(REPOSITORY / "benchmarks" / "plain_sampler.py", folder / "plain.jsonl")
    return subprocess.Popen(command, env=program_env(), stdin=subprocess.DEVNULL)


def collectd(folder: Path) -> subprocess.Popen[bytes] | None:
    """Start collectd, writing CSV; None where it is not installed."""
    program = shutil.which("collectd")
    if program is None:
        return None
    config = folder / "collectd.conf"
    plugins = "\n".join(f"LoadPlugin {name}" for name in PLUGINS)
    config.write_text(COLLECTD.format(period_s=PERIOD_S, folder=folder / "collectd", plugins=plugins))
    (folder / "collectd").mkdir()
    return subprocess.Popen([program, "-f", "-C", str(config)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class NodeExporter:
    """prometheus-node-exporter with the matching collectors, and a thread that scrapes it as often as asked."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.scrapes = 0
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @classmethod
    def begin(cls) -> NodeExporter | None:
        """Start it; None where it is not installed."""
        program = shutil.which(NODE_EXPORTER)
        if program is None:
            return None
        port = free_port()
        chosen = [f"--collector.{name}" for name in ("cpu", "cpufreq", "loadavg", "meminfo", "netdev", "diskstats")]
        command = [program, f"--web.listen-address=127.0.0.1:{port}", "--collector.disable-defaults", *chosen]
        return cls(subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL), port)

    def end(self) -> None:
        """Scrape no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        due_s = monotonic()
        while not self._stop.wait(max(0.0, due_s - monotonic())):
            due_s = max(due_s + PERIOD_S, monotonic())
            try:
                connection.request("GET", "/metrics")
                connection.getresponse().read()
                self.scrapes += 1
            except (OSError, http.client.HTTPException):
                connection.close()
