"""A session that is being recorded: what people add to it, and the pairs of stages that it has."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchlab.session import Session, new_session
from support.browser import PATIENCE_MS, Visitor, Webd, until
from support.cx_sessions import MS, frame
from support.live_page import card, frames_shown

pytestmark = pytest.mark.xdist_group("browser")
Visit = Callable[..., Visitor]
Serve = Callable[..., Webd]
expect.set_options(timeout=PATIENCE_MS)

TOKEN = "correct-horse-battery-staple"
FRAMES = 30
LATENCIES_MS = {("ingress", "encoded"): 10.5, ("encoded", "sent"): 25.25, ("a,b", "c"): 3.75}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Return a session that nobody has closed, with frames of some pairs of the last half second."""
    made = new_session(tmp_path / "data", node="bench")
    made.aligned.mkdir(exist_ok=True)
    first_ns = made.clock().now_ns() - FRAMES * 16 * MS
    rows = [frame(first_ns + i * 16 * MS, lat_ms, pair) for i in range(FRAMES) for pair, lat_ms in LATENCIES_MS.items()]
    (made.aligned / "latency.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return made


def add(page: Page, label: str, text: str, button: str) -> None:
    page.get_by_role("textbox", name=label, exact=True).fill(text)
    page.get_by_role("button", name=button).click()


def test_bookmark_is_set_now_and_kept_in_the_session(
    visit: Visit, serve: Serve, session: Session, tmp_path: Path
) -> None:
    page = visit(serve(tmp_path / "data")).open_session(session.name)
    before_ms = time.time() * 1000
    add(page, "Bookmark", "fan <b>off</b>", "Mark now")
    marks = page.get_by_role("list", name="Bookmarks")
    expect(marks.get_by_role("button")).to_contain_text("fan <b>off</b>")
    expect(page.get_by_role("textbox", name="Bookmark")).to_have_value("")
    rows = [json.loads(line) for line in (session.raw / "bookmarks.jsonl").read_text().splitlines()]
    (mark,) = [row for row in rows if row["source"] != "meta"]
    assert mark["kv"]["text"] == "fan <b>off</b>"
    assert before_ms - 1000 < mark["ts_ns"] / MS < time.time() * 1000 + 1000


def test_token_is_asked_for_once_and_what_was_typed_is_kept(
    visit: Visit, serve: Serve, session: Session, tmp_path: Path
) -> None:
    visitor = visit(serve(tmp_path / "data", BENCHLAB_WEB_TOKEN=TOKEN))
    page = visitor.open_session(session.name)
    add(page, "Note", "before the run", "Add note")
    asked = page.get_by_label("Token of webd")
    expect(asked).to_be_visible()
    expect(page.get_by_role("textbox", name="Note", exact=True)).to_have_value("before the run")
    asked.fill("wrong")
    page.get_by_role("button", name="Add note").click()
    expect(page.get_by_role("button", name="Add note")).to_be_enabled()
    assert not (session.dir / "notes.jsonl").exists()
    asked.fill(TOKEN)
    page.get_by_role("button", name="Add note").click()
    expect(page.get_by_role("list", name="Notes")).to_contain_text("before the run")
    expect(asked).to_have_count(0)
    add(page, "Bookmark", "begin", "Mark now")
    expect(page.get_by_role("list", name="Bookmarks")).to_contain_text("begin")
    assert page.evaluate("[...Object.values(localStorage), ...Object.values(sessionStorage)]") == []
    visitor.forgive_status(401)


@pytest.mark.parametrize("pair", list(LATENCIES_MS)[1:], ids="-".join)
def test_pair_that_is_chosen_is_the_one_that_is_shown(
    visit: Visit, serve: Serve, session: Session, tmp_path: Path, pair: tuple[str, str]
) -> None:
    page = visit(serve(tmp_path / "data")).open("/")
    expect(card(page, "current")).to_have_text("10.50")
    chosen = page.get_by_role("combobox", name="Pair of stages")
    expect(chosen.locator("option")).to_have_count(len(LATENCIES_MS))
    chosen.select_option(value=json.dumps(list(pair), separators=(",", ":")))
    expect(card(page, "current")).to_have_text(f"{LATENCIES_MS[pair]:.2f}")
    expect(card(page, "min")).to_have_text(f"{LATENCIES_MS[pair]:.2f}")
    until(lambda: frames_shown(page) == FRAMES)
