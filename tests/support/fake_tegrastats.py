#!/usr/bin/env python3
"""A tegrastats that replays the lines of a file, one an interval, and fails as it is told.

    fake_tegrastats.py FILE [--fault hang|half|exit|mute|stubborn] [--after N] [--interval MS]

After N lines, ``hang`` prints no more, ``half`` prints half a line and ends, ``exit`` ends with code 3 and a message,
``mute`` closes its output and stays. ``stubborn`` does not mind SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import sys
from itertools import cycle
from pathlib import Path
from time import sleep


def main() -> int:
    p = argparse.ArgumentParser()
    p.add_argument("file", type=Path)
    p.add_argument("--fault", default="")
    p.add_argument("--after", type=int, default=1)
    p.add_argument("--interval", type=int, default=1000)
    args = p.parse_args()
    if args.fault == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for printed, line in enumerate(cycle(args.file.read_text().splitlines())):
        if args.fault and args.fault != "stubborn" and printed == args.after:
            return fail(args.fault, line)
        print(line, flush=True)
        sleep(args.interval / 1e3)
    return 0


def fail(fault: str, line: str) -> int:
    if fault == "half":
        print(line[: len(line) // 2], end="", flush=True)
        return 0
    if fault == "exit":
        print("tegrastats: run with sudo to see more", file=sys.stderr)
        return 3
    if fault == "mute":
        sys.stdout.close()
    sleep(3600)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
