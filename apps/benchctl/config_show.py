"""benchctl config: every key of the configuration, its value, and where that came from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchctl.table import print_json
from benchlab import cli, config
from benchlab.config import Loaded
from benchlab.config_lines import key_lines
from benchlab.errors import Exit

EXAMPLES = """\
  benchctl config show                 # as a config.toml, ready to be edited
  benchctl config show --origin        # and where each value came from
  benchctl config show --json"""

STATE_HOME = "$XDG_STATE_HOME/benchlab, or ~/.local/state/benchlab"


class Setting(msgspec.Struct):
    """One key: its value, which of ``default``, ``file``, ``environment``, ``flag`` set it, and where there.

    ``where`` is the path of the file, the name of the variable or of the flag; ``line`` that of the file.
    """

    value: Any
    origin: str
    where: str | None = None
    line: int | None = None

    @property
    def story(self) -> str:
        """Return the origin for people: ``file /etc/benchlab/config.toml:12``."""
        line = f":{self.line}" if self.line else ""
        return f"{self.origin} {self.where}{line}" if self.where else self.origin


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    p = cli.parser("benchctl config", "Show the configuration that programs started here would have.", EXAMPLES)
    p.add_argument("action", choices=("show",), help="what to do")
    p.add_argument("--origin", action="store_true", help="say of each value where it came from")
    p.add_argument("--json", action="store_true", help="print JSON, origins included")
    return p


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Print the configuration; raises Fault (CONFIG) if it is not valid."""
    loaded = cli.context(args).loaded
    if args.json:
        print_json(document(loaded))
    else:
        print("\n".join(lines(settings(loaded), origins=args.origin)))
    return Exit.OK


def settings(loaded: Loaded) -> dict[str, Setting]:
    """Return every key, as ``section.key``, in the order of configs/config.toml; the data root as a full path."""
    found: dict[str, Setting] = {}
    places: dict[str, dict[str, int]] = {}
    for section, values in msgspec.to_builtins(loaded.config).items():
        for name, value in values.items():
            key = f"{section}.{name}"
            origin, _, where = loaded.origin[key].partition(" ")
            if origin == "file" and where not in places:
                places[where] = _lines_of(Path(where))
            line = places[where].get(key) if origin == "file" else None
            found[key] = Setting(value, origin, where or None, line)
    root = found["general.data_root"]
    root.value = str(config.data_root(loaded))
    if root.origin == "default":
        root.where = STATE_HOME
    return found


def document(loaded: Loaded) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    path = str(loaded.path) if loaded.path else None
    return {"file": path, "digest": loaded.digest, "settings": settings(loaded)}


def lines(found: dict[str, Setting], *, origins: bool) -> Iterator[str]:
    """Yield the settings as the lines of a config.toml, their origins as comments."""
    section = ""
    texts = {key: _assignment(key.partition(".")[2], setting.value) for key, setting in found.items()}
    width = max(len(text) for text in texts.values() if len(text) <= 60)
    for key, setting in found.items():
        if key.partition(".")[0] != section:
            yield from ([""] if section else [])
            section = key.partition(".")[0]
            yield f"[{section}]"
        yield f"{texts[key]:{width}}  # {setting.story}" if origins else texts[key]


def _assignment(name: str, value: object) -> str:
    """Return a line of TOML; finite numbers, text and lists of them are written as in JSON."""
    return f"# {name} is not set" if value is None else f"{name} = {msgspec.json.encode(value).decode()}"


def _lines_of(path: Path) -> dict[str, int]:
    try:
        return key_lines(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):  # it was there a moment ago; its values are known all the same
        return {}
