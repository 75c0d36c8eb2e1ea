from __future__ import annotations

from pathlib import Path

import pytest

from pimon.snapshot import Clock, Core, Filesystem, Hardware, Interface, SystemSample, Voltage
from pimon.system import SystemReader
from support.edge_fixtures import plant
from support.pi_machines import Vcgencmd, answers, pi

NOW_NS = 1_763_800_000_000_000_000


def now_ns() -> int:
    return NOW_NS


def rounds(reader: SystemReader, times: int) -> SystemSample:
    for _ in range(times - 1):
        reader.read()
    return reader.read()


def test_pi_4_tells_what_its_files_hold(tmp_path: Path) -> None:
    reader = SystemReader(pi(tmp_path, "pi4"), now_ns)
    assert reader.hardware == Hardware("Raspberry Pi 4 Model B Rev 1.4", "100000004fe1a2b3", None)
    found = reader.read()
    assert (found.cpu_temp_c, found.gpu_temp_c, found.cpu_freq_mhz) == (45.764, 45.764, 1800.0)
    assert found.cores == tuple(Core(core, None, 1800.0) for core in range(4))
    assert (found.load1, found.load5, found.load15) == (0.52, 0.58, 0.59)
    assert (found.mem_total_b, found.mem_used_b) == (3885396 * 1024, (3885396 - 3313824) * 1024)
    assert (found.swap_total_b, found.swap_used_b) == (102396 * 1024, 256 * 1024)
    assert found.throttled_flags == 0x50005
    assert [(disk.disk, disk.reads, disk.writes) for disk in found.disks] == [("mmcblk0", 12345, 6789)]
    assert found.disks[0].read_b == 2_000_000 * 512
    assert found.interfaces == (
        Interface("eth0", 87654321, 12345678, 5678, 1234, 1, 3, 2, 4),
        Interface("wlan0", 7654321, 1234567, 4321, 1111, 0, 0, 0, 0, signal_dbm=-58.0),
    )
    assert (found.connections, found.usb_devices, found.governor) == (12, 3, "ondemand")
    assert found.brightness_pct == 25.1
    assert (found.uptime_s, found.boot_time_s) == (86400.5, NOW_NS / 1e9 - 86400.5)
    assert found.why is None


def test_first_sample_has_no_share_and_the_second_that_of_the_time_between(tmp_path: Path) -> None:
    reader = SystemReader(pi(tmp_path, "pi4"), now_ns)
    assert reader.read().cpu_util_pct is None
    text = (tmp_path / "proc/stat").read_text().splitlines()
    text[0] = "cpu  4300 0 1000 36100 0 0 0 0 0 0"
    text[1] = "cpu0 1300 0 250 9100 0 0 0 0 0 0"
    (tmp_path / "proc/stat").write_text("\n".join(text) + "\n")
    found = reader.read()
    assert (found.cpu_util_pct, found.cores[0].util_pct) == (75.0, 75.0)
    assert found.cores[1].util_pct is None  # no time has passed there: nobody knows


def test_pi_4_asks_its_firmware_one_question_a_sample(tmp_path: Path) -> None:
    program = Vcgencmd(tmp_path / "bin", answers("pi4"))
    reader = SystemReader(pi(tmp_path / "root", "pi4"), now_ns, program.words)
    assert reader.hardware.firmware == "Jan  5 2023 10:48:31"
    program.asked()
    for _ in range(10):
        reader.read()
        assert len(program.asked()) == 1
    found = reader.read()
    assert (found.gpu_mem_b, found.arm_mem_b) == (76 << 20, 948 << 20)
    assert found.clocks == (Clock("arm", 1800457088), Clock("core", 500000992), Clock("v3d", 250000496))  # sdram: 0
    assert found.voltages == (
        Voltage("core", 0.85),
        Voltage("sdram_c", 1.1),
        Voltage("sdram_i", 1.1),
        Voltage("sdram_p", 1.1),
    )
    assert (found.rails, found.pmic_output_w, found.throttled_flags) == ((), None, 0x50005)


def test_pi_5_tells_its_rails_and_all_bits_of_its_throttling(tmp_path: Path) -> None:
    program = Vcgencmd(tmp_path / "bin", answers("pi5"))
    reader = SystemReader(pi(tmp_path / "root", "pi5"), now_ns, program.words)
    found = rounds(reader, 9)
    assert (found.throttled_flags, found.cpu_temp_c, found.cpu_freq_mhz) == (0xE0008, 52.35, 2400.0)
    assert found.voltages == (Voltage("core", 0.8949),)  # what it says of sdram means nothing on a Pi 5
    assert [clock.clock for clock in found.clocks] == ["arm", "core", "v3d"]
    rails = {rail.rail: rail for rail in found.rails}
    assert len(rails) == 14
    assert (rails["VDD_CORE"].voltage_v, rails["VDD_CORE"].current_a, rails["VDD_CORE"].power_w) == (0.88, 2.5, 2.2)
    assert (rails["EXT5V"].voltage_v, rails["EXT5V"].current_a, rails["EXT5V"].power_w) == (5.04, None, None)
    assert found.pmic_output_w == pytest.approx(sum(rail.power_w or 0.0 for rail in found.rails), abs=1e-5)
    assert found.why is not None and "measure_clock sdram" in found.why


def test_firmware_of_this_machine_is_not_asked_about_a_recorded_one(tmp_path: Path) -> None:
    found = rounds(SystemReader(pi(tmp_path, "pi5"), now_ns), 3)
    assert (found.clocks, found.voltages, found.rails, found.throttled_flags, found.why) == ((), (), (), None, None)


def test_machine_that_is_no_pi_has_nothing_of_one(tmp_path: Path) -> None:
    files = {
        "proc/loadavg": "1.00 2.00 3.00 1/2 3\n",
        "sys/class/thermal/thermal_zone0/type": "acpitz\n",
        "sys/class/thermal/thermal_zone0/temp": "27800\n",
        "sys/class/hwmon/hwmon0/name": "k10temp\n",
        "sys/class/hwmon/hwmon0/temp1_label": "Tctl\n",
        "sys/class/hwmon/hwmon0/temp1_input": "61250\n",
    }
    program = Vcgencmd(tmp_path / "bin", answers("pi5"))
    found = SystemReader(plant(tmp_path / "root", files), now_ns, program.words).read()
    assert found == SystemSample(cpu_temp_c=61.25, load1=1.0, load5=2.0, load15=3.0)
    assert program.asked() == []


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("proc/stat", "proc/stat: found 'x', expected the cpu and ctxt lines"),
        ("proc/loadavg", "expected three load averages"),
        ("proc/meminfo", "expected MemTotal"),
        ("proc/net/dev", None),
        ("proc/uptime", "proc/uptime: found 'x', expected seconds"),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "found 'x', expected a hexadecimal number"),
    ],
)
def test_garbage_in_one_file_is_named_and_hides_nothing_else(tmp_path: Path, file: str, said: str | None) -> None:
    root = pi(tmp_path, "pi4")
    (root / file).write_text("x")
    found = SystemReader(root, now_ns).read()
    assert found.cpu_temp_c == 45.764
    assert said is None or (found.why is not None and said in found.why)


def test_clock_that_steps_moves_the_start_and_a_tremor_does_not(tmp_path: Path) -> None:
    times = iter([NOW_NS, NOW_NS + 400_000_000, NOW_NS - 3600 * 10**9])
    reader = SystemReader(pi(tmp_path, "pi4"), lambda: next(times))
    first, second, third = reader.read(), reader.read(), reader.read()
    assert first.boot_time_s == second.boot_time_s == NOW_NS / 1e9 - 86400.5
    assert third.boot_time_s == NOW_NS / 1e9 - 86400.5 - 3600


def test_this_machine_agrees_with_its_own_proc() -> None:
    reader = SystemReader(Path("/"), now_ns)
    found = reader.read()
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert found.mem_total_b == total
    assert {core.core for core in found.cores} == {
        int(line.split()[0][3:])
        for line in Path("/proc/stat").read_text().splitlines()
        if line[:4].strip("cpu").isdigit()
    }
    assert [each.mountpoint for each in found.filesystems].count("/") == 1
    whole = next(each for each in found.filesystems if each.mountpoint == "/")
    assert isinstance(whole, Filesystem) and 0 < whole.used_b < whole.total_b
