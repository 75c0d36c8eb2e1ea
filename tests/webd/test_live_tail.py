"""The tail against a model of muxd: whatever is appended, withdrawn, cut or rebuilt, a reader has what is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cx_sessions import MS, START_NS, Recording, drop, frame
from webd.live import tail as tail_module
from webd.live.cursor import Cursor, parse
from webd.live.tail import Restarted, Rewound, Rows, Tail

KEEP_NS = 900_000_000_000


class Mux:
    """Writes an aligned file as muxd does."""

    def __init__(self, folder: Path) -> None:
        self.recording = Recording(folder)
        self.path = self.recording.dir / "aligned" / "latency.jsonl"
        self.path.touch()
        self.decided = b""
        self.vouched = 0
        self.generation = 1
        self.number = 0
        self.vouch()

    def line(self, latency: float) -> bytes:
        self.number += 1
        ts_ns = START_NS + self.number * 16 * MS
        row = drop(ts_ns, frame=self.number) if self.number % 7 == 0 else frame(ts_ns, latency, power_w=240.0)
        return json.dumps(row).encode() + b"\n"

    def append(self, count: int) -> None:
        self.drop_tail()
        self.decided += b"".join(self.line(10.5) for _ in range(count))
        self._write()

    def bad_line(self, count: int) -> None:
        self.drop_tail()
        self.decided += b'{"ts_aligned_ns":"never"}\n' * count
        self._write()

    def show_tail(self, count: int) -> None:
        number = self.number
        with self.path.open("ab") as file:
            file.write(b"".join(self.line(99.5) for _ in range(count)))
        self.number = number  # they are decided again, otherwise

    def torn(self, count: int) -> None:
        with self.path.open("ab") as file:
            file.write(self.line(10.5)[: 10 * count])
        self.number -= 1

    def drop_tail(self, count: int = 0) -> None:
        with self.path.open("r+b") as file:
            file.truncate(len(self.decided))

    def vouch(self, count: int = 0) -> None:
        self.vouched = len(self.decided)
        self._save()

    def crash(self, count: int) -> None:
        """Be killed, and start again: cut back to the checkpoint, and write the same or, with count, part of it."""
        self.decided = self.path.read_bytes()[: self.vouched] if count % 2 else self.decided
        with self.path.open("r+b") as file:
            file.truncate(self.vouched)
        self._write()

    def rebuild(self, count: int) -> None:
        self.generation += 1
        fresh = self.path.with_suffix(".new")
        self.decided = b"".join(self.line(20.0 + count) for _ in range(count))
        fresh.write_bytes(self.decided)
        fresh.replace(self.path)
        self.vouch()

    def rows(self) -> list[tuple[int, float | None]]:
        """Return what a reader that begins now finds."""
        found, at = [], 0
        for line in self.path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and b'"kv"' in line:
                found.append((at, json.loads(line)["kv"].get("lat_ms")))
            at += len(line)
        return found

    def _write(self) -> None:
        with self.path.open("r+b") as file:
            file.truncate(len(self.decided))
            file.write(self.decided)

    def _save(self) -> None:
        state = self.recording.dir / "state"
        state.mkdir(exist_ok=True)
        said = {"generation": self.generation, "outputs": {"latency.jsonl": self.vouched}}
        fresh = state / "new"
        fresh.write_text(json.dumps(said))
        fresh.replace(state / "mux.json")


class Reader:
    """Keeps the rows that a viewer has, by the rules that viewers are given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[tuple[int, float | None]] = []
        self.tail = Tail(folder, KEEP_NS)

    def look(self) -> bool:
        """Take in what has changed; return whether anything had."""
        changed = False
        for change in (*self.tail.read(), *self.tail.check()):
            changed = True
            if isinstance(change, Rows):
                for at, row in change.rows:
                    assert not self.rows or at > self.rows[-1][0], "a row came twice"
                    self.rows.append((at, row.kv.lat_ms))
            elif isinstance(change, Rewound):
                self.rows = [known for known in self.rows if known[0] < change.at]
            elif isinstance(change, Restarted):
                self.tail.close()
                self.rows, self.tail = [], Tail(self.folder, KEEP_NS)
        return changed

    def settle(self) -> None:
        for _ in range(10):
            if not self.look():
                return
        raise AssertionError("there is no end to the changes")


ACTIONS = ("append", "bad_line", "show_tail", "torn", "drop_tail", "vouch", "crash", "rebuild", "look")


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(1, 5)), max_size=40))
def test_reader_has_what_the_file_has_whatever_muxd_did(steps: list[tuple[str, int]], tmp_path_factory: object) -> None:
    mux = Mux(tmp_path_factory.mktemp("mux"))  # type: ignore[attr-defined]
    reader = Reader(mux.recording.dir)
    for action, count in steps:
        if action == "look":
            reader.look()
        else:
            getattr(mux, action)(count)
    mux.drop_tail()
    mux.vouch()
    reader.settle()
    assert reader.rows == mux.rows()
    reader.tail.close()


def test_rows_cut_back_by_a_crash_and_written_again_are_withdrawn_and_come_once(tmp_path: Path) -> None:
    mux = Mux(tmp_path)
    reader = Reader(mux.recording.dir)
    mux.append(5)
    mux.vouch()
    reader.look()
    mux.append(5)
    reader.look()
    with mux.path.open("r+b") as file:
        file.truncate(mux.vouched)
    (rewound,) = [change for change in reader.tail.read() if isinstance(change, Rewound)]
    assert rewound.at == mux.vouched
    mux._write()
    assert [len(change.rows) for change in reader.tail.read() if isinstance(change, Rows)] == [5]
    reader.tail.close()


def test_provisional_row_rewritten_in_place_is_noticed_though_its_end_is_the_same(tmp_path: Path) -> None:
    mux = Mux(tmp_path)
    mux.append(5)
    mux.vouch()
    reader = Reader(mux.recording.dir)
    mux.append(10)
    reader.look()
    changed = bytearray(mux.decided)
    place = changed.index(b"10.5", mux.vouched)
    changed[place : place + 4] = b"11.5"  # far from the end: all that follows, and the length, stay as they are
    mux.decided = bytes(changed)
    mux._write()
    assert list(reader.tail.read()) == []
    mux.vouch()
    reader.settle()
    assert reader.rows == mux.rows()
    reader.tail.close()


def test_cursor_of_other_bytes_is_void(tmp_path: Path) -> None:
    mux = Mux(tmp_path)
    mux.append(5)
    mux.vouch()
    tail = Tail(mux.recording.dir, KEEP_NS)
    list(tail.read())
    cursor = tail.cursor()
    assert tail.holds(cursor)
    assert parse(str(cursor)) == cursor
    assert tail.holds(tail.cursor_at(0))
    assert not tail.holds(Cursor(cursor.session, cursor.generation + 1, cursor.offset, cursor.crc))
    assert not tail.holds(Cursor(cursor.session, cursor.generation, cursor.offset, cursor.crc ^ 1))
    assert not tail.holds(Cursor(cursor.session, cursor.generation, cursor.offset + 10, cursor.crc))
    assert not tail.holds(Cursor("other", cursor.generation, cursor.offset, cursor.crc))
    tail.close()


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "a.1.2", "a.1.2.3", "../x.1.2.00000000", "a.-1.2.00000000", "a.1.²2.00000000", None),
        *("a.1." + "9" * 30 + ".00000000", "current.1.2.00000000", "a.1.2.0000000g"),
    ],
)
def test_what_is_no_cursor_begins_anew(text: str | None) -> None:
    assert parse(text) is None


def test_session_name_with_dots_is_kept_whole_in_a_cursor() -> None:
    assert parse("a.b-1.2.3.0000000f") == Cursor("a.b-1", 2, 3, 15)


def test_long_file_is_read_from_its_last_minutes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_module, "LEAST_BYTES", 1000)
    monkeypatch.setattr(tail_module, "LOOK_BYTES", 2000)
    recording = Recording(tmp_path)
    recording.aligned(frame(START_NS + i * 1000 * MS, 10.0) for i in range(5000))
    tail = Tail(recording.dir, 900_000_000_000)
    rows = [row for change in tail.read() if isinstance(change, Rows) for _, row in change.rows]
    assert rows[-1].ts_aligned_ns == START_NS + 4999 * 1000 * MS
    assert 900 <= len(rows) < 950
    tail.close()
