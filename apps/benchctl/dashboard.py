"""The dashboard beside a demo: webd as one more child, which a recording does not depend on."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Sequence
from importlib.util import find_spec

from benchctl.children import Child, Crew, program
from benchctl.ports import check_port
from benchctl.stopping import StopRequests, wait_until

NEEDED = ("starlette", "uvicorn")
ANSWERS_S = 10.0
GRACE_S = 5.0


class Dashboard:
    """webd on ``bind``, run with ``options``."""

    def __init__(self, crew: Crew, bind: str, options: Sequence[str]) -> None:
        self._crew = crew
        self._bind = bind
        self._webd: Child = crew.start("webd", program("webd", *options, "--bind", bind))

    @property
    def url(self) -> str:
        """Where people find it."""
        host, _, port = self._bind.rpartition(":")
        return f"http://{'localhost' if host in ('', '0.0.0.0', '[::]') else host}:{port}"

    def say_where(self, stop: StopRequests) -> None:
        """Tell the address once it answers there, or how it ended."""
        wait_until(lambda: self._answers() or self._webd.exit_code is not None, ANSWERS_S, stop)
        if self._webd.exit_code is None:
            print(f"dashboard  {self.url}", file=sys.stderr)
        else:
            print(f"dashboard  none: {self._webd.obituary()}", file=sys.stderr)

    def stop(self) -> list[str]:
        """Stop it; return in words what did not work, first of all that it had fallen."""
        fallen = [self._webd.obituary()] if self._webd.failed else []
        return fallen + self._crew.stop([self._webd], GRACE_S)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def can_serve() -> bool:
    """Say whether what webd needs is installed; where not, say what installs it."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        print(f"dashboard  none: no {missing[0]}; pip install -r requirements-web.txt", file=sys.stderr)
    return not missing


def check_web_port(bind: str) -> None:
    """Raise Fault (IO), naming the owner, when the dashboard's port is taken."""
    check_port(bind, "--port-offset N moves all ports of the demo, --no-web leaves the dashboard out")
