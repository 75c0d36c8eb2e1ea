"""What muxd replays, as a plain program: one file, the ``json`` module, the standard library.

    python plain_mux.py RAW_DIR OUT_DIR --pair ingress encoded

It knows what the benchmark's recording needs and no more: frames paired by number, one board and one graphics card
as meters, no restart, no late lines. It writes the same rows as ``muxd --replay --out``.
"""

from __future__ import annotations

import argparse
import json
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

Event = dict[str, Any]

WINDOW_NS = 2_000_000_000
MAX_GAP_NS = 2_500_000_000
GRID_NS = 1_000_000_000
METERS = (("benchlab.usb", "p_sys"), ("gpu.nvml", "power_w"))  # the first that covers a pair counts
SORT_AT = 4096

encode = json.JSONEncoder(separators=(",", ":")).encode


def time_of(event: Event) -> int:
    ts_ns: int = event["ts_ns"]
    return ts_ns


class Stream:
    """One raw file, read once, its events in the order of their time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.highest_ns = -1
        self.periods_ns: dict[str, int] = {}

    def events(self) -> Iterator[Event]:
        disorder_ns = 200_000_000
        highest_ns = -1
        waiting: list[Event] = []
        with self.path.open(encoding="utf-8") as lines:
            for line in lines:
                event = json.loads(line)
                ts_ns = event["ts_ns"]
                if ts_ns > highest_ns:
                    highest_ns = ts_ns
                elif ts_ns < highest_ns - disorder_ns:
                    raise SystemExit(f"{self.path}: a line is late, which this program does not handle")
                if event["source"] == "meta":
                    if event["kv"]["event"] == "start":
                        disorder_ns = int(event["kv"]["disorder_ms"] * 1e6)
                        for row in event["kv"]["sources"]:
                            self.periods_ns[row["source"]] = int(row["period_ms"] * 1e6)
                    continue
                waiting.append(event)
                if len(waiting) == SORT_AT:
                    waiting.sort(key=time_of)
                    cut = bisect_left(waiting, highest_ns - disorder_ns, key=time_of)
                    yield from waiting[:cut]
                    del waiting[:cut]
        waiting.sort(key=time_of)
        yield from waiting
        self.highest_ns = highest_ns


class Meter:
    """The power samples of one source."""

    def __init__(self, source: str, key: str) -> None:
        self.source = source
        self.key = key
        self.name = f"{source}:{key}"
        self.ts_ns: list[int] = []
        self.power_w: list[float] = []
        self.temp_c: list[float] = []
        self.unc_ns: list[int | None] = []
        self.run: list[int] = []  # numbers the stretches without a gap

    def add(self, event: Event) -> None:
        ts_ns = event["ts_ns"]
        if not self.ts_ns:
            self.run.append(0)
        elif ts_ns <= self.ts_ns[-1]:
            return
        else:
            self.run.append(self.run[-1] + (ts_ns - self.ts_ns[-1] > MAX_GAP_NS))
        self.ts_ns.append(ts_ns)
        self.power_w.append(float(event["kv"][self.key]))
        self.temp_c.append(float(event["kv"]["temp_c"]))
        self.unc_ns.append(event.get("unc_ns"))

    def annotate(self, kv: Event, a_ns: int, b_ns: int, end_ns: int) -> str | int | None:
        """Fill in power and energy of [a_ns, b_ns] and return the clock's uncertainty, or say why it cannot be."""
        ts_ns, power_w, temp_c = self.ts_ns, self.power_w, self.temp_c
        if not ts_ns or ts_ns[0] > b_ns:
            return "before_first" if ts_ns and ts_ns[0] <= b_ns + MAX_GAP_NS else "no_source"
        left = bisect_right(ts_ns, a_ns) - 1
        if left < 0:
            return "before_first"
        right = bisect_left(ts_ns, b_ns, left)
        if right == len(ts_ns):
            gone = self.run[left] != self.run[-1] or ts_ns[-1] + MAX_GAP_NS < end_ns
            return "gap" if gone else "after_last"
        if self.run[left] != self.run[right]:
            return "gap"
        twice_ns = a_ns + b_ns  # twice the middle, which need not be a whole number
        at = bisect_left(ts_ns, (twice_ns + 1) // 2, left, right)
        if 2 * ts_ns[at] == twice_ns:
            kv["power_w"] = power_w[at]
            temperature, age_ns = temp_c[at], 0.0
        else:
            before_ns, after_ns = ts_ns[at - 1], ts_ns[at]
            share = (twice_ns - 2 * before_ns) / (2 * (after_ns - before_ns))
            kv["power_w"] = power_w[at - 1] + (power_w[at] - power_w[at - 1]) * share
            temperature = temp_c[at - 1] + (temp_c[at] - temp_c[at - 1]) * share
            age_ns = min(2 * after_ns - twice_ns, twice_ns - 2 * before_ns) / 2
        kv["energy_j"] = self.energy_j(left, right, a_ns, b_ns)
        kv["power_age_ms"] = age_ns / 1e6
        kv["power_source"] = self.name
        kv["temp_c"] = temperature
        return max((unc_ns for unc_ns in self.unc_ns[left : right + 1] if unc_ns is not None), default=None)

    def energy_j(self, left: int, right: int, a_ns: int, b_ns: int) -> float:
        """Return the trapezoid of power over [a_ns, b_ns], stretch by stretch."""
        ts_ns, power_w = self.ts_ns, self.power_w
        joules = 0.0
        for i in range(left, right):
            start_ns, length_ns = ts_ns[i], ts_ns[i + 1] - ts_ns[i]
            from_ns, to_ns = max(a_ns, start_ns), min(b_ns, ts_ns[i + 1])
            slope = (power_w[i + 1] - power_w[i]) / length_ns
            middle_w = power_w[i] + slope * 0.5 * ((from_ns - start_ns) + (to_ns - start_ns))
            joules += middle_w * (to_ns - from_ns) * 1e-9
        return joules


class Signals:
    """The last reading of every source on a grid of one second."""

    def __init__(self) -> None:
        self.last: dict[tuple[str, str], tuple[Event, int]] = {}
        self.rows: list[tuple[int, str, str, str]] = []

    def add(self, event: Event, period_ns: int) -> None:
        address = (event["source"], event.get("dev", ""))
        if address in self.last:
            self.show(address, event["ts_ns"])
        self.last[address] = (event, period_ns)

    def show(self, address: tuple[str, str], until_ns: int) -> None:
        """Add the rows of a source's last reading for the grid times before ``until_ns``."""
        event, period_ns = self.last[address]
        grid_ns = -(-event["ts_ns"] // GRID_NS) * GRID_NS
        while grid_ns < until_ns and grid_ns - event["ts_ns"] <= 2 * period_ns:
            row = {"ts_aligned_ns": grid_ns, "source": event["source"], "kv": event["kv"]}
            row.update((key, event[key]) for key in ("dev", "unc_ns") if key in event)
            self.rows.append((grid_ns, *address, encode(row)))
            grid_ns += GRID_NS

    def write(self, path: Path, end_ns: int) -> None:
        for address in self.last:
            self.show(address, end_ns + 1)
        self.rows.sort()
        with path.open("w", encoding="utf-8") as out:
            out.writelines(f"{row[3]}\n" for row in self.rows)


class Latency:
    """Pairs frames by their number and writes what each cost, in the order of decision."""

    def __init__(self, pair: tuple[str, str], meters: list[Meter], out: TextIO, end_ns: int) -> None:
        self.pair = pair
        self.meters = meters
        self.out = out
        self.end_ns = end_ns
        self.entered: dict[int, int] = {}
        self.open: set[int] = set()
        self.arrived: set[int] = set()
        self.enter_order: deque[tuple[int, int]] = deque()
        self.arrive_order: deque[tuple[int, int]] = deque()

    def add(self, event: Event) -> None:
        ts_ns, stage, frame = event["ts_ns"], event["kv"]["stage"], event["kv"]["frame"]
        self.expire(ts_ns - WINDOW_NS)
        if stage == self.pair[0]:
            if frame in self.entered:
                self.drop(stage, frame, ts_ns, "duplicate", ts_ns)
                return
            self.entered[frame] = ts_ns
            self.open.add(frame)
            self.enter_order.append((ts_ns, frame))
        elif stage == self.pair[1]:
            if frame in self.arrived:
                self.drop(stage, frame, ts_ns, "duplicate", ts_ns)
                return
            self.arrived.add(frame)
            self.arrive_order.append((ts_ns, frame))
            if frame not in self.open:
                self.drop(stage, frame, ts_ns, "orphan", ts_ns)
                return
            self.open.remove(frame)
            self.complete(frame, self.entered[frame], ts_ns)

    def expire(self, horizon_ns: int) -> None:
        while self.enter_order and self.enter_order[0][0] < horizon_ns:
            ts_ns, frame = self.enter_order.popleft()
            del self.entered[frame]
            if frame in self.open:
                self.open.remove(frame)
                self.drop(self.pair[0], frame, ts_ns, "lost", ts_ns + WINDOW_NS)
        while self.arrive_order and self.arrive_order[0][0] < horizon_ns:
            self.arrived.remove(self.arrive_order.popleft()[1])

    def finish(self) -> None:
        self.expire(self.end_ns - WINDOW_NS)
        for ts_ns, frame in self.enter_order:
            if frame in self.open:
                self.drop(self.pair[0], frame, ts_ns, "open_at_end", self.end_ns)

    def complete(self, frame: int, a_ns: int, b_ns: int) -> None:
        kv = {"lat_ms": (b_ns - a_ns) / 1e6, "pair": self.pair, "frame": frame, "match": "frame"}
        row = {"ts_aligned_ns": b_ns, "source": "metric.latency", "kv": kv}
        why = "no_source"
        for meter in self.meters:
            found = meter.annotate(kv, a_ns, b_ns, self.end_ns)
            if not isinstance(found, str):
                if found is not None:
                    row["unc_ns"] = found
                break
            why = found if why == "no_source" else why
        else:
            kv["power_why"] = why
        self.out.write(encode(row) + "\n")

    def drop(self, stage: str, frame: int, ts_ns: int, reason: str, decided_ns: int) -> None:
        kv = {"pair": self.pair, "stage": stage, "frame": frame, "reason": reason, "decided_ns": decided_ns}
        self.out.write(encode({"ts_aligned_ns": ts_ns, "source": "metric.dropped", "kv": kv}) + "\n")


def last_ns(path: Path) -> int:
    """Return the time of a file's last line, its ``stop``."""
    with path.open("rb") as file:
        file.seek(-min(4096, path.stat().st_size), 2)
        return time_of(json.loads(file.read().splitlines()[-1]))


def mux(raw: Path, out: Path, pair: tuple[str, str]) -> None:
    """Write latency.jsonl and signals.jsonl: first the meters as a whole, then the frames as they come."""
    out.mkdir(parents=True, exist_ok=True)
    end_ns = max(last_ns(path) for path in raw.glob("*.jsonl"))
    signals = Signals()
    meters = [Meter(source, key) for source, key in METERS]
    by_source = {meter.source: meter for meter in meters}
    for name in ("benchlab.jsonl", "telemetry.jsonl"):
        stream = Stream(raw / name)
        for event in stream.events():
            signals.add(event, stream.periods_ns[event["source"]])
            if event["source"] in by_source:
                by_source[event["source"]].add(event)
    signals.write(out / "signals.jsonl", end_ns)
    with (out / "latency.jsonl").open("w", encoding="utf-8") as file:
        latency = Latency(pair, meters, file, end_ns)
        for event in Stream(raw / "pipeline.jsonl").events():
            latency.add(event)
        latency.finish()


def main() -> int:
    parser = argparse.ArgumentParser(description="Pair stages and annotate power, plainly.")
    parser.add_argument("raw", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pair", nargs=2, required=True, metavar=("A", "B"))
    args = parser.parse_args()
    mux(args.raw, args.out, (args.pair[0], args.pair[1]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
