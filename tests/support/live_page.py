"""The live page as tests read it: its cards, its frames, and whether they are those of the file."""

from __future__ import annotations

import csv
import io
from bisect import bisect_left
from pathlib import Path

from playwright.sync_api import Locator, Page

from support.browser import Visitor, Webd, aligned_rows, until

NEEDED = 120


def card(page: Page, name: str) -> Locator:
    return page.locator(f'[data-stat="{name}"] [data-value]')


def frames_shown(page: Page) -> int:
    text = page.locator('[data-stat="avg"]').get_by_title("number of readings").inner_text()
    return int(text.removeprefix("n ").replace(",", ""))


def opened(visitor: Visitor) -> Page:
    """Open the live page on its longest window, which does not fill up, and wait until it shows frames."""
    page = visitor.open("/")
    page.locator('[data-stat="avg"]').wait_for()
    page.keyboard.press("4")
    until(lambda: frames_shown(page) >= NEEDED, lambda: f"{frames_shown(page)} frames after all that time")
    return page


def exported(page: Page) -> list[dict[str, str]]:
    """Return the rows of frames of the CSV that the page makes of what it shows."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV").click()
    text = Path(waiting.value.path()).read_text()
    rows = csv.DictReader(io.StringIO("\n".join(line for line in text.splitlines() if not line.startswith("#"))))
    return [row for row in rows if row["kind"] == "frame"]


def paused_rows(page: Page) -> list[dict[str, str]]:
    page.get_by_role("button", name="Pause").click()
    return exported(page)


def file_times(webd: Webd, first_ms: float, last_ms: float) -> list[float]:
    """Return when the frames of the current session's file were complete, within a stretch."""
    rows = aligned_rows((webd.data_root / "sessions" / "current").resolve())
    times = [round(row["ts_aligned_ns"] / 1e6, 3) for row in rows]
    return sorted(time for time in times if first_ms <= time <= last_ms)


def assert_rows_are_the_files(webd: Webd, rows: list[dict[str, str]]) -> None:
    """Every frame of the file within what the page shows is there, once."""
    shown = sorted(float(row["t_ms"]) for row in rows)
    written = file_times(webd, shown[0] - 0.001, shown[-1] + 0.001)
    assert (_without(written, shown), _without(shown, written)) == ([], []), "not shown, and not written"
    assert len(shown) == len(written)


def _without(times: list[float], others: list[float]) -> list[float]:
    """Return those of the first times, in ms, that are not within 2 µs of one of the others; both ascend."""
    return [time for time in times if bisect_left(others, time - 0.002) == bisect_left(others, time + 0.002)]
