"""The engine's answers are those of the slow reference, however its input is cut and wherever it is restarted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab.event import Event, encode_lines
from muxd.engine import Engine, EngineState
from muxd.settings import Settings
from muxd.streams import Hold
from support import mux_oracle as oracle
from support import mux_scenarios as scenarios

EXAMPLES = settings(max_examples=100, deadline=None)
_ROUNDED = 1e-9  # differences of counters: what is left of their digits
CLOSE = dict.fromkeys(("power_w", "energy_j", "temp_c", "power_age_ms", "behind_ms"), 1e-12)
CLOSE |= dict.fromkeys(("share_pct", "cpu_s", "host_cpu_s", "idle_pct", "package_j", "interval_s"), _ROUNDED)


def settings_for(rules: oracle.Rules) -> Settings:
    return Settings(
        pairs=tuple(rules.pairs),
        power_sources=tuple(tuple(entry) for entry in rules.power_sources),
        window_ns=rules.window_ns,
        max_gap_ns=rules.max_gap_ns,
        grid_ns=rules.grid_ns,
    )


class Driven:
    """An engine fed from lists: position in the list stands for the offset in the file."""

    def __init__(self, rules: oracle.Rules, streams: dict[str, list[Event]]) -> None:
        self.engine = Engine(settings_for(rules))
        self.streams = streams
        self.taken = dict.fromkeys(streams, 0)
        self.latency: list[object] = []
        self.signals: list[object] = []

    def feed(self, name: str, count: int) -> None:
        start = self.taken[name]
        rows = [msgspec.structs.replace(event) for event in self.streams[name][start : start + count]]
        self.taken[name] += len(rows)
        assert self.engine.feed(name, rows, lambda i: start + i) == []
        holds = {n: Hold.UNREAD if self.taken[n] < len(e) else Hold.EXCUSED for n, e in self.streams.items()}
        for stream in self.streams:
            self.engine.merger.stream(stream)
        self.take(self.engine.advance(holds))

    def restart(self) -> None:
        state = msgspec.json.decode(msgspec.json.encode(self.engine.state()), type=EngineState)
        self.engine = Engine.restored(self.engine.settings, state)

    def finish(self) -> None:
        self.take(self.engine.finish())

    def take(self, output: Any) -> None:
        self.latency += output.latency
        self.signals += output.signals

    def unfinished(self) -> list[str]:
        return [name for name, events in self.streams.items() if self.taken[name] < len(events)]


def run_whole(rules: oracle.Rules, streams: dict[str, list[Event]]) -> Driven:
    driven = Driven(rules, streams)
    for name, events in streams.items():
        driven.feed(name, len(events))
    driven.finish()
    return driven


def plain(rows: Sequence[object]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(msgspec.json.encode(row)) for row in rows]


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(found) == len(expected), (found, expected)
    for mine, theirs in zip(found, expected, strict=True):
        mine_kv, their_kv = dict(mine["kv"]), dict(theirs["kv"])
        for key in CLOSE:
            a, b = mine_kv.pop(key, None), their_kv.pop(key, None)
            assert (a is None) == (b is None), (mine, theirs)
            assert a is None or math.isclose(a, b, rel_tol=1e-9, abs_tol=CLOSE[key]), (key, mine, theirs)
        assert {**mine, "kv": mine_kv} == {**theirs, "kv": their_kv}


@EXAMPLES
@given(st.integers(0, 2**32))
def test_pairs_power_and_drops_are_those_of_the_slow_reference(seed: int) -> None:
    random = Random(seed)
    rules, streams = scenarios.rules(random), scenarios.session(random)
    driven = run_whole(rules, streams)
    assert_same(plain(driven.latency), oracle.latency_rows(streams, rules))


@EXAMPLES
@given(st.integers(0, 2**32))
def test_signals_and_late_lines_are_those_of_the_slow_reference(seed: int) -> None:
    random = Random(seed)
    rules, streams = scenarios.rules(random), scenarios.session(random)
    driven = run_whole(rules, streams)
    assert_same(plain(driven.signals), oracle.signal_rows(streams, rules))


@EXAMPLES
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_reading_in_pieces_with_restarts_anywhere_changes_no_byte(seed: int, cutting: int) -> None:
    random = Random(seed)
    rules, streams = scenarios.rules(random), scenarios.session(random)
    whole = run_whole(rules, streams)
    random = Random(cutting)
    pieces = Driven(rules, streams)
    while names := pieces.unfinished():
        pieces.feed(random.choice(names), random.choice([1, 1, 2, 5, 20]))
        if random.random() < 0.2:
            pieces.restart()
        if random.random() < 0.1:
            pieces.engine.copy().finish()  # a look at how it would end must leave no trace
    pieces.finish()
    assert encode_lines(pieces.latency) == encode_lines(whole.latency)
    assert encode_lines(pieces.signals) == encode_lines(whole.signals)
