"""The configuration: flag before environment before file before default, and where each value came from.

Whatever is wrong with it is one line that names the place, the key, what was found and what is expected.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from benchlab.catalog.power_tree import double_count
from benchlab.catalog.vm import unknown_fields
from benchlab.config_schema import OWN_VARIABLES, SECRET_VARIABLES, Config
from benchlab.config_text import describe, show
from benchlab.errors import Exit, Fault

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["SYSTEM_PATH", "Config", "Loaded", "data_root", "load", "variables"]

SYSTEM_PATH = Path("/etc/benchlab/config.toml")

TYPES: dict[str, dict[str, Any]] = {
    section.name: {key.name: key.type for key in msgspec.structs.fields(section.type)}
    for section in msgspec.structs.fields(Config)
}
KEYS = [f"{section}.{key}" for section, keys in TYPES.items() for key in keys]

TABLES = (msgspec.inspect.ListType, msgspec.inspect.DictType)

_FNV_BASIS = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_NO_FLAGS: Mapping[str, tuple[object, str]] = {}


@dataclass(frozen=True)
class Loaded:
    """A configuration and its story.

    ``origin`` maps each key to ``default``, ``file PATH``, ``environment NAME`` or ``flag --NAME``;
    ``digest`` tells two configurations apart.
    """

    config: Config
    origin: dict[str, str]
    path: Path | None
    digest: str


@dataclass(frozen=True)
class _Given:
    """One value somebody set: where, under which name there, for which key."""

    where: str
    name: str
    key: str
    value: object
    is_text: bool = False

    @property
    def code(self) -> Exit:
        return Exit.USAGE if self.where.startswith("flag") else Exit.CONFIG

    def fault(self, expected: str) -> Fault:
        """Return the one line about this value."""
        place = f"{self.where}: {self.name}" if self.name else self.where
        return Fault(f"{place.removeprefix('file ')}: found {show(self.value)}, expected {expected}", self.code)


def load(
    path: Path | None = None,
    env: Mapping[str, str] = os.environ,
    overrides: Mapping[str, tuple[object, str]] = _NO_FLAGS,
    system_path: Path = SYSTEM_PATH,
) -> Loaded:
    """Return the configuration of this process.

    ``path`` is what ``--config`` named; without it ``system_path``, else the user's own file, else none.
    ``overrides`` maps ``section.key`` to (value, flag); a value of None is a flag that was not given.
    Raises Fault: CONFIG for a file or a variable, USAGE for a flag.
    """
    used, document = _find_file(path, env, system_path)
    values: dict[str, dict[str, object]] = {section: {} for section in TYPES}
    origin = dict.fromkeys(KEYS, "default")
    for given in (
        *_inherited_root(used, system_path),
        *_from_file(used, document),
        *_from_environment(env),
        *_from_flags(overrides),
    ):
        section, _, key = given.key.partition(".")
        values[section][key] = _converted(given)
        origin[given.key] = given.where
    if "data_root" not in values["general"]:
        values["general"]["data_root"] = str(_state_home(env) / "benchlab")
    config = msgspec.convert(values, Config)
    return Loaded(config, origin, used, _digest(config))


def data_root(loaded: Loaded) -> Path:
    """Return the absolute folder that holds ``sessions/``."""
    return Path(loaded.config.general.data_root or _state_home(os.environ) / "benchlab").expanduser().absolute()


def variables() -> dict[str, str]:
    """Return every environment variable that sets a key; where two set one key, the later of them wins."""
    return {**OWN_VARIABLES, **{f"BENCHLAB_{key.replace('.', '_').upper()}": key for key in KEYS}}


def _find_file(path: Path | None, env: Mapping[str, str], system_path: Path) -> tuple[Path | None, dict[str, Any]]:
    if path is not None:
        document = _read(path)
        if document is None:
            raise Fault(f"{path}: no such file, expected a config.toml (--config)", Exit.CONFIG)
        return path, document
    for candidate in (system_path, _config_home(env) / "benchlab" / "config.toml"):
        document = _read(candidate)
        if document is not None:
            return candidate, document
    return None, {}


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a file says, None if there is none."""
    try:
        document: dict[str, Any] = tomllib.loads(path.read_bytes().decode("utf-8"))
        return document
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Fault(
            f"{path}: cannot be read ({error.strerror}), expected a TOML file that user "
            f"{os.geteuid()} may read: fix its permissions or name another with --config",
            Exit.CONFIG,
        ) from error
    except UnicodeDecodeError as error:
        raise Fault(f"{path}: found byte {error.start} not to be UTF-8, expected TOML", Exit.CONFIG) from error
    except tomllib.TOMLDecodeError as error:
        raise Fault(f"{path}: found {_one_line(error)}, expected TOML (key = value)", Exit.CONFIG) from error


def _inherited_root(used: Path | None, system_path: Path) -> Iterator[_Given]:
    """Yield the data root of the installed system, which holds for everybody who does not name another."""
    if used == system_path:
        return
    try:
        document = _read(system_path)
    except Fault:
        return  # another file was named: that this one is closed to us or broken is not its reader's error
    general = (document or {}).get("general")
    if isinstance(general, dict) and "data_root" in general:
        yield _Given(f"file {system_path}", "general.data_root", "general.data_root", general["data_root"])


def _from_file(path: Path | None, document: dict[str, Any]) -> Iterator[_Given]:
    for section, table in document.items():
        if section not in TYPES:
            raise _unknown(f"{path}", section, _similar_section(section))
        if not isinstance(table, dict):
            raise Fault(f"{path}: {section}: found {show(table)}, expected a table [{section}]", Exit.CONFIG)
        for name, value in table.items():
            key = f"{section}.{name}"
            if name not in TYPES[section]:
                raise _unknown(f"{path}", key, get_close_matches(key, KEYS, 1))
            yield _Given(f"file {path}", key, key, value)


def _from_environment(env: Mapping[str, str]) -> Iterator[_Given]:
    known = variables()
    systematic = tuple(f"BENCHLAB_{section.upper()}_" for section in TYPES)
    for name in sorted(env):
        if name.startswith(systematic) and name not in known and name not in SECRET_VARIABLES:
            raise _unknown("environment", name, get_close_matches(name, known, 1))
    for name, key in known.items():
        if env.get(name):  # set but empty is how a unit file or a shell says "not set"
            yield _Given(f"environment {name}", "", key, env[name], is_text=True)


def _from_flags(overrides: Mapping[str, tuple[object, str]]) -> Iterator[_Given]:
    for key, (value, flag) in overrides.items():
        if value is not None:
            yield _Given(f"flag {flag}", "", key, value)


def _similar_section(name: str) -> list[str]:
    """Return the section that was meant, or the full name of a key written outside of its section."""
    return [key for key in KEYS if key.endswith(f".{name}")][:1] or get_close_matches(name, TYPES, 1)


def _unknown(where: str, name: str, similar: list[str]) -> Fault:
    meant = f"did you mean {similar[0]}?" if similar else "configs/config.toml lists them"
    return Fault(f"{where}: {name}: found an unknown key, expected one that exists: {meant}", Exit.CONFIG)


def _converted(given: _Given) -> object:
    """Return the value in its key's type, or raise the Fault about it."""
    section, _, key = given.key.partition(".")
    kind = TYPES[section][key]
    value = given.value
    try:
        if given.is_text and msgspec.inspect.type_info(kind).__class__ in TABLES:
            (value,) = tomllib.loads(f"value = {value}").values()
        converted: object = msgspec.convert(value, kind, strict=not given.is_text)
    except (msgspec.ValidationError, ValueError) as error:
        raise given.fault(describe(kind)) from error
    wrong = _out_of_sense(given.key, converted)
    if wrong:
        raise given.fault(wrong)
    return converted


def _out_of_sense(key: str, value: object) -> str | None:
    """Return what is expected where the type alone cannot say that a value makes no sense."""
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    if key in ("prometheus.bind", "web.bind") and int(str(value).rpartition(":")[2]) > 65535:
        return "HOST:PORT with a port from 0 to 65535"
    if key == "pipeline.pairs" and isinstance(value, list) and any(a == b for a, b in value):
        return "pairs of two different stages"
    if key == "mux.power_sources" and isinstance(value, list):
        twice = next(filter(None, map(double_count, value)), None)
        return f"meters in one line that may be added up ({twice})" if twice else None
    if key in ("vmstatd.fields", "vmstatd.every") and isinstance(value, list | dict):
        names = unknown_fields(value)
        return f"fields of docs/VMS.md; none is called {names[0]}" if names else None
    return None


def _config_home(env: Mapping[str, str]) -> Path:
    return _xdg(env, "XDG_CONFIG_HOME", ".config")


def _state_home(env: Mapping[str, str]) -> Path:
    return _xdg(env, "XDG_STATE_HOME", ".local/state")


def _xdg(env: Mapping[str, str], name: str, default: str) -> Path:
    """Return a base folder. Source: XDG Base Directory Specification, which ignores a relative one."""
    given = Path(env.get(name, ""))
    return given if given.is_absolute() else Path(env.get("HOME") or Path.home()) / default


def _digest(config: Config) -> str:
    """Return the FNV-1a hash; hashlib would cost every collector 4 MB for OpenSSL."""
    value = _FNV_BASIS
    for byte in msgspec.json.encode(config, order="sorted"):
        value = (value ^ byte) * _FNV_PRIME % 2**64
    return f"{value:016x}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
