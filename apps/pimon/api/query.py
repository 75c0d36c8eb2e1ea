"""Query parameters: what a request may ask for, and one clear 400 for everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from urllib.parse import parse_qsl

from benchlab.httpd import Refusal, Request

MAX_PARAMETERS = 16
_SHOWN = 60
_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def parameters(request: Request, *known: str) -> dict[str, str]:
    """Return the parameters of a request by name. Raises Refusal (400) for one that is unknown or there twice."""
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise Refusal(
            400, f"found a query that cannot be read, expected NAME=VALUE&..., at most {MAX_PARAMETERS}"
        ) from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            expected = " or ".join(known) or "no parameter"
            raise Refusal(400, f"found the parameter {_shown(name)}, expected {expected}")
        if name in found:
            raise Refusal(400, f"{name}: found it twice, expected it once")
        found[name] = value
    return found


def boolean(asked: Mapping[str, str], name: str, default: bool) -> bool:
    """Return a parameter that is true or false. Raises Refusal (400)."""
    if name not in asked:
        return default
    value = _BOOLEANS.get(asked[name].lower())
    if value is None:
        raise Refusal(400, f"{name}: found {_shown(asked[name])}, expected true or false")
    return value


def integer(asked: Mapping[str, str], name: str, default: int, most: int) -> int:
    """Return a parameter that is a number from 1 to ``most``. Raises Refusal (400)."""
    text = asked.get(name, str(default))
    if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most:
        return int(text)
    raise Refusal(400, f"{name}: found {_shown(text)}, expected a number from 1 to {most}")


def choice(asked: Mapping[str, str], name: str, default: str, choices: Sequence[str]) -> str:
    """Return a parameter that is one of a few words. Raises Refusal (400)."""
    text = asked.get(name, default)
    if text in choices:
        return text
    raise Refusal(400, f"{name}: found {_shown(text)}, expected {' or '.join(choices)}")


def names(asked: Mapping[str, str], name: str, known: Sequence[str]) -> list[str]:
    """Return the known names in a list with commas, all of them if it was not asked for.

    Unknown ones beside a known one are passed over, as the first API of this kind did; if none is known,
    nothing would be left to answer. Raises Refusal (400) then.
    """
    if name not in asked:
        return list(known)
    given = [part.strip() for part in asked[name].split(",")]
    chosen = [each for each in known if each in given]
    if not chosen:
        near = [match for part in given[:MAX_PARAMETERS] for match in get_close_matches(part, known, 1)]
        meant = near[0] if near else f"some of {', '.join(known)}"
        raise Refusal(400, f"{name}: found {_shown(asked[name])}, expected {meant}")
    return chosen


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
