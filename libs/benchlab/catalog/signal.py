"""What the catalog says about one signal, and the shorthand its tables are written in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["gauge", "counter", "state", "info", "table"]
InfluxType = Literal["float", "integer", "boolean", "string"]
Labels = tuple[tuple[str, str], ...]

TO_BASE_UNIT = {
    "%": 0.01,
    "MHz": 1e6,
    "KiB/s": 1024.0,
    "KiB": 1024.0,
    "MiB": 1048576.0,
    "ms": 1e-3,
    "ns": 1e-9,
    "Wh": 3600.0,
    "Ah": 3600.0,
}
"""Factor from a recorded unit to the base unit that Prometheus wants; units not named are base units."""


@dataclass(frozen=True)
class Signal:
    """One key of one source.

    ``unit`` is that of the recorded value. ``prometheus`` is the metric family in base units, ``None`` where
    the value is no time series; samples are the recorded value times ``scale``, with ``labels`` beside those
    that identify the source. ``energy_key`` names the key of the same source that counts the joules of this
    power; ``energy_step_ms`` is how long that counter stands still at most between two steps. A column of a table has
    the key ``table.column``; the table's ``info`` columns identify its rows.
    Where the hardware decides the names, ``source`` and ``key`` are patterns: the ``*`` in a key stands for one part of
    it, which takes the place of every ``*`` in ``labels`` and ``energy_key``.
    ``dev_label`` is the one label that says whose value it is, where that is not source and dev as usual.
    """

    source: str
    key: str
    unit: str
    kind: Kind
    help: str
    prometheus: str | None = None
    influx: InfluxType = "float"
    labels: Labels = ()
    energy_key: str | None = None
    energy_step_ms: float = 0.0
    family_help: str | None = None
    dev_label: str | None = None

    def identity(self, source: str, dev: str | None) -> Labels:
        """Return the labels of its Prometheus samples that say whose value it is."""
        if self.dev_label:
            return ((self.dev_label, dev or ""),)
        return (("source", source), *((("dev", dev),) if dev else ()))

    def matching(self, key: str) -> Signal | None:
        """Return the signal of a key that is this one's or fits its pattern, None if it does neither."""
        before, star, after = self.key.partition("*")
        if not star:
            return self if key == self.key else None
        part = key.removeprefix(before).removesuffix(after)
        if not part or before + part + after != key:
            return None
        labels = tuple((name, value.replace("*", part)) for name, value in self.labels)
        energy_key = self.energy_key and self.energy_key.replace("*", part)
        return replace(self, key=key, labels=labels, energy_key=energy_key)

    @property
    def scale(self) -> float:
        """Factor from the recorded value to the sample of its Prometheus family."""
        return TO_BASE_UNIT.get(self.unit, 1.0)

    @property
    def prometheus_type(self) -> Literal["gauge", "counter"]:
        """TYPE of its Prometheus family."""
        return "counter" if self.kind == "counter" else "gauge"

    @property
    def prometheus_help(self) -> str:
        """HELP of its Prometheus family, which several signals may share."""
        return self.family_help or self.help


Row = tuple[str, str, str, str]
"""Key, unit, Prometheus name after the prefix, help."""


def numbers(
    source: str,
    kind: Kind,
    prefix: str,
    rows: Iterable[Row],
    influx: InfluxType = "float",
    dev_label: str | None = None,
) -> Iterator[Signal]:
    """Yield one signal per row, all of one kind and type."""
    for key, unit, name, text in rows:
        yield Signal(source, key, unit, kind, text, prefix + name, influx, dev_label=dev_label)
