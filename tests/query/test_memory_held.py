"""How much of a file is held at once while something is looked up in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchlab.event import Aligned, encode_lines
from benchlab.query import signal_index
from benchlab.query.aligned import SIGNALS_FILE
from benchlab.query.index import Index
from benchlab.query.segments import SEGMENT_BYTES, read_range
from benchlab.query.signal_index import Address
from benchlab.query.signals import SignalHistory
from support.cx_sessions import START_NS, Recording, S

FOR_EVER = 2**62
DEVICES = 100
SECONDS = 300


@pytest.fixture
def many(tmp_path: Path) -> Recording:
    """A session of many signals, of more than a segment."""
    recording = Recording(tmp_path)
    rows = [
        {
            "ts_aligned_ns": START_NS + second * S,
            "source": "vm.libvirt",
            "dev": f"vm{n}",
            "kv": {"cpu_pct": float(second)},
        }
        for second in range(SECONDS)
        for n in range(DEVICES)
    ]
    (recording.dir / "aligned" / SIGNALS_FILE).write_bytes(encode_lines(rows))
    return recording


def test_of_many_signals_only_the_one_that_is_asked_for_is_held(
    many: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index(many.dir)
    index.refresh(SIGNALS_FILE)
    history = SignalHistory(index)
    assert len(history.available()) == DEVICES  # what lies behind the last segment is kept from here on
    held: list[Address] = []
    took = signal_index.take

    def take(batch: object, found: dict[Address, object], *rest: object) -> int:
        bad = took(batch, found, *rest)  # type: ignore[arg-type]
        held.extend(found)
        return bad

    monkeypatch.setattr("benchlab.query.signals.take", take)
    wanted = ("vm.libvirt", "vm7", "cpu_pct")
    (series,) = history.window(wanted.__eq__, 0, FOR_EVER, SECONDS)
    assert [value for _, value in series.values] == [float(second) for second in range(SECONDS)]
    assert set(held) == {wanted}


def test_a_range_is_decoded_a_small_part_at_a_time(many: Recording) -> None:
    path = many.dir / "aligned" / SIGNALS_FILE
    size = path.stat().st_size
    assert size > 2 * SEGMENT_BYTES
    batches = list(read_range(path, Aligned, (0, size)))
    assert sum(len(batch.rows) for batch in batches) == SECONDS * DEVICES
    assert max(len(batch.data) for batch in batches) <= 64 * 1024
