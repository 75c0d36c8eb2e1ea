"""The emulated device without its port: requests in, and out come pieces of replies with the time they are due."""

from __future__ import annotations

import random
from collections import deque
from typing import NamedTuple

from benchctl.emulator.device import Device, Make
from benchctl.emulator.faults import ONE_REPLY, LineFault
from benchctl.emulator.sources import Source
from benchlab.sim import SEED, Chance, LogNormal

PACKET_BYTES = 64


class Piece(NamedTuple):
    """Bytes for the host, and when they reach it, in seconds of the machine's clock."""

    due_s: float
    data: bytes


class Machine:
    """A device behind a line on which things go wrong. All times are seconds of one monotonic clock.

    Every exchange draws its latency, of a repeatable chance; ``latency`` None is an answer at once. ``push_s`` is
    how long after the port is opened a device that greets unasked does so, None if it keeps silent.
    """

    def __init__(
        self,
        make: Make,
        source: Source,
        latency: LogNormal | None,
        push_s: float | None = 0.0,
        seed: int = SEED,
    ) -> None:
        self.device = Device(make)
        self.source = source
        self.requests = 0
        self._latency = latency
        self._push_s = push_s
        self._chance = Chance(seed, "emulator")
        self._garbage = random.Random(seed)
        self._waiting: deque[LineFault] = deque()
        self._silent_until_s = self._frozen_until_s = self._boot_loader_until_s = float("-inf")
        self._frame: bytes | None = None
        self._line_free_s = float("-inf")

    def opened(self, now_s: float) -> list[Piece]:
        """Return the welcome that a device sends because somebody opened its port."""
        if self._push_s is None or not self.device.make.pushes_welcome or self._is_down(now_s):
            return []
        return [Piece(now_s + self._push_s, self.device.make.welcome)]

    def closed(self) -> None:
        """Forget what was on its way to a host that has closed the port."""
        self._line_free_s = float("-inf")

    def receive(self, request: bytes, now_s: float) -> list[Piece]:
        """Return what a request is answered with; nothing where the device keeps silent."""
        self.requests += 1
        self.device.in_boot_loader = now_s < self._boot_loader_until_s
        reply = self.device.answer(request, lambda: self._read(now_s))
        if not reply:
            return []
        due_s = max(now_s + self._latency_s(), self._line_free_s)
        if now_s < self._silent_until_s:
            return []
        pieces = self._befall(reply, due_s)
        if pieces:
            self._line_free_s = pieces[-1].due_s
        return pieces

    def inject(self, fault: LineFault, now_s: float) -> list[Piece]:
        """Let something go wrong, all but the unplugging; return what reaches the host because of it."""
        kind, amount = fault
        until_s = now_s + amount
        if kind in ONE_REPLY:
            count = int(amount) if kind == "drop" else 1
            self._waiting.extend([fault] * count)
        elif kind == "garbage":
            return [Piece(now_s, self._garbage.randbytes(int(amount)))]
        elif kind == "silence":
            self._silent_until_s = until_s
        elif kind == "freeze":
            self._frozen_until_s = until_s
        elif kind == "bootloader":
            self._boot_loader_until_s = until_s
        elif kind == "product":
            self.device.claims_product = int(amount)
        elif kind == "firmware":
            self.device.claims_firmware = int(amount)
        return []

    def _read(self, now_s: float) -> bytes:
        if self._frame is None or now_s >= self._frozen_until_s:
            self._frame = self.source.frame(now_s)
        return self._frame

    def _is_down(self, now_s: float) -> bool:
        return now_s < self._silent_until_s or now_s < self._boot_loader_until_s

    def _latency_s(self) -> float:
        return 0.0 if self._latency is None else self._latency.at(self._chance.normal(self.requests)) / 1000

    def _befall(self, reply: bytes, due_s: float) -> list[Piece]:
        """Return what becomes of a reply under the next fault that waits for one."""
        if not self._waiting:
            return [Piece(due_s, reply)]
        kind, amount = self._waiting.popleft()
        if kind == "late":
            return [Piece(due_s + amount / 1000, reply)]
        if kind == "short":
            left = reply[: -int(amount)]
            return [Piece(due_s, left)] if left else []
        if kind == "split":
            starts = range(0, len(reply), PACKET_BYTES)
            return [Piece(due_s + n * amount / 1000, reply[at : at + PACKET_BYTES]) for n, at in enumerate(starts)]
        if kind == "welcome":
            return [Piece(due_s, self.device.make.welcome + reply)]
        return []
