"""Raw files, aligned files and checkpoints that are not what they were: told, mended, and never made worse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from benchlab.errors import Exit, Fault
from benchlab.event import encode_lines
from benchlab.log.vouched import Vouched, read_vouched
from benchlab.session import Session
from muxd.opening import Opener, catch_up
from muxd.settings import Settings
from muxd.sitting import Sitting
from support.isolation import start_python
from support.mux_sessions import (
    PAIRS,
    SETTINGS,
    FakeClock,
    append,
    close_session,
    late_lines,
    make_session,
    mux_closed,
    mux_open,
    opener,
    power,
    record,
    replayed,
    rows,
    stage,
    usual_run,
    written,
)

FRAMES = 30
OTHER = Settings((("encoded", "inference_done"),), SETTINGS.power_sources)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session that is being recorded, muxed so far, with a line in late.jsonl."""
    made = make_session(tmp_path / "s")
    streams = usual_run(FRAMES)
    record(made, streams)
    clock = FakeClock()
    mux = Opener(made, SETTINGS, 10**9, clock=clock).open()
    catch_up(mux, False)
    clock.advance(10**10)
    catch_up(mux, False)
    append(made, "pipeline", [stage(5000, "ingress", 5000)])
    catch_up(mux, False)
    append(made, "benchlab", [power(700, 1.0)])
    catch_up(mux, False)
    mux.checkpoint(now=True)
    mux.close()
    assert len(late_lines(made)) == 1 and len(rows(made)) >= FRAMES
    return made


def vouched(session: Session) -> Vouched:
    found = read_vouched(session.state)
    assert found is not None
    return found


def checkpoint(session: Session) -> Path:
    return session.state / "mux.json"


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "not json": lambda data: b"\xff" + data[1:],
    "of another shape": lambda _: b'{"version":1,"outputs":[]}',
    "of a version to come": lambda data: data.replace(b'"version":1', b'"version":2', 1),
    "zeroed": lambda data: bytes(len(data)),
}


@pytest.fixture
def expected(session: Session, tmp_path: Path) -> dict[str, bytes]:
    """What the session will be once it is closed, whatever happens to its files but raw/ and late.jsonl."""
    return replayed(session, tmp_path / "expected")


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoint_is_rebuilt_from_raw(damage: str, session: Session, expected: dict[str, bytes]) -> None:
    generation = vouched(session).generation
    checkpoint(session).write_bytes(DAMAGES[damage](checkpoint(session).read_bytes()))
    mux_open(session)
    assert vouched(session).generation > generation
    mux_closed(session)
    assert written(session) == expected


def test_checkpoint_cut_anywhere_never_changes_the_result(session: Session, expected: dict[str, bytes]) -> None:
    whole = checkpoint(session).read_bytes()
    for size in sorted(Random(1).sample(range(len(whole)), 20)):
        checkpoint(session).write_bytes(whole[:size])
        mux_open(session)
    mux_closed(session)
    assert written(session) == expected


def test_missing_checkpoint_beside_aligned_files_is_a_rebuild(session: Session, expected: dict[str, bytes]) -> None:
    checkpoint(session).unlink()
    mux_closed(session)
    assert written(session) == expected


@pytest.mark.parametrize("name", ["latency.jsonl", "signals.jsonl"])
def test_aligned_file_shorter_than_vouched_is_a_rebuild(
    name: str, session: Session, expected: dict[str, bytes]
) -> None:
    path = session.aligned / name
    path.write_bytes(path.read_bytes()[:-3])
    mux_open(session)
    assert vouched(session).generation == 2
    mux_closed(session)
    assert written(session) == expected


def test_late_file_that_lost_its_end_gives_what_is_consistent_with_it(session: Session, tmp_path: Path) -> None:
    path = session.aligned / "late.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
    mux_closed(session)
    assert late_lines(session) == []
    assert written(session) == replayed(session, tmp_path / "again")


def test_aligned_file_that_is_gone_is_a_rebuild(session: Session, expected: dict[str, bytes]) -> None:
    (session.aligned / "latency.jsonl").unlink()
    mux_closed(session)
    assert written(session) == expected


def test_what_an_aligned_file_holds_beyond_its_vouched_length_is_cut_off(session: Session) -> None:
    before, generation = written(session), vouched(session).generation
    append(session, "../aligned/latency", b'{"garbage')
    mux_open(session)
    assert written(session) == before
    assert vouched(session).generation == generation


class Table:
    """A session that muxd is at work on."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.sitting = Sitting(session, opener(session))
        self.sitting.round()
        self.sitting.mux.checkpoint(now=True)

    def rounds(self) -> None:
        for _ in range(3):
            self.sitting.round()
        self.sitting.mux.checkpoint(now=True)

    def close(self) -> None:
        self.sitting.close()


def raw(session: Session, stream: str = "pipeline") -> Path:
    return session.raw / f"{stream}.jsonl"


def test_raw_file_truncated_while_running_is_rebuilt_without_its_end(session: Session, tmp_path: Path) -> None:
    table = Table(session)
    raw(session).write_bytes(b"".join(raw(session).read_bytes().splitlines(True)[:21]))
    append(session, "benchlab", [power(6000, 1.0)])
    table.rounds()
    table.close()
    mux_closed(session)
    assert vouched(session).generation == 2
    assert len(rows(session)) == 10
    assert written(session) == replayed(session, tmp_path / "again")


def test_raw_file_replaced_while_running_is_rebuilt_from_the_new_one(session: Session, tmp_path: Path) -> None:
    table = Table(session)
    fresh = raw(session).with_name("new")
    fresh.write_bytes(encode_lines([stage(i, "ingress", i) for i in range(200)]))
    fresh.rename(raw(session))
    table.rounds()
    table.close()
    mux_closed(session)
    assert vouched(session).generation == 2
    assert written(session) == replayed(session, tmp_path / "again")


def test_raw_file_overwritten_in_place_is_noticed_by_its_last_bytes_when_it_grows(session: Session) -> None:
    table = Table(session)
    raw(session).write_bytes(raw(session).read_bytes().replace(b'"ingress"', b'"INGRESS"'))
    append(session, "pipeline", [stage(5100, "ingress", 5100)])
    table.rounds()
    table.close()
    assert vouched(session).generation == 2
    assert not any("lat_ms" in row["kv"] for row in rows(session))


def assert_refused(session: Session, why: str, settings: Settings = SETTINGS) -> None:
    """Muxing ends with exit 5, and the aligned files are as they were."""
    before = written(session)
    with pytest.raises(Fault, match=why) as caught:
        mux_open(session, settings)
    assert caught.value.code is Exit.IO
    assert "aligned/ is left as it is" in caught.value.message
    assert written(session) == before


def test_raw_file_deleted_while_running_ends_muxd_with_aligned_untouched(session: Session) -> None:
    before = written(session)
    table = Table(session)
    raw(session).unlink()
    with pytest.raises(Fault, match=r"nothing is left of pipeline\.jsonl") as caught:
        table.rounds()
    table.close()
    assert caught.value.code is Exit.IO
    assert written(session) == before
    assert_refused(session, r"pipeline\.jsonl is missing.*nothing is left of pipeline\.jsonl")


def test_raw_file_emptied_is_no_ground_to_rebuild(session: Session) -> None:
    raw(session).write_bytes(b"")
    assert_refused(session, r"nothing is left of pipeline\.jsonl")


def test_all_raw_files_trimmed_is_no_ground_to_rebuild(session: Session) -> None:
    for path in session.raw.iterdir():
        path.unlink()
    assert_refused(session, r"nothing is left of benchlab\.jsonl; nothing is left of pipeline\.jsonl")
    checkpoint(session).unlink()
    assert_refused(session, "it holds no stream")


def test_raw_file_whose_first_line_is_gone_cannot_be_muxed_with_other_pairs(session: Session) -> None:
    raw(session).write_bytes(raw(session).read_bytes().partition(b"\n")[2])
    assert_refused(session, r"others than before.*pipeline\.jsonl does not begin with its first line", OTHER)


def test_raw_file_whose_first_line_is_bad_is_complete_all_the_same(session: Session) -> None:
    data = raw(session).read_bytes()
    raw(session).write_bytes(b"#" + data[1:])
    mux_open(session, OTHER)
    assert vouched(session).generation == 2


def test_aligned_moved_away_begins_with_what_raw_has(session: Session, tmp_path: Path) -> None:
    raw(session).unlink()
    session.aligned.rename(tmp_path / "kept")
    mux_open(session)
    assert rows(session) == []
    mux_closed(session)


def test_changed_pairs_rebuild_and_raise_the_generation(session: Session, tmp_path: Path) -> None:
    mux_open(session, OTHER)
    assert vouched(session).generation == 2
    assert {tuple(row["kv"]["pair"]) for row in rows(session)} <= {OTHER.pairs[0]}
    mux_open(session)
    assert vouched(session).generation == 3
    mux_closed(session)
    assert written(session) == replayed(session, tmp_path / "again")
    assert {tuple(row["kv"]["pair"]) for row in rows(session)} == {PAIRS[0]}


def test_rebuild_keeps_what_late_holds(session: Session, tmp_path: Path) -> None:
    before = (session.aligned / "late.jsonl").read_bytes()
    assert before
    mux_open(session, OTHER)
    assert (session.aligned / "late.jsonl").read_bytes() == before


def test_rebuild_drops_the_quarantine_of_lines_that_are_no_more(session: Session) -> None:
    append(session, "odd", b"garbage\n")
    mux_open(session)
    assert (session.quarantine / "odd.jsonl").exists()
    (session.raw / "odd.jsonl").write_bytes(encode_lines([power(1, 1.0)]))
    mux_open(session)
    assert not (session.quarantine / "odd.jsonl").exists()


KILLED = """
import os, signal, sys
sys.path[:0] = [sys.argv[1]]
from pathlib import Path
from benchlab.session import Session
from benchlab.session_file import read_info
from support.mux_sessions import PAIRS, SETTINGS, mux_open
from muxd.settings import Settings

left = int(sys.argv[3])
rename = os.replace

def countdown(*args, **kwargs):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    rename(*args, **kwargs)

os.replace = os.rename = countdown
folder = Path(sys.argv[2])
mux_open(Session(folder, read_info(folder)), Settings((*PAIRS, ("encoded", "inference_done")), SETTINGS.power_sources))
"""

MORE = Settings((*PAIRS, ("encoded", "inference_done")), SETTINGS.power_sources)


def test_rebuild_killed_before_any_of_its_renames_is_done_again(session: Session, tmp_path: Path) -> None:
    append(session, "odd", b"garbage\n")
    mux_open(session)
    late, generation = (session.aligned / "late.jsonl").read_bytes(), vouched(session).generation
    tests = str(Path(__file__).parents[1])
    renames = 0
    while True:
        process = start_python(KILLED, tests, session.dir, renames)
        _, err = process.communicate(timeout=60)
        assert process.returncode in (0, -9), err
        if process.returncode == 0:
            break
        renames += 1
        assert (session.aligned / "late.jsonl").read_bytes() == late
        assert vouched(session).generation >= generation
        generation = vouched(session).generation
    assert renames >= 5  # the marker, four files and more
    assert (session.aligned / "late.jsonl").read_bytes() == late
    assert not list(session.dir.glob("*/*.new"))
    close_session(session)
    mux_closed(session, MORE)
    assert written(session) == replayed(session, tmp_path / "again", MORE)


def test_rebuild_killed_before_it_replaced_anything_is_forgotten_with_the_old_pairs(session: Session) -> None:
    before = written(session)
    process = start_python(KILLED, str(Path(__file__).parents[1]), session.dir, 0)
    process.communicate(timeout=60)
    assert list(session.dir.glob("*/*.new"))
    mux_open(session)
    assert written(session) == before
    assert vouched(session).generation == 1
    assert not list(session.dir.glob("*/*.new"))


def test_closed_session_that_grew_after_its_end_is_decided_again(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    record(session, usual_run(FRAMES))
    assert mux_closed(session).final
    append(session, "pipeline", [stage(500, "ingress", 99), stage(510, "encoded", 99)])
    mux_closed(session)
    assert vouched(session).final and vouched(session).generation == 2
    assert len(rows(session)) == FRAMES + 1
    assert written(session) == replayed(session, tmp_path / "again")


def test_final_session_is_left_alone_when_nothing_has_changed(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    record(session, usual_run(FRAMES))
    mux_closed(session)
    before = [(p.name, p.stat().st_mtime_ns) for p in sorted(session.aligned.iterdir())]
    mux = opener(session).open()
    assert mux.final
    mux.close()
    assert [(p.name, p.stat().st_mtime_ns) for p in sorted(session.aligned.iterdir())] == before
