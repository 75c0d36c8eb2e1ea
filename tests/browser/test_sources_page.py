"""The page of sources: what each says last, how old and how sure that is, and what mends what is absent."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.browser import PATIENCE_MS, Program, Visitor, Webd, until

pytestmark = pytest.mark.xdist_group("browser")
Visit = Callable[..., Visitor]
Serve = Callable[..., Webd]
expect.set_options(timeout=PATIENCE_MS)


def test_every_source_has_its_values_with_their_units(visit: Visit, live_webd: Webd) -> None:
    page = visit(live_webd).open("/sources/")
    sources = live_webd.ask("/api/sources")["sources"]
    assert len(sources) >= 4
    for source in sources:
        card = page.locator("section").filter(has=page.get_by_role("heading", name=source["source"], exact=True))
        expect(card.first).to_be_visible()
    board = page.locator("section").filter(has=page.get_by_role("heading", name="benchlab.usb", exact=True)).first
    expect(board.locator('[data-value="p_sys"]')).to_have_text(re.compile(r"^\d+(\.\d+)?W$"))
    expect(board).to_contain_text("simulated")
    expect(board).to_contain_text("up")


def test_value_that_is_a_table_has_its_rows(visit: Visit, live_webd: Webd) -> None:
    page = visit(live_webd).open("/sources/")
    cpu = next(each for each in live_webd.ask("/api/sources")["sources"] if each["source"] == "cpu.psutil")
    cores = next(value["value"] for value in cpu["values"] if value["key"] == "cores")
    table = page.locator('[data-value="cores"]').get_by_role("table")
    expect(table.get_by_role("row")).to_have_count(1 + len(cores))
    expect(table.get_by_role("columnheader")).to_have_text(list(cores[0]))


def test_age_ticks_and_stays_small_while_readings_come(visit: Visit, live_webd: Webd) -> None:
    page = visit(live_webd).open("/sources/")
    board = page.locator("section").filter(has=page.get_by_role("heading", name="benchlab.usb", exact=True)).first
    age = board.locator('[data-fact="Age"]')
    expect(age).to_have_text(re.compile(r"^\d+\.\d s$"))
    first = age.inner_text()
    expect(age).not_to_have_text(first)


def test_absent_source_says_why_and_its_fix_can_be_copied(visit: Visit, live_webd: Webd) -> None:
    absent = [source for source in live_webd.ask("/api/sources")["sources"] if source["up"] is False and source["fix"]]
    assert absent, "the simulated host has no processor power: one source is absent"
    visitor = visit(live_webd, permissions=["clipboard-read", "clipboard-write"])
    page = visitor.open("/sources/")
    page.get_by_role("button", name="Needs attention").click()
    card = page.locator("section").filter(has=page.get_by_role("heading", name=absent[0]["source"], exact=True)).first
    expect(card).to_contain_text(absent[0]["why"])
    card.get_by_role("button", name="Copy").click()
    expect(card.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == absent[0]["fix"]


def test_filters_show_what_they_say(visit: Visit, live_webd: Webd) -> None:
    page = visit(live_webd).open("/sources/")
    cards = page.locator("main section")
    expect(cards.first).to_be_visible()
    everything = cards.count()
    page.get_by_role("button", name="Up", exact=True).click()
    expect(page.get_by_role("button", name="Up", exact=True)).to_have_attribute("aria-pressed", "true")
    up = cards.count()
    page.get_by_role("button", name="Needs attention").click()
    expect(cards).to_have_count(everything - up)


def test_many_devices_of_one_source_share_a_card(visit: Visit, serve: Serve, tmp_path: Path) -> None:
    words = ("--simulate", "--vms", "20", "--poll-interval", "0.5", "--data-root", str(tmp_path / "data"))
    machines = Program(tmp_path / "vmstatd.log", "vmstatd", *words)
    try:
        webd = serve(tmp_path / "data")
        until(lambda: len(webd.ask("/api/sources")["sources"]) >= 20, lambda: (tmp_path / "vmstatd.log").read_text())
        page = visit(webd).open("/sources/")
        card = page.locator("main section").filter(has=page.get_by_role("heading", name="vm.libvirt", exact=True))
        expect(card).to_have_count(1)
        devices = card.get_by_role("list", name="Devices of vm.libvirt").locator("> li")
        expect(devices).to_have_count(20)
        found = next(each for each in webd.ask("/api/sources")["sources"] if each["values"])
        name = next(value["value"] for value in found["values"] if value["key"] == "name")
        card.get_by_role("searchbox").fill(found["dev"][:13])
        expect(devices).to_have_count(1)
        expect(devices).to_contain_text(name)
        devices.locator("summary").press("Enter")
        expect(devices.locator('[data-value="name"]')).to_have_text(name)
        expect(devices).to_contain_text(found["dev"])
        card.get_by_role("searchbox").fill("no such machine")
        expect(card.get_by_text("No device has this in its name.")).to_be_visible()
    finally:
        machines.end()


def test_without_a_session_the_page_says_how_to_begin(
    visit: Visit, serve: Callable[[Path], Webd], tmp_path: Path
) -> None:
    page = visit(serve(tmp_path / "data")).open("/sources/")
    expect(page.get_by_text("No session yet")).to_be_visible()
    expect(page.get_by_text("./scripts/dev_run.sh")).to_be_visible()
