from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchlab.daemon import Absent, Transient
from benchlab.host.rapl import Rapl, RaplReading
from support.recorded_sysfs import RecordedRapl, folder_for_all, nobody

NS = 1_000_000_000
MS = 1_000_000


class Host:
    """A recorded powercap tree, a clock, and the reader of both."""

    def __init__(self, root: Path, machine: str) -> None:
        self.tree = RecordedRapl(root, machine)
        self.now_ns = 7_000 * NS
        self.rapl = Rapl(lambda: self.now_ns, root)

    def cpu_is(self, vendor: str) -> None:
        path = self.tree.root / "proc/cpuinfo"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\n")

    def later(self, ms: float = 100, **joules: float) -> RaplReading:
        """Let time pass and energy flow, then read."""
        self.now_ns += round(ms * MS)
        self.tree.draw(**joules)
        return self.rapl.read()


Make = Callable[[str], Host]


@pytest.fixture
def host(tmp_path: Path) -> Make:
    return lambda machine: Host(tmp_path / "root", machine)


def watts(reading: RaplReading) -> dict[str, float | None]:
    return {kind: total.power_w for kind, total in reading.totals.items()}


def rows(reading: RaplReading) -> dict[str, float | None]:
    return {row.zone.path: row.power.power_w for row in reading.zones}


def test_children_are_parts_of_their_package_and_never_added_to_it(host: Make) -> None:
    client = host("intel_client")
    client.later()
    reading = client.later(p0=2.0, p0_0=1.2, p0_1=0.1, p0_2=0.3, p1=3.5)
    assert watts(reading) == pytest.approx({"package": 20.0, "core": 12.0, "uncore": 1.0, "psys": 35.0})


def test_memory_inside_the_package_has_no_total_that_could_be_added_to_it(host: Make) -> None:
    client = host("intel_client")
    client.later()
    reading = client.later(p0=2.0, p0_2=0.3)
    assert "dram" not in reading.totals
    assert rows(reading)["intel-rapl:0:2"] == pytest.approx(3.0)


def test_the_same_counter_through_mmio_is_skipped(host: Make) -> None:
    client = host("intel_client")
    assert {row.zone.path for row in client.later().zones} == {
        "intel-rapl:0",
        "intel-rapl:0:0",
        "intel-rapl:0:1",
        "intel-rapl:0:2",
        "intel-rapl:1",
    }


def test_a_package_that_only_mmio_shows_is_taken_from_there(host: Make) -> None:
    client = host("intel_client")
    for n in ("0", "0:0", "0:1", "0:2"):
        shutil.rmtree(client.tree.sys / f"class/powercap/intel-rapl:{n}")
    client.later()
    client.tree.set_uj("intel-rapl-mmio:0", client.tree.energy_uj("intel-rapl-mmio:0") + 1_500_000)
    assert watts(client.later())["package"] == pytest.approx(15.0)


def test_sockets_add_up_and_each_is_visible(host: Make) -> None:
    server = host("intel_server_two_sockets")
    server.later()
    reading = server.later(p0=10.0, p0_0=1.0, p1=12.5, p1_0=2.0)
    assert watts(reading) == pytest.approx({"package": 225.0, "dram": 30.0})
    assert rows(reading) == pytest.approx(
        {"intel-rapl:0": 100.0, "intel-rapl:0:0": 10.0, "intel-rapl:1": 125.0, "intel-rapl:1:0": 20.0}
    )
    assert all(row.counted for row in reading.zones)


def test_energy_goes_on_over_a_wrap_by_each_counters_own_range(host: Make) -> None:
    server = host("intel_server_two_sockets")
    server.later()
    server.later(p0=5.0, p0_0=1.0, p1=5.0, p1_0=11.0)
    reading = server.later(p0=5.0, p0_0=1.0, p1=5.0, p1_0=11.0)
    assert server.tree.energy_uj("intel-rapl:1:0") < 20_000_000  # it has wrapped
    assert reading.totals["dram"].energy_j == pytest.approx(24.0)
    assert reading.totals["dram"].power_w == pytest.approx(120.0)


def test_counter_that_was_set_back_is_no_wrap_and_what_it_missed_is_said(host: Make) -> None:
    client = host("intel_client")
    client.tree.set_uj("intel-rapl:0", 100_000_000_000)
    client.later()
    before = client.later(p0=2.0).totals["package"].energy_j
    client.tree.set_uj("intel-rapl:0", 17)
    with pytest.raises(Transient, match=r"intel-rapl:0 \(package-0\): found it set back, not wrapped"):
        client.later()
    after = client.later(p0=3.0)
    assert after.totals["package"].energy_j == pytest.approx((before or 0) + 3.0)
    assert after.totals["package"].power_w == pytest.approx(30.0)


def test_leap_that_no_processor_draws_is_a_reset(host: Make) -> None:
    client = host("intel_client")
    client.tree.set_uj("intel-rapl:0", 100)
    client.later()
    client.later(p0=2.0)
    client.tree.set_uj("intel-rapl:0", 200_000_000_000)
    with pytest.raises(Transient, match="found a leap of 199998 J"):
        client.later()


def test_sleep_in_which_the_counter_may_have_wrapped_is_a_gap(host: Make) -> None:
    client = host("intel_client")
    client.later()
    client.later(p0=2.0)
    with pytest.raises(Transient, match="no value for 3600 s, in which it may have wrapped unseen"):
        client.later(ms=3_600_000, p0=4000.0)
    assert client.later(p0=1.5).totals["package"].power_w == pytest.approx(15.0)


def test_short_sleep_is_counted_as_what_it_was(host: Make) -> None:
    client = host("intel_client")
    client.later()
    client.later(p0=2.0)
    assert watts(client.later(ms=60_000, p0=30.0))["package"] == pytest.approx(0.5)


def test_mirrored_dies_count_once(host: Make) -> None:
    first_zen = host("amd_zen1_two_dies")
    first_zen.later()
    for _ in range(3):
        reading = first_zen.later(p0=5.0, p1=5.0)
        assert reading.totals["package"].power_w == pytest.approx(50.0)
    assert reading.totals["package"].energy_j == pytest.approx(15.0)
    assert [row.counted for row in reading.zones if row.zone.kind == "package"] == [True, False]


def test_mirror_that_is_read_a_little_later_stays_one(host: Make) -> None:
    first_zen = host("amd_zen1_two_dies")
    first_zen.later()
    first_zen.later(p0=5.0, p1=5.0)
    for _ in range(5):
        assert watts(first_zen.later(p0=5.0, p1=8.0))["package"] == pytest.approx(50.0)
        assert watts(first_zen.later(p0=5.0, p1=2.0))["package"] == pytest.approx(50.0)


def test_mirror_stays_one_while_the_counter_wraps(host: Make) -> None:
    first_zen = host("amd_zen1_two_dies")
    for zone in ("intel-rapl:0", "intel-rapl:1"):
        first_zen.tree.set_uj(zone, 65_532_610_987 - 12_000_000)
    first_zen.later()
    for p1 in (5.0, 5.0, 1.0, 9.0):  # the third time one has wrapped and the other not yet
        assert watts(first_zen.later(p0=5.0, p1=p1))["package"] == pytest.approx(50.0)


@pytest.mark.parametrize("rests", [0, 5])
def test_sockets_that_began_at_one_value_are_two(host: Make, rests: int) -> None:
    server = host("intel_server_two_sockets")
    for zone in ("intel-rapl:0", "intel-rapl:1"):
        server.tree.set_uj(zone, 1_000_000_000)
    for _ in range(1 + rests):
        server.later()
    for n in range(3):
        elapsed = 1 + rests if n == 0 else 1
        reading = server.later(p0=1.0 * elapsed, p1=1.5 * elapsed)
        assert watts(reading)["package"] == pytest.approx(25.0)


def test_zone_within_one_of_its_kind_is_a_part_of_it(host: Make) -> None:
    server = host("intel_server_two_sockets")
    server.tree.write("class/powercap/intel-rapl:1:0/name", "package-1-die-0")
    server.later()
    reading = server.later(p0=10.0, p1=10.0, p1_0=6.0)
    assert watts(reading)["package"] == pytest.approx(200.0)
    assert [row.counted for row in reading.zones if row.zone.kind == "package"] == [True, True, False]


def test_several_platform_zones_are_shown_and_not_added_up(host: Make) -> None:
    client = host("intel_client")
    powercap = client.tree.sys / "class/powercap"
    shutil.copytree(powercap / "intel-rapl:1", powercap / "intel-rapl:2")
    client.later()
    reading = client.later(p0=2.0, p1=3.5, p2=3.5)
    assert "psys" not in reading.totals
    assert rows(reading)["intel-rapl:2"] == pytest.approx(35.0)


def test_core_of_amd_is_one_core_and_no_total(host: Make) -> None:
    zen = host("amd_zen3")
    zen.cpu_is("AuthenticAMD")
    zen.later()
    reading = zen.later(p0=6.5, p0_0=0.4)
    assert watts(reading) == pytest.approx({"package": 65.0})
    assert [(row.zone.name, row.counted) for row in reading.zones] == [("package-0", True), ("core", False)]


def test_amd_is_known_by_its_missing_limits_where_proc_was_not_recorded(host: Make) -> None:
    zen = host("amd_zen3")
    zen.later()
    assert set(zen.later(p0=6.5, p0_0=0.4).totals) == {"package"}


def test_counter_that_stands_at_zero_never_becomes_zero_watts(host: Make) -> None:
    guest = host("virtual_machine")
    for _ in range(90):
        reading = guest.later()
        assert all(value is None for value in (*watts(reading).values(), *rows(reading).values()))
    with pytest.raises(Absent, match=r"not supported: the energy counter stands still \(package-0 at 0 uJ\)") as caught:
        for _ in range(20):
            guest.later()
    assert "virtual machine" in caught.value.fix
    with pytest.raises(Absent):
        guest.later(ms=5000)


def test_counter_that_begins_to_count_after_all_is_taken(host: Make) -> None:
    guest = host("virtual_machine")
    guest.later()
    with pytest.raises(Absent):
        guest.later(ms=11_000)
    assert watts(guest.later(p0=4.0))["package"] == pytest.approx(40.0)


def test_idle_part_whose_counter_rests_has_no_power_and_keeps_its_energy(host: Make) -> None:
    client = host("intel_client")
    client.later()
    client.later(p0=2.0, p0_1=0.5)
    reading = client.later(p0=2.0)
    assert reading.totals["uncore"].power_w is None
    assert reading.totals["uncore"].energy_j == pytest.approx(0.5)
    assert reading.totals["package"].power_w == pytest.approx(20.0)


def test_counter_that_moves_rarely_is_averaged_over_all_of_its_rest(host: Make) -> None:
    client = host("intel_client")
    client.later()
    for _ in range(3):
        assert [watts(client.later())["package"] for _ in range(4)] == [None] * 4
        assert watts(client.later(p0=25.0))["package"] == pytest.approx(50.0)


def test_fast_sampling_is_averaged_over_a_tenth_of_a_second(host: Make) -> None:
    client = host("intel_client")
    client.later(ms=1)
    assert [watts(client.later(ms=1, p0=0.02))["package"] for _ in range(94)] == [None] * 94
    for n in range(300):
        noisy_j = 0.04 if n % 2 else 0.0
        assert watts(client.later(ms=1, p0=noisy_j))["package"] == pytest.approx(20.0, rel=0.02)


def test_without_permission_it_is_absent_and_names_the_rule_that_mends_it() -> None:
    with folder_for_all() as folder:
        host = Host(folder / "root", "permission_denied")
        with nobody(), pytest.raises(Absent, match="energy_uj: permission denied") as caught:
            host.later()
        assert "udev/optional/70-benchlab-rapl.rules" in caught.value.fix
        for path in (host.tree.sys / "class/powercap").glob("*/energy_uj"):
            path.chmod(0o444)
        with nobody():
            assert host.later().totals  # allowed while we waited


def test_package_that_cannot_be_read_leaves_no_half_sum(host: Make) -> None:
    server = host("intel_server_two_sockets")
    server.later()
    server.later(p0=10.0, p1=10.0)
    energy = server.tree.sys / "class/powercap/intel-rapl:1/energy_uj"
    kept = server.tree.energy_uj("intel-rapl:1")
    energy.write_text("")
    reading = server.later(p0=10.0)
    assert reading.totals["package"].power_w is None
    assert reading.totals["package"].energy_j is None
    assert rows(reading)["intel-rapl:0"] == pytest.approx(100.0)
    energy.write_text(f"{kept + 20_000_000:>15d}\n")
    reading = server.later(p0=10.0)
    assert reading.totals["package"].energy_j == pytest.approx(60.0)
    assert rows(reading)["intel-rapl:1"] == pytest.approx(100.0)  # 20 J in 200 ms


def test_zone_that_goes_is_said_and_the_rest_goes_on(host: Make) -> None:
    server = host("intel_server_two_sockets")
    server.later()
    server.later(p0=10.0, p1=10.0)
    for path in ("intel-rapl:1", "intel-rapl:1:0"):
        shutil.rmtree(server.tree.sys / f"class/powercap/{path}")
    with pytest.raises(Transient, match=r"came or went \(intel-rapl:1, intel-rapl:1:0\)"):
        for _ in range(100):
            server.later(p0=10.0)
    reading = server.later(p0=10.0)
    assert watts(reading)["package"] == pytest.approx(100.0)
    assert (reading.totals["package"].energy_j or 0) >= 30.0


def test_zone_whose_counter_is_gone_is_looked_for_at_once(host: Make) -> None:
    server = host("intel_server_two_sockets")
    server.later()
    server.rapl._files["intel-rapl:1:0"].close()  # the kernel answers ENODEV here, an ordinary file cannot
    shutil.rmtree(server.tree.sys / "class/powercap/intel-rapl:1:0")
    assert server.later(p0=10.0, p1=10.0).totals["dram"].energy_j is None
    with pytest.raises(Transient, match="came or went"):
        server.later(p0=10.0, p1=10.0)


def test_zones_that_come_are_taken_within_seconds(host: Make) -> None:
    client = host("intel_client")
    aside = client.tree.root / "aside"
    (client.tree.sys / "class").rename(aside)
    with pytest.raises(Absent, match=r"no RAPL zone in .*sys/class/powercap"):
        client.later()
    aside.rename(client.tree.sys / "class")
    client.later()
    assert watts(client.later(p0=2.0))["package"] == pytest.approx(20.0)


def test_driver_that_was_loaded_again_loses_no_joule(host: Make) -> None:
    """The zones are the same, but files that were open belong to the ones that went."""
    client = host("intel_client")
    client.later()
    client.later(p0=2.0)
    powercap = client.tree.sys / "class/powercap"
    shutil.copytree(powercap, client.tree.root / "again", symlinks=True)
    shutil.rmtree(powercap)
    (client.tree.root / "again").rename(powercap)
    client.rapl._files["intel-rapl:0"].close()  # the kernel answers ENODEV here, an ordinary file cannot
    reading = client.later(p0=3.0)
    assert reading.totals["package"].energy_j == pytest.approx(5.0)


def test_powercap_without_a_rapl_zone_is_absent(host: Make) -> None:
    client = host("intel_client")
    for path in (client.tree.sys / "class/powercap").glob("intel-rapl*:*"):
        shutil.rmtree(path)
    with pytest.raises(Absent, match="no RAPL zone") as caught:
        client.later()
    assert "modprobe intel_rapl_msr" in caught.value.fix


def test_tree_that_was_copied_without_its_counters_is_absent(host: Make) -> None:
    client = host("intel_client")
    for path in (client.tree.sys / "class/powercap").glob("*/energy_uj"):
        path.unlink()
    with pytest.raises(Absent, match=r"no energy counter in .* could be read"):
        client.later()


def test_garbage_in_a_counter_is_transient_quoted_and_counted_by_nobody(host: Make) -> None:
    client = host("intel_client")
    client.later()
    client.later(p0=2.0)
    kept_uj = client.tree.energy_uj("intel-rapl:0")
    client.tree.write("class/powercap/intel-rapl:0/energy_uj", "many")
    with pytest.raises(Transient, match=r"intel-rapl:0/energy_uj: found ' *many\\n', expected an integer"):
        client.later()
    client.tree.set_uj("intel-rapl:0", kept_uj)
    assert client.later(p0=1.0).totals["package"].energy_j == pytest.approx(3.0)


def test_reading_is_stamped_by_the_instants_of_its_counters(host: Make) -> None:
    client = host("intel_client")
    ticks = iter(range(1_000_000))

    def ticking() -> int:
        return 7_000 * NS + next(ticks) * 1000

    client.rapl = Rapl(ticking, client.tree.root)
    reading = client.rapl.read()
    assert reading.unc_ns == 3_000  # five counters between two looks at the clock
    assert reading.ts_ns == 7_000 * NS + 4_000
