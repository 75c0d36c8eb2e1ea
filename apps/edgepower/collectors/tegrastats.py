"""A line of tegrastats, of any board and release: every token is optional, in any order, and none is made up.

::

    RAM u/tMB (lfb NxZ(kB|MB))  SWAP u/tMB (cached nMB)  IRAM u/tkB(lfb nkB)  CPU [P%@MHZ,off]  cpu [P%,P%]@MHZ
    EMC_FREQ P%@MHZ  GR3D_FREQ P%@[MHZ,MHZ]  NVENC P%@MHZ  NVDEC off  APE MHZ  MTS fg P% bg P%
    zone@C  zone@C/maxC  RAIL mW/mW/mW: now / average since tegrastats began / peak

Of a rail only what it draws now is taken: the average smears all phases since the start. A line may be cut anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from edgepower.collectors.base import metric_part
from edgepower.collectors.jetson_rails import is_connected

SENSOR_OFF_C = -256.0

_CONSTANT_ZONES = ("pmic",)
"""Zones that say 50 or 100 °C whatever happens."""

_ENGINES = r"(?:VIC|NVENC|MSENC|NVDEC|NVJPG|OFA|NVDLA|PVA|APE)\d*"


@dataclass
class Line:
    """What a line says: metrics by name, watts by rail, why a metric is not there, and tokens nobody knows."""

    metrics: dict[str, float] = field(default_factory=dict)
    rails_w: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    tokens: int = 0


def parse(text: str) -> Line:
    """Return what a line says. Never raises: what it cannot read is in ``unknown``."""
    line = Line()
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        found, take = _match(text, at)
        if take is None:
            line.unknown.append(found[0])
        else:
            take(line, found)
            line.tokens += 1
        at = found.end()
    return line


def _match(text: str, at: int) -> tuple[re.Match[str], Callable[[Line, re.Match[str]], None] | None]:
    for pattern, take in _TOKENS:
        if found := pattern.match(text, at):
            return found, take
    found = _ANYTHING.match(text, at)
    assert found is not None
    return found, None


def _memory(prefix: str, unit: str) -> Callable[[Line, re.Match[str]], None]:
    def take(line: Line, found: re.Match[str]) -> None:
        used, total = float(found[1]), float(found[2])
        line.metrics[f"{prefix}_used_{unit}"] = used
        line.metrics[f"{prefix}_total_{unit}"] = total
        if total:
            line.metrics[f"{prefix}_used_percent"] = round(100.0 * used / total, 2)

    return take


def _cores(line: Line, found: re.Match[str]) -> None:
    shared_mhz = found[2]
    busy = []
    for number, text in enumerate(found[1].split(",")):
        prefix = f"jetson_cpu_core{number}"
        core = _CORE.fullmatch(text.strip())
        if core is None or core[1] is None:
            line.absent[f"{prefix}_usage_percent"] = "the core is off" if core else f"found {text!r}"
            continue
        busy.append(float(core[1]))
        line.metrics[f"{prefix}_usage_percent"] = busy[-1]
        if mhz := core[2] or shared_mhz:
            line.metrics[f"{prefix}_freq_mhz"] = float(mhz)
    if busy:
        line.metrics["jetson_cpu_avg_usage_percent"] = round(sum(busy) / len(busy), 2)


def _clocked(line: Line, part: str, percent: str | None, mhz: str | None) -> None:
    """Take a load and a clock; of several clocks the highest, for a part of the chip may be off."""
    if percent is not None:
        line.metrics[f"jetson_{part}_usage_percent"] = float(percent)
    else:
        line.absent[f"jetson_{part}_usage_percent"] = "tegrastats prints no load of it on this board"
    if mhz is not None:
        line.metrics[f"jetson_{part}_freq_mhz"] = max(map(float, mhz.split(",")))
    else:
        line.absent[f"jetson_{part}_freq_mhz"] = "tegrastats prints no clock of it, unless run as root"


def _emc(line: Line, found: re.Match[str]) -> None:
    _clocked(line, "emc", found[1], found[2])


def _gpu(line: Line, found: re.Match[str]) -> None:
    _clocked(line, f"gpu{found[1]}", found[2], found[3])


def _engine(line: Line, found: re.Match[str]) -> None:
    part = metric_part(found[1])
    if found[2] == "off":
        line.absent[f"jetson_{part}_freq_mhz"] = "the engine is off"
        return
    line.metrics[f"jetson_{part}_freq_mhz"] = float(found[4])
    if found[3] is not None:
        line.metrics[f"jetson_{part}_usage_percent"] = float(found[3])


def _threads(line: Line, found: re.Match[str]) -> None:
    line.metrics["jetson_mts_fg_percent"] = float(found[1])
    line.metrics["jetson_mts_bg_percent"] = float(found[2])


def _zone(line: Line, found: re.Match[str]) -> None:
    zone, celsius = metric_part(found[1]), float(found[2].removesuffix("C"))
    if zone in _CONSTANT_ZONES:
        return
    if celsius <= SENSOR_OFF_C:
        line.absent[f"jetson_temp_{zone}_celsius"] = "the sensor is off"
    else:
        line.metrics[f"jetson_temp_{zone}_celsius"] = celsius


def _rail(line: Line, found: re.Match[str]) -> None:
    if is_connected(found[1]):
        line.rails_w[found[1]] = float(found[2]) / 1e3


def _ignore(line: Line, found: re.Match[str]) -> None:
    """Take nothing: a date, in local time and to the second, is no stamp."""


_N = r"\d{1,9}"
_CELSIUS = rf"-?{_N}(?:\.{_N})?C"
_NAME = r"(?!I?RAM |SWAP )([A-Za-z][^\s@]*)"
_CORE = re.compile(rf"off|({_N})%(?:@({_N}))?", re.ASCII)
_ANYTHING = re.compile(r"\S+")
_TOKENS: tuple[tuple[re.Pattern[str], Callable[[Line, re.Match[str]], None]], ...] = tuple(
    (re.compile(pattern + r"(?=\s|$)", re.ASCII), take)
    for pattern, take in (
        (r"\d\d-\d\d-\d{4} \d\d:\d\d:\d\d", _ignore),
        (rf"RAM ({_N})/({_N})MB(?: ?\(lfb {_N}x{_N}[kM]B\))?", _memory("jetson_ram", "mb")),
        (rf"SWAP ({_N})/({_N})MB(?: ?\(cached {_N}MB\))?", _memory("jetson_swap", "mb")),
        (rf"IRAM ({_N})/({_N})kB(?: ?\(lfb {_N}kB\))?", _memory("jetson_iram", "kb")),
        (rf"(?:CPU|cpu) \[([^\[\]]*)\](?:@({_N}))?", _cores),
        (rf"EMC(?:_FREQ)? (?=[\d@])(?:({_N})%)?(?:@({_N}))?", _emc),
        (rf"GR3D(2?)(?:_FREQ)? (?=[\d@])(?:({_N})%)?(?:@\[?({_N}(?:,{_N})*)\]?)?", _gpu),
        (rf"MTS fg ({_N})% bg ({_N})%", _threads),
        (rf"({_ENGINES})(?:_FREQ)? (off|(?:({_N})%)?@?({_N}))", _engine),
        (rf"{_NAME}@({_CELSIUS})(?:/{_CELSIUS})?", _zone),
        (rf"{_NAME} (-?{_N})mW(?:/-?{_N}(?:mW)?){{0,2}}", _rail),
        (rf"{_NAME} (-?{_N})(?:/-?{_N}){{1,2}}", _rail),
    )
)
