"""What an export says of itself: application, machine, and a comment that keeps nobody in the dark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from benchlab.capframex.frames import ALL, LEAST_MS, Arranged, Collected, Metric
from benchlab.errors import Exit, Fault

UNKNOWN = "unknown"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

MEANING = {
    "latency": "MsBetweenPresents is the pipeline latency, so fps reads as 1000 / latency",
    "interval": "MsBetweenPresents is the time since the last completed frame, MsPCLatency the latency",
}
DROPS = {
    "latency": "placed at the time of entry, with the MsBetweenPresents of the row before",
    "interval": "placed at the time of entry, with the true time since the last completed frame",
}


@dataclass(frozen=True)
class Machine:
    """The host that was measured, as its session recorded it."""

    os: str = UNKNOWN
    motherboard: str = UNKNOWN
    processor: str = UNKNOWN
    gpu: str = UNKNOWN
    ram: str = UNKNOWN
    gpu_driver: str = UNKNOWN

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Machine:
        """Return what ``host`` of session.json tells; what it does not tell is unknown."""
        return cls(
            os=_fact(facts, "os"),
            motherboard=_fact(facts, "motherboard"),
            processor=_fact(facts, "cpu_model"),
            gpu=_fact(facts, "gpu"),
            ram=_memory(_fact(facts, "memory_total")),
            gpu_driver=_fact(facts, "gpu_driver"),
        )


@dataclass(frozen=True)
class About:
    """Everything an export says besides its frames."""

    application: str
    session: str
    pair: tuple[str, str]
    metric: Metric
    created: datetime
    record_s: float
    machine: Machine
    comment: str
    power_source: str | None
    simulated: str | None

    @property
    def title(self) -> str:
        """Return the name under which CapFrameX lists the capture: simulated data says so there as well."""
        return f"{plain(self.application)} ({self.simulated})" if self.simulated else plain(self.application)


def check_application(name: str) -> str:
    """Return an application name that cannot break a row. Raises Fault (usage)."""
    for bad, called in ((",", "a comma"), ('"', "a quotation mark")):
        if bad in name:
            raise Fault(
                f"application {name!r}: found {called}, expected none: CapFrameX splits rows at commas "
                "and knows no quoting; choose another --application (cx_export.application_name)",
                Exit.USAGE,
            )
    if not name.strip() or not name.isprintable():
        raise Fault(f"application {name!r}: expected a printable name that is not blank", Exit.USAGE)
    return name


def plain(text: str) -> str:
    """Return a text that survives CapFrameX's metadata rules: one line, no ``=``, no ``//``."""
    line = "".join(c if c.isprintable() else " " for c in text).replace("=", ":")
    while "//" in line:
        line = line.replace("//", "/")
    return line.strip()


def moment(ts_ns: int) -> datetime:
    """Return a time of the session's timeline, to the microsecond."""
    return _EPOCH + timedelta(microseconds=ts_ns // 1000)


def iso(ts_ns: int) -> str:
    """Return a time of the session's timeline as ISO 8601 in UTC, to the millisecond."""
    return moment(ts_ns).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def simulated_as(sources: set[str]) -> str | None:
    """Return how far the data is simulated, in two words, or None."""
    if not sources:
        return None
    return "simulated" if ALL in sources else "partly simulated"


def comment(
    about: str, metric: Metric, got: Collected, made: Arranged, simulated: set[str], remarks: Sequence[str]
) -> str:
    """Return the one-line comment: what the figures mean and everything that was decided to write them."""
    said = [about]
    if simulated:
        said.insert(0, "SIMULATED DATA: " + (ALL if ALL in simulated else ", ".join(sorted(simulated))))
    said.append(MEANING[metric])
    said += _about_rows(metric, got, made)
    said += remarks
    said.append("Times are UTC")
    return plain("; ".join(said))


def _about_rows(metric: Metric, got: Collected, made: Arranged) -> list[str]:
    said = []
    if made.drops:
        said.append(f"{count(made.drops, 'dropped frame')} {DROPS[metric]}")
    elif got.drops and not made.leading_drops:
        said.append(f"{count(got.drops, 'dropped frame')} left out")
    if made.leading_drops:
        said.append(f"{count(made.leading_drops, 'dropped frame')} before the first completed one left out")
    if made.openers:
        said.append("the first frame only starts the clock and has no row")
    if made.raised:
        said.append(f"{count(made.raised, 'row')} of less than 1 ns written as {LEAST_MS:.6f} ms")
    if got.by_order:
        said.append(f"{count(got.by_order, 'frame')} paired by order, for want of a frame number")
    if len(got.flows) > 1:
        said.append(f"flows {', '.join(sorted(got.flows))} are mixed, choose one with --flow")
    if got.unusable:
        said.append(f"{count(got.unusable, 'row')} without a usable time or latency left out")
    return said


def power_remark(references: Counter[str], no_power: Counter[str]) -> str:
    """Return where the power of the frames comes from, and how many have none and why."""
    said = "power of frames: " + (", ".join(sorted(references)) or "none")
    missing = [f"{why} {n}" for why, n in sorted(no_power.items())]
    return f"{said}; {count(sum(no_power.values()), 'frame')} without ({', '.join(missing)})" if missing else said


def count(n: int, what: str) -> str:
    """Return ``1 row`` or ``2 rows``."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _fact(facts: dict[str, Any], key: str) -> str:
    value = facts.get(key)
    return plain(str(value)) if value not in (None, "") else UNKNOWN


def _memory(text: str) -> str:
    """Return ``32795736 kB``, as /proc/meminfo has it, in GiB; any other text as it is."""
    number, _, unit = text.partition(" ")
    return f"{int(number) / 1024**2:.1f} GiB" if unit == "kB" and number.isdigit() else text
