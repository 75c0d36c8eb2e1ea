"""Real guests under a real libvirtd: what is recorded is what they did, and faults of one are not the others'."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.guests import PATIENCE_S, Guests, stopped
from support.processes import Start, ended, until

pytestmark = pytest.mark.xdist_group("guests")

WRITTEN_MIB, HELD_MIB, PINGS = 24, 40, 20
PING_BYTES = 1000 + 8 + 20 + 14
NAMES = ("writer, one", 'holder "two"', "pinger ü 3")
POLL_S = 2.0


@dataclass
class Three:
    """A guest that wrote to its disk, one that holds memory, one that sent packets."""

    host: Guests
    domains: list[Any]


@pytest.fixture(scope="module")
def three(guests: Guests) -> Three:
    words = (
        f"guest.write_mib={WRITTEN_MIB}",
        f"guest.hold_mib={HELD_MIB}",
        f"guest.address=10.9.3.2 guest.gateway=10.9.3.1 guest.pings={PINGS}",
    )
    domains = [
        guests.create(name, number, text) for number, (name, text) in enumerate(zip(NAMES, words, strict=True), 1)
    ]
    for number in (1, 2, 3):
        guests.wait_for(number)
    return Three(guests, domains)


def events(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in whole.splitlines()]


class Recording:
    """A running vmstatd and what it has written."""

    def __init__(self, start: Start, uri: str, root: Path, poll_s: float) -> None:
        where = ("--data-root", str(root), "--session", "s", "--libvirt-uri", uri)
        self.path = root / "sessions/s/raw/vmstat.jsonl"
        self.process = start("vmstatd", *where, "--poll-interval", str(poll_s))

    def of(self, domain: Any) -> list[dict[str, Any]]:
        uuid = domain.UUIDString()
        return [row for row in events(self.path) if row["source"] == "vm.libvirt" and row.get("dev") == uuid]

    def metas(self, event: str, domain: Any | None = None) -> list[dict[str, Any]]:
        uuid = domain.UUIDString() if domain else None
        rows = [row for row in events(self.path) if row["source"] == "meta" and row["kv"]["event"] == event]
        return [row for row in rows if uuid is None or row.get("dev") == uuid]

    def more(self, domain: Any, count: int = 2) -> None:
        """Wait for further readings of a guest."""
        there = len(self.of(domain))
        until(lambda: len(self.of(domain)) >= there + count, PATIENCE_S)

    def gaps_s(self, domain: Any, after_ns: int = 0) -> list[float]:
        times = [row["ts_ns"] for row in self.of(domain) if row["ts_ns"] >= after_ns]
        return [(b - a) / 1e9 for a, b in itertools.pairwise(times)]

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        code, _, err = ended(self.process)
        assert code == 0, err


@pytest.fixture
def recording(three: Three, start: Start, tmp_path: Path) -> Iterator[Recording]:
    recording = Recording(start, three.host.uri, tmp_path, POLL_S)
    recording.more(three.domains[0])
    yield recording
    recording.end()


def test_disk_memory_and_network_are_what_the_guests_did(three: Three, recording: Recording) -> None:
    until(lambda: all("memory_rate_kb_per_sec" in recording.of(d)[-1]["kv"] for d in three.domains), PATIENCE_S)
    writer, holder, pinger = (recording.of(domain)[-1]["kv"] for domain in three.domains)
    assert (writer["name"], holder["name"], pinger["name"]) == NAMES
    assert writer["block_wr_bytes"] == WRITTEN_MIB << 20
    assert [row["name"] for row in writer["blocks"]] == ["vda"]
    assert holder["block_wr_bytes"] == pinger["block_wr_bytes"] == 0
    assert {guest["memory_used_from"] for guest in (writer, holder, pinger)} == {"guest"}
    held_kb = holder["memory_used_kb"] - writer["memory_used_kb"]
    assert held_kb == pytest.approx(HELD_MIB * 1024, rel=0.15)
    arp = 4
    assert PINGS <= pinger["net_tx_pkts"] <= PINGS + arp
    assert PINGS * PING_BYTES <= pinger["net_tx_bytes"] <= (PINGS + arp) * PING_BYTES
    assert pinger["net_rx_pkts"] >= PINGS
    assert writer["net_tx_pkts"] == 0
    for guest in (writer, holder, pinger):
        assert guest["state"] == "running" and guest["vmid"] > 0
        assert guest["cputime_ns"] > 0 and 0.0 <= guest["cpu_pct"] <= 200.0
        assert guest["memory_rate_kb_per_sec"] == pytest.approx(0.0, abs=2000.0)


def test_balloon_that_shrinks_shows_in_the_next_polls(three: Three, recording: Recording) -> None:
    domain = three.domains[0]
    assert recording.of(domain)[-1]["kv"]["balloon_kb"] == 128 << 10
    three.host.open().lookupByName(NAMES[0]).setMemory(96 << 10)
    until(lambda: recording.of(domain)[-1]["kv"]["balloon_kb"] == 96 << 10, PATIENCE_S)
    assert recording.of(domain)[-1]["kv"]["memory_max_kb"] == 128 << 10


def test_pause_resume_stop_and_start_are_told_and_a_new_run_has_no_rates(three: Three, recording: Recording) -> None:
    domain = three.host.open().lookupByName(NAMES[1])
    old = domain.ID()
    domain.suspend()
    until(lambda: recording.metas("vm_paused", domain), PATIENCE_S)
    domain.resume()
    until(lambda: recording.metas("vm_resumed", domain), PATIENCE_S)
    domain.destroy()
    until(lambda: recording.metas("vm_stopped", domain), PATIENCE_S)
    recording.more(domain)
    off = recording.of(domain)[-1]["kv"]
    assert (off["state"], off["vmid"]) == ("stopped", old)
    assert "cputime_ns" not in off and "memory_used_kb" not in off
    domain.create()
    until(lambda: recording.metas("vm_started", domain), PATIENCE_S)
    run = domain.ID()
    until(lambda: sum(row["kv"]["vmid"] == run for row in recording.of(domain)) >= 2, PATIENCE_S)
    first, second = [row["kv"] for row in recording.of(domain) if row["kv"]["vmid"] == run][:2]
    assert "cpu_pct" not in first and "memory_rate_kb_per_sec" not in first
    assert "cpu_pct" in second
    three.host.wait_for(2)


def faults(three: Three, recording: Recording, calm_s: float, stopped_s: float) -> int:
    """Restart libvirtd, and stop one guest's process for a while; return from when on gaps count."""
    begin_ns = int(recording.of(three.domains[0])[-1]["ts_ns"])
    time.sleep(calm_s)
    three.host.restart_libvirtd()
    recording.more(three.domains[0])
    victim = three.domains[1]
    with stopped(three.host.qemu_pid(victim)):
        until(lambda: recording.metas("source_down", victim), PATIENCE_S)
        time.sleep(stopped_s)
        recording.more(three.domains[0])
    until(lambda: recording.metas("source_up", victim), PATIENCE_S)
    for domain in three.domains:
        recording.more(domain)
    return begin_ns


def test_restart_of_libvirtd_and_a_hanging_guest_leave_no_gap_in_the_others(three: Three, recording: Recording) -> None:
    begin_ns = faults(three, recording, 2 * POLL_S, 4 * POLL_S)
    for domain in (three.domains[0], three.domains[2]):
        assert max(recording.gaps_s(domain, begin_ns)) <= 2.25 * POLL_S
    victim = three.domains[1]
    assert max(recording.gaps_s(victim, begin_ns)) > 4 * POLL_S  # it was not made up meanwhile
    (down,) = recording.metas("source_down", victim)
    assert down["kv"]["name"] == NAMES[1]


def test_libvirtd_that_is_gone_is_absent_and_its_guests_are_read_again_when_it_is_back(
    three: Three, recording: Recording
) -> None:
    (pid,) = three.host.pids("libvirtd", "-d")
    os.kill(pid, signal.SIGKILL)
    until(lambda: recording.metas("source_down"), PATIENCE_S)
    assert "Connection refused" in recording.metas("source_down")[0]["kv"]["reason"]
    three.host.start_libvirtd()
    until(lambda: recording.metas("source_up"), PATIENCE_S)
    recording.more(three.domains[0])
    assert not recording.metas("vm_gone") and not recording.metas("vm_started")
