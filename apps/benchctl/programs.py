"""The command lines of all programs of the product, asked from the programs themselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution

import msgspec

from benchlab.cli_describe import FLAG, Command, describe
from benchlab.errors import Exit, Fault

DISTRIBUTION = "benchlab-linux-telemetry"
OURSELVES = "benchctl"
DEADLINE_S = 60.0


def benchctl() -> Command:
    """Return the command line of benchctl with all its commands."""
    from benchctl import main

    found = describe(main.parser())
    found.text = found.text.partition("\n")[0]
    found.options = found.flags
    for module, summary in main.COMMANDS.values():
        command = describe(import_module(module).parser())
        command.text = f"{summary}\n{command.text}"
        found.commands.append(command)
    return found


def all_programs() -> list[Command]:
    """Return every console script's command line, by name. Raises Fault (IO) if one does not tell its own."""
    return sorted([benchctl(), *_others()], key=lambda program: program.prog)


def _others() -> Iterator[Command]:
    """Ask all other programs at once."""
    asked = [(script, _asked(script)) for script in scripts() if script.name != OURSELVES]
    for script, process in asked:
        try:
            said, words = process.communicate(timeout=DEADLINE_S)
            yield msgspec.json.decode(said, type=Command)
        except (msgspec.DecodeError, subprocess.TimeoutExpired) as error:
            process.kill()
            last = words.decode(errors="replace").strip().rpartition("\n")[2] if process.returncode else str(error)
            raise Fault(f"{script.name} {FLAG}: found no description of its options: {last}") from error


def _asked(script: EntryPoint) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", script.module, FLAG]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def scripts() -> list[EntryPoint]:
    """Return the console scripts that were installed. Raises Fault (IO) if nothing was."""
    try:
        found = distribution(DISTRIBUTION).entry_points
    except PackageNotFoundError as error:
        raise Fault(f"{DISTRIBUTION} is not installed here: pip install -e . lists its programs", Exit.IO) from error
    return [script for script in found if script.group == "console_scripts"]
