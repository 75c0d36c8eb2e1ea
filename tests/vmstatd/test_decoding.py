"""libvirt's flat keys: devices by name, holes in the numbers, and whatever else may stand there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.fake_libvirt import recorded
from vmstatd.decode import Sample, decode, groups_of
from vmstatd.memory import used_kb
from vmstatd.rates import rates
from vmstatd.states import STATES, VCPU_STATES, reason_name, state_name

KEYS = [*recorded("guest"), *recorded("odd"), "vcpu.x.time", "block..rd.bytes", "net.-1.rx.bytes", "vcpu.9.", "", "."]
VALUES = st.one_of(st.integers(-5, 2**63), st.booleans(), st.floats(), st.text(max_size=5), st.none())
COUNT = st.integers(0, 2**40)


def test_guest_is_decoded_whole() -> None:
    sample = decode(recorded("guest"))
    assert (sample.state, sample.reason) == ("running", "booted")
    assert sample.values["cputime_ns"] == 3_598_590_000
    assert (sample.values["rss_kb"], sample.values["memory_max_kb"]) == (225_840, 131_072)
    assert sample.blocks["vda"]["wr_bytes"] == 24 << 20
    assert sample.nets["vnet3"]["rx_pkts"] == 2
    assert sample.vcpus == {0: {"time_ns": 3_170_000_000, "wait_ns": 0, "delay_ns": 9_743_297_399}}


def test_devices_are_known_by_name_whatever_their_numbers() -> None:
    sample = decode(recorded("odd"))
    assert list(sample.vcpus) == [0, 2]
    assert sample.vcpu_states == {0: "running", 2: "blocked"}
    assert set(sample.nets) == {"vnet7", "#2"}
    assert sample.blocks == {"vda": {"rd_bytes": 100, "rd_reqs": 1}, "vdc": {"rd_bytes": 11, "rd_reqs": 2}}


def test_driver_that_tells_the_state_only_makes_no_zeros() -> None:
    assert decode(recorded("test")) == Sample("running", "unknown")


def test_stuck_machine_is_told_from_a_whole_answer() -> None:
    assert groups_of(recorded("guest")) == {"balloon", "block"}
    assert groups_of(recorded("stuck")) == frozenset()


@given(st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_anything_may_stand_there(stats: dict[str, Any]) -> None:
    sample = decode(stats)
    numbers = [*sample.values.values()]
    numbers += [n for part in (sample.vcpus, sample.blocks, sample.nets) for row in part.values() for n in row.values()]
    assert all(type(number) is int and number >= 0 for number in numbers)
    assert sample.state in STATES.values()
    assert set(sample.vcpu_states.values()) <= {*VCPU_STATES.values(), "unknown"}
    groups_of(stats)


@given(st.permutations(list(recorded("odd").items())))
def test_order_of_the_keys_does_not_matter(items: list[tuple[str, Any]]) -> None:
    assert decode(dict(items)) == decode(recorded("odd"))


def blocks(**disks: tuple[int, int]) -> Sample:
    """Return a sample with bytes and requests read by disk."""
    return Sample(
        blocks={name: {"rd_bytes": b, "rd_reqs": n, "rd_time_ns": n * 10**6} for name, (b, n) in disks.items()}
    )


def test_rate_is_of_the_disks_that_are_in_both_samples() -> None:
    before, now = blocks(vda=(100, 1), vdb=(10**9, 10**6)), blocks(vda=(300, 3), vdc=(10**9, 10**6))
    found = rates(before, now, 2.0)
    assert found == {"block_rd_bytes_s": 100.0, "block_rd_reqs_s": 1.0, "block_latency_ms": 1.0}
    assert rates(blocks(vdb=(1, 1)), blocks(vdc=(2, 2)), 1.0) == {}


def test_counter_that_went_back_gives_no_rate() -> None:
    assert "block_rd_bytes_s" not in rates(blocks(vda=(100, 1), vdb=(0, 0)), blocks(vda=(50, 2), vdb=(10, 1)), 1.0)


def test_latency_is_the_time_of_a_request() -> None:
    rows = [{"rd_reqs": n, "wr_reqs": 2 * n, "rd_time_ns": n * 10**6, "wr_time_ns": 2 * n * 4 * 10**6} for n in (1, 11)]
    before, now = (Sample(blocks={"vda": row}) for row in rows)
    assert rates(before, now, 1.0)["block_latency_ms"] == 3.0
    assert "block_latency_ms" not in rates(now, now, 1.0)


@given(
    st.dictionaries(st.sampled_from("abc"), COUNT),
    st.dictionaries(st.sampled_from("abc"), COUNT),
    st.floats(0.001, 1e6),
)
def test_rate_is_the_sum_of_what_each_disk_gained(
    before: dict[str, int], gains: dict[str, int], seconds: float
) -> None:
    now = {name: before.get(name, 0) + gain for name, gain in gains.items()}
    common = before.keys() & now.keys()
    found = rates(
        blocks(**{k: (v, 0) for k, v in before.items()}), blocks(**{k: (v, 0) for k, v in now.items()}), seconds
    )
    if common:
        assert found["block_rd_bytes_s"] == pytest.approx(sum(gains[k] for k in common) / seconds, abs=1e-3, rel=1e-9)
    else:
        assert found == {}


def test_no_time_no_rate() -> None:
    assert rates(blocks(vda=(1, 1)), blocks(vda=(2, 2)), 0.0) == {}


NOW_S = 1_795_539_442.0
GUEST = decode(recorded("guest")).values


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, (94_780 - 72_808, "guest")),
        ({"guest_usable_kb": None}, (94_780 - 67_224, "guest")),
        ({"last_update_s": 0}, (225_840, "rss")),
        ({"last_update_s": 1_795_539_300}, (225_840, "rss")),
        ({"last_update_s": None, "rss_kb": None}, (131_072, "balloon")),
        ({"guest_available_kb": 5}, (225_840, "rss")),
        ({"last_update_s": 0, "rss_kb": 0}, (131_072, "balloon")),
        ({"last_update_s": None, "rss_kb": None, "balloon_kb": None}, None),
    ],
)
def test_memory_is_the_guests_word_if_fresh_else_the_hosts(
    changed: dict[str, int | None], expected: tuple[int, str] | None
) -> None:
    values = {key: value for key, value in {**GUEST, **changed}.items() if value is not None}
    assert used_kb(values, NOW_S) == expected


@pytest.mark.parametrize(
    ("number", "name"),
    [(0, "unknown"), (1, "running"), (3, "paused"), (5, "stopped"), (7, "suspended"), (8, "unknown"), ("1", "unknown")],
)
def test_states_are_words(number: object, name: str) -> None:
    assert state_name(number) == name


def test_reasons_are_those_of_libvirt(libvirt_module: None) -> None:
    import libvirt

    for state, word in (("running", "RUNNING"), ("paused", "PAUSED"), ("stopped", "SHUTOFF"), ("crashed", "CRASHED")):
        prefix = f"VIR_DOMAIN_{word}_"
        for name in [name for name in dir(libvirt) if name.startswith(prefix)]:
            assert reason_name(state, getattr(libvirt, name)) == name.removeprefix(prefix).lower(), name
