"""docs/FORMAT.md names every field of what commands print with --json."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from benchctl.checks import Check
from benchctl.config_show import Setting
from benchctl.retention_status import Due
from benchctl.session_status import MuxStatus, OutputStatus, Recent, SessionStatus
from benchctl.sink_status import SinkStatus
from benchctl.status import Status
from benchctl.stream_status import StreamStatus
from benchctl.summary import PairSummary
from benchctl.top_session import MuxRow, Snapshot, VmRow
from benchctl.top_stream import SourceRow
from benchctl.vm_status import VmStatistics
from benchlab.stream_story import SourceStatus

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "FORMAT.md").read_text()
STATUS = (
    Status,
    SessionStatus,
    StreamStatus,
    SourceStatus,
    MuxStatus,
    OutputStatus,
    Recent,
    PairSummary,
    SinkStatus,
    VmStatistics,
    Due,
)
DOCUMENTS: list[tuple[str, tuple[type[msgspec.Struct], ...]]] = [
    ("status", STATUS),
    ("top", (Snapshot, SourceRow, VmRow, MuxRow)),
    ("doctor", (Check,)),
    ("config show", (Setting,)),
]


@pytest.mark.parametrize(("command", "types"), DOCUMENTS, ids=[command for command, _ in DOCUMENTS])
def test_every_field_is_documented(command: str, types: tuple[type[msgspec.Struct], ...]) -> None:
    section = re.split(r"\n##+ ", PAGE.split(f"### `benchctl {command} --json`", 1)[1])[0]
    fields = {field for one in types for field in one.__struct_fields__}
    assert sorted(field for field in fields if f"`{field}`" not in section) == []
