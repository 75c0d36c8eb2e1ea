"""Sessions whose raw files a test writes by hand, and what muxd makes of them in this process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchlab.event import Event, encode_lines
from benchlab.log.reader import StreamReader
from benchlab.session import Session, SessionInfo
from benchlab.session_file import write_info
from muxd.mux import Mux
from muxd.opening import Opener, catch_up
from muxd.outputs import ALIGNED_FILES
from muxd.replay import replay_into
from muxd.rows import LateEntry
from muxd.settings import Settings
from support.mux_scenarios import POWER, T0

NS = 1_000_000_000
MS = 1_000_000
FOR_EVER_NS = 10**18
PAIRS = (("ingress", "encoded"),)
SETTINGS = Settings(PAIRS, tuple(tuple(entry) for entry in POWER))


class FakeClock:
    """A monotonic clock that moves when it is told to."""

    def __init__(self) -> None:
        self.ns = NS

    def __call__(self) -> int:
        return self.ns

    def advance(self, ns: int) -> None:
        self.ns += ns


def make_session(folder: Path) -> Session:
    """Return a session that is being recorded, without the data root around it."""
    (folder / "raw").mkdir(parents=True)
    info = SessionInfo(id=folder.name)
    write_info(folder, info)
    return Session(folder, info)


def close_session(session: Session) -> None:
    session.info.closed = True
    write_info(session.dir, session.info)


def opener(session: Session, settings: Settings = SETTINGS, patience_ns: int = FOR_EVER_NS) -> Opener:
    return Opener(session, settings, patience_ns, clock=FakeClock())


def append(session: Session, stream: str, rows: Iterable[Event] | bytes) -> None:
    data = rows if isinstance(rows, bytes) else encode_lines(rows)
    with (session.raw / f"{stream}.jsonl").open("ab") as file:
        file.write(data)


def stage(ms: float, name: str, frame: object = None, **more: object) -> Event:
    kv: dict[str, object] = {"stage": name, **more}
    if frame is not None:
        kv["frame"] = frame
    return Event(ts_ns=T0 + int(ms * MS), source="pipeline", kv=kv)


def power(ms: float, watts: object, **more: object) -> Event:
    return Event(ts_ns=T0 + int(ms * MS), source="benchlab.usb", kv={"p_sys": watts, **more})


def meta(ms: float, told: str, **more: object) -> Event:
    return Event(ts_ns=T0 + int(ms * MS), source="meta", kv={"event": told, **more})


def numbered(events: Sequence[Event]) -> list[Event]:
    """Return the events with the sequence numbers that a writer gives them."""
    for seq, event in enumerate(events):
        event.seq = seq
    return list(events)


def usual_run(frames: int = 30, every_ms: float = 16.0, latency_ms: float = 10.0) -> dict[str, list[Event]]:
    """Return the streams of an ordinary recording: every frame comes through, power is known throughout."""
    length = frames * every_ms + 200
    stages = [meta(-1, "start", disorder_ms=20)]
    for frame in range(frames):
        stages.append(stage(frame * every_ms, "ingress", frame))
        stages.append(stage(frame * every_ms + latency_ms, "encoded", frame))
    meter = [meta(-50, "start", disorder_ms=20)]
    meter += [power(ms, 100.0 + ms % 7) for ms in range(-50, int(length), 10)]
    return {"pipeline": numbered(stages), "benchlab": numbered(meter)}


def record(session: Session, streams: dict[str, list[Event]]) -> None:
    for name, events in streams.items():
        append(session, name, events)


def mux_closed(session: Session, settings: Settings = SETTINGS) -> Mux:
    """Close a session and mux it to its end; the Mux that is returned is closed."""
    close_session(session)
    mux = opener(session, settings).open()
    catch_up(mux, True)
    mux.finish()
    mux.close()
    return mux


def mux_open(session: Session, settings: Settings = SETTINGS) -> Mux:
    """Mux an open session up to here, checkpoint, and return the Mux, closed."""
    mux = opener(session, settings).open()
    catch_up(mux, False)
    mux.checkpoint(now=True)
    mux.close()
    return mux


def rows(session: Session, name: str = "latency.jsonl") -> list[dict[str, Any]]:
    data = (session.aligned / name).read_bytes()
    return [msgspec.json.decode(line) for line in data.splitlines()]


def late_lines(session: Session) -> list[LateEntry]:
    with StreamReader(session.aligned / "late.jsonl", LateEntry) as reader:
        return reader.read().rows


def quarantined(session: Session, stream: str) -> list[dict[str, Any]]:
    path = session.quarantine / f"{stream}.jsonl"
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def contents(folder: Path) -> dict[str, bytes]:
    """Return what every file that muxd writes holds; one that holds nothing is as good as none."""
    found = [folder / name for name in ALIGNED_FILES] + sorted((folder / "quarantine").glob("*"))
    return {path.name: data for path in found if path.exists() and (data := path.read_bytes())}


def written(session: Session) -> dict[str, bytes]:
    """Return what muxd wrote for a session."""
    aligned = contents(session.aligned)
    quarantine = {p.name: p.read_bytes() for p in session.quarantine.glob("*") if p.stat().st_size}
    return {**aligned, **quarantine}


def replayed(
    session: Session, folder: Path, settings: Settings = SETTINGS, ignore_late: bool = False
) -> dict[str, bytes]:
    """Return what a replay writes, that nothing disturbed."""
    replay_into(opener(session, settings), folder, ignore_late)
    return contents(folder)
