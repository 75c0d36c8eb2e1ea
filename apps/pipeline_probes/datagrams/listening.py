"""The stage socket made ready to be recorded, and let go of in every case."""

from __future__ import annotations

import argparse
from types import TracebackType

from benchlab.cli import Context
from benchlab.clock import SessionClock
from benchlab.daemon import Source
from benchlab.session import Session, open_session
from benchlab.stages import default_socket
from pipeline_probes.datagrams.bookmarks import Bookmarks
from pipeline_probes.datagrams.stage_socket import StageSocket
from pipeline_probes.datagrams.stage_source import OneLook, StageSource

DISORDER_MS = 200
"""Programs are held up for tens of milliseconds between a stage and the sending of it, where processors are scarce."""
ONCE_S = 0.5
"""How long ``--once`` listens."""
BOOKMARKS_S = 3.0


def socket_options(p: argparse.ArgumentParser) -> None:
    """Add the flag that makes the program listen."""
    p.add_argument(
        "--listen",
        nargs="?",
        const="",
        metavar="PATH",
        help="take stages that programs send (docs/STAGES.md), beside those of a pipeline; without one it always does "
        "(default: /run/benchlab/stage.sock, else $XDG_RUNTIME_DIR/benchlab-stage.sock; BENCHLAB_STAGE_SOCKET)",
    )


class Listening:
    """The stage socket, from before the session is opened; use it in a ``with`` statement.

    With ``once`` it is listened on only while its source is looked at. Raises Fault where nobody can listen there.
    """

    def __init__(self, ctx: Context, once: bool) -> None:
        self._ctx = ctx
        self._path = ctx.config.pipeline.stage_socket or default_socket()
        self._bookmarks: Bookmarks | None = None
        self._socket = None if once else StageSocket(self._path)

    def source(self, clock: SessionClock, starts_ns: int) -> Source:
        """Return what comes as a source on the timeline of a session that began at ``starts_ns``."""
        if self._socket is None:
            return OneLook(self._path, clock)
        self._bookmarks = Bookmarks(self._session, clock)
        return StageSource(self._socket, clock, starts_ns, self._bookmarks)

    def _session(self) -> Session:
        return open_session(self._ctx.data_root, self._ctx.session_name, create=False)

    def __enter__(self) -> Listening:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let go of the socket once the last bookmarks are written."""
        if self._bookmarks is not None:
            self._bookmarks.close(BOOKMARKS_S)
        if self._socket is not None:
            self._socket.close()
