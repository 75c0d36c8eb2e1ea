"""config.yaml as its owner wrote it: comments, order and quotes survive what the program changes in it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, MarkedYAMLError, YAMLError
from ruamel.yaml.tokens import CommentToken

from benchlab.config_text import show
from benchlab.errors import Exit, Fault
from edgepower.settings import Settings, Wrong, settings_of

MAX_BYTES = 1 << 20

NEW = """\
# Made by edgepower, because there was none. configs/edgepower/config.yaml.template explains every key.
device_type: "{device_type}"
interval: 1
port: 9100
reload_port: 9101
"""


class Document:
    """The text of a config.yaml, parsed; ``path`` is what messages call it. Raises Fault (CONFIG) naming the line."""

    def __init__(self, text: str, path: Path) -> None:
        self.path = path
        self._yaml = _yaml(text)
        self._map = self._parsed(text)

    @classmethod
    def read(cls, path: Path) -> Document | None:
        """Read a file; None if there is none."""
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Fault(f"{path}: cannot be read ({error.strerror}): fix its permissions", Exit.CONFIG) from error
        if len(data) > MAX_BYTES:
            raise Fault(f"{path}: found more than {MAX_BYTES} bytes, expected a config.yaml", Exit.CONFIG)
        try:
            return cls(data.decode(), path)
        except UnicodeDecodeError as error:
            raise Fault(f"{path}: found byte {error.start} not to be UTF-8, expected YAML", Exit.CONFIG) from error

    @staticmethod
    def new(device_type: str) -> str:
        """Return the text of a document for a device that has none."""
        return NEW.format(device_type=device_type)

    def settings(self) -> Settings:
        """Return what the document means. Raises Fault (CONFIG) naming line, key, found and expected."""
        try:
            return settings_of(self.plain())
        except Wrong as wrong:
            raise self.fault(wrong.place, wrong.message) from None

    def plain(self) -> dict[str, Any]:
        """Return the document in Python's own types."""
        found: dict[str, Any] = _plain(self._map)
        return found

    def fault(self, place: Iterable[str | int], message: str) -> Fault:
        """Return the one line about a value."""
        place = tuple(place)
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
        line = self._line_of(place)
        return Fault(f"{self.path}{f', line {line}' if line else ''}: {key}: {message}", Exit.CONFIG)

    def located(self, message: str) -> Fault:
        """Return what a collector said about its configuration, with the line of the key that it named."""
        named = re.match(r"(?:[\w.\[\]]+(?:: |$))+", message)
        parts = re.findall(r"[^\W\d]\w*|\d+", named[0] if named else "")
        line = self._line_of([int(part) if part.isdigit() else part for part in parts])
        return Fault(f"{self.path}{f', line {line}' if line else ''}: {message}", Exit.CONFIG)

    def set_metrics(self, chosen: Mapping[str, bool]) -> None:
        """Set metrics to true or false; those that are new are added at the end. An old list becomes the new form."""
        self._convert_old_list()
        if not isinstance(self._map.get("metrics"), CommentedMap):
            self._map["metrics"] = CommentedMap()
        for name, enabled in chosen.items():
            _put(self._map["metrics"], name, enabled)

    def merge(self, others: Mapping[str, Any]) -> None:
        """Take over the keys of another document, whole but for ``metrics``, which are taken over one by one."""
        for key, value in others.items():
            if key not in ("metrics", "enabled_metrics") and _plain(self._map.get(key)) != value:
                self._map[key] = value

    def text(self) -> str:
        """Return the document as it is to be written."""
        out = io.StringIO()
        self._yaml.dump(self._map, out)
        return out.getvalue()

    def _parsed(self, text: str) -> CommentedMap:
        try:
            found = self._yaml.load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f", line {mark.line + 1}" if mark else ""
            problem = " ".join(str(error.problem or error.context).split())
            raise Fault(f"{self.path}{where}: {problem}; expected YAML (key: value)", Exit.CONFIG) from None
        except (YAMLError, ValueError, RecursionError) as error:
            problem = " ".join(str(error).split())
            raise Fault(f"{self.path}: {problem}; expected YAML (key: value)", Exit.CONFIG) from None
        if found is None:
            return CommentedMap()
        if not isinstance(found, CommentedMap):
            raise Fault(f"{self.path}, line 1: found {show(_plain(found))}, expected key: value", Exit.CONFIG)
        return found

    def _line_of(self, place: Iterable[str | int]) -> int | None:
        """Return the line in which a key stands, or the innermost of those around it."""
        here: Any = self._map
        line = None
        for part in place:
            try:
                line = (here.lc.item(part) if isinstance(here, CommentedSeq) else here.lc.key(part))[0] + 1
                here = here[part]
            except (AttributeError, KeyError, IndexError, TypeError):
                break
        return line

    def _convert_old_list(self) -> None:
        """Turn ``enabled_metrics`` into ``metrics``, in its place and with its comments."""
        old = self._map.get("enabled_metrics")
        if old is None:
            self._map.pop("enabled_metrics", None)
            return
        place = list(self._map).index("enabled_metrics")
        comments = self._map.ca.items.pop("enabled_metrics", None)
        chosen = CommentedMap((str(name), True) for name in old)
        for number, comment in old.ca.items.items():
            chosen.ca.items[str(old[number])] = [None, None, comment[0], None]
        del self._map["enabled_metrics"]
        if (existing := self._map.get("metrics")) is not None:
            _put_missing(existing, chosen)
            return
        self._map.pop("metrics", None)
        self._map.insert(place, "metrics", chosen)
        if comments is not None:
            self._map.ca.items["metrics"] = comments


def _yaml(text: str) -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    dashes = re.search(r"^( *)\S.*:[ \t]*(?:#.*)?\n( *)- ", text, re.MULTILINE)
    offset = len(dashes[2]) - len(dashes[1]) if dashes else 2
    yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
    return yaml


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return None if value is None else str(value)


def _put(mapping: CommentedMap, key: str, value: Any) -> None:
    """Set a key. If it is new, what stood below the last one, which speaks of what follows, stays below."""
    last = None if key in mapping else next(reversed(mapping), None)
    mapping[key] = value
    comment = mapping.ca.items.get(last)
    if last is None or not comment or comment[2] is None:
        return
    beside, _, below = comment[2].value.partition("\n")
    if below:
        mapping.ca.items[key] = [None, None, CommentToken("\n" + below, CommentMark(0)), None]
        if beside:
            comment[2].value = beside + "\n"
        else:
            del mapping.ca.items[last]


def _put_missing(mapping: CommentedMap, others: Mapping[str, Any]) -> None:
    for key, value in others.items():
        if key not in mapping:
            _put(mapping, key, value)
