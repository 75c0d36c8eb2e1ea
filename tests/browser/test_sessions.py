"""The pages of recorded sessions, used as a person would; what they show is what the API and the files say."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from support.browser import PATIENCE_MS, Visitor, Webd, aligned_rows

pytestmark = pytest.mark.xdist_group("browser")
Visit = Callable[..., Visitor]
expect.set_options(timeout=PATIENCE_MS)


def sample_name(webd: Webd) -> str:
    (session,) = webd.ask("/api/sessions")["sessions"]
    name: str = session["id"]
    return name


def stat(page: Page, name: str) -> Locator:
    return page.locator(f'[data-stat="{name}"]')


def shown_range(page: Page) -> str:
    return page.locator("[data-range]").inner_text()


def drag(page: Page, start: float, end: float) -> None:
    """Drag over the latency chart, from one share of its width to another."""
    plot = page.locator("#over-time .u-over")
    box = plot.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (start + end) / 2, y, steps=4)
    page.mouse.move(box["x"] + box["width"] * end, y, steps=4)
    page.mouse.up()


def zoomed(page: Page) -> dict[str, float]:
    """Return the stretch of time that the address names."""
    page.wait_for_url(re.compile("from="))
    query = dict(re.findall(r"(from|to)=([0-9.]+)", page.url))
    return {name: float(value) for name, value in query.items()}


def test_list_says_of_each_session_what_the_api_says(visit: Visit, sample_webd: Webd) -> None:
    (session,) = sample_webd.ask("/api/sessions")["sessions"]
    page = visit(sample_webd).open("/sessions/")
    row = page.get_by_role("row").filter(has_text=session["id"])
    expect(row).to_contain_text("simulated")
    for text in (str(session["pairs"][0]["frames"]), str(session["pairs"][0]["drops"]), "KiB"):
        expect(row).to_contain_text(text)


def test_search_filters_and_says_when_nothing_matches(visit: Visit, sample_webd: Webd) -> None:
    page = visit(sample_webd).open("/sessions/")
    expect(page.get_by_role("row")).to_have_count(2)
    page.keyboard.press("/")
    field = page.get_by_role("searchbox")
    expect(field).to_be_focused()
    field.fill("no such thing")
    expect(page.get_by_text("No session matches")).to_be_visible()
    field.fill("sample")
    expect(page.get_by_role("row")).to_have_count(2)


def test_keyboard_alone_opens_a_session(visit: Visit, sample_webd: Webd) -> None:
    page = visit(sample_webd).open("/sessions/")
    link = page.get_by_role("link", name=sample_name(sample_webd))
    link.wait_for()
    for _ in range(20):
        page.keyboard.press("Tab")
        if link.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.press("ArrowDown")  # there is no next one: the focus stays
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(sample_name(sample_webd))


def test_figures_of_the_whole_session_are_those_of_its_file(visit: Visit, sample_webd: Webd, sample_root: Path) -> None:
    name = sample_name(sample_webd)
    rows = aligned_rows(sample_root / "sessions" / name)
    latencies = [row["kv"]["lat_ms"] for row in rows]
    energies = [row["kv"]["energy_j"] for row in rows if "energy_j" in row["kv"]]
    page = visit(sample_webd).open_session(name)
    expect(stat(page, "Frames")).to_have_text(str(len(rows)))
    expect(stat(page, "Mean")).to_have_text(f"{sum(latencies) / len(latencies):.2f}ms")
    expect(stat(page, "Worst")).to_have_text(f"{max(latencies):.2f}ms")
    expect(stat(page, "Energy per frame")).to_have_text(f"{sum(energies) / len(energies):.2f}J")
    for percentile, known_ms in {"Median": 10.623, "p95": 19.46, "p99": 24.079}.items():  # data/sample/README.md
        expect(stat(page, percentile)).to_have_text(f"{known_ms:.2f}ms")


def test_dragging_zooms_fetches_finer_and_the_address_keeps_it(visit: Visit, sample_webd: Webd) -> None:
    name = sample_name(sample_webd)
    visitor = visit(sample_webd)
    page = visitor.open_session(name)
    expect(stat(page, "Frames")).to_have_text("109")
    whole = shown_range(page)
    drag(page, 0.25, 0.5)
    asked = zoomed(page)
    answer = sample_webd.ask(f"/api/sessions/{name}/latency?from={asked['from']}&to={asked['to']}&points=1200")
    assert 0 < answer["stats"]["n"] < 109
    expect(stat(page, "Frames")).to_have_text(str(answer["stats"]["n"]))
    expect(stat(page, "p95")).to_have_text(f"{answer['stats']['p95_ms']:.2f}ms")
    expect(stat(page, "Power")).to_have_text(f"{answer['stats']['power_mean_w']:.1f}W")
    first = shown_range(page)
    assert first != whole
    page.reload()
    expect(stat(page, "Frames")).to_have_text(str(answer["stats"]["n"]))
    assert shown_range(page) == first


def test_every_zoom_can_be_undone_by_the_page_and_by_the_browser(visit: Visit, sample_webd: Webd) -> None:
    page = visit(sample_webd).open_session(sample_name(sample_webd))
    expect(stat(page, "Frames")).to_have_text("109")
    states = [shown_range(page)]
    for _ in range(3):
        drag(page, 0.2, 0.8)
        expect(page.locator("[data-range]")).not_to_have_text(states[-1])
        states.append(shown_range(page))
    page.get_by_role("button", name="Back", exact=True).click()
    expect(page.locator("[data-range]")).to_have_text(states[2])
    page.go_back()
    expect(page.locator("[data-range]")).to_have_text(states[1])
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.locator("[data-range]")).to_have_text(states[0])
    expect(stat(page, "Frames")).to_have_text("109")
    expect(page.get_by_role("button", name="All", exact=True)).to_be_disabled()


def test_buttons_and_keys_zoom_and_move(visit: Visit, sample_webd: Webd) -> None:
    page = visit(sample_webd).open_session(sample_name(sample_webd))
    expect(stat(page, "Frames")).to_have_text("109")
    seen = {shown_range(page)}
    for button in ("Zoom in (+)", "Zoom in (+)", "Later (.)", "Earlier (,)", "Zoom out (−)"):
        before = shown_range(page)
        page.get_by_role("button", name=button).click()
        expect(page.locator("[data-range]")).not_to_have_text(before)
        seen.add(shown_range(page))
    assert len(seen) == 4  # earlier undoes later, out undoes in
    page.evaluate("document.activeElement.blur()")
    for key in ("+", ".", "-", "0"):
        before = shown_range(page)
        page.keyboard.press(key)
        expect(page.locator("[data-range]")).not_to_have_text(before)
    expect(stat(page, "Frames")).to_have_text("109")


def test_keys_that_are_typed_into_a_note_do_not_zoom(visit: Visit, sample_webd: Webd) -> None:
    page = visit(sample_webd).open_session(sample_name(sample_webd))
    expect(stat(page, "Frames")).to_have_text("109")
    whole = shown_range(page)
    note = page.get_by_role("textbox", name="Note")
    note.press_sequentially("+.,-0?d")
    expect(note).to_have_value("+.,-0?d")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert shown_range(page) == whole


def test_every_key_is_in_the_help(visit: Visit, sample_webd: Webd) -> None:
    page = visit(sample_webd).open("/sessions/")
    page.get_by_role("row").nth(1).wait_for()
    page.keyboard.press("?")
    shown = page.get_by_role("dialog", name="Keyboard shortcuts")
    for group in ("Live page", "List of sessions", "One session", "Everywhere"):
        expect(shown.get_by_role("heading", name=group)).to_be_visible()
    for words in ("Search", "Earlier and later", "The whole session"):
        expect(shown.get_by_text(words, exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(shown).to_have_count(0)


def test_cursor_reads_one_moment_in_all_charts(visit: Visit, sample_webd: Webd) -> None:
    page = visit(sample_webd).open_session(sample_name(sample_webd))
    page.get_by_role("button", name="benchlab.usb p_sys").click()
    expect(page.locator("canvas")).to_have_count(3)
    page.locator("#over-time .u-over").hover()
    first, second = page.locator("#over-time [data-readout]"), page.locator("#signals [data-readout]")
    expect(first).to_contain_text("Latency")
    expect(second).to_contain_text("p_sys")
    minutes = [text_of.inner_text()[:5] for text_of in (first, second)]
    assert minutes[0] == minutes[1]
    page.mouse.move(0, 0)
    expect(first).to_have_text("")
    expect(second).to_have_text("")


def test_signals_are_picked_shown_and_kept_in_the_address(visit: Visit, sample_webd: Webd) -> None:
    page = visit(sample_webd).open_session(sample_name(sample_webd))
    page.get_by_role("button", name="Add signals").click()
    page.get_by_role("searchbox", name="Search signals").fill("gpu temp")
    page.get_by_role("checkbox").check()
    page.get_by_role("searchbox", name="Search signals").fill("cpu_util")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Done").click()
    chart = page.get_by_role("region", name="gpu.nvml temp_c")
    expect(chart.locator("canvas")).to_be_visible()
    page.reload()
    expect(page.locator("#signals canvas")).to_have_count(2)
    page.get_by_role("button", name="Take gpu.nvml temp_c away").click()
    expect(page.locator("#signals canvas")).to_have_count(1)


def downloaded(page: Page, item: str) -> tuple[str, bytes]:
    page.locator("summary").filter(has_text="Download").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name=item).click()
    path = waiting.value.path()
    return waiting.value.suggested_filename, Path(path).read_bytes()


def csv_rows(text: bytes) -> list[dict[str, str]]:
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def test_downloads_hold_the_whole_session_or_what_is_shown(visit: Visit, sample_webd: Webd) -> None:
    name = sample_name(sample_webd)
    page = visit(sample_webd).open_session(name)
    expect(stat(page, "Frames")).to_have_text("109")
    file, whole = downloaded(page, "CSV, whole session")
    assert file.endswith(".csv")
    assert whole == sample_webd.fetch(f"/api/sessions/{name}/export.csv")
    assert len(csv_rows(whole)) >= 109
    _, json_text = downloaded(page, "CapFrameX JSON, whole session")
    assert "Runs" in json.loads(json_text)
    drag(page, 0.3, 0.6)
    asked = zoomed(page)
    _, part = downloaded(page, "CSV, this range")
    assert part == sample_webd.fetch(f"/api/sessions/{name}/export.csv?from={asked['from']}&to={asked['to']}")
    assert 0 < len(csv_rows(part)) < len(csv_rows(whole))


def test_line_that_cannot_be_read_is_told_and_costs_nothing_else(visit: Visit, sample_webd: Webd) -> None:
    page = visit(sample_webd).open_session(sample_name(sample_webd))
    expect(page.get_by_text("One line of this recording cannot be read (pipeline: 1)")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="pipeline")
    expect(row.get_by_role("cell").last).to_have_text("1")


def copy_of(sample_root: Path, folder: Path, name: str = "") -> Path:
    """Copy the sample's data root, its session under another name where one is given; return the session."""
    shutil.copytree(sample_root, folder)
    (session,) = (path for path in (folder / "sessions").iterdir() if path.is_dir())
    return session.rename(session.with_name(name)) if name else session


def test_note_is_added_found_by_search_and_kept_in_the_session(
    visit: Visit, serve: Callable[[Path], Webd], sample_root: Path, tmp_path: Path
) -> None:
    session = copy_of(sample_root, tmp_path / "data")
    webd = serve(tmp_path / "data")
    page = visit(webd).open_session(session.name)
    text = 'p4 → p5 <b>"quoted"</b>\nsecond line'
    page.get_by_role("textbox", name="Note").fill(text)
    page.get_by_role("button", name="Add note").click()
    expect(page.get_by_role("list", name="Notes")).to_contain_text('p4 → p5 <b>"quoted"</b>')
    expect(page.get_by_role("textbox", name="Note")).to_have_value("")
    assert text in [json.loads(line)["text"] for line in (session / "notes.jsonl").read_text().splitlines()]
    page.goto(f"{webd.url}/sessions/")
    page.get_by_role("searchbox").fill("QUOTED")
    expect(page.get_by_role("link", name=session.name)).to_be_visible()


def test_hostile_session_name_is_text_and_nothing_else(
    visit: Visit, serve: Callable[[Path], Webd], sample_root: Path, tmp_path: Path
) -> None:
    name = "x%22&y=#<img src=x onerror=alert(1)>'"
    session = copy_of(sample_root, tmp_path / "data", name)
    webd = serve(tmp_path / "data")
    visitor = visit(webd)
    page = visitor.open("/sessions/")
    listed = [row["id"] for row in webd.ask("/api/sessions")["sessions"]]
    if session.name not in listed:  # no name that webd takes: it must not show at all
        expect(page.get_by_text("No session yet")).to_be_visible()
        visitor.open_session(name)
        expect(page.get_by_text("There is no such session")).to_be_visible()
        visitor.forgive_status(404)
    else:
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
    assert page.locator("img").count() == 0


def test_session_that_never_was_is_said(visit: Visit, sample_webd: Webd) -> None:
    visitor = visit(sample_webd)
    page = visitor.open_session("nowhere")
    expect(page.get_by_text("There is no such session")).to_be_visible()
    page.get_by_role("link", name="All sessions").click()
    expect(page.get_by_role("link", name=sample_name(sample_webd))).to_be_visible()
    visitor.forgive_status(404)


def test_session_deleted_while_it_is_viewed_is_said(
    visit: Visit, serve: Callable[[Path], Webd], sample_root: Path, tmp_path: Path
) -> None:
    session = copy_of(sample_root, tmp_path / "data")
    visitor = visit(serve(tmp_path / "data"))
    page = visitor.open_session(session.name)
    expect(stat(page, "Frames")).to_have_text("109")
    shutil.rmtree(session)
    expect(page.get_by_text("This session has been deleted")).to_be_visible()
    visitor.forgive_status(404)


def test_range_with_one_frame_and_range_with_none(visit: Visit, sample_webd: Webd) -> None:
    name = sample_name(sample_webd)
    answer: dict[str, Any] = sample_webd.ask(f"/api/sessions/{name}/latency?points=1200")
    t_ms = answer["columns"]["t_ms"]
    visitor = visit(sample_webd)
    page = visitor.open_session(name, f"&from={t_ms[50] - 1}&to={t_ms[50] + 1}")
    expect(stat(page, "Frames")).to_have_text("1")
    expect(stat(page, "Median")).to_have_text(f"{answer['columns']['lat_ms'][50]:.2f}ms")
    visitor.open_session(name, f"&from={t_ms[0] - 200}&to={t_ms[0] - 100}")
    expect(stat(page, "Frames")).to_have_text("0")
    expect(page.get_by_text("No frames in this range")).to_be_visible()
