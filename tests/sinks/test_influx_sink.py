"""The InfluxDB sink against a server that fails in every way: afterwards every point is there once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchlab.session import Session
from muxd.sinks.worker import Worker
from support import fake_influx
from support.fake_influx import FakeInflux, Fault
from support.influx_sinks import assert_points_are_the_log, busy_session, influx_worker, store_in
from support.sink_sessions import drain, letters

APIS = ["v3", "v2", "v1"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return busy_session(tmp_path_factory.mktemp("recorded") / "s")


@pytest.fixture
def session(recorded: Session) -> Iterator[Session]:
    """Return the recorded session as no sink has seen it yet."""
    yield recorded
    for folder in ("state", "state/sinks", "quarantine"):
        for path in (recorded.dir / folder).glob("influx*"):
            path.unlink()


@pytest.fixture
def server() -> Iterator[FakeInflux]:
    with FakeInflux("vmstats").running() as influx:
        yield influx


def patient(working: Worker, steps: int = 2000) -> list[str]:
    """Step without waiting until nothing is left; return what went wrong on the way."""
    said: list[str] = []
    for _ in range(steps):
        working.step()
        if working.failing and working.failing not in said[-1:]:
            said.append(working.failing)
        if working.is_idle:
            return said
    raise AssertionError(f"never idle: {said}")


@pytest.mark.parametrize("api", APIS)
def test_every_row_of_the_log_is_one_point(session: Session, server: FakeInflux, api: str) -> None:
    store_in(session, server.url, api=api)
    assert_points_are_the_log(session, server.points())
    assert len(server.writes) == len(server.points())
    assert letters(session, "influx") == []


@pytest.mark.parametrize("api", APIS)
def test_written_again_from_the_first_row_nothing_changes(session: Session, server: FakeInflux, api: str) -> None:
    store_in(session, server.url, api=api)
    before = dict(server.points())
    server.faults.append(lambda exchange: None)
    (session.dir / "state" / "influx.json").unlink()
    store_in(session, server.url, api=api)
    assert server.points() == before
    assert len(server.writes) == 2 * len(before)


FAULTS: dict[str, Fault] = {
    "429 with Retry-After": fake_influx.says(429, {"error": "slow down"}, Retry_After="17"),
    "500": fake_influx.says(500, {"error": "engine is closed"}),
    "503 in HTML": fake_influx.says(503),
    "connection cut": fake_influx.hangs_up,
    "stored, then the connection cut": fake_influx.stores_then_hangs_up,
    "cut in the body of an answer": fake_influx.cuts_its_answer,
    "400 of a proxy, that names no reason": fake_influx.says(400),
    "400 about the request": fake_influx.says(400, {"error": "please provide an organization"}),
    "an answer that there is none for": fake_influx.says(302),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("api", APIS)
def test_after_a_fault_every_point_is_there_once_and_none_is_refused(
    session: Session, server: FakeInflux, api: str, fault: str
) -> None:
    server.faults.append(fake_influx.times(3, FAULTS[fault]))
    assert patient(influx_worker(session, server.url, api=api, batch_max_lines=40))
    assert_points_are_the_log(session, server.points())
    assert letters(session, "influx") == []


@pytest.mark.parametrize("api", APIS)
def test_a_line_that_is_refused_goes_to_quarantine_in_the_servers_words_and_no_other(
    session: Session, server: FakeInflux, api: str
) -> None:
    """The frame 7 of the pair, and every feature of a guest: one line of a record is refused, the other is taken."""
    server.faults.append(fake_influx.refuses_lines_with("frame=7i", "vm_features", version=api))
    working = influx_worker(session, server.url, api=api)
    drain(working).close()
    dead = letters(session, "influx")
    assert [letter["event"]["source"] for letter in dead].count("metric.latency") == 1
    assert len(dead) == 4
    assert {letter["reason"] for letter in dead} == {"refused"}
    assert all("field type conflict: planted" in letter["detail"] for letter in dead)
    names = [name for name, _, _ in server.points()]
    assert names.count("metric_latency") == 59
    assert names.count("vm_features") == 0
    assert names.count("vm_metrics") == 8
    assert working.rejected == {"refused": 4}


def test_what_is_refused_is_buried_once_the_disk_has_room_for_it(
    session: Session, server: FakeInflux, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults.append(fake_influx.refuses_lines_with("frame=7i", "vm_features", version="v3"))
    working = influx_worker(session, server.url)
    with monkeypatch.context() as full:
        full.setattr(working._letters, "append", _no_room)
        for _ in range(4):
            working.step()
        assert working.failing is not None and "no room" in working.failing
    drain_again(working)
    assert len(letters(session, "influx")) == 4


def _no_room(letters: object) -> None:
    raise OSError("no room")


def drain_again(working: Worker) -> None:
    """Drain a worker that failed until now."""
    working.step()
    drain(working).close()


@pytest.mark.parametrize("api", APIS)
def test_a_type_that_the_server_holds_otherwise_costs_those_lines_only(
    session: Session, server: FakeInflux, api: str
) -> None:
    server.types["vmstats", "vm_metrics", "cpu_count"] = "float"
    store_in(session, server.url, api=api, batch_max_lines=50)
    assert [letter["event"]["source"] for letter in letters(session, "influx")] == ["vm.libvirt"] * 8
    names = [name for name, _, _ in server.points()]
    assert names.count("metric_latency") == 60 and names.count("vm_features") == 3


@pytest.mark.parametrize("api", APIS)
def test_a_batch_that_is_too_large_is_halved(session: Session, server: FakeInflux, api: str) -> None:
    server.faults.append(fake_influx.takes_at_most(9))
    store_in(session, server.url, api=api, batch_max_lines=64)
    assert_points_are_the_log(session, server.points())
    assert max(server.batches) == 64
    assert sum(count > 9 for count in server.batches) <= 4


@pytest.mark.parametrize("api", APIS)
def test_a_database_that_is_missing_is_made(session: Session, server: FakeInflux, api: str) -> None:
    server.databases.clear()
    patient(influx_worker(session, server.url, api=api, influx_org="o"))
    assert_points_are_the_log(session, server.points())


@pytest.mark.parametrize("api", APIS)
def test_a_database_that_was_dropped_is_made_and_filled_from_the_first_row(
    session: Session, server: FakeInflux, api: str
) -> None:
    server.faults.append(lambda exchange: server.databases.clear() if len(server.batches) == 5 else None)
    patient(influx_worker(session, server.url, api=api, influx_org="o", batch_max_lines=30))
    assert_points_are_the_log(session, server.points())


@pytest.mark.parametrize("api", APIS)
def test_a_database_that_may_not_be_made_is_waited_for_and_the_fix_named(
    session: Session, server: FakeInflux, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFLUX_TOKEN", raising=False)
    server.databases.clear()
    server.may_create = False
    working = influx_worker(session, server.url, api=api, influx_org="o")
    assert working.step() > 0
    assert working.failing is not None and "answers 403" in working.failing
    assert "there is no token: set INFLUX_TOKEN" in working.failing
    server.databases["vmstats"] = {}
    patient(working)
    assert_points_are_the_log(session, server.points())


def test_a_server_of_another_version_is_told_apart_from_a_missing_database(
    session: Session, server: FakeInflux
) -> None:
    server.faults.append(fake_influx.says(404))
    working = influx_worker(session, server.url.rstrip("/") + "/elsewhere", api="v3")
    working.step()
    assert working.failing is not None
    assert "404" in working.failing and "set another [influx].api than v3" in working.failing


@pytest.mark.parametrize("api", APIS)
def test_a_token_that_is_missing_or_wrong_is_named_with_where_it_came_from(
    session: Session, tmp_path: Path, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFLUX_TOKEN", raising=False)
    file = tmp_path / "token"
    file.write_text("wrong\n")
    file.chmod(0o600)
    with FakeInflux("vmstats", token="s3cret").running() as server:
        working = influx_worker(session, server.url, api=api, token_file=str(file))
        working.step()
        assert working.failing is not None
        assert "401" in working.failing and f"the token is that of {file}" in working.failing
        assert "wrong" not in working.failing and "s3cret" not in working.failing
        file.write_text("s3cret\n")  # mended while it runs
        patient(working)
        assert_points_are_the_log(session, server.points())


def test_the_variable_comes_before_the_file(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFLUX_TOKEN", "s3cret")
    with FakeInflux("vmstats", token="s3cret").running() as server:
        store_in(session, server.url, token_file=str(tmp_path / "missing"))
        assert_points_are_the_log(session, server.points())


def test_a_token_file_that_everybody_may_read_is_not_used(
    session: Session, server: FakeInflux, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFLUX_TOKEN", raising=False)
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    file.chmod(0o644)
    working = influx_worker(session, server.url, token_file=str(file))
    working.step()
    assert working.failing == f"{file}: found a token that everybody may read, expected: chmod o-r {file}"
    assert server.asked == []


def test_without_any_influxdb_it_is_said_once_with_the_port_of_version_3(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    working = influx_worker(session, "http://127.0.0.1:9")
    caplog.set_level(logging.INFO)
    waits = [working.step() for _ in range(8)]
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0] and waits[-1] <= 60
    (told,) = [record.getMessage() for record in caplog.records if record.name == "muxd"]
    assert told.startswith("sink influx: no answer from http://127.0.0.1:9 (")
    assert told.endswith("nothing is lost, it is tried again")


def test_down_for_an_hour_then_everything_once_and_memory_bounded(session: Session) -> None:
    """The hour passes by the waits that the sink asks for, with nobody listening; then the server comes up."""
    server = FakeInflux("vmstats")
    working = influx_worker(session, server.url, batch_max_lines=500, max_queue=50)
    server._server.socket.close()
    hour_s = 0.0
    while hour_s < 3600:
        wait_s = working.step()
        assert working.failing is not None and 0 < wait_s <= 60
        hour_s += wait_s
    with FakeInflux("vmstats").running() as back:
        store_in(session, back.url, batch_max_lines=500, max_queue=50)
        assert_points_are_the_log(session, back.points())
        assert max(back.batches) == 25


def test_a_slow_server_is_given_up_on_in_time(session: Session, server: FakeInflux) -> None:
    server.faults.append(fake_influx.times(1, fake_influx.is_slow(1.0)))
    working = influx_worker(session, server.url)
    working._sink._client._idle_s = 0.2  # type: ignore[attr-defined]
    said = patient(working)
    assert any("no answer from" in why for why in said)
    assert_points_are_the_log(session, server.points())


def test_another_database_is_filled_from_the_first_row(session: Session, server: FakeInflux) -> None:
    server.databases["other"] = {}
    store_in(session, server.url)
    store_in(session, server.url, influx_db="other")
    assert server.points("other") == server.points()
