"""Programs that send stages, and a listener that takes them in within the test."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from msgspec import json

from benchlab import clock
from benchlab.clock import SessionClock
from benchlab.daemon import Reading
from benchlab.event import META, PIPELINE, Event
from pipeline_probes.datagrams.stage_socket import StageSocket
from pipeline_probes.datagrams.stage_source import StageSource
from support.tree import program_env

PATIENCE_S = 60.0


class Inbox:
    """A listener, and all that it has taken in."""

    def __init__(self, path: str, since_ns: int | None = None) -> None:
        self.clock = SessionClock(clock.wall_ns() - clock.boottime_ns())
        self.socket = StageSocket(path)
        self.source = StageSource(self.socket, self.clock, self.clock.now_ns() if since_ns is None else since_ns)
        self.readings: list[Reading] = []

    def until(self, stages: int) -> list[Reading]:
        """Take in until so many stages and bookmarks have come or are known to be lost; return those that came."""
        give_up_s = time.monotonic() + PATIENCE_S
        while len(self.stages) + self.lost < stages:
            assert time.monotonic() < give_up_s, f"{len(self.stages)} came, {self.lost} were lost, of {stages}"
            self.readings += self.source.sample()
        return self.stages

    def while_runs(self, process: subprocess.Popen[str]) -> str:
        """Take in for as long as a program runs, which must end well, and what it left; return what it printed."""
        while process.poll() is None:
            self.readings += self.source.sample()
        self.rest()
        return finished(process)

    def rest(self) -> list[Reading]:
        """Take nothing more in; return all that has come."""
        self.source.shut()
        self.readings += self.source.sample()
        return self.stages

    @property
    def stages(self) -> list[Reading]:
        return [reading for reading in self.readings if reading.source in (None, "bookmark")]

    @property
    def gaps(self) -> list[dict[str, Any]]:
        return [reading.kv for reading in self.readings if reading.source == META]

    @property
    def lost(self) -> int:
        return sum(gap["n"] for gap in self.gaps if gap["why"] == "stages_lost")

    def frames(self, stage: str | None = None) -> list[Any]:
        return [reading.kv["frame"] for reading in self.stages if stage in (None, reading.kv["stage"])]

    def close(self) -> None:
        self.socket.close()


def program(code: str, path: str, *args: object, **env: str) -> subprocess.Popen[str]:
    """Start Python code that uses the SDK and talks through its stdin and stdout."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        env=program_env(BENCHLAB_STAGE_SOCKET=path, **env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    """Wait for a program's good end and return what it printed."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    return out


def events_of(path: Path) -> list[Event]:
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    return [json.decode(line, type=Event) for line in whole.splitlines()]


def recorded(path: Path) -> list[Event]:
    return [event for event in events_of(path) if event.source == PIPELINE]


def gaps_of(path: Path) -> list[dict[str, Any]]:
    return [event.kv for event in events_of(path) if event.source == META and event.kv["event"] == "gap"]
