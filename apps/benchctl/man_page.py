"""One manual page in the macros of man(7), from what a program tells of its command line."""

from __future__ import annotations

from collections.abc import Iterator

from benchlab import __version__, config
from benchlab.cli_describe import Command, Option
from benchlab.config_schema import OWN_VARIABLES, SECRET_VARIABLES
from benchlab.errors import Exit

MEANINGS = {
    Exit.OK: "All is well.",
    Exit.FINDING: "The program worked and found something that is not as it should be.",
    Exit.USAGE: "The command line is wrong.",
    Exit.CONFIG: "The configuration is wrong.",
    Exit.NO_DEVICE: "With --once: no device is there.",
    Exit.IO: "A file, a port or a lock cannot be used.",
    Exit.INTERRUPTED: "Interrupted by Ctrl-C.",
}
FILES = {
    str(config.SYSTEM_PATH): "The configuration, if --config names no other.",
    "$XDG_CONFIG_HOME/benchlab/config.toml": "The user's configuration, where there is no system-wide one.",
    "DATA_ROOT/sessions/NAME/raw/*.jsonl": "What the collectors of a session recorded.",
    "DATA_ROOT/sessions/NAME/aligned/*.jsonl": "What muxd made of it: latency with power and energy.",
    "DATA_ROOT/sessions/current": "Link to the session that is recorded now.",
}
VARIABLES = {
    "BENCHLAB_SESSION": "The session, if --session names no other.",
    "BENCHLAB_<SECTION>_<KEY>": "Any key of the configuration; it wins over the file and yields to a flag.",
    "XDG_CONFIG_HOME": "Where the user's configuration is.",
}


def page(program: Command) -> str:
    """Return the page."""
    return "\n".join(_lines(program)) + "\n"


def _lines(program: Command) -> Iterator[str]:
    summary = program.text.partition("\n")[0].rstrip(".")
    yield f'.TH "{program.prog.upper()}" "1" "" "BenchLab {__version__}" "BenchLab Linux Telemetry"'
    yield ".SH NAME"
    yield f"{escaped(program.prog)} \\- {escaped(summary[:1].lower() + summary[1:])}"
    yield ".SH SYNOPSIS"
    yield from _synopsis(program)
    yield ".SH DESCRIPTION"
    yield from _text(program.text)
    yield ".SH OPTIONS"
    yield from _options(program)
    if program.commands:
        yield ".SH COMMANDS"
        yield "Each takes the options above as well."
        common = {flag for option in program.flags for flag in option.flags}
        for command in program.commands:
            yield from _command(command, common)
    yield ".SH EXIT STATUS"
    yield from _definitions({str(int(code)): MEANINGS[code] for code in Exit})
    yield ".SH ENVIRONMENT"
    own = {name: f"The key {key} of the configuration." for name, key in OWN_VARIABLES.items()}
    secret = dict.fromkeys(SECRET_VARIABLES, "A secret, which no file and no command line holds.")
    yield from _definitions({**VARIABLES, **own, **secret})
    yield ".SH FILES"
    yield from _definitions(FILES)
    yield ".SH EXAMPLES"
    yield from _examples(program)


def _synopsis(command: Command) -> Iterator[str]:
    usage = command.usage.removeprefix(command.prog).strip()
    yield f".B {escaped(command.prog)}"
    yield escaped(usage) + (" [options of the command]" if command.commands else "")


def _command(command: Command, common: set[str]) -> Iterator[str]:
    yield f".SS {escaped(command.prog)}"
    yield from _text(command.text.partition("\n")[2])
    own = [option for option in command.options if not common.intersection(option.flags)]
    yield from _options(Command("", "", "", "", own))
    if command.examples:
        yield ".PP"
        yield from _examples(command)


def _options(command: Command) -> Iterator[str]:
    for option in command.options:
        yield ".TP"
        yield _called(option)
        yield escaped(option.help) or "\\&"


def _called(option: Option) -> str:
    values = "".join(f" \\fI{escaped(value)}\\fR" for value in option.values)
    if not option.flags:
        return values.strip()
    return ", ".join(f"\\fB{escaped(flag)}\\fR" for flag in option.flags) + values


def _definitions(terms: dict[str, str]) -> Iterator[str]:
    for term, meaning in terms.items():
        yield from (".TP", f"\\fB{escaped(term)}\\fR", escaped(meaning))


def _examples(command: Command) -> Iterator[str]:
    yield from (".EX", *map(escaped, command.examples.removeprefix("examples:\n").splitlines()), ".EE")


def _text(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield escaped(line) if line.strip() else ".PP"


def escaped(text: str) -> str:
    """Return text that groff shows as it is: no line of it is a request, and a hyphen can be copied as one."""
    shown = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    shown = shown.replace("^", "\\(ha").replace("~", "\\(ti")
    return f"\\&{shown}" if shown.startswith(".") else shown
