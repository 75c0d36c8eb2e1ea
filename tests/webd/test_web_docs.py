"""docs/WEB.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from benchlab.config import TYPES
from support.tree import REPOSITORY
from support.web_api import DOCUMENT
from webd.live.feed import KEEP_MS, LEAST_GAP_S, MOST_MESSAGES, PIECE_ROWS
from webd.live.hub import UNUSED_S
from webd.live.routes import LAST_ROWS, MOST_VIEWERS
from webd.security import CHANGES_A_MINUTE, MOST_BODY, TOKEN

PAGE = Path(REPOSITORY / "docs" / "WEB.md").read_text()


def test_every_path_of_the_api_is_on_the_page_and_no_other() -> None:
    told = set(re.findall(r"`(?:GET |POST )?(/(?:api|healthz|openapi)[^`?\[]*)[^`]*`", PAGE)) - {"/api/"}
    assert told == set(DOCUMENT["paths"])


def test_every_key_and_the_variable_of_the_token_are_on_the_page() -> None:
    assert [key for key in TYPES["web"] if f"`{key}`" not in PAGE] == []
    assert TOKEN.variable in PAGE


def test_every_event_of_the_stream_and_every_column_is_on_the_page() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for name in ("Hello", "Frames", "Drops", "Rewind", "State", "End"):
        assert f"| `{name.lower()}` |" in PAGE
    for name in {*schemas["Frames"]["properties"], *schemas["Drops"]["properties"]} - {"pair", "sim"}:
        assert f"`{name}`" in PAGE, name


def test_numbers_on_the_page_are_those_of_the_program() -> None:
    assert (
        f"{CHANGES_A_MINUTE} changes a minute, bodies of at most {MOST_BODY // 1024} KiB, {MOST_VIEWERS} streams"
        in PAGE
    )
    assert f"the last {LAST_ROWS} rows" in PAGE
    assert f"at most {PIECE_ROWS:,} rows an event" in PAGE
    assert f"at most {round(1 / LEAST_GAP_S)} events a second" in PAGE
    assert f"has looked at for {UNUSED_S:g} s" in PAGE
    assert f"older than {KEEP_MS / 60_000:g} minutes" in PAGE
    assert 15 <= MOST_MESSAGES * LEAST_GAP_S <= 25  # about 20 s
