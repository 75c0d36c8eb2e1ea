"""A power meter as a source: opened, asked, resynchronised and opened again without anybody's help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from benchlab.catalog.board import SOURCE
from benchlab.clock import Clock
from benchlab.daemon import Absent, Reading, Transient
from benchlab.event import META, Scalar, Value
from benchlabd.handshake import Device, handshake
from benchlabd.line import LineGoneError, NoPortError
from benchlabd.port import Exchange, OutOfStepError, Port
from benchlabd.readings import decoder_of
from benchlabd.rtt import RoundTrips

RETRIES = 2
PLUG_IN = "plug it in again"


@dataclass(frozen=True)
class Link:
    """A meter that has introduced itself, the port it is on, and what the log calls it."""

    device: Device
    port: Port
    path: str
    dev: str


class Way(Protocol):
    """How to get to a meter."""

    dev: str | None
    """What the log calls a meter before it has said who it is."""

    def connect(self, dev: str | None) -> Link:
        """Return a link to the meter ``dev``, or to any if it is None. Raises Absent."""
        ...


class Board:
    """One BENCHLAB, PMD-USB or PMD2.

    A reply that is none is thrown away, the line is left alone until it is quiet, and when the device is in step again
    the reading is asked for once more, twice at most. Then it has to introduce itself anew, and after that the port is
    opened again.
    ``offset_ns`` is how old a reading is when it is given, where the operator has measured that.
    """

    stamping = "midpoint"

    def __init__(self, way: Way, clock: Clock, interval_ns: int, offset_ns: int = 0, link: Link | None = None) -> None:
        self.name = SOURCE
        self.dev = way.dev
        self.identity: dict[str, Scalar] = {}
        self._way = way
        self._clock = clock
        self._interval_ns = interval_ns
        self._offset_ns = offset_ns
        self._known: str | None = None
        self._lost = ""
        self._link: Link | None = None
        self._is_in_doubt = False
        if link is not None:
            self._take(link)

    def sample(self) -> list[Reading]:
        """Return a reading, and what there is to tell of it. Raises Absent or Transient."""
        link = self._link or self._connect()
        was_in_doubt = self._is_in_doubt
        try:
            if was_in_doubt:
                link = self._greet_again(link)
            return [*self._read(link), *self._calibrate(link)]
        except LineGoneError as gone:
            self._let_go()
            self._lost = f"gone from {link.path} ({gone}): unplugged, or switched off"
            raise Absent(self._lost, PLUG_IN) from None
        except OutOfStepError as error:
            if was_in_doubt:
                self._let_go()
            else:
                self._is_in_doubt = True
            raise Transient(f"{link.path}: {error}") from None

    def _connect(self) -> Link:
        try:
            link = self._way.connect(self._known)
        except NoPortError:
            if self._lost:
                raise Absent(self._lost, PLUG_IN) from None
            raise
        self._take(link)
        return link

    def _take(self, link: Link) -> None:
        """Be the meter that is there now."""
        self._link = link
        self.name, self.dev, self._known = link.device.source, link.dev, link.dev
        self.identity = link.device.identity(link.path)
        self._decode = decoder_of(link.device)
        self._trips = RoundTrips(self._interval_ns)
        self._is_in_doubt = False

    def _let_go(self) -> None:
        if self._link is not None:
            self._link.port.close()
        self._link = None
        self._is_in_doubt = False

    def _greet_again(self, link: Link) -> Link:
        """Have the device on the port say anew who it is; another firmware has another contract."""
        try:
            device = handshake(link.port, link.path)
        except Absent:
            self._let_go()
            raise
        if device.uid != link.device.uid:
            self._let_go()
            raise Transient(f"{link.path}: found {device.product} {device.uid}, expected {link.dev}")
        link = Link(device, link.port, link.path, link.dev)
        self._take(link)
        return link

    def _read(self, link: Link) -> Iterator[Reading]:
        """Ask for a reading until one comes that can be one. Raises OutOfStepError."""
        why = ""
        for attempt in range(1 + RETRIES):
            try:
                if attempt:
                    self._get_in_step(link)
                exchange, kv = self._exchange(link)
            except OutOfStepError as error:
                why = why or str(error)
                continue
            yield self._stamped(link, exchange, kv)
            if attempt:
                yield self._note("resynchronised", {"attempts": 1 + attempt, "why": why})
            return
        link.port.drain()
        raise OutOfStepError(why)

    def _get_in_step(self, link: Link) -> None:
        """Make sure that the next reply is the reply to the next request.

        Replies come in the order of requests, and the one to this request is like no reading. So once it has come, no
        reading that was asked for before can come any more, however late.
        """
        link.port.drain()
        found = link.port.ask(link.device.identify).data
        if found != link.device.vendor_data:
            raise OutOfStepError(f"found {found.hex()}, expected {link.device.vendor_data.hex()} as before")

    def _exchange(self, link: Link) -> tuple[Exchange, dict[str, Value]]:
        device = link.device
        exchange = link.port.ask_openly(device.sensors) if device.layout is None else link.port.ask(device.sensors)
        try:
            kv, doubt = self._decode(exchange.data)
        except ValueError as error:
            raise OutOfStepError(str(error)) from None
        if doubt is not None:
            raise OutOfStepError(doubt)
        return exchange, kv

    def _stamped(self, link: Link, exchange: Exchange, kv: dict[str, Value]) -> Reading:
        """Return a reading with its time: the middle of the exchange, give or take half of it."""
        cal: dict[str, Scalar] = {"offset_ns": self._offset_ns, "rtt_ns": exchange.rtt_ns}
        if self._trips.took(exchange.rtt_ns):
            cal["delayed"] = True
        return Reading(
            kv=kv,
            ts_ns=(exchange.sent_ns + exchange.received_ns) // 2 - self._offset_ns,
            unc_ns=(exchange.rtt_ns + 1) // 2,
            cal=cal,
            dev=link.dev,
            sim=link.device.is_simulated,
        )

    def _calibrate(self, link: Link) -> Iterator[Reading]:
        """Measure a cheap exchange if a calibration is under way, and tell what it found when it is over."""
        if not self._trips.is_due(self._clock()):
            return
        try:
            exchange = link.port.ask(link.device.identify)
        except (LineGoneError, OutOfStepError):  # the reading is good all the same; the next one will tell
            self._is_in_doubt = True
            return
        self._is_in_doubt = exchange.data != link.device.vendor_data
        if (found := self._trips.probed(exchange.rtt_ns, exchange.received_ns)) is not None:
            yield self._note("calibrated", found)

    def _note(self, event: str, fields: Mapping[str, Value]) -> Reading:
        kv: dict[str, Value] = {"event": event, "which": self.name, **fields}
        return Reading(kv=kv, ts_ns=self._clock(), source=META, dev=self.dev)
