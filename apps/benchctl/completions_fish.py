"""Completions for fish: one ``complete`` line for each option of each command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchlab.cli_describe import Command, Option


def script(programs: Sequence[Command]) -> str:
    """Return the script."""
    lines = ["# fish completion of BenchLab Linux Telemetry, made by: benchctl completions fish"]
    for program in programs:
        lines += ["", f"complete -c {program.prog} -f", *_program(program)]
    return "\n".join(lines) + "\n"


def _program(program: Command) -> Iterator[str]:
    names = [command.prog.rpartition(" ")[2] for command in program.commands]
    none_yet = f"not __fish_seen_subcommand_from {' '.join(names)}" if names else ""
    yield from _options(program.prog, program, none_yet)
    for name, command in zip(names, program.commands, strict=True):
        summary = command.text.partition("\n")[0]
        yield f"complete -c {program.prog} -n {quoted(none_yet)} -a {name} -d {quoted(summary)}"
        yield from _options(program.prog, command, f"__fish_seen_subcommand_from {name}")


def _options(prog: str, command: Command, condition: str) -> Iterator[str]:
    when = f" -n {quoted(condition)}" if condition else ""
    for option in command.flags:
        flags = "".join(f" -l {f[2:]}" if f.startswith("--") else f" -s {f[1:]}" for f in option.flags)
        yield f"complete -c {prog}{when}{flags}{_takes(option)} -d {quoted(option.help)}"
    for operand in command.operands:
        if operand.choices:
            yield f"complete -c {prog}{when} -a {quoted(' '.join(operand.choices))} -d {quoted(operand.help)}"
        elif operand.is_path:
            yield f"complete -c {prog}{when} -F"


def _takes(option: Option) -> str:
    if not option.values:
        return ""
    if option.choices:
        return f" -x -a {quoted(' '.join(option.choices))}"
    return " -r -F" if option.is_path else " -x"


def quoted(text: str) -> str:
    """Return text as one word of fish, in whose quotes only two characters have a meaning."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
