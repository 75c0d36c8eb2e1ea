"""The stream of real webd processes: no row twice and none missing, whatever happens to muxd, webd or the session."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from random import Random
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest

from benchlab.cli import free_port
from benchlab.config import Config
from benchlab.event import Event
from benchlab.log.writer import LogWriter
from benchlab.session import Session, new_session, open_session
from support.cx_sessions import MS, PAIR, START_NS, Recording, drop, frame, steady
from support.processes import Start, until
from support.web_api import fits, served
from support.web_viewers import Viewer, Webd, events, quoted, recorded
from webd.desk import Desk
from webd.live import feed as feed_module
from webd.live.cursor import parse
from webd.live.hub import Hub
from webd.live.stream import Wanted, _Viewer
from webd.live.tail import Change, Tail

Look = Callable[..., Viewer]


@pytest.fixture
def look() -> Iterator[Look]:
    """Open viewers, and close them all."""
    viewers: list[Viewer] = []

    def open_one(webd: Webd, query: str = "") -> Viewer:
        viewer = Viewer(webd.port, query)
        viewer.start()
        viewers.append(viewer)
        return viewer

    yield open_one
    for viewer in viewers:
        viewer.close()
        assert not viewer.problem
        for name, content in viewer.seen:
            fits(name.capitalize(), content)


class Frames(Thread):
    """Records frames and power into a session as collectors do, about a hundred frames a second."""

    def __init__(self, session: Session) -> None:
        super().__init__(daemon=True)
        self.over = Flag()
        self.clock = session.clock()
        self.logs = [
            LogWriter(session.raw / f"{name}.jsonl", session.state / f"{name}.lock", clock=self.clock.now_ns)
            for name in ("pipeline", "benchlab")
        ]

    def run(self) -> None:
        pipeline, board = self.logs
        for log in self.logs:
            log.start({"disorder_ms": 20})
        number, random = 0, Random(1)
        while not self.over.wait(0.01):
            now_ns = self.clock.now_ns()
            number += 1
            stages = [("ingress", now_ns - 9 * MS)] + [("encoded", now_ns)] * (random.random() > 0.05)
            pipeline.write([Event(t, "pipeline", {"stage": stage, "frame": number}) for stage, t in stages])
            board.write([Event(now_ns, "benchlab.usb", {"p_sys": 200.0 + number % 50})])
            for log in self.logs:
                log.tick()
        for log in self.logs:
            log.stop()


def muxd(start: Start, session: Session) -> subprocess.Popen[bytes]:
    where = ("--data-root", str(session.dir.parent.parent), "--session", session.name)
    return start("muxd", *where, "--prom-bind", f"127.0.0.1:{free_port()}", BENCHLAB_MUX_LATENESS_MS="200")


def has_all(viewer: Viewer, session_dir: Path) -> bool:
    return viewer.rows.get(PAIR) == recorded(session_dir, PAIR)


@pytest.mark.xdist_group("long")
def test_viewers_have_every_row_once_though_muxd_and_webd_are_killed(tmp_path: Path, start: Start, look: Look) -> None:
    session = open_session(tmp_path, "dev")
    webd = Webd(start, tmp_path, "--session", "dev")
    frames, random = Frames(session), Random(7)
    frames.start()
    viewers = [look(webd), look(webd, "?pair=ingress,encoded"), look(webd, "?session=dev&backfill_s=900")]
    for life in range(8):
        process = muxd(start, session)
        rows = sum(len(rows) for rows in viewers[0].rows.values())
        until(lambda rows=rows: sum(len(known) for known in viewers[0].rows.values()) > rows + 20)  # type: ignore[misc]
        time.sleep(random.uniform(0.0, 1.2))
        if life in (2, 5):
            webd.kill()
        process.kill()
        process.communicate()
        if life in (2, 5):
            webd.restart()
    last = muxd(start, session)
    frames.over.set()
    frames.join()
    session.close(session.clock().now_ns())
    until(lambda: last.poll() is not None, 60)
    for viewer in viewers:
        until(lambda viewer=viewer: has_all(viewer, session.dir), 60)  # type: ignore[misc]
        assert len(viewer.rows[PAIR]) > 100
    assert "rewind" in viewers[0].names()
    assert False in [hello["reset"] for hello in viewers[0].hellos()]  # it went on where webd had been killed
    assert viewers[0].connections >= 3
    assert webd.stop() == 0


def test_session_that_is_made_after_the_page_was_opened_is_shown(tmp_path: Path, start: Start, look: Look) -> None:
    webd = Webd(start, tmp_path)
    viewer = look(webd)
    until(lambda: viewer.hellos())
    assert viewer.hellos()[0]["session"] is None
    assert webd.json("/api/live") == {"rows": []}
    session = open_session(tmp_path)
    session.aligned.joinpath("latency.jsonl").write_text("".join(json.dumps(row) + "\n" for row in steady(5)))
    until(lambda: len(viewer.rows.get(PAIR, [])) == 5)
    assert viewer.hellos()[-1]["session"] == session.name


def test_rotation_goes_on_in_the_new_session_once_it_has_rows(tmp_path: Path, start: Start, look: Look) -> None:
    webd = Webd(start, tmp_path)
    old = open_session(tmp_path)
    old.aligned.joinpath("latency.jsonl").write_text(json.dumps(frame(START_NS, 10.0)) + "\n")
    viewer = look(webd)
    until(lambda: viewer.rows.get(PAIR))
    new = new_session(tmp_path, "next")
    with old.aligned.joinpath("latency.jsonl").open("a") as file:
        file.write(json.dumps(frame(START_NS + MS, 11.0)) + "\n")
    until(lambda: len(viewer.rows[PAIR]) == 2)
    new.aligned.joinpath("latency.jsonl").write_text(json.dumps(frame(START_NS + 2 * MS, 12.0)) + "\n")
    until(lambda: [row[2] for row in viewer.rows.get(PAIR, [])] == [12.0])
    assert viewer.hellos()[-1] | {"now_ms": 0} == viewer.hellos()[-1] | {"session": "next", "reset": True, "now_ms": 0}


def test_session_deleted_while_it_is_looked_at_ends_with_its_reason(tmp_path: Path, start: Start, look: Look) -> None:
    webd = Webd(start, tmp_path)
    session = open_session(tmp_path, "dev")
    session.aligned.joinpath("latency.jsonl").write_text(json.dumps(frame(START_NS, 10.0)) + "\n")
    viewer = look(webd, "?session=dev")
    until(lambda: viewer.rows.get(PAIR))
    trash = session.dir.with_name(".dev.deleting")
    session.dir.rename(trash)  # as retentiond does
    shutil.rmtree(trash)
    until(lambda: ("end", {"reason": "deleted"}) in viewer.seen)
    assert viewer.rows[PAIR]  # what the page has stays
    until(lambda: viewer.status == 404)
    assert webd.answers()


def test_closed_session_is_told_and_ends_and_a_browser_is_told_not_to_come_back(
    tmp_path: Path, start: Start, look: Look
) -> None:
    Recording(tmp_path, "dev").aligned([*steady(20, power_w=240.0), drop(START_NS, frame=3)])
    viewer = look(Webd(start, tmp_path), "?session=dev")
    until(lambda: viewer.status == 204)
    assert viewer.names()[:3] == ["hello", "frames", "drops"]
    assert viewer.seen[-1] == ("end", {"reason": "closed"})
    assert has_all(viewer, tmp_path / "sessions/dev")
    assert viewer.hellos()[0]["open"] is False
    assert viewer.seen[1][1]["power_w"] == [240.0] * 20


def test_corrupt_aligned_line_is_left_out_and_the_rest_is_shown(tmp_path: Path, start: Start, look: Look) -> None:
    recording = Recording(tmp_path, "dev")
    good = [json.dumps(row).encode() + b"\n" for row in steady(4)]
    wrong = b'{"ts_aligned_ns":5,"source":"metric.latency","kv":{"lat_ms":"slow","pair":["a"]}}'
    bad = [b"\xff\xfe{\n", wrong + b"\n", b"\0" * 99 + b"\n"]
    path = recording.dir / "aligned/latency.jsonl"
    path.write_bytes(good[0] + bad[0] + good[1] + bad[1] + bad[2] + good[2] + good[3][:40])
    viewer = look(Webd(start, tmp_path), "?session=dev")
    until(lambda: "end" in viewer.names())
    assert viewer.rows[PAIR] == recorded(recording.dir, PAIR)
    assert len(viewer.rows[PAIR]) == 3


def test_stream_goes_on_from_a_cursor_and_says_so(tmp_path: Path, start: Start, look: Look) -> None:
    session = open_session(tmp_path, "dev")
    path = session.aligned / "latency.jsonl"
    rows = [json.dumps(row) + "\n" for row in steady(12)]
    path.write_text("".join(rows[:10]))
    webd = Webd(start, tmp_path, "--session", "dev")
    first = look(webd)
    until(lambda: len(first.rows.get(PAIR, [])) == 10 and first.last_id.split(".")[-2] != "0")
    first.close()
    with path.open("a") as file:
        file.write("".join(rows[10:]))
    second = look(webd, f"?cursor={quoted(first.last_id)}")
    until(lambda: second.rows.get(PAIR))
    assert second.hellos()[0]["reset"] is False
    assert second.rows[PAIR] == recorded(session.dir, PAIR)[10:]
    void = look(webd, f"?cursor={quoted('dev.9.' + '.'.join(first.last_id.split('.')[2:]))}")
    until(lambda: len(void.rows.get(PAIR, [])) == 12)
    assert void.hellos()[0]["reset"] is True


def test_backfill_comes_in_pieces_and_no_more_of_it_than_was_asked(tmp_path: Path, start: Start, look: Look) -> None:
    Recording(tmp_path, "dev").aligned(steady(12_000, step_ms=10.0))
    webd = Webd(start, tmp_path)
    whole, part = look(webd, "?session=dev"), look(webd, "?session=dev&backfill_s=30")
    until(lambda: whole.status == part.status == 204)
    pieces = [len(content["at"]) for name, content in whole.seen if name == "frames"]
    assert sum(pieces) == 12_000
    assert max(pieces) <= 5000
    assert len(part.rows[PAIR]) == 3001


@pytest.mark.parametrize("minutes", [5, 60])
def test_drops_are_counted_from_the_time_that_is_told(tmp_path: Path, start: Start, look: Look, minutes: int) -> None:
    recording = Recording(tmp_path, "dev")
    frames = steady(9000, step_ms=minutes * 60_000 / 9000)
    drops = [drop(row["ts_aligned_ns"], frame=i) for i, row in enumerate(frames) if i % 9 == 0]
    recording.aligned(sorted([*frames, *drops], key=lambda row: row["ts_aligned_ns"]))
    viewer = look(Webd(start, tmp_path), "?session=dev")
    until(lambda: viewer.status == 204)
    state = next(content for name, content in viewer.seen if name == "state")
    since_ms = state["dropped_since_ms"]
    assert (since_ms is None) == (minutes == 5)  # what is older than the longest window is not read
    assert state["dropped"] == {"ingress,encoded": sum(row["ts_aligned_ns"] / MS >= (since_ms or 0) for row in drops)}


def test_pairs_are_told_apart_and_one_can_be_chosen(tmp_path: Path, start: Start, look: Look) -> None:
    other = ("encoded", "a,b")
    rows = [row for i in range(50) for row in (frame(START_NS + i * MS, 1.0 + i), frame(START_NS + i * MS, 2.0, other))]
    recording = Recording(tmp_path, "dev")
    recording.aligned(rows)
    webd = Webd(start, tmp_path)
    both, one = look(webd, "?session=dev"), look(webd, "?session=dev&pair=encoded&pair=a%2Cb")
    until(lambda: both.status == one.status == 204)
    assert both.rows == {pair: recorded(recording.dir, pair) for pair in (PAIR, other)}
    assert one.rows == {other: recorded(recording.dir, other)}
    assert both.hellos()[0]["pairs"] == [list(PAIR), list(other)]
    assert both.hellos()[0]["default_pair"] == list(PAIR)


def test_viewer_that_takes_nothing_is_cut_off_and_goes_on_from_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MOST_MESSAGES", 3)
    session = open_session(tmp_path, "dev")
    path = session.aligned / "latency.jsonl"
    path.write_text(json.dumps(frame(START_NS, 10.0)) + "\n")

    async def scenario() -> tuple[list[bytes], list[bytes]]:
        hub = Hub(Desk(tmp_path, Config(), "dev"))
        async with hub.running(), hub.use(session.dir) as feed:
            lazy, gate = Sent(), asyncio.Event()
            watching = asyncio.create_task(_Viewer(hub, Wanted(None, None, 900.0, None), lazy.send).run())
            await until_async(lambda: b"event: state" in b"".join(lazy.parts))
            lazy.gate = gate
            for i in range(1, 7):
                with path.open("a") as file:
                    file.write(json.dumps(frame(START_NS + i * MS, 10.0 + i)) + "\n")
                await until_async(lambda: feed.end == path.stat().st_size)
            gate.set()
            await asyncio.wait_for(watching, 30)
            last = [line for line in b"".join(lazy.parts).splitlines() if line.startswith(b"id: ")][-1]
            again = Sent()
            cursor = parse(last.removeprefix(b"id: ").decode())
            watching = asyncio.create_task(_Viewer(hub, Wanted(None, None, 900.0, cursor), again.send).run())
            await until_async(lambda: b"event: state" in b"".join(again.parts))
            watching.cancel()
            return lazy.parts, again.parts

    before, after = asyncio.run(scenario())
    assert before[-1] == b""
    told = [event for part in (*before, *after) for event in events(iter(part.splitlines(keepends=True)))]
    ats = [at for name, _, content in told if name == "frames" for at in content["at"]]
    assert ats == [at for at, _, _ in recorded(session.dir, PAIR)]


def test_rows_that_come_with_the_end_of_the_session_are_told_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording(tmp_path, "dev")
    recording.describe(closed=False)
    path = recording.aligned(steady(3))
    recording.vouch(path.stat().st_size)
    check, looks = Tail.check, []

    def check_just_after_muxd_has_finished(tail: Tail) -> Iterator[Change]:
        looks.append(1)
        if len(looks) == 2:
            recording.aligned(steady(9))
            recording.vouch(path.stat().st_size, final=True)
            recording.describe(closed=True)
        return check(tail)

    monkeypatch.setattr(Tail, "check", check_just_after_muxd_has_finished)

    async def scenario() -> list[bytes]:
        hub, sent = Hub(Desk(tmp_path, Config(), "dev")), Sent()
        async with hub.running():
            await asyncio.wait_for(_Viewer(hub, Wanted(recording.dir, None, 900.0, None), sent.send).run(), 60)
        return sent.parts

    told = list(events(iter(b"".join(asyncio.run(scenario())).splitlines(keepends=True))))
    assert told[-1][0] == "end"
    ats = [at for name, _, content in told if name == "frames" for at in content["at"]]
    assert ats == [at for at, _, _ in recorded(recording.dir, PAIR)]


class Sent:
    """What a viewer was sent; while there is a gate that is shut, nothing more is taken."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.gate: asyncio.Event | None = None

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if self.gate is not None:
            await self.gate.wait()
        self.parts.append(message["body"])


async def until_async(condition: Callable[[], object]) -> None:
    for _ in range(1500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("waited in vain")


def test_open_streams_do_not_hold_up_the_end(tmp_path: Path, start: Start, look: Look) -> None:
    open_session(tmp_path, "dev").aligned.joinpath("latency.jsonl").write_text(json.dumps(frame(START_NS, 1.0)) + "\n")
    webd = Webd(start, tmp_path, "--session", "dev")
    viewers = [look(webd) for _ in range(5)]
    until(lambda: all(viewer.rows for viewer in viewers))
    assert webd.stop() == 0


def test_one_stream_too_many_is_refused_and_may_come_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webd.live.routes.MOST_VIEWERS", 0)
    with served(tmp_path) as client:
        response = client.get("/api/stream")
    assert response.status_code == 429
    assert response.headers["retry-after"]


REFUSED = [
    ("?session=../../etc", 404, "no session"),
    ("?session=gone", 404, "no session"),
    ("?session=current", 404, "no session"),
    ("?pair=a", 400, "FROM,TO"),
    ("?pair=a,b,c", 400, "FROM,TO"),
    ("?backfill_s=-1", 400, "backfill_s"),
    ("?backfill_s=nan", 400, "backfill_s"),
    ("?backfill_s=x", 400, "backfill_s"),
]


def test_what_cannot_be_streamed_is_refused_with_a_reason(tmp_path: Path, start: Start) -> None:
    Recording(tmp_path, "dev").aligned([frame(START_NS, 10.0)])
    webd = Webd(start, tmp_path, "--session", "dev")
    for query, status, words in REFUSED:
        found, _, body = webd.ask(f"/api/stream{query}")
        assert found == status, query
        assert words in json.loads(body)["error"]
