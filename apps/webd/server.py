"""uvicorn as a daemon of ours: a taken port is one line, READY when it answers, over within 2 s at SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from benchlab.daemon.notify import Notifier
from benchlab.errors import Exit, Fault
from benchlab.httpd import bind_failure
from webd.settings import host_of

log = logging.getLogger("webd")

BACKLOG = 256
MOST_CONNECTIONS = 512
GRACE_S = 1


def listen(bind: str) -> socket.socket:
    """Return a socket that listens on HOST:PORT. Raises Fault (IO) that names who holds the port and what moves it."""
    host, port = host_of(bind), int(bind.rpartition(":")[2])
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Fault(f"{bind_failure(bind, port, error)}: change [web].bind or --bind", Exit.IO) from error
    listener.setblocking(False)
    return listener


class Server(uvicorn.Server):
    """Serves ``app`` on ``listener``; its ``state.stop`` is called at the first signal, so that open streams end."""

    def __init__(self, app: Starlette, listener: socket.socket, notifier: Notifier) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=GRACE_S,
        )
        super().__init__(config)
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        self._listener = listener
        self._notifier = notifier
        self._stop: Callable[[], None] = app.state.stop

    def run_here(self) -> int:
        """Serve until a signal comes."""
        with self._listener:
            asyncio.run(self.serve(sockets=[self._listener]))
        return Exit.OK

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        host, port = self._listener.getsockname()[:2]
        log.info("http://%s:%d", f"[{host}]" if ":" in host else host, port)
        self._notifier.send("READY=1")

    async def on_tick(self, counter: int) -> bool:
        """Tell the service manager that the loop runs; uvicorn calls this ten times a second."""
        if counter % 10 == 0:
            self._notifier.send("WATCHDOG=1")
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End at the first signal, at once at the second; the base class would raise the signal again afterwards."""
        self._notifier.send("STOPPING=1")
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Have open streams end before they are waited for."""
        self._stop()
        await super().shutdown(sockets)
