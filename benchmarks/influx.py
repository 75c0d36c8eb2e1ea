"""muxd's InfluxDB sink beside that server's own bulk load: the same lines into the same InfluxDB 1, in turn."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchlab.cli import free_port
from benchmarks.measure import MIB, REPOSITORY, Spread, Used, Watched, program_env, python, run
from benchmarks.recording import PAIR
from benchmarks.replay import make_recording
from benchmarks.same import DifferentError
from benchmarks.table import Section

SESSION = "recorded"
SERVER = """\
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
[monitor]
  store-enabled = false
"""
OURS = """\
[influx]
influx_url = "http://127.0.0.1:{port}"
influx_db = "{database}"
api = "v1"
"""
HEAD = """\
# DDL
CREATE DATABASE {database}
# DML
# CONTEXT-DATABASE: {database}
"""
WRITE_LINES = """\
import sys
from pathlib import Path
from benchlab.session import open_session
from muxd.sinks.feed import Feed
from muxd.sinks.influx_points import Points
from muxd.sinks.influx_ties import number
session = open_session(Path(sys.argv[1]), sys.argv[2], create=False)
points, feed = Points(session.info.id, session.info.node), Feed(session.dir)
cursors, times = {}, {}
while batch := feed.read(cursors, feed.word().generation):
    told = [((r.stream, r.offset), points.series(r), r.event.ts_aligned_ns) for r in batch.records]
    numbers = number([one for one in told if one[1]], times)
    for record in batch.records:
        for line in points.of(record, numbers.above_one.get((record.stream, record.offset), 1)):
            sys.stdout.buffer.write(line + b"\\n")
    cursors, times = batch.cursors, numbers.after
"""


def influx(frames: int, rounds: int, seed: int = 1) -> Section:
    """Drain a session and import its lines, ``rounds`` times each. Raises DifferentError if they are not the same."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-influx-") as name:
        root = Path(name)
        make_recording(root / "sessions" / SESSION, frames, seed)
        run(_muxd(root, "--once"))
        lines = _lines_of(root, root / "lines")
        used: list[tuple[tuple[Used, float], tuple[Used, float]]] = []
        with _server(root) as server:
            for number in range(rounds):
                drained, imported = f"drained{number}", f"imported{number}"
                used.append((_drain(root, server, drained), _import(root, server, imported)))
                _same(server, drained, imported)
        facts = {"frames": frames, "lines": lines, "mib": (root / "lines").stat().st_size / MIB, "rounds": rounds}
    return _section(used, facts)


class Server:
    """A running InfluxDB 1."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.process = process

    def ask(self, text: str, database: str) -> Any:
        query = urllib.parse.urlencode({"db": database, "q": text}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/query", query, timeout=600) as answer:
            return json.loads(answer.read())["results"]

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=5):
                return True
        except OSError:
            return False


@contextmanager
def _server(root: Path) -> Iterator[Server]:
    program = shutil.which("influxd")
    if program is None or shutil.which("influx") is None:
        raise SystemExit("influxd and influx are not there: sudo apt-get install -y influxdb influxdb-client")
    port, config = free_port(), root / "influxdb.conf"
    config.write_text(SERVER.format(folder=root / "influxdb", port=port, rpc=free_port()))
    with (root / "influxdb.log").open("wb") as log:
        process = subprocess.Popen([program, "-config", str(config)], stdout=log, stderr=log)
    try:
        server = Server(port, process)
        while not server.is_ready():
            if process.poll() is not None:
                raise SystemExit(f"influxd ended with {process.returncode}")
            time.sleep(0.1)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _muxd(root: Path, *options: str) -> list[str]:
    config = root / "config.toml"
    config.touch()
    where = ("--config", config, "--data-root", root, "--session", SESSION)
    return python("-m", "muxd", *where, "--pair", *PAIR, *options)


def _lines_of(root: Path, path: Path) -> int:
    """Write the lines that the sink makes of a session, in another process, and count them."""
    with path.open("wb") as file:
        command = python("-c", WRITE_LINES, root, SESSION)
        subprocess.run(command, env=program_env(), cwd=REPOSITORY, check=True, stdout=file)
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _drain(root: Path, server: Server, database: str) -> tuple[Used, float]:
    """Have muxd drain the whole session into a new database; return what it and what the server used."""
    (root / "config.toml").write_text(OURS.format(port=server.port, database=database))
    return _beside(server, _muxd(root, "--once", "--sink", "influx"))


def _import(root: Path, server: Server, database: str) -> tuple[Used, float]:
    path = root / "to-import"
    with (root / "lines").open("rb") as source, path.open("wb") as file:
        file.write(HEAD.format(database=database).encode())
        shutil.copyfileobj(source, file)
    words = ["influx", "-port", str(server.port), "-import", "-path", str(path), "-precision", "ns"]
    return _beside(server, ["sh", "-c", 'exec "$@" >/dev/null', "sh", *words])


def _beside(server: Server, argv: list[str]) -> tuple[Used, float]:
    watched = Watched(server.process.pid)
    used = run(argv)
    return used, watched.load().cpu_pct * used.wall_s / 100


def _same(server: Server, one: str, other: str) -> None:
    """Hold the counts and sums of two databases against each other. Raises DifferentError."""
    for text in (
        "SELECT COUNT(lat_ms), SUM(lat_ms), SUM(frame), SUM(energy_j) FROM metric_latency",
        "SELECT SUM(dropped) FROM metric_dropped",
        "SELECT COUNT(p_sys), SUM(p_sys) FROM benchlab_usb",
    ):
        answers = [json.dumps(server.ask(text, database)) for database in (one, other)]
        if answers[0] != answers[1]:
            raise DifferentError(f"{text}: {answers[0]} and {answers[1]}")


def _section(used: list[tuple[tuple[Used, float], tuple[Used, float]]], facts: dict[str, Any]) -> Section:
    names = ("muxd --sink influx", "influx -import")
    rows = []
    for i, name in enumerate(names):
        runs = [pair[i] for pair in used]
        wall = Spread.of([one.wall_s for one, _ in runs])
        cpu, server = (Spread.of(values) for values in ([o.cpu_s for o, _ in runs], [s for _, s in runs]))
        rate = facts["lines"] / wall.middle / 1000
        peak = max(one.peak_mib for one, _ in runs)
        rows.append([name, wall.text(), f"{rate:.0f}", cpu.text(), server.text(), f"{peak:.1f}"])
        facts[name] = {"wall_s": vars(wall), "k_lines_s": rate, "cpu_s": vars(cpu), "peak_mib": peak}
    ratio = Spread.of([drained[0].wall_s / imported[0].wall_s for drained, imported in used])
    rows.append(["muxd / influx -import", ratio.text(), "", "", "", ""])
    facts["wall_ratio"] = vars(ratio)
    notes = [
        f"{facts['lines']:,} lines ({facts['mib']:.0f} MiB) of {facts['frames']:,} frames, each time into a new "
        f"database of the same InfluxDB 1; counts and sums of both are compared. {facts['rounds']} rounds, in turn: "
        "median (least to greatest).",
        "muxd reads and decodes the log, makes the lines, compresses them, and saves its cursors once a second; "
        "`influx -import` sends lines that are ready, uncompressed, 5,000 at a time.",
    ]
    header = ["program", "wall s", "k lines/s", "CPU s", "server's CPU s", "peak MiB"]
    return Section("InfluxDB: a drain beside a bulk load", header, rows, notes, facts)
