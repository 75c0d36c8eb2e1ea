"""Writers and readers of an InfluxDB show the same token, in the header of its version, and quote names alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchlab.config_schema import Influx
from benchlab.errors import Fault
from benchlab.influx import authorization, identifier, literal, port_hint, token_of


@pytest.mark.parametrize(
    ("api", "token", "header"),
    [
        ("v3", "t", {"Authorization": "Bearer t"}),
        ("v3", "u:p", {"Authorization": "Bearer u:p"}),
        ("v2", "t", {"Authorization": "Token t"}),
        ("v1", "u:p", {"Authorization": "Basic dTpw"}),
        ("v1", "t", {"Authorization": "Bearer t"}),
        ("v3", " t\n", {"Authorization": "Bearer t"}),
        ("v3", " \n", {}),
        ("v3", "", {}),
    ],
)
def test_the_token_goes_in_the_header_of_its_version(api: Any, token: str, header: dict[str, str]) -> None:
    assert authorization(Influx(api=api), {"INFLUX_TOKEN": token}) == header


def test_the_variable_counts_more_than_the_file_and_each_is_named(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("of-the-file\n")
    file.chmod(0o640)
    influx = Influx(token_file=str(file))
    assert token_of(influx, {"INFLUX_TOKEN": "t"}) == ("t", "the token is that of INFLUX_TOKEN")
    assert token_of(influx, {}) == ("of-the-file", f"the token is that of {file} ([influx].token_file)")
    assert token_of(Influx(), {})[0] == ""
    file.chmod(0o644)
    with pytest.raises(Fault, match="chmod o-r"):
        token_of(influx, {})


@pytest.mark.parametrize(
    ("url", "is_hinted"),
    [("http://localhost:8086", True), ("http://localhost", True), ("http://localhost:8181", False)],
)
def test_who_asks_the_port_of_the_older_ones_is_told_that_of_version_3(url: str, is_hinted: bool) -> None:
    assert ("8181" in port_hint(url)) == is_hinted


def test_names_and_texts_end_where_they_are_quoted() -> None:
    assert identifier('a"b\\') == '"a\\"b\\\\"'
    assert literal("it's \\") == "'it\\'s \\\\'"
