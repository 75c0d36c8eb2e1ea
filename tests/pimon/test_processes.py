from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest

from benchlab.daemon import Absent
from pimon.processes import Processes
from support.pi_machines import pi

HZ = os.sysconf("SC_CLK_TCK")
PAGE_B = os.sysconf("SC_PAGE_SIZE")
MEMORY_B = 10_000 * PAGE_B
BOOT_S = 1_700_000_000.0


class Table:
    """The processes of a made Pi, and the clock of who reads them."""

    def __init__(self, root: Path, **options: bool) -> None:
        self.root = pi(root, "pi4")
        self.now_ns = 10**9
        self.waited: list[float] = []
        self.reader = Processes(
            self.root, boot_time_s=lambda: BOOT_S, monotonic=lambda: self.now_ns, wait=self.wait, **options
        )

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now_ns += round(seconds * 1e9)

    def runs(self, pid: int, name: str, ticks: int, start: int = 100, rss: int = 100) -> None:
        folder = self.root / "proc" / str(pid)
        folder.mkdir(exist_ok=True)
        fields = f"S 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 {start} 1000 {rss} 0 0"
        (folder / "stat").write_text(f"{pid} ({name}) {fields}\n")

    def ends(self, pid: int) -> None:
        for file in (self.root / f"proc/{pid}").iterdir():
            file.unlink()
        (self.root / f"proc/{pid}").rmdir()

    def after(self, seconds: float, top: int = 10) -> dict[int, float]:
        self.now_ns += round(seconds * 1e9)
        return {process.pid: process.cpu_pct or 0.0 for process in self.reader.read(top, MEMORY_B)}


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def test_first_sample_takes_a_moment_and_the_next_ones_do_not(table: Table) -> None:
    assert set(table.after(0).values()) == {0.0}
    assert table.waited == [0.1]
    table.after(5)
    assert table.waited == [0.1]


def test_shares_of_one_core_over_the_time_between(table: Table) -> None:
    table.after(0)
    table.runs(612, "a) b (c", 500 + 5 * HZ, start=4400)
    table.runs(700, "wpa_supplicant_", 15 + 5 * HZ // 2, start=6000)
    found = table.after(5)
    assert (found[612], found[700], found[1]) == (100.0, 50.0, 0.0)
    table.runs(612, "a) b (c", 500 + 15 * HZ, start=4400)
    assert table.after(5)[612] == 200.0  # two threads


def test_busiest_come_first_then_the_largest(table: Table) -> None:
    table.after(0)
    table.runs(700, "wpa_supplicant_", 15 + HZ, start=6000)
    assert list(table.after(5, top=2)) == [700, 612]


def test_fields_of_a_process(table: Table) -> None:
    (found,) = (process for process in table.reader.read(10, MEMORY_B) if process.pid == 612)
    assert (found.name, found.start_time_s, found.mem_pct) == ("a) b (c", BOOT_S + 4400 / HZ, 50.0)
    assert (found.command_line, found.user) == (None, pwd.getpwuid(os.getuid()).pw_name)


def test_name_that_the_kernel_cut_off_is_whole(table: Table) -> None:
    assert "wpa_supplicant_daemon" in {process.name for process in table.reader.read(10, MEMORY_B)}


def test_command_line_is_told_only_where_it_was_asked_for(tmp_path: Path) -> None:
    asked = Table(tmp_path, with_command_lines=True)
    found = {process.pid: process.command_line for process in asked.reader.read(10, MEMORY_B)}
    assert found == {1: None, 612: "/opt/a) b (c --token secret", 700: "/usr/sbin/wpa_supplicant_daemon -u"}


def test_new_process_has_spent_all_its_time_since(table: Table) -> None:
    table.after(0)
    table.runs(900, "new", HZ)
    assert table.after(2)[900] == 50.0


def test_pid_that_is_used_again_is_another_process(table: Table) -> None:
    table.runs(900, "old", 100 * HZ, start=100)
    table.after(0)
    table.runs(900, "new", HZ, start=9999)
    found = {process.pid: process for process in (table.after(4), table.reader.read(10, MEMORY_B))[1]}
    assert (found[900].name, found[900].start_time_s) == ("new", BOOT_S + 9999 / HZ)


def test_pid_that_is_used_again_has_its_own_share(table: Table) -> None:
    table.runs(900, "old", 100 * HZ, start=100)
    table.after(0)
    table.runs(900, "new", HZ, start=9999)
    assert table.after(4)[900] == 25.0


def test_program_that_becomes_another_has_the_new_name(table: Table) -> None:
    table.runs(900, "sh", 1)
    table.after(0)
    table.runs(900, "make", 2)
    assert {process.pid: process.name for process in table.reader.read(10, MEMORY_B)}[900] == "make"


@pytest.mark.parametrize("content", [b"", b"900", b"900 (x", b"900 (x) S", b"\xff" * 50])
def test_process_that_ends_while_it_is_read_is_left_out(table: Table, content: bytes) -> None:
    table.runs(900, "x", 1)
    (table.root / "proc/900/stat").write_bytes(content)
    assert set(table.after(0)) == {1, 612, 700}
    table.ends(900)
    (table.root / "proc/901").mkdir()
    assert set(table.after(1)) == {1, 612, 700}


def test_ended_process_is_gone(table: Table) -> None:
    table.after(0)
    table.ends(700)
    assert set(table.after(1)) == {1, 612}


def test_share_of_a_memory_of_unknown_size_is_not_known(table: Table) -> None:
    assert {process.mem_pct for process in table.reader.read(10, None)} == {None}


def test_no_proc_is_absent(tmp_path: Path) -> None:
    with pytest.raises(Absent, match="No such file"):
        Processes(tmp_path, boot_time_s=lambda: 0.0).read(10, 1)


def test_busy_program_of_this_machine_is_found_with_its_share() -> None:
    burning = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        reader = Processes(boot_time_s=lambda: 0.0)
        for _ in range(300):
            found = {process.pid: process for process in reader.read(1 << 22, 1 << 30)}
            if burning.pid in found and (found[burning.pid].cpu_pct or 0.0) > 5.0:
                break
            sleep(0.1)
        assert 5.0 < (found[burning.pid].cpu_pct or 0.0) < 110.0
    finally:
        burning.kill()
        burning.wait()
