"""docs/EDGE.md says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

from benchlab.config_schema import OWN_VARIABLES
from benchlab.httpd import JSON
from edgepower.access import CHANGES_A_MINUTE, TOKEN_VARIABLE, Access
from edgepower.control import RELOAD_APART_S, Control
from edgepower.live import STALE_INTERVALS, Live
from edgepower.management import MAX_BODY, Management
from edgepower.options import SERVER_TOKEN_VARIABLE
from edgepower.settings import LISTS, MAX_METRICS, TYPES, settings_of
from support.edge_exporter import config_of
from support.tree import REPOSITORY

PAGE = (REPOSITORY / "docs" / "EDGE.md").read_text()


def cells(heading: str) -> list[list[str]]:
    """Return the rows of the table whose first column has this heading."""
    (table,) = re.findall(rf"^\| {re.escape(heading)} \|.*\n\|[ -|]*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]


def named(cell: str) -> list[str]:
    return re.findall(r"`([\w/ ]+)`", cell)


def test_the_keys_of_the_document_are_all_there_with_their_defaults() -> None:
    rows = {named(row[0])[0]: row[1] for row in cells("key")}
    assert set(rows) == {*TYPES, *LISTS, "device_type", "devices"}
    default = settings_of({})
    assert (float(rows["interval"]), int(rows["port"]), int(rows["reload_port"])) == (
        default.interval_s,
        default.port,
        default.reload_port,
    )
    assert (rows["discovery"], rows["info_metric"]) == ("`disabled`", "false")


def test_the_paths_and_fields_of_the_api_are_all_there(tmp_path: Path) -> None:
    config, live = config_of(tmp_path), Live("edge-01")
    management = Management(config, live, Control(config, None, lambda: None))
    served = {f"{method} {path}" for path, methods in management.routes().items() for method in methods}
    assert {named(row[0])[0] for row in cells("method and path")} == served
    answer = management.routes()["/health"]["GET"](None)  # type: ignore[arg-type]
    assert answer.content_type == JSON
    fields = set(re.findall(r'"(\w+)":', answer.body.decode()))
    assert {name for row in cells("in `/health`") for name in named(row[0])} == fields


def test_the_limits_are_those_of_the_code() -> None:
    for said in (
        f"more than {MAX_METRICS} entries",
        f"more than {MAX_BODY // 1024} KiB",
        f"more than {CHANGES_A_MINUTE} changes a minute",
        f"at least {RELOAD_APART_S:g} s apart",
    ):
        assert said in PAGE, said
    assert STALE_INTERVALS == 3 and "not renewed for three intervals" in PAGE
    assert Access.__doc__ and {"401", "403", "429"} <= {
        name for row in cells("status") for name in re.findall(r"\d+", row[0])
    }


def test_the_variables_are_all_there() -> None:
    ours = [name for name, key in OWN_VARIABLES.items() if key.startswith("edgepower.")]
    for name in (*ours, TOKEN_VARIABLE, SERVER_TOKEN_VARIABLE):
        assert f"`{name}`" in PAGE, name
