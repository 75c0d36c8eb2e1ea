"""benchctl mark: a bookmark event with the operator's words, at the moment they were given."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchlab import __version__, cli
from benchlab.errors import Exit, Fault
from benchlab.event import BOOKMARK, Event
from benchlab.log.writer import LogWriter
from benchlab.session import open_session

EXAMPLES = """\
  benchctl mark "fan turned up"
  benchctl mark --session lab-1 second encoder started"""

STREAM = "bookmarks"
MAX_CHARACTERS = 4096
# Two marks at once take turns within a few milliseconds; further behind the newest no line lies.
DISORDER_MS = 200


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
    clock = session.clock()
    now_ns = clock.now_ns()
    lock = session.state / f"{STREAM}.lock"
    writer = LogWriter(session.raw / f"{STREAM}.jsonl", lock, clock=clock.now_ns)
    try:
        writer.start({"version": __version__, "disorder_ms": DISORDER_MS})
        writer.write([Event(ts_ns=now_ns, source=BOOKMARK, kv={"text": text})])
    finally:
        writer.stop()
    if writer.stats.lost:
        raise Fault(f"{writer.path} could not be written: is the disk full?", Exit.IO)
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
