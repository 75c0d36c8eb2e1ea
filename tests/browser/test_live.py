"""The live page, used as a person would, while simulators and muxd record; its rows are those of the file."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from support.browser import PATIENCE_MS, Visitor, Webd, until
from support.live_page import assert_rows_are_the_files, card, frames_shown, opened, paused_rows

pytestmark = pytest.mark.xdist_group("browser")
Visit = Callable[..., Visitor]
expect.set_options(timeout=PATIENCE_MS)


def test_cards_are_computed_from_the_rows_of_the_file(visit: Visit, live_webd: Webd) -> None:
    page = opened(visit(live_webd))
    rows = paused_rows(page)
    assert len(rows) == frames_shown(page)
    latencies = sorted(float(row["lat_ms"]) for row in rows)
    assert_rows_are_the_files(live_webd, rows)
    expect(card(page, "min")).to_have_text(f"{latencies[0]:.2f}")
    expect(card(page, "max")).to_have_text(f"{latencies[-1]:.2f}")
    expect(card(page, "avg")).to_have_text(f"{sum(latencies) / len(latencies):.2f}")
    expect(card(page, "current")).to_have_text(f"{float(rows[-1]['lat_ms']):.2f}")
    for name, share in (("p95", 0.95), ("p99", 0.99)):
        at = share * (len(latencies) - 1)
        below, above = latencies[int(at)], latencies[min(int(at) + 1, len(latencies) - 1)]
        expect(card(page, name)).to_have_text(f"{below + (above - below) * (at - int(at)):.2f}")
    powers = [float(row["power_w"]) for row in rows if row["power_w"]]
    assert f"{sum(powers) / len(powers):.1f}" in page.locator("[data-power-avg]").inner_text()


def test_header_says_simulated_live_and_how_many_were_dropped(visit: Visit, live_webd: Webd) -> None:
    page = opened(visit(live_webd))
    state = page.get_by_role("group", name="State of the data")
    for text in ("Simulated", "Live"):
        expect(state.get_by_text(text, exact=True)).to_be_visible()
    expect(state.locator("[data-lag]")).to_have_text(re.compile(r"lag "))
    session = (live_webd.data_root / "sessions" / "current").resolve()
    dropped = (session / "aligned" / "latency.jsonl").read_text().count('"metric.dropped"')
    shown = int(state.locator("[data-drops]").get_attribute("data-drops") or -1)
    assert 0 <= shown <= dropped + 5
    expect(page.get_by_role("heading", level=1)).to_have_text(session.name)


def test_pause_keeps_what_comes_and_resume_shows_it(visit: Visit, live_webd: Webd) -> None:
    page = opened(visit(live_webd))
    page.keyboard.press("Space")
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    waiting = page.locator("[data-waiting]")

    def are_waiting(count: int) -> bool:
        return waiting.count() > 0 and int(waiting.get_attribute("data-waiting") or 0) > count

    until(lambda: are_waiting(60))  # by then the figures are those of the moment of the pause
    before = frames_shown(page)
    until(lambda: are_waiting(150))
    assert frames_shown(page) == before
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert_rows_are_the_files(live_webd, paused_rows(page))


def test_windows_by_button_and_key(visit: Visit, live_webd: Webd) -> None:
    page = opened(visit(live_webd))
    for key, name in enumerate(("30 s", "1 min", "5 min", "15 min"), start=1):
        button = page.get_by_role("button", name=name, exact=True)
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("1" if key != 1 else "2")
        expect(button).to_have_attribute("aria-pressed", "false")
        page.keyboard.press(str(key))
        expect(button).to_have_attribute("aria-pressed", "true")


def test_zoom_stands_still_and_the_window_comes_back(visit: Visit, live_webd: Webd) -> None:
    page = opened(visit(live_webd))
    page.get_by_role("button", name="30 s").click()
    plot = page.locator("#time .u-over")
    box = plot.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.7, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, y, steps=5)
    page.mouse.up()
    expect(page.get_by_role("button", name="Whole window")).to_be_visible()
    zoomed = frames_shown(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Whole window")).to_have_count(0)
    until(lambda: frames_shown(page) > zoomed)


def test_theme_is_kept_and_there_before_anything_is_painted(visit: Visit, live_webd: Webd) -> None:
    visitor = visit(live_webd, theme="light")
    page = opened(visitor)
    page.get_by_role("button", name="Dark theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.add_init_script(
        "new MutationObserver((_, o) => { if (document.body) { o.disconnect();"
        " window.themeAtBody = document.documentElement.dataset.theme } })"
        ".observe(document, { childList: true, subtree: true })"
    )
    page.reload()
    page.wait_for_function("window.themeAtBody !== undefined")
    assert page.evaluate("window.themeAtBody") == "dark"
    assert page.evaluate("localStorage.getItem('benchlab.theme')") == "dark"
    page.keyboard.press("d")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_thresholds_of_the_viewer_change_the_verdict_in_word_and_colour(visit: Visit, live_webd: Webd) -> None:
    page = opened(visit(live_webd))
    page.get_by_role("button", name="Latency thresholds").click()
    page.get_by_label("Good under, ms").fill("0.001")
    page.get_by_label("Slow above, ms").fill("0.002")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator('[data-stat="min"]')).to_contain_text("slow")
    page.reload()
    expect(page.locator('[data-stat="min"]')).to_contain_text("slow")
    page.get_by_role("button", name="Latency thresholds").click()
    page.get_by_role("button", name="Use the server").click()
    expect(page.locator('[data-stat="min"]')).not_to_contain_text("slow")


def test_question_mark_lists_the_keys(visit: Visit, live_webd: Webd) -> None:
    page = opened(visit(live_webd))
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_contain_text("Pause and go on")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()


def test_one_cursor_over_all_charts(visit: Visit, live_webd: Webd) -> None:
    page = opened(visit(live_webd))
    page.get_by_role("button", name="Pause").click()
    page.locator("#time .u-over").hover()
    expect(page.locator("#time [data-readout]")).to_contain_text("ms")
    expect(page.locator("#scatter")).to_contain_text(" at ")
    expect(page.locator("#percentiles")).to_contain_text("p")


def test_viewer_whose_clock_is_wrong_sees_the_frames_and_is_told(visit: Visit, live_webd: Webd) -> None:
    for hours in (-1, 1):
        visitor = visit(live_webd)
        visitor.page.add_init_script(
            f"{{ const now = Date.now.bind(Date); Date.now = () => now() + {hours} * 3600e3; }}"
        )
        page = opened(visitor)
        expect(page.get_by_text(f"your clock is 1 h {'ahead' if hours > 0 else 'behind'}")).to_be_visible()
        assert_rows_are_the_files(live_webd, paused_rows(page))
