"""benchctl session: make, list, show, pin and close sessions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from benchctl.table import print_json, table
from benchlab import cli
from benchlab.cli import Context
from benchlab.errors import Exit, Fault
from benchlab.session import CURRENT, Session, list_sessions, new_session, open_session

EXAMPLES = """\
  benchctl session new                 # named by the time
  benchctl session new lab-1
  benchctl session list --json
  benchctl session show lab-1
  benchctl session pin lab-1           # retention leaves it alone
  benchctl session close               # the current one"""

ACTIONS = ("new", "list", "show", "pin", "unpin", "close")


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    p = cli.parser("benchctl session", "Make, list, show, pin and close sessions.", EXAMPLES)
    p.add_argument("action", choices=ACTIONS, help="what to do")
    p.add_argument("name", nargs="?", metavar="NAME", help="session (default: --session, else the current one)")
    p.add_argument("--json", action="store_true", help="with list and show: print JSON")
    return p


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Do one action and print its result on stdout."""
    if args.name and args.session and args.name != args.session:
        raise Fault(f"two sessions named, {args.name} and --session {args.session}: expected one", Exit.USAGE)
    context = cli.context(args)
    if args.action == "list":
        return _list(context, as_json=args.json)
    if args.action == "new":
        return _new(context, args.name or args.session)
    session = open_session(context.data_root, args.name or context.session_name, create=False)
    if args.action == "show":
        _show(session, as_json=args.json)
    elif args.action == "close":
        _close(session)
    else:
        session.pin(args.action == "pin")
        print(f"session {session.name} is {'pinned' if session.info.pinned else 'no longer pinned'}")
    return Exit.OK


def _new(context: Context, name: str | None) -> int:
    general = context.config.general
    digest = context.loaded.digest
    session = new_session(context.data_root, name, node=general.node_name, config_digest=digest)
    print(session.name)
    print(f"recording goes to {session.dir}", file=sys.stderr)
    return Exit.OK


def _close(session: Session) -> None:
    if session.info.closed:
        print(f"session {session.name} was closed already")
        return
    session.close(session.clock().now_ns())
    print(f"session {session.name} is closed")


def _list(context: Context, *, as_json: bool) -> int:
    sessions = list_sessions(context.data_root)
    current = current_name(context)
    rows = [_described(session, current) for session in sessions]
    if as_json:
        print_json(rows)
    elif not rows:
        print(f"no sessions in {context.data_root}: benchctl session new makes one", file=sys.stderr)
    else:
        _print_table(rows)
    return Exit.OK


def current_name(context: Context) -> str | None:
    """Return which session is the current one, None if there is none that can be read."""
    try:
        return open_session(context.data_root, CURRENT, create=False).name
    except Fault:
        return None


def _described(session: Session, current: str | None) -> dict[str, Any]:
    streams = sorted((session.dir / "raw").glob("*.jsonl"))
    return {
        "name": session.name,
        "current": session.name == current,
        "state": state_of(session),
        "pinned": session.info.pinned,
        "created": session.info.created,
        "node": session.info.node,
        "raw_bytes": sum(path.stat().st_size for path in streams),
        "streams": [path.stem for path in streams],
        "problem": session.problem,
    }


def state_of(session: Session) -> str:
    """Return ``open``, ``closed``, ``bare`` (a folder of raw files) or ``unreadable``."""
    if session.problem:
        return "unreadable"
    if session.is_bare:
        return "bare"
    return "closed" if session.info.closed else "open"


def _show(session: Session, *, as_json: bool) -> None:
    document = {
        **msgspec.to_builtins(session.info),
        "state": state_of(session),
        "problem": session.problem,
        "folder": str(session.dir),
        "files": {
            f"{path.parent.name}/{path.name}": path.stat().st_size
            for folder in ("raw", "aligned", "cx-export", "quarantine")
            for path in sorted((session.dir / folder).glob("*"))
        },
    }
    if as_json:
        print_json(document)
        return
    for key, value in document.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, part in value.items():
                print(f"  {name:24} {part}")
        elif value not in (None, []):
            print(f"{key:20} {str(value).lower() if isinstance(value, bool) else value}")


def _print_table(rows: list[dict[str, Any]]) -> None:
    titles = ("session", "state", "created", "node", "raw bytes", "streams")
    lines = table(
        titles,
        [
            (
                row["name"] + " (current)" * row["current"] + " (pinned)" * row["pinned"],
                row["state"],
                (row["created"] or "")[:19],
                row["node"] or "",
                row["raw_bytes"],
                ", ".join(row["streams"]),
            )
            for row in rows
        ],
    )
    print("\n".join(lines))
