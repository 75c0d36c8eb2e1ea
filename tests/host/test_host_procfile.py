from __future__ import annotations

from pathlib import Path

import pytest

from benchlab.daemon import Absent
from benchlab.host.procfile import ProcFile, Rates


def test_file_is_opened_once_and_read_from_its_start_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"first")
    file = ProcFile(tmp_path, "file")
    assert file.read() == b"first"
    (tmp_path / "file").write_bytes(b"second")
    opened = set(Path("/proc/self/fd").iterdir())
    assert file.read() == b"second"
    assert set(Path("/proc/self/fd").iterdir()) == opened


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 4095, 4096, 4097, 70_000])
def test_every_size_is_read_whole_and_again(tmp_path: Path, size: int) -> None:
    content = bytes(n % 251 for n in range(size))
    (tmp_path / "file").write_bytes(content)
    file = ProcFile(tmp_path, "file")
    assert file.read() == content
    assert file.read() == content


def test_kernel_table_of_several_pages_is_read_whole() -> None:
    """A real seq_file answers in pieces of a page; /proc/self/maps of this process is longer than that."""
    file = ProcFile(Path("/"), "proc/self/smaps")
    assert file.read().count(b"VmFlags") == file.read().count(b"Rss:") > 20


def test_folder_instead_of_a_file_is_absent_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(Absent, match="Is a directory"):
        ProcFile(tmp_path, "file").read()


def test_rates_need_two_readings_and_time_between_them() -> None:
    rates = Rates()
    assert rates.update({"a": 5}, 1_000) == {}
    assert rates.update({"a": 6}, 1_000) == {}
    assert rates.update({"a": 16}, 2_001_000) == {"a": pytest.approx(5000.0)}


def test_counter_that_appears_or_falls_has_no_rate() -> None:
    rates = Rates()
    rates.update({"a": 10, "b": 10}, 0)
    assert rates.update({"a": 3, "b": 10, "c": 7}, 1_000_000_000) == {"b": 0.0}
    assert rates.update({"a": 4, "b": 10, "c": 9}, 2_000_000_000) == {"a": 1.0, "b": 0.0, "c": 2.0}
