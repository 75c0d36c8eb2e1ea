"""What muxd vouches for, as its readers see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchlab.log.vouched import Vouched, read_vouched


def test_lengths_and_generation_are_taken_and_the_rest_of_the_checkpoint_ignored(tmp_path: Path) -> None:
    (tmp_path / "mux.json").write_text(
        '{"version":1,"generation":3,"outputs":{"latency.jsonl":120,"signals.jsonl":0},"final":true,'
        '"digest":"ab","streams":{"pipeline.jsonl":{"offset":9}},"engine":{"open":[[1,2],{}]}}'
    )
    assert read_vouched(tmp_path) == Vouched(3, {"latency.jsonl": 120, "signals.jsonl": 0}, final=True)


def test_before_the_first_checkpoint_nothing_is_vouched_for(tmp_path: Path) -> None:
    assert read_vouched(tmp_path) is None
    assert read_vouched(tmp_path / "state") is None


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b'{"generation":1,"outp',
        b"\x00" * 64,
        b'{"generation":1,"outputs":{"\xff":1}}',
        b'{"generation":1,"outputs":{"latency.jsonl":-1}}',
        b'{"generation":1}',
        b"[]",
    ],
)
def test_a_corrupt_checkpoint_vouches_for_nothing(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "mux.json").write_bytes(damage)
    assert read_vouched(tmp_path) is None
