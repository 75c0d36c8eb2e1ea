"""webd as a process, and viewers of its stream that keep to the rules of docs/WEB.md."""

from __future__ import annotations

import http.client
import json
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

from benchlab.cli import free_port
from support.processes import Start, until

Answer = tuple[int, dict[str, str], bytes]
Pair = tuple[str, str]


class Webd:
    """A running webd over a data root; ``restart`` ends it and starts another one on the same port."""

    def __init__(self, start: Start, data_root: Path, *words: str, **env: str) -> None:
        self.port = free_port()
        self._start = start
        self._words = ("webd", "--bind", f"127.0.0.1:{self.port}", "--data-root", str(data_root), *words)
        self._env = env
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        process = self._start(*self._words, **self._env)
        until(lambda: process.poll() is not None or self.answers())
        assert process.poll() is None, process.communicate()[1].decode()
        return process

    def answers(self) -> bool:
        try:
            return self.ask("/healthz")[0] == 200
        except OSError:
            return False

    def stop(self) -> int:
        self.process.terminate()
        self.process.communicate(timeout=30)
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)

    def restart(self) -> None:
        self.process = self._started()

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        """Ask once; ``headers`` by name with underscores, a body that is no bytes goes as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if body is not None and not isinstance(body, bytes):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        status, _, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)


def events(lines: Iterator[bytes]) -> Iterator[tuple[str, str, Any]]:
    """Yield name, id and content of server-sent events."""
    name = identity = data = ""
    for line in lines:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "id":
            identity = value
        elif field == "data":
            data = value
        elif not field and data:
            yield name, identity, json.loads(data)
            name = data = ""


class Viewer(Thread):
    """Looks on, comes back by itself as a browser does, and keeps what it is to show.

    ``rows`` are (at, frame or None, lat_ms) by pair; ``seen`` are all events' names and contents.
    """

    def __init__(self, port: int, query: str = "", on_event: Callable[[str, Any], None] | None = None) -> None:
        super().__init__(daemon=True)
        self.port, self.query = port, query
        self.rows: dict[Pair, list[tuple[int, Any, float]]] = {}
        self.drops: dict[Pair, list[int]] = {}
        self.seen: list[tuple[str, Any]] = []
        self.connections = 0
        self.last_id = ""
        self.status = 0
        self.problem = ""
        self._on_event = on_event
        self._over = Flag()
        self._had: dict[Pair, int] = {}  # the newest row of each pair when the connection was lost

    def run(self) -> None:
        while not self._over.is_set() and self.status != 204:
            try:
                self._connect()
            except (OSError, http.client.HTTPException):
                self._over.wait(0.05)
            except AssertionError as error:
                self.problem = repr(error)
                return

    def close(self) -> None:
        self._over.set()

    def names(self) -> list[str]:
        return [name for name, _ in self.seen]

    def hellos(self) -> list[Any]:
        return [content for name, content in self.seen if name == "hello"]

    def _connect(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Accept-Encoding": "gzip", **({"Last-Event-ID": self.last_id} if self.last_id else {})}
        try:
            connection.request("GET", f"/api/stream{self.query}", headers=headers)
            response = connection.getresponse()
            self.status = response.status
            if self.status != 200:
                return
            self.connections += 1
            self._had = {pair: rows[-1][0] for pair, rows in self.rows.items() if rows}
            for name, identity, content in events(iter(response.readline, b"")):
                self.last_id = identity or self.last_id
                self._take(name, content)
                self.seen.append((name, content))
                if self._on_event:
                    self._on_event(name, content)
                if self._over.is_set():
                    return
        finally:
            connection.close()

    def _take(self, name: str, content: Any) -> None:
        if name == "hello" and content["reset"]:
            self.rows, self.drops = {}, {}
        elif name == "frames":
            pair = (content["pair"][0], content["pair"][1])
            lengths = {len(column) for column in content.values() if isinstance(column, list)} - {2}
            assert len(content["at"]) in (*lengths, 2), "columns of different lengths"
            known = self.rows.setdefault(pair, [])
            for at, frame, lat_ms in zip(content["at"], content["frame"], content["lat_ms"], strict=True):
                if not known or at > known[-1][0]:
                    known.append((at, frame, lat_ms))
                else:  # one that was cut off in the middle of a batch is sent all of it again
                    assert at <= self._had.get(pair, -1), f"the row at {at} came twice"
        elif name == "drops":
            dropped = self.drops.setdefault((content["pair"][0], content["pair"][1]), [])
            dropped += [at for at in content["at"] if not dropped or at > dropped[-1]]
        elif name == "rewind":
            self._had = {pair: min(at, content["at"] - 1) for pair, at in self._had.items()}
            for rows in self.rows.values():
                rows[:] = [row for row in rows if row[0] < content["at"]]
            for pair, ats in self.drops.items():
                self.drops[pair] = [at for at in ats if at < content["at"]]


def recorded(session_dir: Path, pair: Pair) -> list[tuple[int, Any, float]]:
    """Return what a viewer of a session must have in the end."""
    found, at = [], 0
    for line in (session_dir / "aligned" / "latency.jsonl").read_bytes().splitlines(keepends=True):
        try:
            row = json.loads(line)
            if row["source"] == "metric.latency" and row["kv"]["pair"] == list(pair):
                found.append((at, row["kv"].get("frame"), row["kv"]["lat_ms"]))
        except (ValueError, KeyError, TypeError):
            pass
        at += len(line)
    return found


def quoted(cursor: str) -> str:
    return urllib.parse.quote(cursor, safe="")
