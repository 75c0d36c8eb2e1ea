"""Stages and bookmarks that programs send, as a source."""

from __future__ import annotations

from collections.abc import Sequence

from benchlab.clock import SessionClock
from benchlab.daemon import Absent, Reading
from benchlab.errors import Fault
from benchlab.event import BOOKMARK, META, PIPELINE, Value
from pipeline_probes.datagrams.bookmarks import Bookmarks
from pipeline_probes.datagrams.senders import Senders
from pipeline_probes.datagrams.stage_line import Arrival, StageReader, Timeline
from pipeline_probes.datagrams.stage_socket import Datagram, StageSocket, listener_of

WAIT_MS = 250
BATCH_BYTES = 512 * 1024
"""What is taken in at most before it is written."""
OLD_NS = 50_000_000
SETTLE_MS = 10
SETTLE_ROUNDS = 20
REPORT_NS = 10_000_000_000
SELF = "self.stages"


class StageSource:
    """What came over the socket, in order of time.

    ``clock`` is the session's timeline, which began at ``starts_ns``. Bookmarks go to ``bookmarks``, where they are
    given, and are readings otherwise. Stages that are missing and lines that are none become ``gap`` lines.
    """

    name = PIPELINE
    stamping = "event"
    waits = True

    def __init__(
        self, listener: StageSocket, clock: SessionClock, starts_ns: int, bookmarks: Bookmarks | None = None
    ) -> None:
        self._socket = listener
        self._clock = clock
        self._bookmarks = bookmarks
        self._senders = Senders(starts_ns)
        self._reader = StageReader(self._senders)
        self._is_shut = False
        self._told: dict[str, Value] = {}
        self._report_ns = 0
        self._unwritten = 0

    def sample(self) -> list[Reading]:
        """Wait for lines, 0.25 s at most, and return what came.

        After a standstill of this process or of the senders, old lines of one may come behind newer ones of
        another. So as long as lines are old, more are awaited for a moment, and all of them put in order.
        """
        readings: list[Reading] = []
        wait_ms = 0 if self._is_shut else WAIT_MS
        for _ in range(SETTLE_ROUNDS):
            size, came = self._take_in() if self._socket.wait(wait_ms) else (0, [])
            readings += came
            if size >= BATCH_BYTES or not self._is_old(came) or self._is_shut:
                break
            wait_ms = SETTLE_MS
        readings.sort(key=_time)
        if self._bookmarks is not None:
            readings = self._put_bookmarks_away(self._bookmarks, readings)
        return [*readings, *self._reports(_time(readings[-1]) if readings else self._clock.now_ns())]

    def shut(self) -> None:
        """Take nothing more in; the next sample returns what has come."""
        self._is_shut = True
        self._socket.shut()

    def _take_in(self) -> tuple[int, list[Reading]]:
        """Return how many bytes were waiting, and the readings in them."""
        size = 0
        readings: list[Reading] = []
        wall_offset_ns, unc_ns = self._clock.wall_offset_ns()
        timeline = Timeline(self._clock.now_ns(), self._clock.anchor_ns, self._clock.from_monotonic_ns(0))
        while size < BATCH_BYTES and (datagram := self._socket.receive()) is not None:
            size += len(datagram.data) or 1
            arrival = Arrival(datagram.wall_ns - wall_offset_ns, unc_ns, f"pid {datagram.pid}")
            readings += self._reader.read(self._whole(datagram, arrival), arrival, timeline)
        return size, readings

    def _whole(self, datagram: Datagram, arrival: Arrival) -> bytes:
        """Return the lines of a datagram that were not cut off with its end."""
        if not datagram.cut:
            return datagram.data
        wrong = f"found a datagram of more than {len(datagram.data)} bytes, expected at most as many"
        self._senders.err(self._senders.named(arrival.sender), wrong)
        return datagram.data[: datagram.data.rfind(b"\n") + 1]

    def _is_old(self, readings: Sequence[Reading]) -> bool:
        """Return whether there are readings that were long under way."""
        before_ns = self._clock.now_ns() - OLD_NS
        return any(_time(reading) < before_ns for reading in readings)

    def _put_bookmarks_away(self, bookmarks: Bookmarks, readings: list[Reading]) -> list[Reading]:
        if found := [reading for reading in readings if reading.source == BOOKMARK]:
            bookmarks.put(found)
            return [reading for reading in readings if reading.source != BOOKMARK]
        return readings

    def _reports(self, at_ns: int) -> list[Reading]:
        """Return what is to be told of losses, and from time to time how much has come.

        It is told as of the last stage: later, it would make stages late that are on their way.
        """
        now_ns = self._clock.now_ns()
        gaps = list(self._senders.reports(now_ns, last=self._is_shut))
        if self._bookmarks is not None and self._bookmarks.failed > self._unwritten:
            lost, self._unwritten = self._bookmarks.failed - self._unwritten, self._bookmarks.failed
            gaps.append({"n": lost, "why": "bookmarks_lost", "detail": self._bookmarks.failure})
        told = [Reading({"event": "gap", **fields}, at_ns, source=META) for fields in gaps]
        counts: dict[str, Value] = {
            "received": self._reader.received,
            "malformed": self._senders.malformed,
            "missed": self._senders.lost,
        }
        if counts != self._told and any(counts.values()) and (now_ns >= self._report_ns or self._is_shut):
            self._told, self._report_ns = counts, now_ns + REPORT_NS
            told.append(Reading(dict(counts), at_ns, source=SELF))
        return told


class OneLook:
    """What ``--once`` shows: the stages that come while it looks."""

    name = PIPELINE
    waits = True

    def __init__(self, path: str, clock: SessionClock) -> None:
        self._path = path
        self._clock = clock
        self._listener: StageSocket | None = None

    def sample(self) -> list[Reading]:
        """Listen, the first time; then return what has come, and listen no more.

        Raises Absent if somebody else listens there, or if nothing has come.
        """
        if self._listener is None:
            try:
                self._listener = StageSocket(self._path, wait_s=0.0)
            except Fault as fault:
                if (pid := listener_of(self._path)) is not None:
                    told = f"pipeline_probes (pid {pid}) listens on {self._path} already"
                    raise Absent(told, "benchctl status shows what it records") from fault
                raise Absent(fault.message) from fault
            return []
        try:
            readings = StageSource(self._listener, self._clock, self._clock.now_ns()).sample()
        finally:
            self._listener.close()
        if stages := [reading for reading in readings if reading.source in (None, BOOKMARK)]:
            return stages
        wrong = [f"; what came: {reading.kv['detail']}" for reading in readings if "detail" in reading.kv]
        fix = 'call benchlab.stage("NAME", frame=NUMBER) in the program meanwhile, or see docs/STAGES.md'
        raise Absent(f"nobody sent a stage to {self._path}{''.join(wrong[:1])}", fix)


def _time(reading: Reading) -> int:
    return reading.ts_ns or 0
