"""benchctl: the operator's command. This file only finds the command and hands over to it."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from benchlab import cli

COMMANDS = {
    "status": ("benchctl.status", "how the current session fares"),
    "top": ("benchctl.top", "the whole machine on one screen, each second"),
    "doctor": ("benchctl.doctor", "what this host can measure, and what would mend the rest"),
    "config": ("benchctl.config_show", "show the configuration and where it came from"),
    "session": ("benchctl.sessions", "make, list, show, pin and close sessions"),
    "verify": ("benchctl.verify", "check that every recorded line is accounted for"),
    "tail": ("benchctl.tail", "show the last pairs, live"),
    "record": ("benchctl.record", "record a session around a command"),
    "query": ("benchctl.query", "ask a session's SQLite store in SQL"),
    "mark": ("benchctl.mark", "put a bookmark into a session"),
    "demo": ("benchctl.demo", "run everything with simulated devices"),
    "emulate": ("benchctl.emulate", "be a power meter on a pty, with faults"),
    "completions": ("benchctl.completions", "print the completions for bash, zsh or fish"),
    "man": ("benchctl.man", "write the manual pages of all programs"),
}

EXAMPLES = """\
  benchctl doctor
  benchctl session new lab-1
  benchctl status
  benchctl top
  benchctl tail
  benchctl mark "fan turned up"
  benchctl verify lab-1
  benchctl record --with telemetryd -- ./encode.sh
  benchctl COMMAND --help"""


# To these, what stands behind ``--`` is not theirs to parse.
TAKING_OPERANDS = ("record", "mark")


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run one command; options that all commands have may stand before it or behind it."""
    words = sys.argv[1:] if argv is None else argv
    cut = words.index("--") if "--" in words else len(words)
    args = parser().parse_args(words[:cut])
    command = import_module(COMMANDS[args.command][0])
    rest, behind = args.rest, words[cut:]
    if args.command not in TAKING_OPERANDS:
        rest, behind = rest + behind, []
    del args.rest
    code: int = command.run(command.parser().parse_args(rest, args), behind[1:])
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of what stands before a command."""
    listing = "\n".join(f"  {name:11} {summary}" for name, (_, summary) in COMMANDS.items())
    text = f"The operator's command of BenchLab Linux Telemetry.\n\ncommands:\n{listing}"
    p = cli.parser("benchctl", text, EXAMPLES)
    p.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="see above")
    p.add_argument("rest", nargs="...", metavar="...", help="the command's own options")
    return p


if __name__ == "__main__":
    raise SystemExit(main())
