"""Completions for zsh: one function for each command, on ``_arguments`` of zsh itself."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from benchlab.cli_describe import Command, Option


def script(programs: Sequence[Command]) -> str:
    """Return the script."""
    lines = [
        f"#compdef {' '.join(program.prog for program in programs)}",
        "# zsh completion of BenchLab Linux Telemetry, made by: benchctl completions zsh",
        "",
    ]
    for program in programs:
        for command in program.commands:
            lines += [*_plain(command), ""]
        lines += [*(_with_commands(program) if program.commands else _plain(program)), ""]
    lines += [
        "# Loaded by the completion system it answers at once, read by source it registers itself.",
        'if [[ "$funcstack[1]" == _benchlab ]]; then',
        '    "_benchlab_$service" "$@"',
        "else",
        *(f"    compdef {function(program)} {program.prog}" for program in programs),
        "fi",
    ]
    return "\n".join(lines) + "\n"


def function(command: Command) -> str:
    """Return the name of a command's function."""
    return f"_benchlab_{re.sub(r'[^A-Za-z0-9]', '_', command.prog)}"


def _plain(command: Command) -> Iterator[str]:
    yield f"{function(command)}() {{"
    yield from _arguments("_arguments", [*_specs(command)])
    yield "}"


def _with_commands(program: Command) -> Iterator[str]:
    names = [command.prog.rpartition(" ")[2] for command in program.commands]
    yield f"{function(program)}() {{"
    yield "    local curcontext=$curcontext state line ret=1"
    yield "    local -a commands"
    yield "    commands=("
    for name, command in zip(names, program.commands, strict=True):
        yield f"        {shlex.quote(_plain_text(f'{name}:{command.text.partition(chr(10))[0]}'))}"
    yield "    )"
    yield from _arguments("_arguments -C", [*_specs(program), "1: :->command", "*:: :->rest"])
    yield "    case $state in"
    yield "        command) _describe -t commands command commands && ret=0 ;;"
    yield "        rest)"
    yield "            case $words[1] in"
    for name, command in zip(names, program.commands, strict=True):
        yield f"                {name}) {function(command)} && ret=0 ;;"
    yield "            esac ;;"
    yield "    esac"
    yield "    return ret"
    yield "}"


def _arguments(call: str, specs: Sequence[str]) -> Iterator[str]:
    yield " \\\n        ".join([f"    {call}", *map(shlex.quote, specs)])


def _specs(command: Command) -> Iterator[str]:
    for option in command.flags:
        others = f"({' '.join(option.flags)})" if len(option.flags) > 1 and not option.repeatable else ""
        for flag in option.flags:
            values = "".join(f":{_plain_text(value)}:{_action(option)}" for value in option.values)
            yield f"{'*' * option.repeatable}{others}{flag}[{_bracketed(option.help)}]{values}"
    operands = command.operands
    for number, operand in enumerate(operands, 1):
        yield f"{number}:{_plain_text(operand.name)}:{_action(operand)}"
    if operands and not operands[-1].choices:
        yield "*:: :_files"


def _action(option: Option) -> str:
    if option.choices:
        return f"({' '.join(option.choices)})"
    return "_files" if option.is_path else " "


def _plain_text(text: str) -> str:
    return text.replace("\\", "\\\\")


def _bracketed(text: str) -> str:
    return re.sub(r"([\\\[\]:])", r"\\\1", text)
