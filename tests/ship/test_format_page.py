"""The examples in docs/FORMAT.md are what the programs write, byte for byte."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from benchlab.event import Event
from benchlab.log.lines import BadLine
from benchlab.log.vouched import read_vouched
from benchlab.session_file import SessionInfo, read_info
from muxd.checkpoint import Checkpoint
from muxd.rows import DroppedRow, LateEntry, LatencyRow, SignalRow
from muxd.sinks.cursor import Cursors
from muxd.sinks.letters import DeadLetter

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "FORMAT.md").read_text()
BLOCKS = re.findall(r"^```json (\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LINES = [
    (kind, line) for kind, text in BLOCKS if kind not in ("session", "mux", "cursors") for line in text.splitlines()
]
TYPES: dict[str, type[msgspec.Struct]] = {
    "raw": Event,
    "signals": SignalRow,
    "late": LateEntry,
    "quarantine": BadLine,
    "refused": DeadLetter,
}


def block(kind: str) -> str:
    texts: list[str] = [text for found, text in BLOCKS if found == kind]
    assert len(texts) == 1
    return texts[0]


def type_of(kind: str, line: str) -> type[msgspec.Struct]:
    if kind == "latency":
        return DroppedRow if '"metric.dropped"' in line else LatencyRow
    return TYPES[kind]


def test_every_format_has_an_example() -> None:
    assert {kind for kind, _ in BLOCKS} == {*TYPES, "latency", "session", "mux", "cursors"}


@pytest.mark.parametrize(("kind", "line"), LINES)
def test_example_line_is_what_would_be_written(kind: str, line: str) -> None:
    row = msgspec.json.decode(line, type=type_of(kind, line))
    assert msgspec.json.encode(row).decode() == line


def test_session_example_has_the_fields_of_a_session(tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text(block("session"))
    assert read_info(tmp_path).anchor_ns == json.loads(block("session"))["anchor_ns"]
    assert list(json.loads(block("session"))) == list(SessionInfo.__struct_fields__)


def test_checkpoint_example_has_what_readers_look_at(tmp_path: Path) -> None:
    (tmp_path / "mux.json").write_text(block("mux"))
    vouched = read_vouched(tmp_path)
    assert vouched is not None
    assert vouched.outputs == json.loads(block("mux"))["outputs"]
    assert set(json.loads(block("mux"))) <= set(Checkpoint.__struct_fields__)


def test_cursors_are_written_as_in_the_example() -> None:
    found = msgspec.json.decode(block("cursors"), type=Cursors)
    assert msgspec.json.encode(found).decode() == block("cursors").strip()


def documented(heading: str) -> str:
    """Return the section of the page under a heading."""
    return PAGE.split(heading, 1)[1].split("\n## ", 1)[0]


def names_of(*types: type[msgspec.Struct]) -> set[str]:
    return {name for one in types for name in one.__struct_fields__}


def test_every_field_of_an_event_is_explained() -> None:
    section = documented("## Events")
    assert [name for name in Event.__struct_fields__ if f"| `{name}` |" not in section] == []


def test_every_field_of_an_aligned_row_is_explained() -> None:
    section = documented("## Pairs and drops")
    kv = {name for row in (LatencyRow, DroppedRow) for name in kv_fields(row)}
    fields = (names_of(LatencyRow, DroppedRow) | kv) - {"source", "kv"}
    assert sorted(name for name in fields if f"`{name}`" not in section) == []


def kv_fields(row: type[msgspec.Struct]) -> tuple[str, ...]:
    (kv,) = [field.type for field in msgspec.structs.fields(row) if field.name == "kv"]
    fields: tuple[str, ...] = kv.__struct_fields__
    return fields
