"""What muxd must write, computed the slow and obvious way: whole lists, every rule by itself, no state.

Independent of the engine: it shares only the event type. Everything is quadratic or worse on purpose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from benchlab.event import Event

MS = 1_000_000
ENERGY_KEYS = {("gpu.nvml", "power_w"): "energy_j", ("cpu.rapl", "package_w"): "package_j"}
COUNTED_FROM_NS = {"gpu.nvml": 1000 * MS}  # its counter moves every 100 ms at the latest, and ten steps are asked for


@dataclass
class Line:
    """One raw line with its place."""

    stream: str
    position: int
    event: Event

    @property
    def order(self) -> tuple[int, str, int]:
        return (self.event.ts_ns, self.stream, self.position)


@dataclass
class Rules:
    pairs: list[tuple[str, str]]
    power_sources: list[list[str]]
    window_ns: int
    max_gap_ns: int
    grid_ns: int


@dataclass
class Verdict:
    """A decision with the key that orders it: time, events before deadlines, then the deciding event, then pair."""

    key: tuple[Any, ...]
    row: dict[str, Any]
    a: Line | None = None
    b: Line | None = None


@dataclass
class Judged:
    used: list[Line] = field(default_factory=list)
    late: list[tuple[tuple[int, str, int], dict[str, Any]]] = field(default_factory=list)


def judge(streams: dict[str, list[Event]]) -> Judged:
    """Split the lines into used and late: more than the stream's disorder below the highest line before it."""
    judged = Judged()
    for stream, events in streams.items():
        floor, highest, disorder = -1, -1, 200 * MS
        for position, event in enumerate(events):
            highest = max(highest, event.ts_ns)
            floor = max(floor, event.ts_ns - disorder)
            late = event.ts_ns < floor
            if event.source == "meta" and event.kv["event"] == "start":
                disorder = int(event.kv.get("disorder_ms", 200) * MS)
            if not late:
                judged.used.append(Line(stream, position, event))
            else:
                kv = {"stream": stream, "offset": position, "behind_ms": (highest - event.ts_ns) / MS}
                row: dict[str, Any] = {"ts_aligned_ns": event.ts_ns, "source": "metric.late", "kv": kv}
                judged.late.append(((highest, stream, position), row))
    judged.used.sort(key=lambda line: line.order)
    return judged


def end_of(streams: dict[str, list[Event]]) -> int:
    return max(event.ts_ns for events in streams.values() for event in events)


def latency_rows(streams: dict[str, list[Event]], rules: Rules) -> list[dict[str, Any]]:
    used = judge(streams).used
    end = end_of(streams)
    stages = [line for line in used if line.event.source == "pipeline"]
    verdicts = [v for pair in range(len(rules.pairs)) for v in decide(stages, pair, rules, end)]
    verdicts.sort(key=lambda v: v.key)
    return [complete(verdict, used, rules, end) for verdict in verdicts]


def decide(stages: list[Line], pair: int, rules: Rules, end: int) -> list[Verdict]:  # noqa: C901 - one rule after the other, on purpose
    """Go through one pair's events; ``partner`` and ``seen`` are looked up among all earlier ones."""
    a_stage, b_stage = rules.pairs[pair]
    verdicts: list[Verdict] = []
    firsts: list[Line] = []  # counted first-stage events
    seconds: list[Line] = []  # counted second-stage events
    taken: dict[int, str] = {}  # id of a first-stage line -> why it is not open any more

    def alive(line: Line, now: int) -> bool:
        return now - line.event.ts_ns <= rules.window_ns

    def drop(line: Line, stage: str, reason: str, key: tuple[Any, ...], decided: int) -> None:
        kv: dict[str, Any] = {"pair": [a_stage, b_stage], "stage": stage, **shown(line.event)}
        kv |= {"reason": reason, "decided_ns": decided}
        row: dict[str, Any] = {"ts_aligned_ns": line.event.ts_ns, "source": "metric.dropped", "kv": kv}
        if line.event.sim:
            row["sim"] = True
        verdicts.append(Verdict(key, row))

    for line in stages:
        event, now = line.event, line.event.ts_ns
        here = (now, 0, line.order)
        if event.kv["stage"] == a_stage:
            mine = primary(event)
            known = [f for f in firsts if alive(f, now) and mine is not None and mine in found_under(f, firsts, rules)]
            if known:
                drop(line, a_stage, "duplicate", (*here, pair, 0), now)
            else:
                firsts.append(line)
        if event.kv["stage"] == b_stage:
            mine = primary(event)
            if mine is None:
                waiting = [
                    f
                    for f in firsts
                    if alive(f, now) and id(f) not in taken and primary(f.event) is None and same_flow(f, line)
                ]
                for sub, older in enumerate(waiting[:-1]):
                    taken[id(older)] = "lost"
                    drop(older, a_stage, "lost", (*here, pair, sub), now)
                if waiting:
                    taken[id(waiting[-1])] = "paired"
                    verdicts.append(paired(waiting[-1], line, "order", pair, rules, (*here, pair, len(waiting))))
                else:
                    drop(line, b_stage, "orphan", (*here, pair, 0), now)
                continue
            if any(alive(s, now) and primary(s.event) == mine for s in seconds):
                drop(line, b_stage, "duplicate", (*here, pair, 0), now)
                continue
            seconds.append(line)
            match = None
            for how, key in identities(event):
                partners = [f for f in firsts if alive(f, now) and key in found_under(f, firsts, rules)]
                if partners and id(partners[0]) not in taken:
                    match = (partners[0], how)
                    break
            if match is None:
                drop(line, b_stage, "orphan", (*here, pair, 0), now)
            else:
                taken[id(match[0])] = "paired"
                verdicts.append(paired(match[0], line, match[1], pair, rules, (*here, pair, 0)))
    for line in firsts:
        if id(line) in taken:
            continue
        deadline = line.event.ts_ns + rules.window_ns
        if deadline < end:
            drop(line, a_stage, "lost", (deadline, 1, line.order, pair, 0), deadline)
        else:
            drop(line, a_stage, "open_at_end", (end, 2, line.order, pair, 0), end)
    return verdicts


def same_flow(a: Line, b: Line) -> bool:
    return bool(a.event.kv.get("flow", "") == b.event.kv.get("flow", ""))


def identities(event: Event) -> list[tuple[str, tuple[Any, ...]]]:
    flow = event.kv.get("flow", "")
    found: list[tuple[str, tuple[Any, ...]]] = []
    if "frame" in event.kv:
        found.append(("frame", (flow, "frame", event.kv["frame"])))
    if "pts_ns" in event.kv:
        found.append(("pts", (flow, "pts", event.kv["pts_ns"])))
    return found


def primary(event: Event) -> tuple[Any, ...] | None:
    found = identities(event)
    return found[0][1] if found else None


def found_under(first: Line, firsts: list[Line], rules: Rules) -> set[tuple[Any, ...]]:
    """The identities by which a first stage is found: its primary one, and its pts unless that was taken then.

    ``firsts`` is in order; the answer for each of them is built up from the front.
    """
    under: dict[int, set[tuple[Any, ...]]] = {}
    for i, line in enumerate(firsts):
        keys = [key for _, key in identities(line.event)]
        near = [f for f in firsts[:i] if line.event.ts_ns - f.event.ts_ns <= rules.window_ns]
        free = [key for key in keys[1:] if not any(key in under[id(f)] for f in near)]
        under[id(line)] = {*keys[:1], *free}
        if line is first:
            break
    return under[id(first)]


def shown(event: Event) -> dict[str, Any]:
    return {k: event.kv[k] for k in ("flow", "frame", "pts_ns") if k in event.kv}


def paired(a: Line, b: Line, how: str, pair: int, rules: Rules, key: tuple[Any, ...]) -> Verdict:
    kv: dict[str, Any] = {"lat_ms": (b.event.ts_ns - a.event.ts_ns) / MS, "pair": list(rules.pairs[pair])}
    if "flow" in a.event.kv:
        kv["flow"] = a.event.kv["flow"]
    frame = a.event.kv.get("frame", b.event.kv.get("frame"))
    if frame is not None and how != "order":
        kv["frame"] = frame
    if how == "pts":
        kv["pts_ns"] = b.event.kv["pts_ns"]
    kv["match"] = how
    return Verdict(key, {"ts_aligned_ns": b.event.ts_ns, "source": "metric.latency", "kv": kv}, a, b)


# --- power ---------------------------------------------------------------------------------------------------


@dataclass
class Meter:
    """One series: its samples and the times at which its source said that it is gone."""

    source: str
    dev: str | None
    key: str
    samples: list[Event]
    gone: list[int]
    averaged: dict[int, int | None]

    def runs(self, i: int, max_gap_ns: int) -> bool:
        """Whether sample i and the next belong together."""
        a, b = self.samples[i].ts_ns, self.samples[i + 1].ts_ns
        return b - a <= max_gap_ns and not any(self.left_between(i, t) for t in self.gone)

    def left_between(self, i: int, t: int) -> bool:
        return self.samples[i].ts_ns <= t <= self.samples[i + 1].ts_ns

    def away_over(self, a: int, b: int) -> bool:
        for t in self.gone:
            before = [s for s in self.samples if s.ts_ns <= t]
            after = [s for s in self.samples if s.ts_ns > t]
            if before and t <= a and (not after or after[0].ts_ns > b):
                return True
        return False


def meters(used: list[Line], rules: Rules) -> list[Meter]:
    found: dict[tuple[str, str | None, str], Meter] = {}
    averaged: dict[str, int] = {}
    for line in used:
        event = line.event
        if event.source == "meta":
            for row in event.kv.get("sources", []) if event.kv["event"] == "start" else []:
                if "window_ms" in row:
                    averaged[row["source"]] = int(row["window_ms"] * MS)
            if event.kv["event"] == "source_down":
                for meter in found.values():
                    if meter.source == event.kv["which"] and event.dev in (None, meter.dev) and meter.samples:
                        meter.gone.append(event.ts_ns)
            continue
        for key in {m.partition(":")[2] for entry in rules.power_sources for m in entry if names(m, event.source)}:
            meter = found.setdefault((event.source, event.dev, key), Meter(event.source, event.dev, key, [], [], {}))
            value = event.kv.get(key)
            if value is None or (meter.samples and meter.samples[-1].ts_ns == event.ts_ns):
                continue
            meter.averaged[len(meter.samples)] = averaged.get(event.source)
            meter.samples.append(event)
    return list(found.values())


def names(member: str, source: str) -> bool:
    return fnmatchcase(source, member.partition(":")[0])


RANK = ["no_source", "before_first", "gap", "after_last"]


def worst(reasons: list[str]) -> str:
    return min(reasons, key=RANK.index)


def bracket(meter: Meter, a: int, b: int, end: int, rules: Rules) -> tuple[int, int] | str:
    left = [i for i, s in enumerate(meter.samples) if s.ts_ns <= a]
    if not left:
        return "before_first"
    right = [i for i, s in enumerate(meter.samples) if s.ts_ns >= b and i >= left[-1]]
    stop = right[0] if right else len(meter.samples) - 1
    if not all(meter.runs(i, rules.max_gap_ns) for i in range(left[-1], stop)):
        return "gap"
    if right:
        return left[-1], right[0]
    last = meter.samples[-1].ts_ns
    if any(t >= last for t in meter.gone) or last + rules.max_gap_ns < end:
        return "gap"
    return "after_last"


def member_brackets(
    member: str, all_meters: list[Meter], a: int, b: int, end: int, rules: Rules
) -> list[tuple[Meter, int, int]] | str:
    key = member.partition(":")[2]
    mine = [m for m in all_meters if names(member, m.source) and m.key == key and m.samples]
    reason = "no_source"
    for source in sorted({m.source for m in mine}):
        group = sorted((m for m in mine if m.source == source), key=lambda m: m.dev or "")
        part = [m for m in group if m.samples[0].ts_ns <= b and not m.away_over(a, b)]
        found = [(m, bracket(m, a, b, end, rules)) for m in part]
        failed = [f for _, f in found if isinstance(f, str)]
        if found and not failed:
            return [(m, f[0], f[1]) for m, f in found if not isinstance(f, str)]
        if failed and reason == "no_source":
            reason = worst(failed)
    return reason


def complete(verdict: Verdict, used: list[Line], rules: Rules, end: int) -> dict[str, Any]:
    """Add power, energy and what is known of them to a pair's row."""
    row = verdict.row
    if verdict.a is None or verdict.b is None:
        return row
    a, b = verdict.a.event.ts_ns, verdict.b.event.ts_ns
    stage_unc = [e.unc_ns for e in (verdict.a.event, verdict.b.event) if e.unc_ns is not None]
    uncertainties = [sum(stage_unc)] if stage_unc else []
    sims = {"pipeline": verdict.a.event.sim or verdict.b.event.sim}
    all_meters = meters(used, rules)
    reason = "no_source"
    for entry in rules.power_sources:
        parts = [member_brackets(m, all_meters, a, b, end, rules) for m in entry]
        failed = [p for p in parts if isinstance(p, str)]
        if failed:
            reason = worst(failed) if reason == "no_source" else reason
            continue
        chosen = [x for p in parts if not isinstance(p, str) for x in p]
        annotate(row["kv"], chosen, a, b, rules)
        for meter, i, j in chosen:
            inputs = meter.samples[i : j + 1]
            uncertainties += [s.unc_ns for s in inputs if s.unc_ns is not None]
            sims[meter.source] = sims.get(meter.source, False) or any(s.sim for s in inputs)
        break
    else:
        if reason == "no_source" and any(begins(entry, all_meters, b) for entry in rules.power_sources):
            reason = "gap"
        if reason == "no_source" and any(
            begins(entry, all_meters, b + rules.max_gap_ns) for entry in rules.power_sources
        ):
            reason = "before_first"
        row["kv"]["power_why"] = reason
    if uncertainties:
        row["unc_ns"] = max(uncertainties)
    if any(sims.values()):
        row["sim"] = True
        if not all(sims.values()):
            row["sim_of"] = sorted(s for s, sim in sims.items() if sim)
    return row


def begins(entry: list[str], all_meters: list[Meter], by: int) -> bool:
    return all(
        any(
            names(member, m.source) and m.key == member.partition(":")[2] and m.samples and m.samples[0].ts_ns <= by
            for m in all_meters
        )
        for member in entry
    )


def annotate(kv: dict[str, Any], chosen: list[tuple[Meter, int, int]], a: int, b: int, rules: Rules) -> None:
    middle = a + Fraction(b - a, 2)
    kv["power_w"] = math.fsum(value_at(m, m.key, middle) for m, _, _ in chosen)
    kv["energy_j"] = math.fsum(energy(m, i, j, a, b) for m, i, j in chosen)
    kv["power_age_ms"] = float(max(min(abs(s.ts_ns - middle) for s in m.samples) for m, _, _ in chosen) / MS)
    kv["power_source"] = "+".join(dict.fromkeys(f"{m.source}:{m.key}" for m, _, _ in chosen))
    if any((m.averaged[k] or 0) > b - a for m, i, j in chosen for k in range(i, j + 1)):
        kv["power_method"] = "window"
    temperature = value_at(chosen[0][0], "temp_c", middle)
    if temperature is not None:
        kv["temp_c"] = temperature


def value_at(meter: Meter, key: str, at: Fraction) -> Any:
    """Linear between the neighbours; None where one of them lacks the value."""
    exact = [s for s in meter.samples if s.ts_ns == at]
    if exact:
        return exact[0].kv.get(key)
    before = [s for s in meter.samples if s.ts_ns < at][-1]
    after = next(s for s in meter.samples if s.ts_ns > at)
    if before.kv.get(key) is None or after.kv.get(key) is None:
        return None
    share = float((at - before.ts_ns) / (after.ts_ns - before.ts_ns))
    return before.kv[key] + (after.kv[key] - before.kv[key]) * share


def energy(meter: Meter, i: int, j: int, a: int, b: int) -> float:
    """Sum over the stretches between samples, each cut to [a, b]."""
    parts = []
    for k in range(i, j):
        left, right = meter.samples[k], meter.samples[k + 1]
        lo, hi = max(a, left.ts_ns), min(b, right.ts_ns)
        if hi <= lo:
            continue
        is_short = b - a < COUNTED_FROM_NS.get(meter.source, 0)
        counter = None if is_short else ENERGY_KEYS.get((meter.source, meter.key))
        c0, c1 = (left.kv.get(counter), right.kv.get(counter)) if counter else (None, None)
        length = right.ts_ns - left.ts_ns
        if c0 is not None and c1 is not None and c1 >= c0:
            parts.append((c1 - c0) * (hi - lo) / length)
        else:
            slope = (right.kv[meter.key] - left.kv[meter.key]) / length
            w_lo = left.kv[meter.key] + slope * (lo - left.ts_ns)
            w_hi = left.kv[meter.key] + slope * (hi - left.ts_ns)
            parts.append((w_lo + w_hi) / 2 * (hi - lo) * 1e-9)
    return math.fsum(parts)


# --- signals -------------------------------------------------------------------------------------------------


def signal_rows(streams: dict[str, list[Event]], rules: Rules) -> list[dict[str, Any]]:
    from support.vm_energy_oracle import energy_rows

    judged = judge(streams)
    end = end_of(streams)
    readings = [x for x in judged.used if x.event.source not in ("pipeline", "meta", "bookmark")]
    keyed: list[tuple[tuple[Any, ...], dict[str, Any]]] = [((key[0], 0, key), row) for key, row in judged.late]
    first = min((line.event.ts_ns for line in readings), default=end + 1)
    grid = -(-first // rules.grid_ns) * rules.grid_ns
    while grid <= end:
        for source, dev in sorted({(x.event.source, x.event.dev or "") for x in readings}):
            before = [x for x in readings if (x.event.source, x.event.dev or "") == (source, dev)]
            before = [x for x in before if x.event.ts_ns <= grid]
            if not before or grid - before[-1].event.ts_ns > 2 * period(judged.used, source, grid, rules):
                continue
            event = before[-1].event
            row: dict[str, Any] = {"ts_aligned_ns": grid, "source": source}
            row["kv"] = {k: v for k, v in event.kv.items() if not isinstance(v, list)}
            row |= {k: v for k, v in (("dev", event.dev), ("unc_ns", event.unc_ns)) if v is not None}
            if event.sim:
                row["sim"] = True
            keyed.append(((grid, 1, (source, dev)), row))
        grid += rules.grid_ns
    keyed += energy_rows(judged.used, end, rules)
    keyed.sort(key=lambda pair: pair[0])
    return [row for _, row in keyed]


def period(used: list[Line], source: str, at: int, rules: Rules) -> int:
    stated = rules.max_gap_ns // 2
    for line in used:
        event = line.event
        if event.ts_ns <= at and event.source == "meta" and event.kv["event"] == "start":
            for row in event.kv.get("sources", []):
                if row["source"] == source and "period_ms" in row:
                    stated = int(row["period_ms"] * MS)
    return stated
