"""What every route works with: where the sessions are, the configuration, the clock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchlab.clock import Clock, wall_ns
from benchlab.config import Config
from benchlab.errors import Fault
from benchlab.session import CURRENT, Session, sessions_root
from benchlab.session_find import can_be_name, current_folder, find
from benchlab.session_folder import HOST
from webd.errors import Refusal


@dataclass(frozen=True)
class Desk:
    """The surroundings of a request; ``session_name`` is what is shown where none is named, ``current`` or a name.

    ``clock`` is the wall clock in Unix nanoseconds.
    """

    data_root: Path
    config: Config
    session_name: str = CURRENT
    clock: Clock = wall_ns

    def session_dir(self, name: str) -> Path:
        """Return a session's folder by its name; ``current`` is none. Raises Refusal (404)."""
        folder = sessions_root(self.data_root) / name if can_be_name(name) else None
        if folder is None or not folder.is_dir():
            raise Refusal(404, f"found no session {name[:80]!r}, expected one that GET /api/sessions lists")
        return folder

    def session(self, name: str) -> Session:
        """Return a session by its name. Raises Refusal: 404 if there is none, 500 if its description is damaged."""
        self.session_dir(name)
        try:
            found = find(self.data_root, name, HOST)
        except (Fault, OSError) as error:
            raise Refusal(500, str(error)) from error
        if found is None:
            raise Refusal(404, f"found no session {name!r}, expected one that GET /api/sessions lists")
        return found

    def current(self) -> Path | None:
        """Return the folder of the session that is shown when none is asked for; None if there is none."""
        try:
            if self.session_name != CURRENT:
                folder: Path | None = sessions_root(self.data_root) / self.session_name
            else:
                folder = current_folder(self.data_root)
        except (Fault, OSError):
            return None
        return folder if folder is not None and folder.is_dir() else None
