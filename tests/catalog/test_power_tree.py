from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab.catalog import RAIL_SUMS, RAILS, lookup
from benchlab.catalog.power_tree import METERS, PowerTree, double_count
from benchlab.config_schema import Mux
from support.tree import REPOSITORY

BOARD = "benchlab.usb"
RAPL = "cpu.rapl"
NAMES = st.sets(st.sampled_from(sorted(METERS.meters)), min_size=1, max_size=6)


def trees() -> st.SearchStrategy[PowerTree]:
    """Trees of twelve meters in which a part has a higher number than its whole, so that none contains itself."""
    edges = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=20)
    return edges.map(lambda pairs: PowerTree({f"m:{a}": [f"m:{y}" for x, y in pairs if x == a < y] for a in range(12)}))


MEMBERS = st.lists(st.integers(0, 11).map("m:{}".format), max_size=8)


def ancestors(tree: PowerTree, name: str) -> set[str]:
    """Return what contains a meter, by walking up one step at a time."""
    found: set[str] = set()
    ahead = {name}
    while ahead:
        ahead = {whole for whole, parts in tree._parts.items() if parts & ahead} - found
        found |= ahead
    return found


@settings(deadline=None)
@given(trees(), MEMBERS)
def test_no_member_of_an_accepted_cut_is_an_ancestor_of_another(tree: PowerTree, members: list[str]) -> None:
    has_ancestor = any(ancestors(tree, one) & set(members) for one in members)
    is_double = len(set(members)) < len(members)
    assert (tree.clash(members) is None) == (not has_ancestor and not is_double)


@settings(deadline=None)
@given(trees(), MEMBERS)
def test_outermost_meters_are_a_cut_that_covers_all(tree: PowerTree, members: list[str]) -> None:
    cut = tree.outermost(members)
    assert tree.clash(cut) is None
    assert all(any(tree.contains(whole, part) for whole in cut) for part in members)


@settings(deadline=None)
@given(NAMES)
def test_declared_meters_that_may_be_added_up_never_contain_each_other(names: set[str]) -> None:
    if double_count(names) is None:
        assert not any(ancestors(METERS, one) & names for one in names)
    for one in names:
        assert one not in ancestors(METERS, one)


def test_every_meter_of_the_tree_is_a_power_of_the_catalog() -> None:
    for name in METERS.meters:
        source, _, key = name.partition(":")
        signal = lookup(source.replace("*", "device"), key)
        assert signal is not None and signal.unit == "W", name


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        (f"{BOARD}:p_sys", "gpu.nvml:power_w"),
        (f"{BOARD}:p_sys", f"{RAPL}:core_w"),
        (f"{BOARD}:p_sys", f"{BOARD}:hpwr1_wire3_w"),
        (f"{BOARD}:p_sys", f"{RAPL}:psys_w"),
        (f"{BOARD}:cpu_w", f"{RAPL}:package_w"),
        (f"{BOARD}:gpu_w", "gpu.nvml:power_w"),
        (f"{BOARD}:mb_w", "gpu.nvml:power_w"),  # through its slot
        (f"{BOARD}:hpwr2_wire1_w", "gpu.nvml:power_w"),
        (f"{RAPL}:psys_w", f"{RAPL}:dram_w"),
        (f"{RAPL}:package_w", f"{RAPL}:uncore_w"),
        ("edge.*:power_total_watts", f"{BOARD}:p_sys"),
        ("edge.shelly_plug:power_total_watts", f"{RAPL}:package_w"),
        ("edge.*:power_total_watts", "edge.shelly_plug:power_total_watts"),
        ("*:p_sys", f"{RAPL}:package_w"),
    ],
)
def test_what_contains_what(whole: str, part: str) -> None:
    assert METERS.contains(whole, part)
    assert double_count([part, whole]) is not None


@pytest.mark.parametrize(
    "cut",
    [
        *Mux().power_sources,
        [f"{RAPL}:package_w", f"{RAPL}:dram_w", "gpu.nvml:power_w"],
        [f"{RAPL}:core_w", f"{RAPL}:uncore_w"],
        [f"{BOARD}:cpu_w", "gpu.nvml:power_w"],
        [f"{BOARD}:gpu_w", f"{RAPL}:package_w"],
        ["my.meter:watts", f"{BOARD}:p_sys"],  # what nobody declared is the operator's word
    ],
    ids=" + ".join,
)
def test_what_may_be_added_up(cut: list[str]) -> None:
    assert double_count(cut) is None


def test_platform_power_is_added_to_nothing() -> None:
    assert double_count([f"{RAPL}:psys_w"]) is None
    assert double_count([f"{RAPL}:psys_w", f"{BOARD}:gpu_w"]) == f"what {RAPL}:psys_w covers is not known"


def test_one_meter_twice_counts_twice() -> None:
    assert double_count(["a:b", "a:b"]) == "a:b twice"


def test_sums_of_the_board_run_across_cuts_of_the_tree() -> None:
    for name, rails in RAIL_SUMS.items():
        whole = f"{BOARD}:p_sys" if name == "sys" else f"{BOARD}:{name}_w"
        meters = [f"{BOARD}:{rail}_w" for rail in rails]
        assert METERS.clash(meters) is None
        assert all(METERS.contains(whole, meter) for meter in meters)
    everything = [f"{BOARD}:{rail}_w" for rail in RAILS]
    assert METERS.outermost(everything) == [f"{BOARD}:{rail}_w" for rail in RAIL_SUMS["sys"]]


def test_documentation_shows_what_is_declared() -> None:
    page = (REPOSITORY / "docs/HARDWARE.md").read_text()
    rows = re.findall(r"^\| `([\w.*]+:\w+)`.*? \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) > 5
    for whole, text in rows:
        for part in re.findall(r"`([\w.*]+:\w+)`", text):
            assert METERS.contains(whole, part) and whole != part, (whole, part)
