"""muxd killed with SIGKILL at random moments, its real process, while writers go on."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Event as Flag
from threading import Thread

import pytest

from benchlab.cli import free_port
from benchlab.clock import SessionClock
from benchlab.event import Event
from benchlab.log.vouched import read_vouched
from benchlab.log.writer import LogWriter
from benchlab.session import Session, open_session
from support.mux_sessions import MS, contents, late_lines, written
from support.processes import until

Start = Callable[..., subprocess.Popen[bytes]]

KILLS = 54
RATE_HZ = 100  # batches; each stream writes several lines in one
PAIRS = ("--pair", "ingress", "encoded", "--pair", "encoded", "inference_done")

Lines = Callable[[Random, int, int], list[Event]]


def frames(flow: str) -> Lines:
    """Make the lines of a pipeline: three stages of some frames, in disorder, with losses and repetitions."""

    def make(random: Random, now_ns: int, number: int) -> list[Event]:
        events = []
        for frame in range(3 * number, 3 * number + 3):
            for i, name in enumerate(("ingress", "encoded", "inference_done")):
                kv = {"stage": name, "frame": frame - (i == 2) * 2, "flow": flow}
                at_ns = now_ns - random.choice([0, 1, 5, 19]) * MS - random.choice([0] * 40 + [150]) * MS
                events += [Event(ts_ns=at_ns, source="pipeline", kv=kv)] * random.choice([0] + [1] * 30 + [2])
        random.shuffle(events)
        return [Event(e.ts_ns, e.source, e.kv) for e in events]

    return make


def meter(source: str, key: str) -> Lines:
    def make(random: Random, now_ns: int, number: int) -> list[Event]:
        return [Event(ts_ns=now_ns - random.randint(0, 9) * MS, source=source, kv={key: 100.0 + number % 50})]

    return make


class Writer(Thread):
    """A real writer of one stream at high rate. A ``moody`` one is silent for a while, then writes all at once."""

    def __init__(self, session: Session, stream: str, make: Lines, ended: Flag, moody: bool = False) -> None:
        super().__init__(daemon=True)
        self.clock: SessionClock = session.clock()
        path = session.raw / f"{stream}.jsonl"
        self.log = LogWriter(path, session.state / f"{stream}.lock", clock=self.clock.now_ns)
        self.make, self.ended, self.moody = make, ended, moody
        self.random = Random(stream)

    def run(self) -> None:
        self.log.start({"disorder_ms": 20})
        number, kept = 0, list[Event]()
        while not self.ended.wait(1 / RATE_HZ):
            kept += self.make(self.random, self.clock.now_ns(), number)
            number += 1
            if not self.moody or self.random.random() < 0.02:
                self.log.write(kept)
                kept = []
            self.log.tick()
        self.log.stop()


def writers(session: Session, ended: Flag) -> list[Writer]:
    return [
        Writer(session, "pipeline", frames(""), ended),
        Writer(session, "pipeline_yuan", frames("yuan"), ended, moody=True),
        Writer(session, "benchlab", meter("benchlab.usb", "p_sys"), ended),
        Writer(session, "telemetry", meter("gpu.nvml", "power_w"), ended, moody=True),
    ]


class Victim(Thread):
    """A session's muxd, killed and started again; keeps how it died, and how often it had something to go on from."""

    def __init__(self, session: Session, start: Start, kills: int) -> None:
        super().__init__(daemon=True)
        self.session, self.start_program, self.kills = session, start, kills
        self.codes: list[int] = []
        self.vouched: set[int] = set()
        self.said = ""

    def run(self) -> None:
        random = Random(self.session.name)
        for life in range(self.kills):
            process = muxd(self.session, self.start_program)
            if life % 4 == 3:  # however slow the machine is, some lives get somewhere
                until(self._has_grown)
            time.sleep(random.choice([random.uniform(0.05, 0.6), random.uniform(0.3, 1.3), random.uniform(1.2, 2.2)]))
            process.kill()
            self.said += process.communicate()[1].decode()
            self.codes.append(process.returncode)
            self.vouched.add(self._vouched())

    def _has_grown(self) -> bool:
        return self._vouched() > max(self.vouched)

    def _vouched(self) -> int:
        found = read_vouched(self.session.state)
        return found.outputs["latency.jsonl"] if found else 0


def muxd(session: Session, start: Start, *more: str) -> subprocess.Popen[bytes]:
    where = ("--data-root", str(session.dir.parent.parent), "--session", session.name, *PAIRS)
    bind = f"127.0.0.1:{free_port()}"
    return start("muxd", *where, "--prom-bind", bind, *more, BENCHLAB_MUX_LATENESS_MS="150")


@pytest.mark.xdist_group("long")
def test_muxd_killed_at_random_moments_ends_with_the_bytes_of_an_undisturbed_replay(
    tmp_path: Path, start: Start
) -> None:
    sessions = [open_session(tmp_path, name) for name in ("a", "b", "c")]
    ended = Flag()
    recording = [writer for session in sessions for writer in writers(session, ended)]
    victims = [Victim(session, start, KILLS // len(sessions)) for session in sessions]
    for thread in (*recording, *victims):
        thread.start()
    for victim in victims:
        victim.join()
    ended.set()
    for writer in recording:
        writer.join()
    for session, victim in zip(sessions, victims, strict=True):
        assert victim.codes == [-signal.SIGKILL] * victim.kills, victim.said
        assert len(victim.vouched) >= 3  # some lives went on where another had been killed
        assert_as_if_undisturbed(session, start, tmp_path / f"again-{session.name}")
    assert any(late_lines(session) for session in sessions)


def assert_as_if_undisturbed(session: Session, start: Start, folder: Path) -> None:
    session.close(session.clock().now_ns())
    for more, code in (((), 0), (("--replay",), 0), (("--replay", "--out", str(folder)), 0)):
        process = muxd(session, start, *more)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, (out, err)
    found = read_vouched(session.state)
    assert found is not None and found.final and found.generation == 1
    assert written(session) == contents(folder)
    assert written(session)["latency.jsonl"].count(b"\n") > 1000
