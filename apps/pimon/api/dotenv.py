"""The `.env` file in the working directory: PISTAT_ variables, below those of the real environment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

import msgspec

from benchlab.config import TYPES
from benchlab.config_schema import OWN_VARIABLES
from benchlab.config_text import describe, show
from benchlab.errors import Exit, Fault

PREFIX = "PISTAT_"
HERE = Path(".env")
MAX_BYTES = 1 << 20
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(?:"([^"]*)"|'([^']*)')\s*(?:#.*)?""")


def environment(env: Mapping[str, str], path: Path = HERE) -> dict[str, str]:
    """Return the environment with the PISTAT_ variables of a `.env` file below it; no file, nothing added.

    Other variables there are those of other programs. Raises Fault (CONFIG) naming file, line and variable.
    """
    return {**dict(_variables(path)), **{name: value for name, value in env.items() if value}}


def _variables(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        where = f"{path.absolute()}: line {number}"
        found = _LINE.fullmatch(text)
        if found is None:
            raise Fault(f"{where}: found no NAME=VALUE, expected one such as {PREFIX}PORT=8585", Exit.CONFIG)
        name, value = found[1], _unquoted(found[2], f"{where}: {found[1]}")
        if name.startswith(PREFIX) and value:
            _check(name, value, where)
            yield name, value


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()[:MAX_BYTES]
        return data.decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        reason = error.strerror or str(error)
        raise Fault(
            f"{path.absolute()}: cannot be read ({reason}), expected a file of NAME=VALUE", Exit.CONFIG
        ) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Fault(
            f"{path.absolute()}: line {line}: found bytes that are not UTF-8, expected text", Exit.CONFIG
        ) from None


def _unquoted(text: str, where: str) -> str:
    """Return a value without its quotes, or without the remark behind it. Raises Fault."""
    if text[:1] not in ("'", '"'):
        return re.split(r"\s#|^#", text, maxsplit=1)[0].strip()
    found = _QUOTED.fullmatch(text)
    if found is None:
        raise Fault(f"{where}: found a quote that is not closed at the end of the value, expected one", Exit.CONFIG)
    return found[1] if found[1] is not None else found[2]


def _check(name: str, value: str, where: str) -> None:
    """Raise Fault where a variable is not known, or is not of its type."""
    key = OWN_VARIABLES.get(name)
    if key is None:
        known = [each for each in OWN_VARIABLES if each.startswith(PREFIX)]
        near = get_close_matches(name, known, 1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise Fault(f"{where}: {name}: found an unknown variable, expected one that exists: {meant}", Exit.CONFIG)
    section, _, field = key.partition(".")
    kind = TYPES[section][field]
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        raise Fault(f"{where}: {name}: found {show(value)}, expected {describe(kind)}", Exit.CONFIG) from None
