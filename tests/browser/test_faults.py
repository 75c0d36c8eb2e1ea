"""What happens under an open page: the stream is blocked, webd dies and comes back, the session goes."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from benchlab.session import Session, new_session
from support.browser import PATIENCE_MS, Visitor, Webd, until
from support.live_page import assert_rows_are_the_files, card, frames_shown, opened, paused_rows

pytestmark = pytest.mark.xdist_group("browser")
Visit = Callable[..., Visitor]
Serve = Callable[[Path], Webd]
expect.set_options(timeout=PATIENCE_MS)

APPENDED = 12


def test_page_polls_where_the_stream_is_blocked(visit: Visit, live_webd: Webd) -> None:
    visitor = visit(live_webd)

    def refuse(route: Route) -> None:
        route.abort()

    visitor.page.route("**/api/stream*", refuse)
    page = opened(visitor)
    expect(page.get_by_text("Polling", exact=True)).to_be_visible()
    before = frames_shown(page)
    until(lambda: frames_shown(page) > before)
    assert_rows_are_the_files(live_webd, paused_rows(page))
    visitor.forgive("ERR_FAILED")


def test_webd_killed_and_started_again_leaves_no_gap_and_no_row_twice(
    visit: Visit, live_webd: Webd, tmp_path: Path
) -> None:
    webd = Webd(live_webd.data_root, tmp_path / "webd.log")
    try:
        visitor = visit(webd)
        page = opened(visitor)
        webd.kill()
        expect(page.get_by_text("Disconnected since")).to_be_visible()
        kept = frames_shown(page)
        assert kept > 0
        webd.start()
        expect(page.get_by_text("Disconnected since")).to_have_count(0)
        until(lambda: frames_shown(page) > kept + 60)
        rows = paused_rows(page)
        assert_rows_are_the_files(webd, rows)
        visitor.forgive_lost_connection()
        visitor.page.close()
    finally:
        webd.stop()


def test_sessions_and_sources_stay_on_screen_while_webd_is_away(
    visit: Visit, sample_root: Path, tmp_path: Path
) -> None:
    webd = Webd(sample_root, tmp_path / "webd.log")
    visitor = visit(webd)
    page = visitor.open("/sessions/")
    expect(page.get_by_role("row")).to_have_count(2)
    webd.kill()
    expect(page.get_by_text("Not connected since")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(2)
    webd.start()
    expect(page.get_by_text("Not connected since")).to_have_count(0)
    visitor.forgive_lost_connection()
    visitor.page.close()
    webd.stop()


def test_no_session_yet_says_what_to_start(visit: Visit, serve: Serve, tmp_path: Path) -> None:
    webd = serve(tmp_path / "data")
    page = visit(webd).open("/")
    expect(page.get_by_text("No session yet")).to_be_visible()
    expect(page.get_by_text("./scripts/dev_run.sh")).to_be_visible()


def open_session(sample_root: Path, data_root: Path) -> Path:
    """Copy the sample, muxed, and make it the current session; return it."""
    shutil.copytree(sample_root, data_root)
    (session,) = (path for path in (data_root / "sessions").iterdir() if path.is_dir())
    (data_root / "sessions" / "current").symlink_to(session.name)
    return session


def test_session_deleted_under_the_live_page_is_told(
    visit: Visit, serve: Serve, sample_root: Path, tmp_path: Path
) -> None:
    session = open_session(sample_root, tmp_path / "data")
    page = visit(serve(tmp_path / "data")).open("/")
    until(lambda: page.locator('[data-stat="avg"]').count())
    (session.parent / "current").unlink()
    shutil.rmtree(session)
    state = page.get_by_role("group", name="State of the data")
    expect(state.get_by_text("Ended").or_(page.get_by_text("No session yet")).first).to_be_visible()


WATCH = """() => {
  window.seenAt = {};
  const card = document.querySelector('[data-stat="current"] [data-value]');
  new MutationObserver(() => { window.seenAt[card.textContent] ??= Date.now(); })
    .observe(card, { childList: true, characterData: true, subtree: true });
}"""


def append_frame(session: Session, lat_ms: float, number: int) -> float:
    """Append a frame to the aligned file as muxd does; return when, in epoch ms."""
    kv = {"lat_ms": lat_ms, "pair": ["ingress", "encoded"], "frame": number, "match": "frame"}
    row = {"ts_aligned_ns": session.clock().now_ns(), "source": "metric.latency", "kv": kv, "sim": True}
    with (session.dir / "aligned" / "latency.jsonl").open("ab") as file:
        file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
    return time.time() * 1000


def seen_after_ms(page: Page, session: Session, number: int) -> float:
    """Append a frame whose latency nobody else has, and return how long until the page showed it."""
    lat_ms = number + 0.25
    written_ms = append_frame(session, lat_ms, number)
    text = f"{lat_ms:.2f}"
    expect(card(page, "current")).to_have_text(text)
    seen: float = page.evaluate("text => window.seenAt[text]", text)
    return seen - written_ms


def test_appended_frame_is_seen_in_the_page(
    visit: Visit,
    serve: Serve,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    session = new_session(tmp_path / "data", node="bench")
    (session.dir / "aligned").mkdir(exist_ok=True)
    for number in range(60):
        append_frame(session, 10 + number / 100, number)
    page = visit(serve(tmp_path / "data")).open("/")
    expect(card(page, "current")).to_have_text("10.59")
    page.evaluate(WATCH)
    took = [seen_after_ms(page, session, number) for number in range(60, 60 + APPENDED)]
    record_property("append_to_seen_ms", took)
    with capsys.disabled():
        print(f"\nappended frame seen after {statistics.median(took):.0f} ms (median), {max(took):.0f} ms (most)")
    assert len(took) == APPENDED
