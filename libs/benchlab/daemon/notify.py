"""Messages to the service manager (sd_notify), over the datagram socket named in the environment."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from time import monotonic


class Notifier:
    """Tells systemd READY=1, WATCHDOG=1, STOPPING=1; silent where no service manager listens."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        address = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        meant_for_us = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = env.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(usec) / 2e6 if meant_for_us and usec.isdigit() else None
        """How often WATCHDOG=1 is due in seconds: half of what is allowed; None if nobody asks."""
        self._alive_s = 0.0

    def send(self, message: str) -> None:
        """Send one message; a manager that is gone is nobody's failure."""
        if self._socket is None:
            return
        try:
            self._socket.sendto(message.encode(), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, self._address)
        except OSError:
            pass

    def alive(self) -> None:
        """Say that long work goes on, from within it and as often as one likes: it is sent as often as is asked for."""
        if self.watchdog_s is not None and monotonic() - self._alive_s >= self.watchdog_s / 2:
            self._alive_s = monotonic()
            self.send("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
