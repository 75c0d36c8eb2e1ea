"""The ledgers, on session folders written by hand: each kind of damage is found, and named with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchctl.audit import NOT_FINISHED, NOT_RUN, REBUILDING, STAMP_FRAME, STILL_OPEN, Report, audit_session
from benchctl.stream_audit import audit_stream, count_lines, line_numbers
from benchctl.stream_ledger import LISTED

T0 = 1_763_800_000_000_000_000
MS = 1_000_000
HOUR_MS = 3_600_000

Line = dict[str, Any]


def event(ms: float, seq: int | None = None, source: str = "cpu.psutil", **kv: Any) -> Line:
    stamped = {} if seq is None else {"seq": seq}
    return {"ts_ns": T0 + int(ms * MS), "source": source, **stamped, "kv": kv}


def told(ms: float, seq: int, what: str, **fields: Any) -> Line:
    return event(ms, seq, "meta", event=what, **fields)


def stage(ms: float, seq: int, name: str, **identity: Any) -> Line:
    return event(ms, seq, "pipeline", stage=name, **identity)


def encoded(lines: list[Line | bytes]) -> bytes:
    return b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)


def write(path: Path, lines: list[Line | bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(lines))
    return path


def kinds(report: Report) -> list[str]:
    return [finding.kind for finding in report.findings]


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.jsonl"


class SessionFolder:
    """A session of three frames, the third of them lost, as muxd leaves it; tests damage it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.raw: list[Line | bytes] = [
            told(0, 0, "start", disorder_ms=20),
            *(stage(10 * n, 2 * n - 1, "ingress", frame=n) for n in (1, 2, 3)),
            *(stage(10 * n + 5, 10 + n, "encoded", frame=n) for n in (1, 2)),
            told(100, 99, "stop"),
        ]
        for seq, line in enumerate(self.raw):
            assert isinstance(line, dict)
            line["seq"] = seq
        self.rows: list[Line] = [self.pair(1), self.pair(2), self.drop(3, "ingress", "lost")]
        self.late: list[Line] = []
        self.state: Line = {"version": 1, "generation": 1, "final": True}
        self.pairs = [["ingress", "encoded"]]
        self.counts: Line = {}

    @staticmethod
    def pair(frame: int, **more: Any) -> Line:
        kv = {"lat_ms": 5.0, "pair": ["ingress", "encoded"], "frame": frame, "match": "frame", **more}
        return {"ts_aligned_ns": T0 + (10 * frame + 5) * MS, "source": "metric.latency", "kv": kv}

    @staticmethod
    def drop(frame: int, at: str, reason: str) -> Line:
        kv = {"pair": ["ingress", "encoded"], "stage": at, "frame": frame, "reason": reason}
        return {"ts_aligned_ns": T0 + 10 * frame * MS, "source": "metric.dropped", "kv": kv}

    def audit(self, *, closed: bool = True) -> Report:
        raw = write(self.folder / "raw" / "pipeline.jsonl", self.raw)
        latency = write(self.folder / "aligned" / "latency.jsonl", [*self.rows])
        late = write(self.folder / "aligned" / "late.jsonl", [*self.late])
        taken = {"offset": raw.stat().st_size, "lines": len(self.raw), "late": 0, "bad": 0, **self.counts}
        outputs = {"latency.jsonl": latency.stat().st_size, "late.jsonl": late.stat().st_size}
        made = {"outputs": outputs, "streams": {"pipeline.jsonl": taken}, "settings": {"pairs": self.pairs}}
        write(self.folder / "state" / "mux.json", [{**made, **self.state}])
        return audit_session(self.folder, closed=closed)


@pytest.fixture
def session(tmp_path: Path) -> SessionFolder:
    return SessionFolder(tmp_path / "s")


def test_whole_session_is_balanced(session: SessionFolder) -> None:
    report = session.audit()
    assert report.findings == []
    assert report.advice == []
    assert report.finished
    (ledger,) = report.pairs
    assert (ledger.events, ledger.pairs) == ({"ingress": 3, "encoded": 2}, 2)
    assert ledger.drops_by_reason() == {"lost": 1}
    assert ledger.pending == {"ingress": 0, "encoded": 0}


def test_missing_pair_row_is_an_imbalance_of_both_stages(session: SessionFolder) -> None:
    del session.rows[0]
    report = session.audit()
    assert kinds(report) == ["imbalance", "imbalance"]
    assert "3 used events of stage ingress, but 1 in pairs + 1 in drops = 2" in report.findings[0].message
    assert report.findings[0].file == "aligned/latency.jsonl"


def test_drop_written_twice_is_an_imbalance_even_in_an_open_session(session: SessionFolder) -> None:
    session.rows.append(session.drop(3, "ingress", "lost"))
    session.state["final"] = False
    assert kinds(session.audit(closed=False)) == ["imbalance"]


def test_events_that_wait_in_an_open_session_are_pending_and_no_finding(session: SessionFolder) -> None:
    del session.rows[2]
    session.state["final"] = False
    report = session.audit(closed=False)
    assert report.findings == []
    assert report.pairs[0].pending == {"ingress": 1, "encoded": 0}
    assert report.advice == [STILL_OPEN]


def test_drop_of_a_stage_outside_the_pair_is_an_imbalance(session: SessionFolder) -> None:
    session.rows.append(session.drop(3, "sent", "orphan"))
    assert kinds(session.audit()) == ["imbalance"]


def test_rows_of_a_pair_that_muxd_was_not_told_to_make_are_found(session: SessionFolder) -> None:
    session.rows.append(session.pair(9, pair=["encoded", "sent"]))
    report = session.audit()
    assert kinds(report) == ["unexpected_row"]
    assert "encoded -> sent" in report.findings[0].message


@pytest.mark.parametrize("lat_ms", [-0.001, None, "5"])
def test_negative_or_missing_latency_is_found(session: SessionFolder, lat_ms: object) -> None:
    session.rows[0]["kv"]["lat_ms"] = lat_ms
    assert kinds(session.audit()) == ["bad_latency"]


def test_duplicates_orphans_and_open_frames_each_account_for_one_event(session: SessionFolder) -> None:
    more = [stage(31, 7, "ingress", frame=3), stage(32, 8, "encoded", frame=9), stage(90, 9, "ingress", frame=4)]
    session.raw[-1:] = [stage(25, 6, "encoded", frame=0), *more, told(100, 10, "stop")]
    session.rows += [
        session.drop(3, "ingress", "duplicate"),
        session.drop(9, "encoded", "orphan"),
        session.drop(4, "ingress", "open_at_end"),
        session.drop(0, "encoded", "open_at_start"),
    ]
    report = session.audit()
    assert report.findings == []
    assert report.pairs[0].drops_by_reason() == {
        "duplicate": 1,
        "lost": 1,
        "open_at_end": 1,
        "open_at_start": 1,
        "orphan": 1,
    }


def test_stage_in_two_pairs_is_accounted_for_in_each(session: SessionFolder) -> None:
    session.pairs.append(["encoded", "sent"])
    kv = {"pair": ["encoded", "sent"], "stage": "encoded", "reason": "lost"}
    session.rows += [{"ts_aligned_ns": T0, "source": "metric.dropped", "kv": kv}] * 2
    report = session.audit()
    assert report.findings == []
    assert [ledger.pair for ledger in report.pairs] == [("ingress", "encoded"), ("encoded", "sent")]


def test_pairs_matched_by_order_bring_the_advice_to_stamp_frame(session: SessionFolder) -> None:
    session.rows[0]["kv"]["match"] = "order"
    report = session.audit()
    assert report.findings == []
    assert report.advice == [STAMP_FRAME]


def test_line_in_late_jsonl_counts_as_late_and_not_as_a_stage_event(session: SessionFolder) -> None:
    offset = len(encoded(session.raw[:5]))
    session.late.append({"stream": "pipeline.jsonl", "offset": offset, "ts_ns": T0, "frontier_ns": T0})
    session.counts["late"] = 1
    session.rows[1] = session.drop(2, "ingress", "lost")
    report = session.audit()
    assert report.findings == []
    assert (report.streams[0].total.used, report.streams[0].total.late) == (6, 1)


def test_line_in_late_jsonl_that_is_not_vouched_for_is_used(session: SessionFolder) -> None:
    session.late.append({"stream": "pipeline.jsonl", "offset": 0, "ts_ns": T0, "frontier_ns": T0})
    session.state["outputs"] = {"latency.jsonl": len(encoded([*session.rows])), "late.jsonl": 0}
    report = session.audit(closed=False)
    assert report.streams[0].total.late == 0


@pytest.mark.parametrize("what", ["lines", "late", "bad"])
def test_muxd_that_counted_otherwise_is_an_imbalance(session: SessionFolder, what: str) -> None:
    session.counts[what] = 5
    report = session.audit()
    assert kinds(report) == ["imbalance"]
    assert f"muxd counted 5 {what} up to byte" in report.findings[0].message


def test_lines_behind_the_end_of_a_finished_session_are_found(session: SessionFolder) -> None:
    session.counts.update(offset=len(encoded(session.raw[:-1])), lines=6)
    report = session.audit()
    assert kinds(report) == ["imbalance"]
    assert (report.findings[0].file, report.findings[0].message) == (
        "pipeline.jsonl",
        "1 line(s) lie beyond where muxd finished",
    )


def test_raw_file_that_muxd_never_took_is_found(session: SessionFolder) -> None:
    write(session.folder / "raw" / "other.jsonl", [event(1), event(2)])
    report = session.audit()
    assert [(finding.kind, finding.file) for finding in report.findings] == [("imbalance", "other.jsonl")]


def test_raw_file_shorter_than_what_muxd_read_is_found(session: SessionFolder) -> None:
    session.counts["offset"] = 10**6
    report = session.audit()
    assert "truncated" in kinds(report)


def test_raw_file_that_is_gone_is_an_orphan_state(session: SessionFolder) -> None:
    session.state["streams"] = {
        "pipeline.jsonl": {"offset": len(encoded(session.raw))},
        "benchlab.jsonl": {"offset": 500},
    }
    report = session.audit()
    assert [(finding.kind, finding.file) for finding in report.findings] == [("orphan_state", "benchlab.jsonl")]


def test_output_shorter_than_vouched_is_found(session: SessionFolder) -> None:
    session.state["outputs"] = {"latency.jsonl": 10**6}
    report = session.audit()
    assert [(finding.kind, finding.file) for finding in report.findings] == [("short_output", "aligned/latency.jsonl")]


def test_output_longer_than_vouched_is_provisional_while_open_and_found_when_finished(
    session: SessionFolder,
) -> None:
    two_rows = len(encoded([*session.rows[:2]]))
    session.state["outputs"] = {"latency.jsonl": two_rows, "late.jsonl": 0}
    assert "long_output" in kinds(session.audit())
    session.state["final"] = False
    assert session.audit(closed=False).findings == []


def test_quarantine_is_looked_for_beside_aligned(session: SessionFolder) -> None:
    session.raw.insert(1, b"garbage\n")
    session.counts["bad"] = 1
    size = write(session.folder / "quarantine" / "pipeline.jsonl", [{"offset": 1}]).stat().st_size
    latency = len(encoded([*session.rows]))
    session.state["outputs"] = {"latency.jsonl": latency, "late.jsonl": 0, "quarantine/pipeline.jsonl": size}
    assert kinds(session.audit()) == ["bad_line"]


def test_unreadable_checkpoint_is_found_and_raw_is_judged_all_the_same(session: SessionFolder) -> None:
    session.raw.insert(1, b"garbage\n")
    session.audit()
    (session.folder / "state" / "mux.json").write_bytes(b'{"version":1,"outp')
    report = audit_session(session.folder, closed=True)
    assert kinds(report) == ["checkpoint", "bad_line"]


def test_session_without_muxd_is_judged_by_its_raw_streams(session: SessionFolder) -> None:
    session.audit()
    (session.folder / "state" / "mux.json").unlink()
    report = audit_session(session.folder, closed=True)
    assert (report.findings, report.advice, report.pairs) == ([], [NOT_RUN], [])


def test_closed_session_that_muxd_has_not_finished_says_how_to_finish_it(session: SessionFolder) -> None:
    session.state["final"] = False
    assert session.audit().advice == [NOT_FINISHED]


def test_rebuild_under_way_vouches_for_nothing(session: SessionFolder) -> None:
    session.rows.clear()
    session.state["rebuilding"] = True
    report = session.audit()
    assert (report.findings, report.advice) == ([], [REBUILDING])


def test_torn_row_in_the_aligned_file_is_found_with_its_place(session: SessionFolder) -> None:
    session.audit()
    latency = session.folder / "aligned" / "latency.jsonl"
    data = bytearray(latency.read_bytes())
    data[0:1] = b"x"
    latency.write_bytes(bytes(data))
    report = audit_session(session.folder, closed=True)
    assert report.findings[0].kind == "bad_row"
    assert report.findings[0].offset == 0


def test_bad_line_is_found_with_file_line_and_offset(stream: Path) -> None:
    write(stream, [event(0, 0), b"\n", b"{torn\n", event(2, 2)])
    ledger = audit_stream(stream)
    (finding,) = ledger.findings
    first = len(encoded([event(0, 0), b"\n"]))
    assert (finding.kind, finding.file, finding.line, finding.offset) == ("bad_line", "telemetry.jsonl", 3, first)
    assert (ledger.written, ledger.total.lines, ledger.total.used, ledger.total.bad) == (3, 3, 2, 1)


def test_bad_line_explains_the_jump_over_its_seq(stream: Path) -> None:
    write(stream, [event(0, 0), b"{torn\n", event(2, 2)])
    assert audit_stream(stream).seq_jumps == 0


def test_jump_of_seq_is_a_loss_and_counts_what_is_missing(stream: Path) -> None:
    write(stream, [event(0, 0), b"{torn\n", event(4, 4)])
    ledger = audit_stream(stream)
    assert ledger.seq_jumps == 1
    assert "2 line(s) missing" in ledger.findings[-1].message
    assert ledger.findings[-1].line == 3


def test_repeated_seq_is_found(stream: Path) -> None:
    write(stream, [event(0, 0), event(1, 1), event(2, 1), event(3, 2)])
    ledger = audit_stream(stream)
    assert (ledger.seq_repeats, ledger.seq_jumps) == (1, 0)
    assert "seq 1 follows 1, expected 2" in ledger.findings[0].message


def test_lines_without_seq_are_no_finding(stream: Path) -> None:
    write(stream, [event(0), event(1)])
    ledger = audit_stream(stream, ended=True)
    assert (ledger.findings, ledger.without_seq) == ([], 2)


def test_gap_names_how_many_lines_and_why(stream: Path) -> None:
    write(stream, [event(0, 0), told(1, 1, "gap", n=7, why="no space left"), told(2, 2, "gap", n=None)])
    ledger = audit_stream(stream)
    assert (ledger.gaps, ledger.gap_lines) == (2, 7)
    assert [finding.message for finding in ledger.findings] == [
        "7 line(s) lost: no space left",
        "an unknown number of lines lost: no reason given",
    ]


def test_clock_step_is_found_with_its_size(stream: Path) -> None:
    write(stream, [event(0, 0), told(1, 1, "clock_step", step_ns=-1_500_000_000)])
    (finding,) = audit_stream(stream).findings
    assert (finding.kind, finding.message) == ("clock_step", "the wall clock made a step of -1500.0 ms")


def test_unclean_end_is_told_once_whether_or_not_the_writer_tells_it(stream: Path) -> None:
    silent = [told(0, 0, "start"), told(1, 1, "start"), told(2, 2, "stop")]
    write(stream, [*silent])
    assert audit_stream(stream, ended=True).unclean_ends == 1
    gap = told(1, 1, "gap", n=None, why="unclean_end")
    write(stream, [told(0, 0, "start"), gap, told(1, 2, "start"), told(2, 3, "stop")])
    ledger = audit_stream(stream, ended=True)
    assert (ledger.unclean_ends, ledger.gaps) == (1, 0)


def test_last_writer_without_stop_is_unclean_only_once_the_session_is_closed(stream: Path) -> None:
    write(stream, [told(0, 0, "start"), event(1, 1)])
    assert audit_stream(stream).unclean_ends == 0
    assert audit_stream(stream, ended=True).unclean_ends == 1


def test_line_further_behind_than_the_stream_allows_is_late(stream: Path) -> None:
    lines = [told(0, 0, "start", disorder_ms=20), event(100, 1), event(80, 2), event(79.9, 3), event(101, 4)]
    write(stream, [*lines])
    ledger = audit_stream(stream)
    assert (ledger.total.used, ledger.total.late) == (4, 1)
    assert ledger.findings == []


def test_disorder_that_is_not_stated_is_200_ms(stream: Path) -> None:
    write(stream, [event(1000), event(800), event(799)])
    assert audit_stream(stream).total.late == 1


def test_start_line_itself_vouches_only_as_the_stream_did_before_it(stream: Path) -> None:
    write(stream, [told(1000, 0, "start", disorder_ms=20), event(970, 1), event(1001, 2), event(980, 3)])
    assert audit_stream(stream).total.late == 1


def test_restart_without_a_stated_disorder_goes_back_to_200_ms(stream: Path) -> None:
    restart = told(1000, 1, "start")
    write(stream, [told(0, 0, "start", disorder_ms=1), restart, event(998, 2), event(2000, 3), event(1801, 4)])
    assert audit_stream(stream).total.late == 1


def test_far_future_line_is_bad_and_moves_nothing(stream: Path) -> None:
    write(stream, [event(0), event(1), event(2 * HOUR_MS), event(2), event(3)])
    ledger = audit_stream(stream, ended=True)
    assert (ledger.total.used, ledger.total.late, ledger.total.bad) == (4, 0, 1)
    assert ledger.findings[0].line == 3


def test_only_line_of_a_closed_stream_is_used(stream: Path) -> None:
    write(stream, [event(0)])
    ledger = audit_stream(stream, ended=True)
    assert (ledger.written, ledger.total.used, ledger.findings) == (1, 1, [])


def test_torn_end_is_waited_for_while_open_and_found_when_closed(stream: Path) -> None:
    write(stream, [event(0), event(1), b'{"ts_ns":17'])
    assert audit_stream(stream).findings == []
    ledger = audit_stream(stream, ended=True)
    assert [(finding.kind, finding.line) for finding in ledger.findings] == [("torn_end", 3)]
    assert (ledger.written, ledger.torn_bytes) == (2, 11)


def test_last_line_that_lacks_only_its_newline_is_a_line(stream: Path) -> None:
    write(stream, [event(0), encoded([event(1)])[:-1]])
    ledger = audit_stream(stream, ended=True)
    assert (ledger.written, ledger.total.used, ledger.torn_bytes, ledger.findings) == (2, 2, 0, [])


def test_counts_up_to_where_muxd_stands_are_kept_apart(stream: Path) -> None:
    lines: list[Line | bytes] = [stage(n, n, "ingress") for n in range(10)]
    write(stream, lines)
    ledger = audit_stream(stream, taken_to=len(encoded(lines[:4])))
    assert ledger.taken is not None
    assert (ledger.taken.lines, ledger.taken.stages) == (4, {"ingress": 4})
    assert (ledger.total.lines, ledger.total.stages, ledger.seq_jumps) == (10, {"ingress": 10}, 0)


def test_garbage_is_counted_in_full_but_listed_only_in_part(stream: Path) -> None:
    write(stream, [b"garbage\n"] * 500)
    ledger = audit_stream(stream, ended=True)
    assert (ledger.written, ledger.total.bad) == (500, 500)
    assert (len(ledger.findings), ledger.unlisted) == (LISTED, 500 - LISTED)


def test_stage_of_a_wrong_type_is_no_stage(stream: Path) -> None:
    write(stream, [event(0, 0, "pipeline", stage=["ingress"]), event(1, 1, "pipeline", stage=7), event(2, 2)])
    assert audit_stream(stream).total.stages == {}


def test_lines_are_counted_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    data = b'{"a":1}\n\n \t\r\n{"b":22}\n{"torn'
    path.write_bytes(data)
    for size in range(1, len(data) + 2):
        monkeypatch.setattr("benchctl.stream_audit._CHUNK_BYTES", size)
        assert count_lines(path, len(data)) == (2, 6)
        assert line_numbers(path, [0, 8, 9, len(data)]) == {0: 1, 8: 2, 9: 3, len(data): 5}


def test_empty_stream_is_balanced(stream: Path) -> None:
    write(stream, [])
    ledger = audit_stream(stream, taken_to=0, ended=True)
    assert (ledger.written, ledger.findings) == (0, [])
