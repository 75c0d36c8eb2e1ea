"""What a device document means: its keys, their types and defaults, and which metrics are on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from benchlab.config_text import describe, show

MAX_METRICS = 1000
SHOWN_AT_FIRST = ("power_total_watts", "power_gpu_watts", "*_celsius")
"""What a device shows about which nobody has chosen yet: total power, GPU power and temperatures."""

Port = Annotated[int, Meta(ge=1, le=65535)]
MetricName = Annotated[str, Meta(pattern="^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=200, description="a metric name")]

TYPES: dict[str, Any] = {
    "interval": Annotated[float, Meta(ge=0.1, le=3600)],
    "port": Port,
    "reload_port": Port,
    "discovery": Literal["disabled", "enabled"],
    "info_metric": bool,
}
"""The keys that belong to the exporter, ``metrics`` and ``enabled_metrics`` apart; others are the collectors'."""

LISTS = ("metrics", "enabled_metrics")


class Wrong(Exception):
    """A value that cannot be used: where it stands, and what is said about it."""

    def __init__(self, place: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


@dataclass(frozen=True)
class Settings:
    """A device document, read. ``device`` is what collectors read of it.

    ``metrics`` is None, and the document ``is_fresh``, while nobody has chosen what is shown.
    """

    interval_s: float = 1.0
    port: int = 9100
    reload_port: int = 9101
    discovery: bool = False
    info_metric: bool = False
    metrics: Mapping[str, bool] | None = None
    is_fresh: bool = False
    device: Mapping[str, Any] = field(default_factory=dict)

    def shows(self, name: str) -> bool:
        """Return whether a metric is shown, or would be if it were found now."""
        chosen = (self.metrics or {}).get(name)
        return self.by_default(name) if chosen is None else chosen

    def by_default(self, name: str) -> bool:
        """Return whether a metric that is found now begins enabled."""
        is_first = self.is_fresh and any(fnmatchcase(name, pattern) for pattern in SHOWN_AT_FIRST)
        return self.discovery or is_first


def settings_of(document: Mapping[str, Any]) -> Settings:
    """Return the settings of a document whose values are plain. Raises Wrong."""
    read = {key: _converted(key, document[key], kind) for key, kind in TYPES.items() if key in document}
    _refuse_misspelt(document)
    metrics = metrics_of(document)
    return Settings(
        interval_s=read.get("interval", 1.0),
        port=read.get("port", 9100),
        reload_port=read.get("reload_port", 9101),
        discovery=read.get("discovery") == "enabled",
        info_metric=read.get("info_metric", False),
        metrics=metrics,
        is_fresh=metrics is None,
        device={key: value for key, value in document.items() if key not in TYPES and key not in LISTS},
    )


def metrics_of(document: Mapping[str, Any]) -> dict[str, bool] | None:
    """Return which metrics are on, the old ``enabled_metrics`` list included. Raises Wrong."""
    old, new = document.get("enabled_metrics"), document.get("metrics")
    if old is None and new is None:
        return None
    if old is not None and not isinstance(old, list):
        raise Wrong(("enabled_metrics",), f"found {show(old)}, expected a list of metric names")
    if new is not None and not isinstance(new, Mapping):
        raise Wrong(("metrics",), f"found {show(new)}, expected a line NAME: true or NAME: false for each metric")
    for number, name in enumerate(old or ()):
        _checked_name(name, ("enabled_metrics", number))
    for name, value in (new or {}).items():
        _checked_name(name, ("metrics", name))
        if not isinstance(value, bool):
            raise Wrong(("metrics", name), f"found {show(value)}, expected true or false")
    return {**dict.fromkeys(old or (), True), **(new or {})}


def near(name: str, known: Mapping[str, Any]) -> list[str]:
    """Return the names that somebody may have meant."""
    return get_close_matches(name, known, 3, 0.6)


def _checked_name(name: object, place: tuple[str | int, ...]) -> None:
    try:
        msgspec.convert(name, MetricName)
    except msgspec.ValidationError:
        raise Wrong(place, f"found {show(name)}, expected {describe(MetricName)}") from None


def _converted(key: str, value: object, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise Wrong((key,), f"found {show(value)}, expected {describe(kind)}") from None


def _refuse_misspelt(document: Mapping[str, Any]) -> None:
    """Refuse a key that all but has the name of one of ours; others may be a collector's, or the owner's."""
    for key in document:
        if not isinstance(key, str):
            raise Wrong((key,), f"found the key {show(key)}, expected text")
        similar = get_close_matches(key, [*TYPES, *LISTS], 1, 0.85)
        if similar and similar[0] != key:
            raise Wrong((key,), f"found an unknown key, expected one that exists: did you mean {similar[0]}?")
