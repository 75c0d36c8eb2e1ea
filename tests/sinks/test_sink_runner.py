"""Sinks come and go with the configuration, delay nobody, and are waited for at the end if they work."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchlab.config import Config, load
from benchlab.config_schema import Influx, Sinks
from benchlab.session import Session
from muxd.sinks.cursor import FileCursors
from muxd.sinks.runner import Configured, SinkRunner, make_sink
from muxd.sinks.sink import Record, Sink, Transient
from support.mux_sessions import make_session, mux_closed
from support.processes import until
from support.sink_sessions import ListSink, assert_store_is_the_log, marked_run, places, store_path

ON = Config(sinks=Sinks(sqlite=True))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = marked_run(tmp_path / "s")
    mux_closed(made)
    return made


def made(sinks: dict[Path, ListSink]) -> Callable[[str, Session, Config], Sink]:
    return lambda name, session, config: sinks[session.dir]


def metrics(runner: SinkRunner) -> dict[str, float]:
    samples = [sample for family in runner.families() for sample in family.samples]
    return {f"{s.name}{tuple(s.labels.values())}": s.value for s in samples}


def test_what_is_left_is_stored_before_the_program_ends(session: Session) -> None:
    runner = SinkRunner(lambda: ON)
    runner.add(session)
    runner.close()
    assert_store_is_the_log(session)


def test_without_sinks_nothing_is_made(session: Session) -> None:
    runner = SinkRunner(Config)
    runner.start()
    runner.add(session)
    runner.close()
    assert Config().sinks.enabled == set()
    assert not store_path(session).exists()


def test_a_sink_is_added_and_removed_by_changing_the_file(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[sinks]\nsqlite = false\n")
    configured = Configured(load(path).config, path, lambda: load(path).config)
    runner = SinkRunner(configured)
    runner.start()
    runner.add(session)
    path.write_text("[sinks]\nsqlite = true\n")
    until(lambda: store_path(session).exists())
    until(lambda: metrics(runner).get("benchlab_sink_lag_seconds('sqlite',)") == 0)
    path.write_text("[sinks]\nsqlite = nonsense\n")
    assert configured().sinks.sqlite
    path.write_text("[sinks]\n")
    until(lambda: "benchlab_sink_lag_seconds('sqlite',)" not in metrics(runner))
    runner.close()
    assert_store_is_the_log(session)


def test_a_sink_whose_settings_changed_begins_anew_with_them_and_the_others_go_on(session: Session) -> None:
    configs = [Config(sinks=Sinks(influx=True, sqlite=True), influx=Influx(influx_url="http://127.0.0.1:1"))]
    begun: list[tuple[str, str]] = []
    stored: dict[str, ListSink] = {}

    def make(name: str, session: Session, config: Config) -> Sink:
        url = config.influx.influx_url if name == "influx" else ""
        begun.append((name, url))
        sink = stored[url] = ListSink(session)
        sink.cursors = FileCursors(session.dir / "state", f"list{len(begun)}")
        return sink

    runner = SinkRunner(lambda: configs[-1], make)
    runner.start()
    runner.add(session)
    configs.append(Config(sinks=configs[0].sinks, influx=Influx(influx_url="http://127.0.0.1:2")))
    until(lambda: "http://127.0.0.1:2" in stored)
    runner.close()
    assert begun == [("influx", "http://127.0.0.1:1"), ("sqlite", ""), ("influx", "http://127.0.0.1:2")]
    assert stored["http://127.0.0.1:2"].places() == stored[""].places() == places(session)


def test_a_configuration_that_became_wrong_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[sinks]\nsqlite = true\n")
    configured = Configured(load(path).config, path, lambda: load(path).config)
    path.write_text("[sinks]\nsqlite = 17\n")
    assert configured().sinks.sqlite
    assert configured().sinks.sqlite
    assert caplog.text.count("the sinks stay as they are") == 1
    path.unlink()
    assert configured().sinks.sqlite


def test_a_sink_that_fails_is_not_waited_for_and_one_that_works_is(tmp_path: Path) -> None:
    def down(batch: Sequence[Record]) -> None:
        raise Transient("connection refused")

    sinks = {}
    for name, before in (("down", down), ("up", lambda batch: time.sleep(0.2))):
        session = marked_run(tmp_path / name)
        mux_closed(session)
        sinks[session.dir] = ListSink(session, before)
    runner = SinkRunner(lambda: ON, made(sinks))
    for folder in sinks:
        runner.add(Session(folder, make_session(tmp_path / f"info-{folder.name}").info))
    began = time.monotonic()
    runner.close(drain_s=60)
    assert time.monotonic() - began < 30
    down_sink, up_sink = sinks.values()
    assert down_sink.records == []
    assert up_sink.places() == places(Session(tmp_path / "up", session.info))


def test_a_sink_that_hangs_is_left_after_its_time(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    runner = SinkRunner(lambda: ON, made({session.dir: ListSink(session, lambda batch: time.sleep(5))}))
    runner.add(session)
    began = time.monotonic()
    runner.close(drain_s=0.2)
    assert time.monotonic() - began < 4.5
    assert "has not stored everything" in caplog.text


def test_in_a_hurry_even_a_sink_that_works_is_left(session: Session) -> None:
    runner = SinkRunner(lambda: ON, made({session.dir: ListSink(session, lambda batch: time.sleep(7))}))
    runner.add(session)
    began = time.monotonic()
    runner.close(drain_s=60, hurry=lambda: True)
    assert time.monotonic() - began < 6.5


def test_a_finished_session_is_stored_to_its_end_while_others_go_on(tmp_path: Path) -> None:
    first, second = marked_run(tmp_path / "a"), marked_run(tmp_path / "b", frames=90)
    runner = SinkRunner(lambda: ON)
    runner.start()
    for session in (first, second):
        runner.add(session)
    mux_closed(first)
    runner.finish(first)
    until(lambda: store_path(first).exists() and not store_path(first).with_name("telemetry.db-wal").exists())
    assert_store_is_the_log(first)
    mux_closed(second)
    runner.close()
    assert_store_is_the_log(second)


def test_rejections_are_counted_by_reason(session: Session) -> None:
    path = session.aligned / "latency.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"lat_ms":10.0', b'"lat_ms":"x" ', 2))
    runner = SinkRunner(lambda: ON)
    runner.add(session)
    runner.close()
    assert metrics(runner) == {"benchlab_sink_rejected_total('sqlite', 'unfit')": 2.0}


def test_a_sink_whose_parts_are_not_installed_is_told_once(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    runner = SinkRunner(lambda: ON, lambda name, session, config: make_sink("no_such", session, config))
    runner.add(session)
    runner.add(session)
    runner.close()
    assert caplog.text.count("sink sqlite cannot be used") == 1


def test_every_sink_of_the_configuration_exists(session: Session) -> None:
    for name in Sinks.__struct_fields__:
        assert callable(make_sink(name, session, Config()).write)
