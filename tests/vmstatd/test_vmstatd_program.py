"""The program as an operator starts it."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from benchlab.catalog import unknown_keys
from support.processes import Run, Start, ended, until


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def lines(path: Path) -> list[dict[str, Any]]:
    whole, _, _ = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
    return rows(whole.decode())


def test_once_shows_simulated_machines_as_events(run: Run, tmp_path: Path) -> None:
    done = run("vmstatd", "--once", "--json", "--simulate", "--vms", "12", "--data-root", str(tmp_path / "data"))
    assert (done.returncode, done.stderr) == (0, "")
    found = rows(done.stdout)
    assert len(found) == len({row["dev"] for row in found}) == 12
    assert all(row["source"] == "vm.libvirt" and row["sim"] is True for row in found)
    assert all(unknown_keys("vm.libvirt", row["kv"].items()) == [] for row in found)
    assert not (tmp_path / "data").exists()


def test_recording_has_machines_statistics_and_a_clean_end(start: Start, tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(30.0)
        words = ("--simulate", "--vms", "3", "--poll-interval", "0.2", "--data-root", str(tmp_path), "--session", "s")
        process = start("vmstatd", *words, NOTIFY_SOCKET=str(address))
        path = tmp_path / "sessions/s/raw/vmstat.jsonl"
        until(lambda: sum(row["source"] == "self.vm" for row in lines(path)) >= 3)
        told = manager.recv(1000).decode()
        while not told.startswith("STATUS="):
            told = manager.recv(1000).decode()
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 0
    assert "vms_monitored" in told and "total_collections" in told
    found = lines(path)
    first = found[0]["kv"]
    assert first["event"] == "start" and [row["source"] for row in first["sources"]] == ["vm.libvirt"]
    assert found[-1]["kv"]["event"] == "stop"
    statistics = [row["kv"] for row in found if row["source"] == "self.vm"][-1]
    events = [row for row in found if row["source"] == "vm.libvirt"]
    with_features = sum("memory_rate_kb_per_sec" in row["kv"] for row in events)
    assert statistics["total_metrics_written"] == len(events) + with_features
    assert all(row["sim"] for row in events)


def test_machines_of_another_host_are_marked_in_the_start_line(start: Start, tmp_path: Path) -> None:
    uri = "qemu+tcp://lab.invalid:1/system"
    process = start("vmstatd", "--libvirt-uri", uri, "--data-root", str(tmp_path), "--session", "s")
    path = tmp_path / "sessions/s/raw/vmstat.jsonl"
    until(lambda: lines(path))
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0
    (row,) = (row for row in lines(path)[0]["kv"]["sources"] if row["source"] == "vm.libvirt")
    assert row["remote"] is True


def test_recorded_host_has_no_machines(run: Run, tmp_path: Path) -> None:
    done = run("vmstatd", "--once", "--json", "--root", str(tmp_path))
    assert done.returncode == 4
    assert "--root" in rows(done.stdout)[0]["kv"]["reason"]


@pytest.mark.parametrize(
    ("flags", "env", "code", "said"),
    [
        (("--poll-interval", "0"), {}, 2, "flag --poll-interval: found 0.0"),
        (("--libvirt-uri", "qemu"), {}, 2, "expected a libvirt URI"),
        (("--vms", "-1"), {}, 2, "expected a number from 0 to 100000"),
        (("--source", "vm.kvm"), {}, 2, "expected one of vm.libvirt"),
        ((), {"BENCHLAB_VMSTATD_FIELDS": '["cpu"]'}, 3, "none is called cpu"),
        ((), {"BENCHLAB_VMSTATD_EVERY": "{vcpu=1}"}, 3, "none is called vcpu"),
    ],
)
def test_wrong_word_is_one_clear_line(
    run: Run, flags: tuple[str, ...], env: dict[str, str], code: int, said: str
) -> None:
    done = run("vmstatd", "--once", *flags, **env) if not env else run_with(run, env)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr and len(done.stderr.splitlines()) == 1


def run_with(run: Run, env: dict[str, str]) -> Any:
    return run("vmstatd", "--once", **env)


def test_driver_of_libvirts_own_tests_is_read(libvirt_module: None, run: Run) -> None:
    done = run("vmstatd", "--once", "--json", "--libvirt-uri", "test:///default")
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = rows(done.stdout)
    kv = row["kv"]
    assert row["dev"] == "6695eb01-f6a4-8304-79aa-97f2502e193f"
    assert (kv["name"], kv["state"], kv["cpu_count"], kv["memory_max_kb"]) == ("test", "running", 2, 8 << 20)
    assert kv["memory_used_from"] == "rss"  # its balloon last spoke in 1989
    assert kv["cputime_ns"] > 0 and kv["cpu_pct"] == pytest.approx(100.0, rel=0.2)
    assert "block_rd_bytes" not in kv and "net_rx_bytes" not in kv


def test_hypervisor_that_is_not_there_exits_4_and_says_what_mends_it(
    libvirt_module: None, run: Run, tmp_path: Path
) -> None:
    done = run("vmstatd", "--once", "--json", "--libvirt-uri", f"qemu+unix:///system?socket={tmp_path / 'none'}")
    assert done.returncode == 4
    (row,) = rows(done.stdout)
    assert str(tmp_path / "none") in row["kv"]["reason"]
    assert "systemctl start libvirtd" in row["kv"]["fix"]


def test_program_without_libvirt_for_python_says_what_installs_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "libvirt.py").write_text("raise ImportError('no libvirt here')\n")
    done = run("vmstatd", "--once", "--json", PYTHONPATH=str(tmp_path))
    assert done.returncode == 4
    (row,) = rows(done.stdout)
    assert row["kv"]["reason"] == "libvirt for Python is not there: no libvirt here"
    assert row["kv"]["fix"].endswith("pip install -r requirements-vm.txt")
