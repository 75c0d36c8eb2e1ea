"""The numbering of senders: what came and what is told to be lost are all that was sent, whatever is dropped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline_probes.datagrams.senders import MAX_SENDERS, MAX_TOLD, OTHERS, REPORT_NS, Senders


def lost_by_sender(senders: Senders) -> dict[object, int]:
    found: dict[object, int] = {}
    for gap in senders.reports(0, last=True):
        assert isinstance(gap["n"], int)
        found[gap["sender"]] = found.get(gap["sender"], 0) + gap["n"]
    return found


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=200),
    st.dictionaries(st.sampled_from("abc"), st.booleans()),
)
def test_received_and_lost_are_all_that_was_sent(calls: list[tuple[str, bool]], marked: dict[str, bool]) -> None:
    senders = Senders(since_ns=0)
    sent = dict.fromkeys("abc", 0)
    received = dict.fromkeys("abc", 0)
    for name in "abc":
        senders.count_up_to(senders.named(name), 0, 1)
    for name, arrives in calls:
        sent[name] += 1
        if arrives:
            received[name] += 1
            senders.count(senders.named(name), sent[name])
    for name in "abc":
        senders.count_up_to(senders.named(name), sent[name], 1)
        if marked.get(name):  # said twice, it is lost once
            senders.count_up_to(senders.named(name), sent[name], 1)
    told = lost_by_sender(senders)
    assert {name: received[name] + told.get(name, 0) for name in "abc"} == sent
    assert senders.lost == sum(told.values())


def test_first_line_of_a_sender_that_is_not_known_proves_nothing() -> None:
    senders = Senders(since_ns=0)
    senders.count(senders.named("a"), 1000)
    assert senders.lost == 0


def test_lower_number_begins_a_new_count() -> None:
    senders = Senders(since_ns=0)
    for seq in (7, 8, 1, 2, 4):
        senders.count(senders.named("a"), seq)
    assert lost_by_sender(senders) == {"a": 1}


def test_what_was_lost_before_the_session_is_not_of_it() -> None:
    senders = Senders(since_ns=1000)
    senders.count_up_to(senders.named("before"), 5, 999)
    senders.count(senders.named("before"), 50)
    senders.count_up_to(senders.named("within"), 5, 1000)
    senders.count(senders.named("within"), 50)
    assert lost_by_sender(senders) == {"within": 44}


def test_reports_are_added_up_between_times_and_nothing_is_told_twice() -> None:
    senders = Senders(since_ns=0)
    a = senders.named("a")
    for seq in (1, 3):
        senders.count(a, seq)
    assert [gap["n"] for gap in senders.reports(0)] == [1]
    for seq in (6, 9):
        senders.count(a, seq)
    assert list(senders.reports(REPORT_NS - 1)) == []
    assert [gap["n"] for gap in senders.reports(REPORT_NS)] == [4]
    assert list(senders.reports(5 * REPORT_NS, last=True)) == []


def test_flood_of_senders_takes_bounded_memory_and_lines_and_every_line_is_accounted_for() -> None:
    senders = Senders(since_ns=0)
    for number in range(2 * MAX_SENDERS):
        senders.err(senders.named(f"s{number}"), "found nothing")
    assert len(senders) == MAX_SENDERS
    first = list(senders.reports(0))
    assert len(first) == MAX_TOLD
    told = {gap["sender"]: gap["n"] for gap in [*first, *senders.reports(1, last=True)]}
    assert len(told) == MAX_SENDERS + 1
    assert told[OTHERS] == MAX_SENDERS
    assert sum(map(int, told.values())) == 2 * MAX_SENDERS  # type: ignore[arg-type]
