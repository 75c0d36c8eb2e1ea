"""A program that says when its frames reach a stage, and measures what saying so costs it.

python stage_sender.py HOW CALLS_A_SECOND SECONDS [OUT_FILE]

HOW is ``sdk`` (benchlab.stage), ``logging`` (the standard library's, JSON into a file), ``append`` (one write of a
JSON line to a file) or ``udp`` (one datagram to a port that nobody reads, as statsd clients do). 0 calls a second
means as many as it can. Prints a JSON object; times are in ns.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import time
from array import array
from collections.abc import Callable

Stage = Callable[[str, int], None]
KEPT = 2_000_000
TICK_S = 0.001


def by_sdk(out: str) -> Stage:
    import benchlab

    return benchlab.stage


def by_logging(out: str) -> Stage:
    handler = logging.FileHandler(out)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("stages")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    return lambda name, frame: log.info(json.dumps({"ts_ns": time.time_ns(), "stage": name, "frame": frame}))


def by_append(out: str) -> Stage:
    fd = os.open(out, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def _stage(name: str, frame: int) -> None:
        os.write(fd, (json.dumps({"ts_ns": time.time_ns(), "stage": name, "frame": frame}) + "\n").encode())

    return _stage


def by_udp(out: str) -> Stage:
    reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    reader.bind(("127.0.0.1", 0))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(reader.getsockname())

    def _stage(name: str, frame: int) -> None:
        assert reader
        sock.send(json.dumps({"ts_ns": time.time_ns(), "stage": name, "frame": frame}).encode())

    return _stage


HOW: dict[str, Callable[[str], Stage]] = {"sdk": by_sdk, "logging": by_logging, "append": by_append, "udp": by_udp}


def main() -> None:
    how, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    stage = HOW[how](sys.argv[4] if len(sys.argv) > 4 else "")
    costs = array("q")
    now_ns = time.perf_counter_ns
    began_ns = now_ns()
    end_ns = began_ns + round(seconds * 1e9)
    step_ns = 1e9 / rate if rate else 0.0
    calls = 0
    while (before_ns := now_ns()) < end_ns:
        due_ns = began_ns + calls * step_ns
        if before_ns < due_ns:
            time.sleep(max(TICK_S, (due_ns - before_ns) / 1e9))  # and then make up for it, as a scheduler has it
            continue
        stage("ingress", calls)
        cost_ns = now_ns() - before_ns
        if calls < KEPT:
            costs.append(cost_ns)
        calls += 1
    took_s = (now_ns() - began_ns) / 1e9
    ordered = sorted(costs)
    found = {"calls": calls, "calls_s": calls / took_s}
    for name, share in (("p50_ns", 0.5), ("p99_ns", 0.99), ("p999_ns", 0.999), ("max_ns", 1.0)):
        found[name] = ordered[min(len(ordered) - 1, int(len(ordered) * share))]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
