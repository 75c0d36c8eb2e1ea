"""docs/STAGES.md says what the collector takes and what it writes."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import msgspec

from benchlab import sdk, stages
from benchlab.event import Event
from pipeline_probes.datagrams import listening
from pipeline_probes.datagrams.senders import Senders
from pipeline_probes.datagrams.stage_line import Arrival, Line, StageReader, Timeline

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "STAGES.md").read_text()


def block(kind: str) -> str:
    (text,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def test_every_line_of_the_page_is_taken() -> None:
    senders = Senders(since_ns=0)
    now = Timeline(86_400 * 10**9, 0, 0)
    lines = block("json stage")
    readings = StageReader(senders).read(lines.encode(), Arrival(now.now_ns, 0, "pid 1"), now)
    assert list(senders.reports(0, last=True)) == [{"n": 98, "why": "stages_lost", "sender": "encoder 2"}]
    assert len(readings) == len(lines.splitlines()) - 1  # the last one only counts
    (sent,) = re.findall(r"^echo '(.*)' \| socat", PAGE, re.MULTILINE)
    assert len(StageReader(senders).read(sent.encode(), Arrival(now.now_ns, 0, "pid 1"), now)) == 1


def test_what_the_collector_writes_is_an_event_byte_for_byte() -> None:
    for line in block("json raw").splitlines():
        assert msgspec.json.encode(msgspec.json.decode(line, type=Event)).decode() == line


def test_every_field_and_bound_is_explained() -> None:
    assert [name for name in Line.__struct_fields__ if f"| `{name}` |" not in PAGE] == []
    signature = re.findall(r"`benchlab\.stage\((.*?)\)`", PAGE)[0]
    assert re.findall(r"\w+(?==)|^\w+", signature) == list(inspect.signature(sdk.stage).parameters)
    for said in (
        f"1 to {stages.MAX_NAME} printable",
        f"1 to {stages.MAX_TEXT} characters",
        f"at most {stages.MAX_LINE // 1024} KiB",
        f"at most {stages.MAX_DATAGRAM // 1024} KiB",
        f"has {stages.MAX_PATH} bytes at most",
        f"`disorder_ms` is {listening.DISORDER_MS}",
        f"{sdk.MAX_WAITING * sdk.PACK_BYTES >> 20} MiB",
        f"for {sdk.EXIT_S[0]} s if nothing is",
        f"after {sdk.RETRY_S[0]} s",
    ):
        assert said in PAGE.replace("\n", " "), said
