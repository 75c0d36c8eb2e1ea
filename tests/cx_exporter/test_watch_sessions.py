"""``--watch``: each closed session is exported once, however often things go wrong."""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from benchlab.capframex import export
from benchlab.capframex.export import Report, Request
from benchlab.capframex.frames import Selection
from benchlab.daemon.notify import Notifier
from benchlab.errors import Fault
from benchlab.files import FileLock
from benchlab.query.aligned import Pair
from benchlab.session import Session
from cx_exporter.check_csv import check
from cx_exporter.main import main
from cx_exporter.watch import FIRST_RETRY_S, LAST_RETRY_S, Watch
from support.cx_sessions import PAIR, Recording, drop, steady
from support.processes import ended, until

OTHER = ("encoded", "inference_done")

Start = Callable[..., "subprocess.Popen[bytes]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def recorded(
    data_root: Path, name: str = "dev", *, final: bool = True, generation: int = 1, frames: int = 50
) -> Recording:
    """Return a session of two pairs, closed and decided to its end."""
    made = Recording(data_root, name)
    path = made.aligned([*steady(frames), *steady(frames, pair=OTHER)])
    decide(made, path, final=final, generation=generation)
    return made


def decide(made: Recording, path: Path, *, final: bool = True, generation: int = 1, rebuilding: bool = False) -> None:
    made.vouch(path.stat().st_size, final)
    checkpoint = made.dir / "state" / "mux.json"
    told = {**json.loads(checkpoint.read_text()), "generation": generation, "rebuilding": rebuilding}
    checkpoint.write_text(json.dumps(told))


class Watched:
    """A watch over a data root, the exports it made, and a clock that stands still."""

    def __init__(self, tmp_path: Path) -> None:
        self.data_root = tmp_path / "data"
        self.folder = tmp_path / "import"
        self.folder.mkdir()
        self.exports: list[tuple[str, Pair]] = []
        self.breaks: Callable[[str, Pair], None] = lambda session, pair: None
        self.now_s = 0.0
        self.restart()

    def restart(self) -> None:
        """Begin anew, with nothing known but what is on the disk."""
        self._watch = Watch(
            self.data_root, self.folder, self._export, lambda report: None, Notifier({}), clock=lambda: self.now_s
        )

    def look(self) -> list[tuple[str, Pair]]:
        """Look once; return what was exported meanwhile."""
        before = len(self.exports)
        self._watch.look()
        return self.exports[before:]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def _export(self, session: Session, pair: Pair, stem: Path) -> Report:
        self.breaks(session.name, pair)
        csv = stem.with_name(stem.name + ".csv")
        request = Request(
            session, Selection(pair), "App", "latency", csv, csv.with_suffix(".json"), True, spool_dir=session.cx_export
        )
        report = export.run(request)
        self.exports.append((session.name, pair))
        return report


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_all_pairs_of_a_closed_session_are_exported_once(watched: Watched) -> None:
    recorded(watched.data_root)
    assert watched.look() == [("dev", PAIR), ("dev", OTHER)]
    assert watched.files() == [
        "dev_encoded_to_inference_done.csv",
        "dev_encoded_to_inference_done.json",
        "dev_ingress_to_encoded.csv",
        "dev_ingress_to_encoded.json",
    ]
    assert not [f for f in check(watched.folder / "dev_ingress_to_encoded.csv") if not f.note]
    assert watched.look() == []
    watched.restart()
    assert watched.look() == []


def test_what_was_closed_while_nobody_watched_is_exported_as_well(watched: Watched) -> None:
    recorded(watched.data_root, "a")
    watched.look()
    for name in ("b", "c"):
        recorded(watched.data_root, name)
    watched.restart()
    assert {name for name, _ in watched.look()} == {"b", "c"}


def test_session_waits_until_muxd_has_decided_all_of_it(watched: Watched) -> None:
    made = recorded(watched.data_root, final=False)
    assert watched.look() == []
    path = made.dir / "aligned" / "latency.jsonl"
    decide(made, path, rebuilding=True)
    assert watched.look() == []
    (made.dir / "state" / "mux.json").unlink()
    assert watched.look() == []
    decide(made, path)
    assert len(watched.look()) == 2


def test_aligned_files_made_anew_are_exported_anew(watched: Watched) -> None:
    made = recorded(watched.data_root)
    watched.look()
    path = made.aligned([*steady(60), *steady(60, pair=OTHER)])
    decide(made, path, generation=2)
    assert len(watched.look()) == 2
    assert watched.look() == []


def test_aligned_files_made_anew_while_they_are_exported_are_not_taken_for_done(watched: Watched) -> None:
    made = recorded(watched.data_root)
    path = made.dir / "aligned" / "latency.jsonl"
    watched.breaks = lambda session, pair: decide(made, path, generation=2)
    assert watched.look() == [("dev", PAIR)]
    watched.now_s += FIRST_RETRY_S
    assert watched.look() == [("dev", PAIR), ("dev", OTHER)]
    watched.restart()
    assert watched.look() == []


def test_missing_folder_is_one_warning_and_the_sessions_wait(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cx_exporter")
    recorded(watched.data_root, "a")
    recorded(watched.data_root, "b")
    watched.folder.rmdir()
    for _ in range(5):
        assert watched.look() == []
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "cx_export.watch_dir" in caplog.text and not watched.folder.exists()
    watched.folder.mkdir()
    assert len(watched.look()) == 4
    watched.folder.rename(watched.folder.with_name("gone"))
    recorded(watched.data_root, "c")
    watched.look()
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO", "WARNING"]


def test_session_too_short_for_csv_gets_its_json_and_is_not_tried_again(watched: Watched) -> None:
    recorded(watched.data_root, frames=5)
    assert len(watched.look()) == 2
    assert [name for name in watched.files() if name.endswith(".csv")] == []
    assert len(watched.files()) == 2
    watched.restart()
    assert watched.look() == []
    (told, _) = json.loads((watched.data_root / "sessions/dev/state/cx-export.json").read_text())["exported"]
    assert "too few" in told["problems"][0] and told["files"][0].endswith("dev_ingress_to_encoded.json")


def test_pair_without_a_completed_frame_and_session_without_a_pair_are_done_with(watched: Watched) -> None:
    only_drops, empty = recorded(watched.data_root, "a"), recorded(watched.data_root, "b")
    decide(only_drops, only_drops.aligned([drop(n * 10**9) for n in range(5)]))
    decide(empty, empty.aligned([]))
    assert watched.look() == [("a", PAIR)]
    assert watched.files() == []
    watched.restart()
    assert watched.look() == []


def test_failure_is_told_once_tried_later_and_later_and_stops_no_other(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[float] = []

    def full(session: str, pair: Pair) -> None:
        if session == "a":
            tries.append(watched.now_s)
            raise Fault("the share is full")

    recorded(watched.data_root, "a")
    recorded(watched.data_root, "b")
    watched.breaks = full
    assert {name for name, _ in watched.look()} == {"b"}
    for _ in range(3600):
        watched.now_s += 1.0
        watched.look()
    gaps = [later - sooner for sooner, later in pairwise(tries)]
    assert gaps[:3] == [FIRST_RETRY_S, 2 * FIRST_RETRY_S, 4 * FIRST_RETRY_S]
    assert max(gaps) == LAST_RETRY_S
    assert caplog.text.count("the share is full") == 1
    watched.breaks = lambda session, pair: None
    watched.now_s += LAST_RETRY_S
    assert {name for name, _ in watched.look()} == {"a"}


def test_defect_that_one_session_brings_out_stops_no_other(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    def defect(session: str, pair: Pair) -> None:
        if session == "a":
            raise ZeroDivisionError("by frames")

    recorded(watched.data_root, "a")
    recorded(watched.data_root, "b")
    watched.breaks = defect
    assert {name for name, _ in watched.look()} == {"b"}
    assert "ZeroDivisionError: by frames" in caplog.text


def test_killed_between_two_pairs_the_second_is_still_exported_and_the_first_not_again(watched: Watched) -> None:
    class Killed(BaseException):
        pass

    def kill(session: str, pair: Pair) -> None:
        if pair == OTHER:
            raise Killed

    recorded(watched.data_root)
    watched.breaks = kill
    with pytest.raises(Killed):
        watched.look()
    assert watched.exports == [("dev", PAIR)]
    assert not [name for name in watched.files() if name.endswith(".tmp")]
    watched.restart()
    watched.breaks = lambda session, pair: None
    assert watched.look() == [("dev", OTHER)]


@pytest.mark.parametrize(
    "damage", ["{", "[]", '{"generation": 1, "version": 9, "complete": true}', '{"generation": "1"}']
)
def test_unusable_memory_is_a_memory_of_nothing(watched: Watched, damage: str) -> None:
    made = recorded(watched.data_root)
    (made.dir / "state" / "cx-export.json").write_text(damage)
    assert len(watched.look()) == 2


def test_memory_that_cannot_be_written_does_not_export_again_and_again(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    made = recorded(watched.data_root)
    (made.dir / "state" / "cx-export.json").mkdir()
    assert len(watched.look()) == 2
    watched.now_s += LAST_RETRY_S
    assert watched.look() == []
    assert "will be exported again after a restart" in caplog.text


def test_session_that_another_watch_exports_is_left_to_it(watched: Watched) -> None:
    made = recorded(watched.data_root)
    with FileLock(made.dir / "state" / "cx-export.lock", "cx_exporter"):
        assert watched.look() == []
    watched.now_s += FIRST_RETRY_S
    assert len(watched.look()) == 2


def test_session_is_locked_against_retention_while_it_is_exported(watched: Watched) -> None:
    made = recorded(watched.data_root)
    holders: list[int | None] = []
    lock = made.dir / "state" / "cx-export.lock"
    watched.breaks = lambda session, pair: holders.append(FileLock(lock, "").holder)
    watched.look()
    assert None not in holders and len(holders) == 2
    assert FileLock(lock, "").holder is None


def test_broken_sessions_links_and_trash_are_passed_over(watched: Watched) -> None:
    broken = recorded(watched.data_root, "broken")
    (broken.dir / "session.json").write_text("{")
    recorded(watched.data_root, ".old.deleting")
    fine = recorded(watched.data_root, "fine")
    (watched.data_root / "sessions" / "current").symlink_to("fine")
    (watched.data_root / "sessions" / "file").write_text("")
    assert {name for name, _ in watched.look()} == {fine.dir.name}


def test_stages_that_make_the_same_name_do_not_overwrite_each_other(watched: Watched) -> None:
    made = Recording(watched.data_root)
    rows = [*steady(50, pair=("a b", "c")), *steady(50, pair=("a_b", "c")), *steady(50, pair=("x", "y-stats"))]
    decide(made, made.aligned(rows))
    watched.look()
    assert [name for name in watched.files() if name.endswith(".csv")] == [
        "dev_a_b_to_c.csv",
        "dev_a_b_to_c_2.csv",
        "dev_x_to_y-stats_2.csv",
    ]


def test_nothing_is_read_while_no_checkpoint_changes(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(watched.data_root, "a")
    recorded(watched.data_root, "b", final=False)
    watched.look()
    read: list[str] = []
    real = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    for _ in range(3):
        watched.look()
    assert read == []


def configured(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "import").mkdir()
    return {"BENCHLAB_DATA_ROOT": str(tmp_path / "data"), "BENCHLAB_CX_EXPORT_WATCH_DIR": str(tmp_path / "import")}


def test_program_exports_a_session_when_muxd_is_done_and_ends_at_once_on_sigterm(tmp_path: Path, start: Start) -> None:
    env = configured(tmp_path)
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(30)
    program = start("cx_exporter", "--watch", **env, NOTIFY_SOCKET=str(tmp_path / "notify"))
    assert manager.recv(100) == b"READY=1"
    recorded(tmp_path / "data", "live")  # the data root itself came later than the program
    until(lambda: len(list((tmp_path / "import").glob("*.json"))) == 2)
    until(lambda: "complete" in (tmp_path / "data/sessions/live/state/cx-export.json").read_text())
    asked = time.monotonic()
    program.send_signal(signal.SIGTERM)
    code, out, err = ended(program)
    assert (code, time.monotonic() - asked < 2.0) == (0, True)
    assert out.splitlines()[:2] == [str(tmp_path / "import" / f"live_ingress_to_encoded.{k}") for k in ("csv", "json")]
    assert re.search(r"session live, ingress to encoded: 50 frames, 0 dropped", err) and "Traceback" not in err
    manager.close()


def test_sigterm_in_the_middle_of_a_long_export_leaves_no_piece_of_a_file(tmp_path: Path, start: Start) -> None:
    env = configured(tmp_path)
    recorded(tmp_path / "data", "long", frames=60_000)
    program = start("cx_exporter", "--watch", **env)
    until(lambda: (tmp_path / "data/sessions/long/state/cx-export.lock").exists())
    time.sleep(0.3)
    asked = time.monotonic()
    program.send_signal(signal.SIGTERM)
    code, _, err = ended(program)
    assert (code, time.monotonic() - asked < 2.0) == (0, True), err
    left = [path.name for path in tmp_path.rglob("*") if path.name.endswith(".tmp")]
    assert left == [] and "Traceback" not in err


def test_switched_off_it_says_so_and_ends_well(tmp_path: Path, run: Run) -> None:
    done = run("cx_exporter", "--watch", **configured(tmp_path), BENCHLAB_CX_EXPORT_ENABLED="false")
    assert (done.returncode, done.stdout) == (0, "")
    assert "cx_export.enabled is false" in done.stderr


def test_switched_off_it_is_no_failed_start_to_the_service_manager(tmp_path: Path, run: Run) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        env = {"BENCHLAB_CX_EXPORT_ENABLED": "false", "NOTIFY_SOCKET": str(tmp_path / "notify")}
        assert run("cx_exporter", "--watch", **configured(tmp_path), **env).returncode == 0
        manager.setblocking(False)
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    "flag", [("--session", "dev"), ("--out", "x.csv"), ("--from", "1"), ("--stage-a", "a"), ("--check", "x.csv")]
)
def test_flags_of_one_export_are_refused(flag: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--watch", *flag])
    assert left.value.code == 2
    assert f"{flag[0]} goes with one export" in capsys.readouterr().err


def test_application_that_breaks_rows_is_refused_before_anything_is_watched(tmp_path: Path, run: Run) -> None:
    done = run("cx_exporter", "--watch", **configured(tmp_path), CX_APP="A,B")
    assert done.returncode == 2 and "found a comma" in done.stderr
