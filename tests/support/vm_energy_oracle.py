"""What muxd must write of the energy of VMs, the slow way: for every event, everything so far is judged anew."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

from benchlab.event import Event
from support.mux_oracle import MS, Line, Rules

Key = tuple[Any, ...]
Row = dict[str, Any]
UNSTATED_NS = 5_000 * MS
VM, RAPL, CPU, META = "vm.libvirt", "cpu.rapl", "cpu.psutil", "meta"
OFF = ("stopped", "shutdown", "crashed")


@dataclass
class Span:
    """An interval of a VM, or (``dev`` None) a window of the rest."""

    dev: str | None
    a: int
    b: int
    cpu_s: float = 0.0
    sim: bool = False
    why: str | None = None


@dataclass
class Gift:
    span: Span
    energy_j: float


class Cost:
    """What the host's lines say about [a, b]."""

    def __init__(self, lines: list[Event], span: Span, now: int, final: bool, rules: Rules) -> None:
        self.sim: dict[str, bool] = {}
        self.why: str | None = None
        self.amounts: list[float] = []
        for source in (RAPL, CPU):
            amounts, why = judged(lines, source, span, now, final, rules)
            if why is not None:
                self.why = why if source == RAPL or why == "pending" else "no_host_cpu"
                return
            self.amounts += amounts
            self.sim[source] = any(e.sim for e in around(readings(lines, source), span))
        if self.amounts[1] <= 0:
            self.why = "no_host_cpu"


def readings(lines: list[Event], source: str) -> list[Event]:
    """The source's readings that count, each newer than all before it."""
    found: list[Event] = []
    for event in lines:
        counts = event.source == source and (source == CPU or "package_j" in event.kv)
        if counts and (not found or event.ts_ns > found[-1].ts_ns):
            found.append(event)
    return found


def around(found: list[Event], span: Span) -> list[Event]:
    """The readings from the last one before a span to the first one after it."""
    first = max(i for i, e in enumerate(found) if e.ts_ns <= span.a)
    last = min((i for i, e in enumerate(found) if e.ts_ns >= span.b), default=len(found) - 1)
    return found[first : last + 1]


def is_cut(lines: list[Event], a: Event, b: Event | None, rules: Rules) -> bool:
    """Whether what is counted at b does not go on from a."""
    start = next(i for i, e in enumerate(lines) if e is a)
    end = len(lines) if b is None else next(i for i, e in enumerate(lines) if e is b)
    for line in lines[start:end]:
        if line.source == META and line.kv["event"] == "source_down" and line.kv["which"] == a.source:
            return True
        if line.source == META and a.source in [row["source"] for row in line.kv.get("sources", [])]:
            return True
    if b is None:
        return False
    if a.source == RAPL and b.kv["package_j"] < a.kv["package_j"]:
        return True
    if a.source == CPU and not ("cpu_util" in b.kv and b.kv.get("cores")):
        return True
    return b.ts_ns - a.ts_ns > rules.max_gap_ns


def judged(
    lines: list[Event], source: str, span: Span, now: int, final: bool, rules: Rules
) -> tuple[list[float], str | None]:
    found = readings(lines, source)
    if not found:
        return [], "no_source" if final or now > span.b + rules.max_gap_ns else "pending"
    if found[0].ts_ns > span.a:
        return [], "before_first"
    part = around(found, span)
    if any(is_cut(lines, a, b, rules) for a, b in itertools.pairwise(part)):
        return [], "gap"
    if part[-1].ts_ns < span.b:
        if is_cut(lines, part[-1], None, rules) or now > part[-1].ts_ns + rules.max_gap_ns:
            return [], "gap"
        return [], "after_last" if final else "pending"
    totals: list[list[float]] = []
    for a, b in itertools.pairwise(part):
        inside = (min(b.ts_ns, span.b) - max(a.ts_ns, span.a)) / 1e9
        if source == RAPL:
            watts = (b.kv["package_j"] - a.kv["package_j"]) / ((b.ts_ns - a.ts_ns) / 1e9)
            totals.append([watts * inside])
        else:
            cores = len(b.kv["cores"])
            totals.append([cores * b.kv["cpu_util"] / 100 * inside, cores * (1 - b.kv["cpu_util"] / 100) * inside])
    return [math.fsum(column) for column in zip(*totals, strict=True)], None


def stated(lines: list[Event]) -> tuple[int, bool]:
    """The period of the VMs and whether they are elsewhere, as told last."""
    period, remote = UNSTATED_NS, False
    for line in lines:
        for row in line.kv.get("sources", []) if line.source == META else ():
            if row["source"] == VM:
                period, remote = int(row.get("period_ms", UNSTATED_NS / MS) * MS), row.get("remote", False)
    return period, remote


def why_none(lines: list[Event], a: int, b: int) -> str | None:
    period, remote = stated(lines)
    return "gap" if (b - a) * 2 > period * 5 else "remote" if remote else None


def intervals(lines: list[Event]) -> list[Span]:
    """Every interval between two events of a VM, in the order of their ends."""
    found: list[Span] = []
    for i, event in enumerate(lines):
        if event.source != VM or "cputime_ns" not in event.kv or event.kv["state"] in OFF:
            continue
        mine = [e for e in lines[:i] if e.source == VM and e.dev == event.dev]
        counted = [e for e in mine if "cputime_ns" in e.kv and e.kv["state"] not in OFF]
        if not counted or event.ts_ns <= counted[-1].ts_ns:
            continue
        before = counted[-1]
        went = any(
            e.kv["state"] in OFF and e.ts_ns > before.ts_ns
            for e in mine[next(k for k, e in enumerate(mine) if e is before) :]
        )
        span = Span(event.dev, before.ts_ns, event.ts_ns, sim=before.sim or event.sim)
        span.cpu_s = (event.kv["cputime_ns"] - before.kv["cputime_ns"]) / 1e9
        if went or event.kv["vmid"] != before.kv["vmid"]:
            span.why = "restarted"
        elif span.cpu_s < 0:
            span.why = "counter_reset"
        else:
            span.why = why_none(lines[: i + 1], span.a, span.b)
        found.append(span)
    return found


def windows(lines: list[Event]) -> list[Span]:
    """From the first event of a poll to that of the next: a poll ends where a VM is there again."""
    found: list[Span] = []
    poll: list[Event] = []
    for i, event in enumerate(lines):
        if event.source != VM:
            continue
        if event.dev in [e.dev for e in poll]:
            if event.ts_ns > poll[0].ts_ns:
                a, b = poll[0].ts_ns, event.ts_ns
                found.append(Span(None, a, b, why=why_none(lines[: i + 1], a, b)))
            poll = []
        poll.append(event)
    return found


def is_heard(lines: list[Event], window: Span, undecided: list[Span], now: int) -> bool:
    if any(span.a < window.b for span in undecided):
        return False
    for dev in {e.dev for e in lines if e.source == VM}:
        mine = [e for e in lines if e.source == VM and e.dev == dev]
        counted = [e for e in mine if "cputime_ns" in e.kv and e.kv["state"] not in OFF]
        if not counted or counted[-1].ts_ns >= window.b or (now - counted[-1].ts_ns) * 2 > stated(lines)[0] * 5:
            continue
        since = mine[next(k for k, e in enumerate(mine) if e is counted[-1]) :]
        if not any(e.kv["state"] in OFF and e.ts_ns > counted[-1].ts_ns for e in since):
            return False
    return True


def energy_rows(used: list[Line], end: int, rules: Rules) -> list[tuple[Key, Row]]:
    """Every row with the key that orders it: the event that decides it, then its turn."""
    history = [line for line in used if line.event.source in (VM, RAPL, CPU, META) and is_told(line.event)]
    story = Story(rules)
    for k, line in enumerate(history):
        story.go_on([one.event for one in history[: k + 1]], line.event.ts_ns, (line.event.ts_ns, 0, line.order))
    story.go_on([one.event for one in history], end, (end + 1, 9), final=True)
    return story.rows


def is_told(event: Event) -> bool:
    return event.source != META or event.kv["event"] in ("start", "stop", "source_down", "source_up")


class Story:
    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.rows: list[tuple[Key, Row]] = []
        self.decided = self.closed = 0
        self.gifts: list[Gift] = []
        self.told: dict[str | None, str] = {}

    def go_on(self, lines: list[Event], now: int, key: Key, final: bool = False) -> None:
        spans = intervals(lines)
        while self.decided < len(spans) and self.decide(lines, spans[self.decided], now, final, key):
            self.decided += 1
        rests = windows(lines)
        while self.closed < len(rests):
            window = rests[self.closed]
            if not (final or is_heard(lines, window, spans[self.decided :], now)):
                break
            if not self.decide(lines, window, now, final, key):
                break
            self.closed += 1

    def decide(self, lines: list[Event], span: Span, now: int, final: bool, key: Key) -> bool:
        cost = None if span.why else Cost(lines, span, now, final, self.rules)
        why = span.why if cost is None else cost.why
        if why == "pending":
            return False
        row: Row = {"ts_aligned_ns": span.b, "source": "metric.vm_energy"}
        parts = [g for g in self.gifts if g.span.a < span.b and g.span.b > span.a] if span.dev is None else []
        if why is not None:
            if self.told.get(span.dev) != why:
                self.told[span.dev] = why
                row["kv"] = {"energy_why": why}
                if span.sim or any(g.span.sim for g in parts):
                    row["sim"] = True
                self.add(key, span, row)
            return True
        assert cost is not None
        self.told.pop(span.dev, None)
        package_j, busy_s, idle_s = cost.amounts
        if span.dev is None:
            shares = [(min(g.span.b, span.b) - max(g.span.a, span.a)) / (g.span.b - g.span.a) for g in parts]
            cpu_s = busy_s - math.fsum(g.span.cpu_s * s for g, s in zip(parts, shares, strict=True))
            energy_j = package_j - math.fsum(g.energy_j * s for g, s in zip(parts, shares, strict=True))
        else:
            cpu_s, energy_j = span.cpu_s, package_j * span.cpu_s / busy_s
            self.gifts.append(Gift(span, energy_j))
        seconds = (span.b - span.a) / 1e9
        row["kv"] = {"energy_j": energy_j, "power_w": energy_j / seconds}
        if package_j > 0:
            row["kv"]["share_pct"] = energy_j / package_j * 100
        row["kv"] |= {"cpu_s": cpu_s, "host_cpu_s": busy_s, "idle_pct": idle_s / (idle_s + busy_s) * 100}
        row["kv"]["interval_s"] = seconds
        of = dict(cost.sim)
        if span.dev is None:
            row["kv"] |= {"package_j": package_j, "vms": len(parts)}
        if span.dev is not None or parts:
            of[VM] = span.sim or any(g.span.sim for g in parts)
        if any(of.values()):
            row["sim"] = True
            if not all(of.values()):
                row["sim_of"] = sorted(name for name, sim in of.items() if sim)
        self.add(key, span, row)
        return True

    def add(self, key: Key, span: Span, row: Row) -> None:
        if span.dev is not None:
            row["dev"] = span.dev
        self.rows.append(((*key, len(self.rows)), row))
