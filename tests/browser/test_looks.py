"""How the pages look and whether everybody can use them: every page, light and dark, on a desk and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from support.browser import PATIENCE_MS, WEB, Visitor, Webd
from support.live_page import opened

pytestmark = pytest.mark.xdist_group("browser")
Visit = Callable[..., Visitor]
expect.set_options(timeout=PATIENCE_MS)

THEMES = ("light", "dark")
WIDTHS = (360, 768, 2560, 3840)
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


def live(visitor: Visitor) -> Page:
    return opened(visitor)


def sessions(visitor: Visitor) -> Page:
    page = visitor.open("/sessions/")
    page.get_by_role("row").nth(1).wait_for()
    return page


def session(visitor: Visitor) -> Page:
    page = sessions(visitor)
    page.get_by_role("row").nth(1).get_by_role("link").click()
    page.locator("#signals").get_by_role("button", name=re.compile(r"^\w+\.\w+ ")).first.click()
    expect(page.locator("canvas")).to_have_count(3)
    expect(page.locator('[data-stat="Frames"]')).not_to_have_text("–")
    return page


def sources(visitor: Visitor) -> Page:
    page = visitor.open("/sources/")
    page.locator('[data-fact="Age"]').first.wait_for()
    return page


PAGES = [live, sessions, session, sources]


def violations(page: Page) -> list[str]:
    """Return what axe finds: the rule, and the first places where it is broken."""
    found: dict[str, Any] = page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in found["violations"]
    ]


def too_wide(page: Page) -> int:
    wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wide


def settled(page: Page, width: int, height: int, theme: str) -> None:
    """Give the page a size and a theme, and wait until it stands still."""
    page.set_viewport_size({"width": width, "height": height})
    if page.evaluate("document.documentElement.dataset.theme") != theme:
        page.keyboard.press("d")
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(300)  # transitions of at most 200 ms


@pytest.mark.parametrize("arrive", PAGES, ids=lambda arrive: arrive.__name__)
def test_page_is_accessible_fits_and_is_kept_as_a_picture(
    visit: Visit, live_webd: Webd, shots: Path, arrive: Callable[[Visitor], Page]
) -> None:
    page = arrive(visit(live_webd))
    page.evaluate(AXE.read_text())
    page.evaluate("document.activeElement.blur()")
    for size, (width, height) in SIZES.items():
        for theme in THEMES:
            settled(page, width, height, theme)
            page.screenshot(path=shots / f"{arrive.__name__}-{size}-{theme}.png", full_page=True)
            assert too_wide(page) == 0
            assert violations(page) == []
    for width in WIDTHS:
        settled(page, width, 900, "light")
        assert too_wide(page) == 0, width


@pytest.mark.parametrize("path", ["/", "/sessions/", "/sources/"])
def test_page_without_data_is_accessible_and_kept_as_a_picture(
    visit: Visit, serve: Callable[[Path], Webd], shots: Path, tmp_path: Path, path: str
) -> None:
    page = visit(serve(tmp_path / "data")).open(path)
    expect(page.get_by_text("No session yet")).to_be_visible()
    page.evaluate(AXE.read_text())
    for theme in THEMES:
        settled(page, *SIZES["phone"], theme)
        page.screenshot(path=shots / f"empty-{path.strip('/') or 'live'}-{theme}.png")
        assert too_wide(page) == 0
        assert violations(page) == []


def test_motion_is_reduced_for_those_who_ask(visit: Visit, live_webd: Webd) -> None:
    page = opened(visit(live_webd, reduced_motion="reduce"))
    longest = page.evaluate(
        "Math.max(...document.getAnimations().map(a => a.effect.getComputedTiming().activeDuration), 0)"
    )
    assert longest < 1
