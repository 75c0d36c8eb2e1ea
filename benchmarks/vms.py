"""vmstatd on simulated virtual machines: what it takes of a processor, making them up included."""

from __future__ import annotations

import time

import msgspec

from benchmarks.daemons import SESSION, START_S, Daemons
from benchmarks.measure import Watched
from benchmarks.table import Section

ROUNDS = ((10, 5.0), (200, 5.0), (200, 1.0))
SETTLE_S = 2.0
COLUMNS = ["machines", "every s", "lines/s", "% of a core", "RSS MiB", "peak MiB"]


def vms(seconds: float) -> list[Section]:
    """Watch it with few and many machines."""
    rows, facts = [], {}
    for count, poll_s in ROUNDS:
        with Daemons() as daemons:
            flags = ("--simulate", "--vms", str(count), "--poll-interval", str(poll_s))
            daemons.start("vmstatd", *flags)
            wait_for_polls(daemons, 2)  # what is loaded once is behind it
            time.sleep(min(SETTLE_S, seconds))
            before, watched = daemons.events()["vmstat"], Watched(daemons.processes["vmstatd"].pid)
            time.sleep(seconds)
            load, lines = watched.load(), daemons.events()["vmstat"] - before
        used = [f"{load.cpu_pct:.2f}", f"{load.rss_mib:.1f}", f"{load.peak_mib:.1f}"]
        rows.append([str(count), f"{poll_s:g}", f"{lines / seconds:.0f}", *used])
        facts[f"{count} every {poll_s:g} s"] = {**vars(load), "lines_s": lines / seconds}
    note = (
        f"Simulated machines, for {seconds:g} s each; making them up is counted in. Asked: 200 machines every second "
        "with under 5 % of a core."
    )
    return [Section("Virtual machines", COLUMNS, rows, [note], facts)]


def wait_for_polls(daemons: Daemons, polls: int) -> None:
    """Wait until so many polls are recorded. Exits where they never are."""
    path = daemons.root / f"sessions/{SESSION}/raw/vmstat.jsonl"
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        whole = path.read_bytes().rpartition(b"\n")[0].splitlines() if path.exists() else []
        if sum(msgspec.json.decode(line)["source"] == "self.vm" for line in whole) >= polls:
            return
        time.sleep(0.1)
    raise SystemExit("vmstatd does not record")
