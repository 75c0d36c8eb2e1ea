"""What this host can measure: every collector run with ``--once --json``, so that its sources speak for themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchctl.checks import ABSENT, FAIL, OK, Check
from benchctl.children import Child, Crew
from benchlab.config_text import show
from benchlab.errors import Exit
from benchlab.event import META, Event
from benchlab.log.file_end import size_of

GROUP = "sources"
MOST_BYTES = 1 << 20
SHOWN = 8
_POLL_S = 0.02
_SAID_WHY = (Exit.USAGE, Exit.CONFIG, Exit.NO_DEVICE, Exit.IO)

_decoder = msgspec.json.Decoder(Event)


@dataclass(frozen=True)
class Answer:
    """What a collector printed, and how it ended: ``code`` is None if it had to be killed."""

    collector: str
    output: bytes
    code: int | None
    last_words: str

    @property
    def flooded(self) -> bool:
        """Whether it printed more than any sample can be."""
        return len(self.output) >= MOST_BYTES


def ask(commands: Mapping[str, Sequence[str]], deadline_s: float, env: Mapping[str, str] | None = None) -> list[Answer]:
    """Run collectors side by side; what has not ended after ``deadline_s`` is killed. Raises Fault (IO), OSError."""
    with TemporaryDirectory(prefix="benchctl-doctor-") as name:
        folder = Path(name)
        with Crew(folder, env) as crew:
            children = [crew.start(collector, argv, folder / collector) for collector, argv in commands.items()]
            give_up_s = time.monotonic() + deadline_s
            while time.monotonic() < give_up_s and any(_is_busy(child, folder) for child in children):
                time.sleep(_POLL_S)
            return [_answer(child, folder) for child in children]


def _is_busy(child: Child, folder: Path) -> bool:
    if child.exit_code is None and size_of(folder / child.name) >= MOST_BYTES:
        child.kill()
    return child.exit_code is None


def _answer(child: Child, folder: Path) -> Answer:
    with (folder / child.name).open("rb") as file:
        output = file.read(MOST_BYTES)
    return Answer(child.name, output, child.exit_code, "".join(child.last_lines(1)))


def source_checks(answer: Answer, deadline_s: float) -> tuple[list[Check], list[Event]]:
    """Return the verdict on each source of a collector, and the readings of those that are there."""
    how_to_look = f"{answer.collector} --once --log-level debug"
    if answer.flooded:
        return [_failed(answer, f"printed more than {MOST_BYTES:,} bytes, expected a few events", how_to_look)], []
    if answer.code is None:
        return [_failed(answer, f"no answer within {deadline_s:g} s", how_to_look)], []
    events, garbage = _decoded(answer.output)
    if garbage:
        return [_failed(answer, f"printed {show(garbage)}, expected events", how_to_look)], []
    if not events:
        return [_silent(answer, how_to_look)], []
    readings = [event for event in events if event.source != META]
    return [*_present(readings), *_absent(events)], readings


def _silent(answer: Answer, how_to_look: str) -> Check:
    """Return the verdict on a collector that showed nothing: it gave its reason, or it broke."""
    prefix = f"{answer.collector}: "
    if answer.code in _SAID_WHY and answer.last_words.startswith(prefix):
        return Check(GROUP, answer.collector, ABSENT, answer.last_words.removeprefix(prefix))
    words = f": {answer.last_words}" if answer.last_words else " and said nothing"
    return _failed(answer, f"ended with exit code {answer.code}{words}", how_to_look)


def _failed(answer: Answer, found: str, fix: str) -> Check:
    return Check(GROUP, answer.collector, FAIL, found, fix)


def _decoded(output: bytes) -> tuple[list[Event], str | None]:
    """Return the events, and the first line that is none."""
    events = []
    for line in output.splitlines():
        try:
            events.append(_decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return events, line[:MOST_BYTES].decode("utf-8", "backslashreplace")
    return events, None


def _present(readings: Sequence[Event]) -> Iterator[Check]:
    for source in dict.fromkeys(event.source for event in readings):
        mine = [event for event in readings if event.source == source]
        keys = list(dict.fromkeys(key for event in mine for key in event.kv))
        devices = list(dict.fromkeys(event.dev for event in mine if event.dev))
        of = f" of {_some(devices)}" if devices else ""
        yield Check(GROUP, source, OK, f"{_some(keys)}{of}")


def _absent(events: Sequence[Event]) -> Iterator[Check]:
    for event in events:
        if event.source == META and event.kv.get("event") == "source_down":
            fix = event.kv.get("fix")
            which, reason = str(event.kv.get("which")), str(event.kv.get("reason"))
            reason = f"{event.dev}: {reason}" if event.dev else reason
            yield Check(GROUP, which, ABSENT, reason, str(fix) if fix else None)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
