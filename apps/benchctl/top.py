"""benchctl top: the whole machine on one screen, each second: sources, latency, watts, joules, drops, VMs, sinks."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING

import msgspec

from benchctl.status import chosen_session
from benchctl.stopping import StopRequests
from benchctl.table import print_json
from benchctl.top_session import SessionFollower, Snapshot
from benchlab import cli, clock
from benchlab.cli import Context
from benchlab.errors import Exit

if TYPE_CHECKING:
    from rich.console import Console

    from benchctl.top_screen import View
    from benchctl.top_terminal import Terminal

EXAMPLES = """\
  benchctl top                          # keys: q quit, p pause, s sort, / find, arrows scroll, ? help
  ssh -t lab benchctl top
  benchctl top --once                   # one screen as text
  benchctl top --json | jq '.pairs[] | {pair, p99_ms}'   # an object a second"""

PERIOD_S = 1.0
NARROWEST = 20


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    text = "Show the whole machine on one screen, each second, until q or Ctrl-C. Nothing is changed."
    p = cli.parser("benchctl top", text, EXAMPLES)
    p.add_argument("--once", action="store_true", help="print one screen, of whatever length, and exit")
    p.add_argument("--json", action="store_true", help="print a JSON object each second (docs/FORMAT.md)")
    return p


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Show it; where the output is no terminal, a screen of plain text each second."""
    machine = Machine(cli.context(args))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name is no reason to end where an encoding lacks its letters
    if args.once:
        _print(machine.snapshot(), as_json=args.json, whole=True)
        return Exit.OK
    with StopRequests() as stop:
        if not args.json and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            _interactive(machine, stop)
        else:
            _stream(machine, stop, as_json=args.json)
    return Exit.OK


class Machine:
    """The session that is looked at, which becomes another one when ``current`` moves on."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._follower: SessionFollower | None = None

    def snapshot(self) -> Snapshot:
        """Return how it all stands now. Raises Fault, OSError."""
        session = chosen_session(self._context)
        if self._follower is not None and (session is None or session.name != self._follower.session.name):
            self._follower.close()
            self._follower = None
        if session is None:
            return Snapshot(clock.wall_ns(), str(self._context.data_root))
        if self._follower is None:
            self._follower = SessionFollower(session, self._context.config)
        self._follower.session = session  # it may have been closed meanwhile
        return self._follower.snapshot(self._context.data_root)


def _stream(machine: Machine, stop: StopRequests, *, as_json: bool) -> None:
    due_s = time.monotonic()
    while not stop:
        _print(machine.snapshot(), as_json=as_json, whole=False)
        due_s = max(due_s + PERIOD_S, time.monotonic())
        stop.wait(due_s - time.monotonic())


def _print(snapshot: Snapshot, *, as_json: bool, whole: bool) -> None:
    """Print a snapshot: JSON on one line in a stream, for people to read where it is the only one."""
    if as_json and whole:
        print_json(snapshot)
    elif as_json:
        print(msgspec.json.encode(snapshot).decode(), flush=True)
    else:
        from rich.console import Console

        from benchctl.top_screen import View, lines

        console = Console(highlight=False)
        for line in lines(snapshot, View(), max(NARROWEST, console.width)):
            console.print(line)
        print("" if whole else "\n", end="", flush=True)


def _interactive(machine: Machine, stop: StopRequests) -> None:
    from rich.console import Console

    from benchctl.top_screen import View
    from benchctl.top_terminal import Terminal

    console, view, shown = Console(highlight=False), View(), machine.snapshot()
    with Terminal() as terminal:
        due_s = time.monotonic() + PERIOD_S
        while not stop:
            _paint(terminal, console, shown, view)
            for key in terminal.keys(due_s - time.monotonic(), stop):
                if not press(view, key, terminal.size()[1]):
                    return
            if time.monotonic() >= due_s:
                due_s = max(due_s + PERIOD_S, time.monotonic())
                latest = machine.snapshot()  # also while paused: files are followed, not read anew afterwards
                shown = shown if view.paused else latest


def press(view: View, key: str, height: int) -> bool:
    """Do what a key says; return False for the one that ends it."""
    from benchctl.top_screen import ORDERS

    page = max(1, height - 3)
    steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -page, "page down": page}
    if view.typing:
        _type(view, key)
    elif key == "q":
        return False
    elif key in ("p", " "):
        view.paused = not view.paused
    elif key == "s":
        view.order = ORDERS[(ORDERS.index(view.order) + 1) % len(ORDERS)]
    elif key == "/":
        view.typing, view.contains = True, ""
    elif key == "escape":
        view.contains, view.help = "", False
    elif key in ("?", "h"):
        view.help, view.offset = not view.help, 0
    elif key in steps:
        view.offset = max(0, view.offset + steps[key])
    elif key in ("home", "end"):
        view.offset = 0 if key == "home" else sys.maxsize
    return True


def _type(view: View, key: str) -> None:
    """Take a key of the text that names have to contain."""
    view.offset = 0
    if key in ("enter", "escape"):
        view.typing = False
        view.contains = view.contains if key == "enter" else ""
    elif key == "backspace":
        view.contains = view.contains[:-1]
    elif len(key) == 1 and key.isprintable():
        view.contains += key


def _paint(terminal: Terminal, console: Console, snapshot: Snapshot, view: View) -> None:
    """Draw the heading, as much as there is room for, and the keys."""
    from benchctl.top_screen import footer, lines

    width, height = terminal.size()
    heading, *body = lines(snapshot, view, width)
    room = max(0, height - 2)
    view.offset = min(view.offset, max(0, len(body) - room))
    seen = body[view.offset : view.offset + room]
    seen += [footer(view, width, len(body) - view.offset - len(seen))]
    with console.capture() as drawn:
        for line in [heading, *seen][:height]:
            console.print(line, width=width, no_wrap=True, overflow="ignore", crop=False)
    terminal.paint(drawn.get().splitlines())
