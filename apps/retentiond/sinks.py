"""Whether the sinks have taken what they want of a session."""

from __future__ import annotations

from benchlab.config import Config
from benchlab.session import Session


def consumed_by_sinks(session: Session, config: Config) -> list[str]:
    """Return what enabled sinks have not taken of a session, a line each."""
    return []
