"""Reading an emulated device as a program does: through the port, with patience."""

from __future__ import annotations

import os
import select
import termios
import time
import tty
from pathlib import Path

from benchctl.emulator.emulator import Emulator
from support.processes import until

PATIENCE_S = 30.0


class Host:
    """A program that has the port open. ``read`` returns as soon as so many bytes have come."""

    def __init__(self, path: str | Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd, termios.TCSANOW)

    def send(self, data: bytes) -> None:
        os.write(self.fd, data)

    def read(self, count: int, patience_s: float = PATIENCE_S) -> bytes:
        """Return ``count`` bytes, fewer when patience or the device is at its end."""
        got, ends_s = b"", time.monotonic() + patience_s
        while len(got) < count and time.monotonic() < ends_s:
            if not select.select([self.fd], [], [], max(0.0, ends_s - time.monotonic()))[0]:
                break
            try:
                more = os.read(self.fd, count - len(got))
            except OSError:
                break
            if not more:
                break
            got += more
        return got

    def ask(self, request: bytes, count: int) -> bytes:
        self.send(request)
        return self.read(count)

    def close(self) -> None:
        os.close(self.fd)


def unanswered(device: Emulator, host: Host, request: bytes) -> None:
    """Send what will not be answered, and wait until the device has taken it: two requests at once would be one."""
    before = device.requests
    host.send(request)
    until(lambda: device.requests > before)
