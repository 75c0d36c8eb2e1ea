"""The same bytes give the same rows and bad lines, however they arrive, are read, and are read again.

The reference knows what each line is because it made it, and judges times by looking ahead.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab.event import Event
from benchlab.log.lines import MAX_LINE
from benchlab.log.reader import Batch, ReaderState, StreamReader

HOUR = 3_600_000_000_000
NOW = 1_763_800_000_000_000_000

Line = tuple[bytes, object]  # the bytes, and what they are: a time, None for blank, or the reason they are bad


def good(ts_ns: int) -> Line:
    return b'{"ts_ns":%d,"source":"a","kv":{}}' % ts_ns, ts_ns


TIMES = st.one_of(
    st.integers(NOW, NOW + HOUR // 1000),
    st.sampled_from([0, NOW - 5 * HOUR, NOW + HOUR, NOW + 2 * HOUR, NOW + 2 * HOUR + 1, NOW + 9 * HOUR, 2**62]),
)
LINES: st.SearchStrategy[Line] = st.one_of(
    TIMES.map(good),
    TIMES.map(good),
    TIMES.map(lambda t: (b" " + good(t)[0] + b"\t\r", t)),
    TIMES.map(lambda t: (b'{"source":"\xc3\xa4","x":[{}],"ts_ns":%d,"kv":{"a":{}}}' % t, t)),
    st.sampled_from([(b"", None), (b" \t\r", None)]),
    st.sampled_from(
        [
            (b'{"ts_ns":17', "not_json"),
            (b"}", "not_json"),
            (b"{", "not_json"),
            (good(NOW)[0] * 2, "not_json"),
            (b'{"ts_ns":1,"source":"a","kv":{}', "not_json"),
            (b',"x":1}', "not_json"),
            (b"{}", "bad_ts_ns"),
            (b'{"ts_ns":-1,"source":"a","kv":{}}', "bad_ts_ns"),
            (b'{"ts_ns":1,"source":"a","kv":3}', "bad_kv"),
            (b'{"ts_ns":1,"source":"a","kv":{},"z":"\xff"}', "not_utf8"),
        ]
    ),
)
OVERSIZED: Line = (b"z" * (MAX_LINE + 1), "oversized")


@dataclass
class Found:
    """Everything a stream gave: rows and bad lines, each with its offset, in order."""

    rows: list[tuple[int, int]] = field(default_factory=list)
    bad: list[tuple[int, int, str]] = field(default_factory=list)

    def take(self, batch: Batch[Event]) -> None:
        self.rows += [(batch.offset_of(i), row.ts_ns) for i, row in enumerate(batch.rows)]
        self.bad += [(b.offset, b.length, b.reason) for b in batch.bad]


def reference(lines: list[Line]) -> Found:
    """Judge each line by what it is and what follows; a bad line counts as found where it is decided."""
    placed = []
    offset = 0
    for data, what in lines:
        placed.append((offset, len(data), what))
        offset += len(data) + 1
    decided = [(o, (o, n, w)) for o, n, w in placed if isinstance(w, str)]
    rows: list[tuple[int, int]] = []
    highest = -(2**63)
    timed = [(o, n, w) for o, n, w in placed if isinstance(w, int)]
    for i, (o, n, ts) in enumerate(timed):
        jump = ts > highest + HOUR
        if jump and i + 1 < len(timed) and timed[i + 1][2] < ts - HOUR:
            decided.append((timed[i + 1][0], (o, n, "far_future")))
        elif jump and i + 1 == len(timed) and rows:
            decided.append((2**63, (o, n, "far_future")))
        else:
            rows.append((o, ts))
            highest = max(highest, ts)
    return Found(rows, [bad for _, bad in sorted(decided, key=lambda d: d[0])])


def drain(reader: StreamReader[Event], into: Found) -> None:
    at_end = False
    while not at_end:
        batch = reader.read()
        into.take(batch)
        at_end = batch.at_end


def reopened(reader: StreamReader[Event], chunk: int) -> StreamReader[Event]:
    """Go on with a new reader, from a state that went through a checkpoint."""
    stored = msgspec.json.encode(reader.state())
    reader.close()
    new = StreamReader(reader.path, Event, chunk_bytes=chunk)
    new.restore(msgspec.json.decode(stored, type=ReaderState))
    return new


CHUNKS = st.sampled_from([1, 2, 7, 40, 100, 1000, 256 * 1024])


def read_in_steps(data: bytes, cuts: list[tuple[int, int, bool]], chunk: int) -> Found:
    """Let the file grow by ``cuts``: (bytes, chunk size of a restarted reader, restart before draining?)."""
    found = Found()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.jsonl"
        reader = StreamReader(path, Event, chunk_bytes=chunk)
        written = 0
        for size, new_chunk, early in [*cuts, (len(data), chunk, True)]:
            with path.open("ab") as file:
                file.write(data[written : written + size])
            written += size
            found.take(reader.read())
            if early:
                reader = reopened(reader, new_chunk)
            drain(reader, found)
            reader = reopened(reader, new_chunk)
        drain(reader, found)
        found.take(reader.flush_held())
        assert reader.unread() == 0
        reader.close()
    return found


STEPS = st.lists(st.tuples(st.integers(0, 200), CHUNKS, st.booleans()), max_size=12)


@settings(max_examples=400, deadline=None)
@given(lines=st.lists(LINES, max_size=40), steps=STEPS, chunk=CHUNKS)
def test_any_growth_chunking_and_restart_gives_what_the_reference_gives(
    lines: list[Line], steps: list[tuple[int, int, bool]], chunk: int
) -> None:
    data = b"".join(line + b"\n" for line, _ in lines)
    assert read_in_steps(data, steps, chunk) == reference(lines)


@settings(max_examples=25, deadline=None)
@given(
    before=st.lists(LINES, max_size=4),
    after=st.lists(st.one_of(LINES, st.just(OVERSIZED)), max_size=4),
    steps=st.lists(st.tuples(st.integers(0, 700_000), CHUNKS, st.booleans()), max_size=5),
    chunk=CHUNKS,
)
def test_an_oversized_line_anywhere_changes_nothing_for_the_others(
    before: list[Line], after: list[Line], steps: list[tuple[int, int, bool]], chunk: int
) -> None:
    lines = [*before, OVERSIZED, *after]
    data = b"".join(line + b"\n" for line, _ in lines)
    assert read_in_steps(data, steps, chunk) == reference(lines)


@settings(max_examples=150, deadline=None)
@given(garbage=st.lists(st.binary(max_size=60), max_size=12), chunk=CHUNKS)
def test_no_bytes_whatever_break_the_reader_or_cost_a_neighbour(garbage: list[bytes], chunk: int) -> None:
    clean = good(NOW)[0] + b"\n"
    data = clean * 2 + b"".join(junk + b"\n" + clean for junk in garbage)
    found = read_in_steps(data, [], chunk)
    assert len(found.rows) == 2 + len(garbage)
    junk_lines = [line for junk in garbage for line in junk.split(b"\n") if line.strip(b" \t\r")]
    assert len(found.bad) == len(junk_lines)
