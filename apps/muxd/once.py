"""``muxd --once``: take in what is there, decide it as far as it can be, and leave."""

from __future__ import annotations

from benchlab.errors import Exit
from benchlab.session import Session
from muxd.mux import Mux
from muxd.opening import Opener, catch_up, is_closed


def mux_once(opener: Opener, session: Session) -> int:
    """Mux a session up to its present end; in an open one the end of the rows is provisional. Raises Fault."""
    mux = opener.open()
    try:
        end_here(mux, session)
    finally:
        mux.close()
    return Exit.OK


def end_here(mux: Mux, session: Session) -> None:
    """Take in what is there and show how it ends; for good if the session is closed. Raises Fault."""
    closed = is_closed(session)
    if mux.final:
        return
    catch_up(mux, closed)
    if closed:
        mux.finish()
    else:
        mux.checkpoint(now=True)
        mux.settle(unless_waiting=False)
