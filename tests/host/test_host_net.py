from __future__ import annotations

import pytest

from benchlab.daemon import Absent, Transient
from benchlab.host.net import NetDevices
from support.recorded_host import Machine


def test_only_interfaces_that_carried_packets_and_never_the_loopback(machine: Machine) -> None:
    assert set(NetDevices(machine.root).read()) == {"eth0", "wlan0"}


def test_first_reading_has_counters_but_no_rates(machine: Machine) -> None:
    eth0 = NetDevices(machine.root, machine.monotonic).read()["eth0"]
    assert eth0.rates == {}
    assert eth0.counters == {
        "rx_bytes": 1_000_000,
        "rx_packets": 2000,
        "rx_errors": 1,
        "rx_dropped": 2,
        "tx_bytes": 500_000,
        "tx_packets": 1000,
        "tx_errors": 3,
        "tx_dropped": 4,
    }


def test_rates_between_two_readings(machine: Machine) -> None:
    reader = NetDevices(machine.root, machine.monotonic)
    reader.read()
    machine.second_later()
    rates = reader.read()["eth0"].rates
    assert rates["rx_bytes"] == pytest.approx(125_000.0)
    assert rates["rx_packets"] == pytest.approx(100.0)


def test_counters_that_went_backwards_have_no_rate(machine: Machine) -> None:
    reader = NetDevices(machine.root, machine.monotonic)
    reader.read()
    machine.second_later()
    assert set(reader.read()["eth0"].rates) == {"rx_bytes", "rx_packets"}


def test_interfaces_that_went_or_came(machine: Machine) -> None:
    reader = NetDevices(machine.root, machine.monotonic)
    reader.read()
    machine.second_later()
    found = reader.read()
    assert set(found) == {"eth0", "usb0"}
    assert found["usb0"].rates == {}


def test_interface_that_was_away_has_no_rate_over_its_absence(machine: Machine) -> None:
    reader = NetDevices(machine.root, machine.monotonic)
    before = (machine.root / "proc/net/dev").read_bytes()
    reader.read()
    machine.second_later()
    reader.read()
    machine.write("proc/net/dev", before)
    machine.now_ns += 1_000_000_000
    assert reader.read()["wlan0"].rates == {}


def test_name_glued_to_its_first_counter_is_read(machine: Machine) -> None:
    header = b"Inter-| Receive\n face |bytes\n"
    machine.write("proc/net/dev", header + b"enp3s0f1:12345 6 0 0 0 0 0 0 78 9 0 0 0 0 0 0\n")
    found = NetDevices(machine.root).read()
    assert found["enp3s0f1"].counters["rx_bytes"] == 12345


def test_table_longer_than_a_page_is_read_whole(machine: Machine) -> None:
    header = b"Inter-| Receive\n face |bytes\n"
    lines = b"".join(b"veth%04d: %d 6 0 0 0 0 0 0 78 9 0 0 0 0 0 0\n" % (n, n + 1) for n in range(400))
    machine.write("proc/net/dev", header + lines)
    found = NetDevices(machine.root).read()
    assert len(found) == 400
    assert found["veth0399"].counters["rx_bytes"] == 400


def test_missing_net_dev_is_absent(machine: Machine) -> None:
    machine.remove("proc/net/dev")
    with pytest.raises(Absent, match="proc/net/dev: No such file"):
        NetDevices(machine.root).read()


@pytest.mark.parametrize("line", [b"eth0: 1 2 3\n", b"no colon here\n", b"eth0: a b c d e f g h i j k l m n o p\n"])
def test_garbage_in_net_dev_is_transient(machine: Machine, line: bytes) -> None:
    machine.write("proc/net/dev", b"header\nheader\n" + line)
    with pytest.raises(Transient, match="proc/net/dev: found 'header"):
        NetDevices(machine.root).read()
