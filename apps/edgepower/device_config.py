"""The device's configuration while the exporter runs: read, changed by several at once, and kept in its file."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

from benchlab.errors import Exit, Fault
from benchlab.files import make_dir, write_atomic
from edgepower.settings import Settings, Wrong, metrics_of, near

if TYPE_CHECKING:
    from edgepower.document import Document

FILE_MODE = 0o640
LOCAL, SERVER = "local", "server"
SERVERS_OWN = ("device_id", "ip_address")
ATTEMPTS = 20
QUIET_S = 0.1
"""How long nobody has written a file that is changed: who writes it piece by piece is not done before."""

Check = Callable[[Mapping[str, Any]], object]
"""Raises Fault for a device configuration that no collector can work with; touches no device."""


class Unknown(Exception):
    """Names that no metric has, each with those that may have been meant."""

    def __init__(self, names: Mapping[str, list[str]]) -> None:
        super().__init__(f"found no metric {', '.join(names)}")
        self.names = names


@dataclass(frozen=True)
class Overrides:
    """What the command line says; it goes before the file, and is never written into it."""

    interval: float | None = None
    port: int | None = None
    reload_port: int | None = None

    def applied(self, settings: Settings) -> Settings:
        """Return the settings with what is said here."""
        return replace(
            settings,
            interval_s=self.interval or settings.interval_s,
            port=self.port or settings.port,
            reload_port=self.reload_port or settings.reload_port,
        )


class DeviceConfig:
    """What config.yaml says, and the only one that writes it. Safe to use from several threads.

    The file is read again before each change, so that nothing that was edited meanwhile is lost; a change is wholly
    in the file, or nowhere. Without a file ``device_type`` is the device; the file is then made with its first
    metrics, if ``may_create``. ``check`` judges the part that belongs to the collectors.
    Raises Fault (CONFIG) naming file, line, key, found and expected.
    """

    def __init__(
        self,
        path: Path,
        check: Check,
        *,
        device_type: str = "",
        overrides: Overrides | None = None,
        may_create: bool = True,
    ) -> None:
        self.path = path
        self.source = LOCAL
        self._check = check
        self._device_type = device_type
        self._overrides = overrides or Overrides()
        self._may_create = may_create
        self._lock = threading.RLock()
        self._found: dict[str, bool] = {}
        self._unsent: dict[str, bool] = {}
        self._text = ""
        self._seen = _state(path)
        self._settings = self._judged(self._read())

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    @property
    def metrics(self) -> dict[str, bool]:
        """Every metric that is known, and whether it is shown."""
        return {**self._found, **(self._settings.metrics or {})}

    @property
    def unsent(self) -> dict[str, bool]:
        """The metrics that were changed here and that the central server has not been told of."""
        return dict(self._unsent)

    def document(self) -> dict[str, Any]:
        """Return the whole configuration as it is in force, in plain types."""
        settings = self._settings
        return {
            **settings.device,
            "interval": settings.interval_s,
            "port": settings.port,
            "reload_port": settings.reload_port,
            "discovery": "enabled" if settings.discovery else "disabled",
            "info_metric": settings.info_metric,
            "metrics": self.metrics,
        }

    def enable(self, chosen: Mapping[str, bool]) -> None:
        """Turn metrics on or off: all of them, durably, or none.

        Raises Unknown for a name that no metric has, Fault if the file is broken or cannot be written.
        """
        with self._lock:
            known = self.metrics
            if unknown := {name: near(name, known) for name in chosen if name not in known}:
                raise Unknown(unknown)
            self._settings = self._with(chosen)
            self._unsent = {**self._unsent, **chosen}

    def discover(self, names: Iterable[str]) -> None:
        """Add metrics that were never seen before, on or off as the settings say. Raises Fault as ``enable`` does.

        They are known from then on, even where the file cannot be written. Until the next start nobody has chosen,
        if nobody had before: a device may have more to tell with its second reading than with its first.
        """
        with self._lock:
            known = self.metrics
            new = {name: self._settings.by_default(name) for name in names if name not in known}
            if not new:
                return
            self._found = {**self._found, **new}
            self._unsent = {**self._unsent, **new}
            self._settings = replace(self._with(self._found), is_fresh=self._settings.is_fresh)

    def reload(self) -> None:
        """Read the file again. Raises Fault, and keeps what was in force, if it has an error."""
        with self._lock:
            before = self._settings
            settings = self._judged(self._read())
            is_fresh = settings.is_fresh or (before.is_fresh and settings.metrics == before.metrics)
            self._settings = replace(settings, is_fresh=is_fresh)
            self._found = {}
            self.source = LOCAL

    def adopt(self, central: Mapping[str, Any]) -> None:
        """Take over what the central server says, and keep it in the file. Raises Fault as ``reload`` does.

        Metrics that were changed here and that the server has not been told of keep what they were set to.
        """
        with self._lock:
            theirs = {key: value for key, value in central.items() if key not in SERVERS_OWN}
            metrics = _metrics_of(central)

            def change(document: Document) -> None:
                document.merge(theirs)
                if metrics or self._unsent:
                    document.set_metrics({**metrics, **self._unsent})

            self._settings = self._changed(change)
            self.source = SERVER

    def sent(self, metrics: Mapping[str, bool]) -> None:
        """Note that the central server knows of these."""
        with self._lock:
            self._unsent = {name: value for name, value in self._unsent.items() if metrics.get(name) != value}

    def _read(self) -> Document:
        """Return the file's document; where there is no file, the one that was in force last."""
        kind = _document_type()
        return kind.read(self.path) or kind(self._text or kind.new(self._device_type), self.path)

    def _judged(self, document: Document) -> Settings:
        """Return the settings of a document that collectors can work with. Raises Fault."""
        settings = self._overrides.applied(document.settings())
        try:
            self._check(settings.device)
        except Fault as fault:
            raise document.located(fault.message) from None
        self._text = document.text()
        return settings

    def _with(self, chosen: Mapping[str, bool]) -> Settings:
        """Set metrics in the file; return what is in force then."""
        return self._changed(lambda document: document.set_metrics(chosen))

    def _changed(self, change: Callable[[Document], None]) -> Settings:
        """Change the file as it is now; return what is in force then, with what was edited in it meanwhile."""
        for _ in range(ATTEMPTS):
            state = _state(self.path)
            if state != self._seen:
                self._seen = state
                sleep(QUIET_S)
                continue
            document, known = self._read(), self._text
            before = document.text()
            change(document)
            settings = self._judged(document)
            try:
                if document.text() != before:
                    self._write(document, state)
            except _Edited:
                continue
            except Fault:
                self._text = known
                raise
            return settings
        raise Fault(f"{self.path} is written by somebody else all the time: nothing was changed")

    def _write(self, document: Document, state: object) -> None:
        """Replace the file, unless it is no longer in the state in which it was read. Raises Fault, _Edited."""

        def is_still_so() -> None:
            if _state(self.path) != state:
                raise _Edited

        path = self.path.resolve()  # a link stays one
        if not (path.exists() or self._may_create):
            return
        try:
            make_dir(path.parent)
            mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else FILE_MODE
            data = document.text().encode()
            write_atomic(path, data, mode, before=is_still_so)
        except OSError as error:
            raise Fault(f"{self.path} cannot be written ({error.strerror}): make its folder writable") from error
        after = _state(path)
        if after is not None and after[2] == len(data):
            self._seen = after


class _Edited(Exception):
    """Somebody wrote the file between its being read and its being replaced."""


def _state(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file does: inode, time and size; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _document_type() -> type[Document]:
    """Return the reader of documents, whose library is not part of the minimal install. Raises Fault (CONFIG)."""
    try:
        from edgepower.document import Document
    except ModuleNotFoundError:
        message = "edgepower needs ruamel.yaml to read config.yaml: pip install 'benchlab-linux-telemetry[edge]'"
        raise Fault(message, Exit.CONFIG) from None
    return Document


def _metrics_of(central: Mapping[str, Any]) -> dict[str, bool]:
    try:
        return metrics_of(central) or {}
    except Wrong as wrong:
        raise Fault(f"the central server says {wrong.place[0]}: {wrong.message}", Exit.CONFIG) from None
