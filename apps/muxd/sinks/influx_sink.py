"""influx: the session as points in an InfluxDB; every one of them there once, however often it is written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from benchlab.config import Config
from benchlab.config_schema import Influx
from benchlab.errors import Exit, Fault
from benchlab.influx import authorization, token_of
from benchlab.session import Session

try:
    from muxd.sinks.influx_http import Answer, Client, Denied
except ImportError as error:
    raise Fault(f"{error}: pip install 'benchlab-linux-telemetry[influx]'", Exit.CONFIG) from error

from muxd.sinks.cursor import Cursors
from muxd.sinks.influx_api import Api, api_of
from muxd.sinks.influx_delivery import Delivery, Line, NoDatabase, Refused, Sender
from muxd.sinks.influx_lines import Unfit
from muxd.sinks.influx_points import Points
from muxd.sinks.influx_ties import Numbers, Place, State, StateFile, number
from muxd.sinks.sink import Record, Rejected, StoreChanged, Transient

log = logging.getLogger("muxd")

SAVE_S = 1.0
CHUNK_BYTES = 1 << 20  # some 4,500 rows: most requests are then full


def make(session: Session, config: Config) -> InfluxSink:
    """Return the sink of a session."""
    influx = config.influx
    api = api_of(influx.api, influx.influx_db, influx.influx_org)
    client = Client(influx.influx_url, partial(headers, influx))
    return InfluxSink(session, influx, api, client)


def headers(influx: Influx) -> dict[str, str]:
    """Return the header that bears the token, if there is one. Raises Transient: a file can be mended."""
    try:
        return authorization(influx)
    except Fault as fault:
        raise Transient(fault.message) from fault


class _Attempt(NamedTuple):
    """A batch on its way: with these cursors, once ``refused`` is dealt with; reasons and words by their records."""

    cursors: Cursors
    numbers: Numbers
    refused: dict[tuple[str, str], list[Record]] | None = None


class _Refusals:
    """Records that were refused by reason and words, each of them once, however many of its lines were."""

    def __init__(self) -> None:
        self.by_reason: dict[tuple[str, str], list[Record]] = {}
        self._seen: set[Place] = set()

    def add(self, record: Record, reason: str, words: str) -> None:
        if _place(record) not in self._seen:
            self._seen.add(_place(record))
            self.by_reason.setdefault((reason, words), []).append(record)

    def add_lines(self, lines: Sequence[Refused]) -> None:
        for line, words in lines:
            self.add(line.record, "refused", words)


class InfluxSink:
    """Writes one session's points. How far it has come is kept beside the log, saved once a second and at the end: a
    kill has the points since then written again.

    A batch is written whole before what was refused of it is told, so that the rest need not be written again.
    """

    def __init__(
        self, session: Session, influx: Influx, api: Api, client: Client, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.poll_s = influx.batch_max_sec
        self.chunk_bytes = CHUNK_BYTES
        self._session = session.info.id
        self._influx = influx
        self._api = api
        self._client = client
        self._points = Points(session.info.id, session.info.node)
        self._delivery = Delivery(client, api, min(influx.batch_max_lines, influx.max_queue // 2))
        where = f"{influx.api} {influx.influx_url} {influx.influx_org}/{influx.influx_db}"
        self._file = StateFile(session.dir / "state", where)
        self._state: State = self._file.load()
        self._attempt: _Attempt | None = None
        self._clock = clock
        self._saved_s = clock()
        self._was_stored = False
        self._has_made_database = False

    def open(self) -> Cursors:
        """Return how far the session is stored. The server is asked nothing."""
        self._state, self._attempt = self._file.load(), None
        return dict(self._state.cursors)

    def write(self, batch: Sequence[Record], cursors: Cursors) -> None:
        """Write the points, then save the cursors if that is due. Raises Transient, Rejected, StoreChanged, OSError."""
        attempt = self._attempt
        if attempt is None or attempt.cursors != cursors:
            attempt = _Attempt(dict(cursors), self._numbered(batch))
        self._attempt = attempt
        if attempt.refused is None:
            with self._told():
                attempt = self._attempt = attempt._replace(refused=self._deliver(batch, attempt.numbers.above_one))
            self._has_made_database = False
        assert attempt.refused is not None
        _tell_next(attempt.refused, batch)
        self._state = State(self._state.where, dict(cursors), attempt.numbers.after)
        self._attempt = None
        if self._clock() - self._saved_s >= SAVE_S:
            self._save()

    def clear(self) -> None:
        """Delete the points that bear this session's tag, as far as the server can. Raises Transient."""
        self._was_stored |= bool(self._state.cursors)
        self._state, self._attempt = self._file.clear(), None
        try:
            is_deleted = self._api.forget(self._client, self._session)
        except Denied:
            is_deleted = False
        if self._was_stored and not is_deleted:
            log.warning("sink influx: points of session %s that are no longer in the log stay there", self._session)
        self._was_stored = False

    def close(self) -> None:
        """Save how far it has come, and let go of the connection. Raises OSError."""
        self._client.close()
        self._save()

    def _save(self) -> None:
        self._file.save(self._state)
        self._saved_s = self._clock()

    def _numbered(self, batch: Sequence[Record]) -> Numbers:
        return number(_in_series(self._points, batch), self._state.times)

    def _deliver(self, batch: Sequence[Record], numbers: Mapping[Place, int]) -> dict[tuple[str, str], list[Record]]:
        """Write what can be written, and return the records of which a line cannot. Raises Transient, NoDatabase."""
        refused = _Refusals()
        sender = Sender(self._delivery)
        try:
            ready: list[Line] = []
            for record in batch:
                try:
                    for data in self._points.of(record, numbers.get(_place(record), 1)):
                        ready.append(Line(data, record))
                        if len(ready) >= self._delivery.most_lines:
                            refused.add_lines(sender.send(ready))
                            ready = []
                except Unfit as unfit:
                    refused.add(record, "unfit", str(unfit))
            refused.add_lines(sender.wait())
            refused.add_lines(self._delivery.deliver(ready))
        finally:
            sender.abandon()
        return refused.by_reason

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Make the database if it is missing, and say what there is to be done. Raises Transient, StoreChanged."""
        try:
            try:
                yield
            except NoDatabase as missing:
                self._make_database(missing.answer)
        except Denied as denied:
            raise Transient(f"{denied}; {token_of(self._influx)[1]}") from denied

    def _make_database(self, found: Answer) -> None:
        """Make it, and begin anew: it may have been there with points in it. Raises Transient, Denied, StoreChanged."""
        name, url = self._influx.influx_db, self._influx.influx_url
        if self._has_made_database:
            raise Transient(
                f"{url} answers 404 to {self._api.path} ({found.words or 'no reason'}) though {name} was made"
            )
        answer = self._api.create(self._client)
        if answer.status >= 300:
            raise Transient(
                f"{url} answers 404 to {self._api.path} ({found.words or 'no such path'}) and does not make database "
                f"{name} ({answer.words or answer.status}): make it by hand, or set another [influx].api than "
                f"{self._influx.api}"
            )
        self._has_made_database = True
        self._state = self._file.clear()
        raise StoreChanged(f"database {name} was not there: it is made now")


def _tell_next(refused: Mapping[tuple[str, str], Sequence[Record]], batch: Sequence[Record]) -> None:
    """Raise Rejected for the first of the refusals whose records are still in the batch: nobody has buried them yet."""
    if not refused:
        return
    places = {_place(record) for record in batch}
    for (reason, words), records in refused.items():
        left = [record for record in records if _place(record) in places]
        if left:
            raise Rejected(left, reason, words)


def _place(record: Record) -> Place:
    return record.stream, record.offset


def _in_series(points: Points, batch: Sequence[Record]) -> Iterator[tuple[Place, str, int]]:
    """Yield the records that only a number may tell apart, with their series and time."""
    for record in batch:
        try:
            series = points.series(record)
        except Unfit:
            continue
        if series is not None:
            event = record.event
            yield _place(record), series, getattr(event, "ts_aligned_ns", 0) or getattr(event, "ts_ns", 0)
