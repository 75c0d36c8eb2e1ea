"""A reader against a model, over random sequences of what can happen to a file.

The consumer is as simple as consumers are: on RawChanged it drops what it has and starts over. The promise is that
it then always holds exactly what the file holds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from benchlab.event import Event
from benchlab.log.reader import RawChanged, ReaderState, StreamReader


class FollowedFileMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "s.jsonl"
        self.content: bytes | None = None
        self.count = 0
        self.rows: list[int] = []
        self.reader = StreamReader(self.path, Event)
        self.checkpoint = (self.reader.state(), 0)

    def teardown(self) -> None:
        self.reader.close()
        self.folder.cleanup()

    def line(self) -> bytes:
        """Make a line that no other file of this run holds."""
        self.count += 1
        return b'{"ts_ns":%d,"source":"a","kv":{}}\n' % self.count

    def append(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)
        self.content = (self.content or b"") + data

    @rule(n=st.integers(1, 5))
    def append_whole_lines(self, n: int) -> None:
        self.append(b"".join(self.line() for _ in range(n)))

    @rule(keep=st.integers(1, 30), rest=st.booleans())
    def append_torn(self, keep: int, rest: bool) -> None:
        line = self.line()
        self.append(line[:keep])
        if rest:
            self.read_some()
            self.append(line[keep:])

    @rule()
    def close_a_torn_line(self) -> None:
        self.append(b"\n")

    @precondition(lambda self: self.content)
    @rule(part=st.floats(0, 1), grow=st.integers(0, 5))
    def truncate_and_grow(self, part: float, grow: int) -> None:
        assert self.content is not None
        self.content = self.content[: int(len(self.content) * part)]
        with self.path.open("r+b") as file:
            file.truncate(len(self.content))
        self.append(b"".join(self.line() for _ in range(grow)))

    @rule(n=st.integers(0, 8))
    def replace(self, n: int) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_bytes(b"".join(self.line() for _ in range(n)))
        self.content = fresh.read_bytes()
        fresh.replace(self.path)

    @precondition(lambda self: self.content is not None)
    @rule(again=st.booleans())
    def delete(self, again: bool) -> None:
        self.path.unlink()
        self.content = None
        if again:  # often with the inode of the old one
            self.append(self.line() * 2)

    @rule()
    def read_some(self) -> None:
        try:
            self.rows += [row.ts_ns for row in self.reader.read().rows]
        except RawChanged:
            self.start_over()

    @rule()
    def save_checkpoint(self) -> None:
        try:
            self.checkpoint = (self.reader.state(), len(self.rows))
        except RawChanged:
            self.start_over()

    @rule(chunk=st.sampled_from([1, 50, 4096]))
    def crash_and_resume(self, chunk: int) -> None:
        self.reader.close()
        state, rows = self.checkpoint
        self.reader = StreamReader(self.path, Event, chunk_bytes=chunk)
        del self.rows[rows:]
        try:
            self.reader.restore(msgspec.convert(msgspec.to_builtins(state), ReaderState))
        except RawChanged:
            self.start_over()

    def start_over(self) -> None:
        self.reader.close()
        self.reader = StreamReader(self.path, Event)
        self.rows = []
        self.checkpoint = (self.reader.state(), 0)

    @invariant()
    def a_reader_that_reads_to_the_end_holds_what_the_file_holds(self) -> None:
        if self.count % 3:  # else the reader stays behind, and more than one thing happens between two looks
            return
        changes = quiet = 0
        while quiet < 2:  # the look after the last bytes is the one that notices another file
            try:
                batch = self.reader.read()
            except RawChanged:
                changes += 1
                assert changes < 3, "a reader that started over must find rest"
                self.start_over()
            else:
                self.rows += [row.ts_ns for row in batch.rows]
                quiet = quiet + 1 if batch.at_end and not batch.rows else 0
        assert self.rows + self.undecided() == self.expected()

    def undecided(self) -> list[int]:
        """The lone first line of a stream waits for a second one."""
        return self.expected()[:1] if self.reader.held else []

    def expected(self) -> list[int]:
        times = []
        for line in (self.content or b"").split(b"\n")[:-1]:
            try:
                times.append(msgspec.json.decode(line, type=Event).ts_ns)
            except msgspec.DecodeError:
                pass
        return times


TestFollowedFile = FollowedFileMachine.TestCase
TestFollowedFile.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
