"""The emulator: a machine behind a port, in a thread of its own."""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import TracebackType

from benchctl.emulator.agenda import Agenda
from benchctl.emulator.device import Make
from benchctl.emulator.faults import LineFault, line_fault
from benchctl.emulator.machine import Machine, Piece
from benchctl.emulator.port import Port
from benchctl.emulator.products import NAME, make
from benchctl.emulator.sources import Given, Modelled, Source
from benchctl.emulator.wire import Values
from benchlab.boards.model import ROUND_TRIP_MS
from benchlab.sim import SEED, LogNormal

PUSH_S = 0.010
"""How long after the opening of the port the unasked welcome comes."""

_PATIENCE_S = 30.0
_IDLE_S = 1.0


class Emulator:
    """An emulated device on a pty, from entering the context to leaving it.

    ``product`` is one of ``original``, ``bl2``, ``pmd-usb``, ``pmd2``; ``firmware`` the newest unless given.
    ``values`` are what it shows: a mapping by catalog key, or what makes a source; by default the simulated
    computer's. ``latency`` in ms is drawn anew for each exchange, None is none. ``push_s`` is how long after the
    opening of the port the unasked welcome comes where the firmware sends one, None for never. ``faults`` come so
    many seconds after the start. ``say`` is told what is worth telling, in the emulator's thread.
    Raises ValueError for what cannot be emulated, Fault where there is no pty or no place for the link.
    """

    def __init__(
        self,
        product: str = "original",
        firmware: int | None = None,
        *,
        uid: str | None = None,
        name: str = NAME,
        values: Values | Callable[[Make], Source] | None = None,
        link: Path | None = None,
        latency: LogNormal | None = ROUND_TRIP_MS,
        push_s: float | None = PUSH_S,
        seed: int = SEED,
        faults: Sequence[tuple[float, LineFault]] = (),
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.make = make(product, firmware, uid, name)
        self._machine = Machine(self.make, self._source(values, seed), latency, push_s, seed)
        self._link = link
        self._faults = faults
        self._say = say
        self._told = 0
        self._port: Port | None = None
        self._path = ""
        self._pieces, self._later = Agenda(), Agenda()
        self._asked: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = -1, -1
        self._thread = threading.Thread(target=self._run, name="emulator", daemon=True)
        self._ending = False
        self._failure: BaseException | None = None

    @property
    def path(self) -> str:
        """Where it is, or was last: the link if there is one, else the pty."""
        return self._path if self._link is None else str(self._link)

    @property
    def is_over(self) -> bool:
        """Whether it has ended by itself: its recording is over, or it failed."""
        return not self._thread.is_alive()

    @property
    def violations(self) -> list[str]:
        """What was asked of it that no monitoring program may ask."""
        return list(self._machine.device.violations)

    @property
    def requests(self) -> int:
        """How many requests it has taken, right ones and wrong ones."""
        return self._machine.requests

    def __enter__(self) -> Emulator:
        """Plug it in."""
        self._wake_read, self._wake_write = os.pipe()
        try:
            self._plug_in()
        except BaseException:
            self._close_pipe()
            raise
        started_s = time.monotonic()
        for after_s, fault in self._faults:
            self._later.at(started_s + after_s, partial(self._inject, fault))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Pull it out for good, with its link. Raises what ended it by itself, if something did."""
        self._ending = True
        os.write(self._wake_write, b"!")
        self._thread.join(_PATIENCE_S)
        self._close_pipe()
        if self._failure is not None and kind is None:
            raise self._failure

    def set(self, values: Values) -> None:
        """Show other values from now on. Raises ValueError for what the product cannot show."""
        source = Given(self.make, values)
        self._do(lambda: setattr(self._machine, "source", source))

    def unplug(self) -> None:
        """Pull it out until ``replug``."""
        self._do(self._pull_out)

    def replug(self) -> None:
        """Plug it in again, as another pty; nothing happens if it is plugged in."""
        self._do(self._plug_in)

    def fault(self, kind: str, amount: float | None = None) -> None:
        """Let something go wrong, as ``fault("short")``. Raises ValueError for an unknown kind or amount."""
        asked = line_fault(kind, amount)
        self._do(lambda: self._inject(asked))

    def _source(self, values: Values | Callable[[Make], Source] | None, seed: int) -> Source:
        if values is None:
            return Modelled(self.make, seed)
        return Given(self.make, values) if isinstance(values, Mapping) else values(self.make)

    def _do(self, action: Callable[[], None]) -> None:
        """Have something done by the emulator's thread, and wait until it is."""
        if self.is_over:
            raise RuntimeError("the emulator is not running")
        done: Future[None] = Future()

        def asked() -> None:
            try:
                action()
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(None)

        self._asked.append(asked)
        os.write(self._wake_write, b"!")
        done.result(_PATIENCE_S)

    def _run(self) -> None:
        try:
            while not self._ending and not self._machine.source.is_over(time.monotonic()):
                self._turn()
        except BaseException as error:
            self._failure = error
        finally:
            self._pull_out()

    def _turn(self) -> None:
        """Wait for what comes next, and do it."""
        due_s = min(self._pieces.next_s(), self._later.next_s())
        port = self._port
        watched = [self._wake_read, *(port.descriptors() if port is not None else [])]
        ready, _, _ = select.select(watched, [], [], min(max(0.0, due_s - time.monotonic()), _IDLE_S))
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
        if ready and port is not None:
            self._serve(port)  # before what was asked for: that may be meant for who has just opened the port
        while self._asked:
            self._asked.popleft()()
        now_s = time.monotonic()
        for action in (*self._later.due(now_s), *self._pieces.due(now_s)):
            action()
        self._tell()

    def _serve(self, port: Port) -> None:
        opened, abandoned = port.came_and_went()
        now_s = time.monotonic()
        if abandoned:
            self._pieces.clear()
            self._machine.closed()
        if opened:
            self._send(self._machine.opened(now_s))
        request = port.read()
        if request:
            self._send(self._machine.receive(request, now_s))

    def _send(self, pieces: Sequence[Piece]) -> None:
        """Let pieces come when they are due, if anybody is there to read them."""
        if self._port is None or self._port.users == 0:
            return
        for due_s, data in pieces:
            self._pieces.at(due_s, partial(self._write, data))

    def _write(self, data: bytes) -> None:
        if self._port is not None:
            self._port.write(data)

    def _inject(self, fault: LineFault) -> None:
        if fault.kind != "unplug":
            self._send(self._machine.inject(fault, time.monotonic()))
            return
        self._pull_out()
        if fault.amount != float("inf"):
            self._later.at(time.monotonic() + fault.amount, self._plug_in)

    def _plug_in(self) -> None:
        if self._port is None:
            self._port = Port(self._link)
            self._path = self._port.path

    def _pull_out(self) -> None:
        self._pieces.clear()
        self._machine.closed()
        if self._port is not None:
            self._port.close()
            self._port = None

    def _tell(self) -> None:
        device = self._machine.device
        for text in (*device.violations[self._told :], *device.notes):
            self._say(text)
        self._told = len(device.violations)
        device.notes.clear()

    def _close_pipe(self) -> None:
        os.close(self._wake_read)
        os.close(self._wake_write)
