"""benchctl mark: a bookmark event with the operator's words, at the moment they were given."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchlab import cli
from benchlab.bookmarks import write_bookmarks
from benchlab.errors import Exit, Fault
from benchlab.event import BOOKMARK, Event
from benchlab.session import open_session

EXAMPLES = """\
  benchctl mark "fan turned up"
  benchctl mark --session lab-1 second encoder started"""

MAX_CHARACTERS = 4096


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    p = cli.parser("benchctl mark", "Put a bookmark into a session.", EXAMPLES)
    p.add_argument("text", nargs="*", metavar="TEXT", help="what happened, in your words")
    return p


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Append the bookmark to ``raw/bookmarks.jsonl`` of the session."""
    text = check_text(" ".join([*args.text, *operands]))
    context = cli.context(args)
    session = open_session(context.data_root, context.session_name, create=False)
    write_bookmarks(session, [Event(ts_ns=session.clock().now_ns(), source=BOOKMARK, kv={"text": text})])
    print(f"marked in session {session.name}: {text}")
    return Exit.OK


def check_text(text: str) -> str:
    """Return the text without white space around it. Raises Fault (usage) if there is none or too much."""
    stripped = text.strip()
    if not stripped:
        raise Fault("no text given: benchctl mark TEXT", Exit.USAGE)
    if len(stripped) > MAX_CHARACTERS:
        raise Fault(f"found a text of {len(stripped)} characters, expected at most {MAX_CHARACTERS}", Exit.USAGE)
    return stripped
