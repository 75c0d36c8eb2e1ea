"""What a unit file says, and a service manager's part in it: folders, environment, the command."""

from __future__ import annotations

import shlex
from pathlib import Path

from support.tree import REPOSITORY

UNITS = sorted((REPOSITORY / "systemd").glob("benchlab-*.service"))
FOLDERS = {
    "RuntimeDirectory": "/run",
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
}
"""Folders that the manager makes, and where. Source: systemd.exec(5)."""


class Unit:
    """A unit file, read as systemd reads it: keys repeat, an empty value forgets those before it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        self._values: dict[tuple[str, str], list[str]] = {}
        section = ""
        for line in path.read_text().splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif line and not line.startswith(("#", ";")):
                key, _, value = line.partition("=")
                found = self._values.setdefault((section, key), [])
                found.append(value)
                if not value:
                    found.clear()

    def all(self, key: str, section: str = "Service") -> list[str]:
        """Return the values of a key, with the specifiers that we use filled in. Source: systemd.unit(5)."""
        return [self._filled(value) for value in self._values.get((section, key), [])]

    def one(self, key: str, section: str = "Service") -> str:
        """Return the last value of a key, empty if there is none."""
        return (self.all(key, section) or [""])[-1]

    def words(self, key: str) -> list[str]:
        """Return the words of all values of a key."""
        return [word for value in self.all(key) for word in value.split()]

    def is_on(self, key: str) -> bool:
        """Return whether a key is true."""
        return self.one(key) in ("true", "yes", "1", "on")

    @property
    def command(self) -> list[str]:
        """The words of ExecStart."""
        return shlex.split(self.one("ExecStart"))

    def folders(self) -> dict[str, tuple[str, int]]:
        """Return the folders that the manager makes: by key, the path and the mode."""
        found = {}
        for key, place in FOLDERS.items():
            for name in self.words(key):
                found[key] = (f"{place}/{name}", int(self.one(f"{key}Mode") or "0755", 8))
        return found

    def environment(self, etc: Path) -> dict[str, str]:
        """Return the variables that the unit sets; its EnvironmentFile is looked for in ``etc``."""
        found = {}
        for word in (word for value in self.all("Environment") for word in shlex.split(value)):
            name, _, text = word.partition("=")
            found[name] = text
        for value in self.all("EnvironmentFile"):
            file = etc / Path(value.lstrip("-")).name
            lines = file.read_text().splitlines() if file.exists() else []
            found.update((line.partition("=")[0], line.partition("=")[2]) for line in lines if line)
        return found

    def _filled(self, value: str) -> str:
        for mark, text in (("%N", self.name), ("%S", "/var/lib"), ("%C", "/var/cache"), ("%%", "%")):
            value = value.replace(mark, text)
        return value
