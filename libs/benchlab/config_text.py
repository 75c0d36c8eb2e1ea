"""How the configuration's values and types are put into words."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

_LONGEST = 60


def show(value: object) -> str:
    """Return a value as config.toml would write it, cut to a readable length."""
    # JSON has no inf and nan, TOML has
    text = repr(value) if isinstance(value, float) else msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def describe(kind: Any) -> str:
    """Return what a key's type accepts, in words: ``an integer from 0 to 255``."""
    return _in_words(inspect.type_info(kind))


def _in_words(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata):
        return str((kind.extra_json_schema or {}).get("description") or _in_words(kind.type))
    if isinstance(kind, inspect.UnionType):
        return " or ".join(_in_words(t) for t in kind.types if not isinstance(t, inspect.NoneType))
    if isinstance(kind, inspect.LiteralType):
        return " or ".join(show(value) for value in kind.values)
    if isinstance(kind, inspect.ListType):
        return f"a list of {_in_words(kind.item_type)}"
    if isinstance(kind, inspect.DictType):
        return f"a table {{ name = {_in_words(kind.value_type)} }}"
    if isinstance(kind, inspect.BoolType):
        return "true or false"
    if isinstance(kind, inspect.IntType):
        return "an integer" + _bounds(kind)
    if isinstance(kind, inspect.FloatType):
        return "a number" + _bounds(kind)
    return "text that is not empty" if getattr(kind, "min_length", None) else "text"


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    words = (("above", kind.gt), ("from", kind.ge), ("below", kind.lt), ("up to", kind.le))
    return "".join(f" {word} {limit:.12g}" for word, limit in words if limit is not None)
