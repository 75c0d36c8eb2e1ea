"""Whatever names and values there are, a line is read back as what was meant, by a reader of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from muxd.sinks import influx_lines as lines
from muxd.sinks.influx_lines import Unfit
from support.line_protocol import Value, parse

ANY_TEXT = st.text(max_size=20) | st.text(alphabet='\\,= "#\n\r\t\0a\ud800é', max_size=12)
NAMES = ANY_TEXT.filter(bool)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
TIMES = st.integers(0, 2**63 - 1)


def shown(text: str) -> str:
    """Return what a text is to be read back as, by the documented rule, worked out character by character."""
    found = ""
    for char in text:
        code = ord(char)
        if code < 0x20:
            char = chr(0x2400 + code)
        elif code == 0x7F:
            char = "\u2421"
        elif 0xD800 <= code < 0xE000:
            char = "\ufffd"
        found += char
    return found


def named(text: str) -> str:
    """Return what a name is to be read back as: no backslash before what it would escape, none at the end."""
    text = shown(text)
    chars = list(text)
    for at, char in enumerate(chars):
        if char == "\\" and (at + 1 == len(chars) or text[at + 1] in "\\,= "):
            chars[at] = "＼"
    return "".join(chars)


@settings(deadline=None)
@given(NAMES, st.dictionaries(NAMES, NAMES, max_size=4), TIMES)
@example("#no comment", {"a,b": "c=d e"}, 1)
@example("m", {"k": "ends with \\"}, 1)
@example("m", {"k": "\\\\"}, 1)
@example("m", {"k": "a\\,b\\=c\\ d"}, 1)
@example("m", {"k": "two\nlines"}, 1)
@example("m", {"time": "reserved"}, 1)
def test_names_and_tags_are_read_back(name: str, tags: dict[str, str], ts_ns: int) -> None:
    made = lines.line(lines.head(name, tags.items()), ["field=1i"], ts_ns)
    assert made is not None and b"\n" not in made
    keys = {"time_" if key == "time" else named(key): named(value) for key, value in tags.items()}
    if len(keys) < len(tags):
        return  # two names that are shown alike
    if "field" in keys:
        return
    point = parse(made.decode())
    measurement = named(name)
    assert point.measurement == ("＃" + measurement[1:] if measurement.startswith("#") else measurement)
    assert dict(point.tags) == keys
    assert (point.fields, point.ts_ns) == ({"field": 1}, ts_ns)


@settings(deadline=None)
@given(st.dictionaries(NAMES, NUMBERS | INTEGERS | st.booleans() | ANY_TEXT, min_size=1, max_size=6))
@example({"f": 'say "x\\y" \\'})
@example({"f": "\n"})
@example({"f": ""})
@example({"f": 1e300, "g": -0.0, "h": 5e-324})
@example({"f": 2**63 - 1, "g": -(2**63)})
def test_fields_are_read_back_each_of_its_type(fields: dict[str, Any]) -> None:
    keys = ["time_" if key == "time" else named(key) for key in fields]
    if len(set(keys)) < len(keys):
        return
    kinds = {bool: "boolean", int: "integer", float: "float", str: "string"}
    said = [lines.field_writer(key, kinds[type(value)])(value) for key, value in fields.items()]  # type: ignore[arg-type]
    made = lines.line("m", said, 7)
    assert made is not None
    found = parse(made.decode()).fields
    expected: list[Value] = [shown(value) if isinstance(value, str) else value for value in fields.values()]
    assert [found[key] for key in keys] == expected
    assert [type(found[key]) for key in keys] == [type(value) for value in fields.values()]


def test_the_examples_of_the_seed_are_written_to_the_letter() -> None:
    tags = (("VMID", 1), ("name", "ubuntu-vm"), ("uuid", "550e8400-e29b-41d4-a716-446655440000"))
    fields = [
        lines.field_writer("state", "string")("running"),
        lines.field_writer("cpu_count", "integer")(2),
        lines.field_writer("memory_max_kb", "integer")(2097152),
        lines.field_writer("memory_used_kb", "integer")(1048576),
        lines.field_writer("cputime_ns", "integer")(5000000000),
    ]
    assert lines.line(lines.head("vm_metrics", tags), fields, 1699868400000000000) == (
        b'vm_metrics,VMID=1,name=ubuntu-vm,uuid=550e8400-e29b-41d4-a716-446655440000 state="running",cpu_count=2i,'
        b"memory_max_kb=2097152i,memory_used_kb=1048576i,cputime_ns=5000000000i 1699868400000000000"
    )


def test_what_is_absent_or_empty_is_left_out_and_a_line_without_field_is_none() -> None:
    assert lines.head("m", (("a", None), ("b", ""), ("c", "x"))) == "m,c=x"
    assert lines.line("m", [], 1) is None


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (5, "float", "5.0"),
        (True, "float", "1.0"),
        (5.0, "integer", "5i"),
        (True, "integer", "1i"),
        (0, "boolean", "false"),
        (7, "string", '"7"'),
        (5, None, "5.0"),
        (True, None, "true"),
        ("x", None, '"x"'),
    ],
)
def test_a_value_takes_the_type_of_the_catalog_so_that_a_server_never_sees_two(
    value: Any, kind: Any, text: str
) -> None:
    assert lines.field_value(value, kind) == text


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (2**63, "integer"),
        (-(2**63) - 1, "integer"),
        (0.5, "integer"),
        ("x", "float"),
        (1e999, "float"),
        (10**400, None),
    ],
)
def test_a_value_that_its_type_does_not_hold_is_unfit_and_named(value: Any, kind: Any) -> None:
    with pytest.raises(Unfit, match=re.escape(repr(value)[:40])):
        lines.field_value(value, kind)
