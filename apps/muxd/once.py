"""``muxd --once``: take in what is there, decide it as far as it can be, and leave."""

from __future__ import annotations

from benchlab.errors import Exit
from benchlab.session import Session
from muxd.opening import Opener, catch_up, is_closed


def mux_once(opener: Opener, session: Session) -> int:
    """Mux a session up to its present end; in an open one the end of the rows is provisional. Raises Fault."""
    mux = opener.open()
    try:
        closed = is_closed(session)
        catch_up(mux, closed)
        if closed and not mux.final:
            mux.finish()
        elif not closed:
            mux.checkpoint(now=True)
            mux.settle(unless_waiting=False)
    finally:
        mux.close()
    return Exit.OK
