"""The ledger of one pair of stages: every used stage event is in a pair, or in a drop with its reason.

Judged from the aligned rows alone, never from muxd's own counters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from benchctl.stream_ledger import Finding
from benchlab.event import Aligned
from benchlab.query.aligned import DROPPED, LATENCY, pair_of


class PairLedger(msgspec.Struct):
    """The account of one pair: ``events`` used of a stage = ``pairs`` + its ``drops`` + its ``pending``.

    ``drops`` counts by stage and reason. ``pending`` events have no row yet: none in a finished session.
    """

    pair: tuple[str, str]
    events: dict[str, int] = msgspec.field(default_factory=dict)
    pairs: int = 0
    drops: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    pending: dict[str, int] = msgspec.field(default_factory=dict)
    matched_by_order: int = 0
    negative: int = 0

    def drops_by_reason(self) -> dict[str, int]:
        """Return the number of dropped rows for each reason."""
        reasons: dict[str, int] = {}
        for by_reason in self.drops.values():
            for reason, count in by_reason.items():
                reasons[reason] = reasons.get(reason, 0) + count
        return dict(sorted(reasons.items()))

    def dropped(self, stage: str) -> int:
        """Return the number of dropped rows of a stage."""
        return sum(self.drops.get(stage, {}).values())


class PairAudit:
    """Fills one PairLedger per pair from aligned rows; ``pairs`` are those that muxd was told to make."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.ledgers = {pair: PairLedger(pair) for pair in pairs}
        self.unexpected: dict[str, int] = {}

    def feed(self, rows: Iterable[Aligned]) -> None:
        """Account for rows of ``latency.jsonl``; what is no pair or drop of a known pair is unexpected."""
        for row in rows:
            ledger = self._ledger_of(row)
            if ledger is None:
                continue
            if row.source == LATENCY:
                self._take_pair(ledger, row)
            else:
                self._take_drop(ledger, row)

    def _ledger_of(self, row: Aligned) -> PairLedger | None:
        pair = pair_of(row)
        ledger = None if pair is None else self.ledgers.get(pair)
        if ledger is None or row.source not in (LATENCY, DROPPED):
            what = f"{row.source} of {' -> '.join(pair) if pair else 'no pair'}"
            self.unexpected[what] = self.unexpected.get(what, 0) + 1
            return None
        return ledger

    def _take_pair(self, ledger: PairLedger, row: Aligned) -> None:
        ledger.pairs += 1
        if row.kv.get("match") == "order":
            ledger.matched_by_order += 1
        lat_ms = row.kv.get("lat_ms")
        if not isinstance(lat_ms, (int, float)) or not lat_ms >= 0:
            ledger.negative += 1

    def _take_drop(self, ledger: PairLedger, row: Aligned) -> None:
        stage, reason = str(row.kv.get("stage")), str(row.kv.get("reason"))
        by_reason = ledger.drops.setdefault(stage, {})
        by_reason[reason] = by_reason.get(reason, 0) + 1

    def settle(self, stages: Mapping[str, int], file: str, *, finished: bool) -> list[Finding]:
        """Compare with the used stage events and return what does not balance.

        In a session that is not ``finished`` events may still wait for their row; never the other way round.
        """
        findings = [
            Finding("unexpected_row", file, f"{count} row(s) that no pair accounts for: {what}")
            for what, count in self.unexpected.items()
        ]
        for ledger in self.ledgers.values():
            findings += _settle(ledger, stages, file, finished)
        return findings


def _settle(ledger: PairLedger, stages: Mapping[str, int], file: str, finished: bool) -> list[Finding]:
    name = " -> ".join(ledger.pair)
    findings = []
    for stage in ledger.pair:
        used, dropped = stages.get(stage, 0), ledger.dropped(stage)
        ledger.events[stage] = used
        ledger.pending[stage] = used - ledger.pairs - dropped
        if ledger.pending[stage] < 0 or (finished and ledger.pending[stage]):
            message = (
                f"{name}: {used} used events of stage {stage}, "
                f"but {ledger.pairs} in pairs + {dropped} in drops = {ledger.pairs + dropped}"
            )
            findings.append(Finding("imbalance", file, message))
    for stage in ledger.drops.keys() - set(ledger.pair):
        message = f"{name}: {ledger.dropped(stage)} drop(s) of stage {stage}, which is not in the pair"
        findings.append(Finding("imbalance", file, message))
    if ledger.negative:
        message = f"{name}: {ledger.negative} pair(s) with a latency that is negative or no number"
        findings.append(Finding("bad_latency", file, message))
    return findings
