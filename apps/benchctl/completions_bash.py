"""Completions for bash: two tables, and one function that walks the words before the cursor."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from benchlab.cli_describe import Command, Option

_WALK = """\
# Walks the words before the cursor: which command it is, and whether an option still waits for a value.
_benchlab() {
    local program=${1##*/} cur=${COMP_WORDS[COMP_CWORD]} word i
    local command=$program flag='' left=0 at=0
    local count kind words flags commands
    COMPREPLY=()
    [[ $cur == = ]] && cur=''
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == = ]]; then
            ((i + 1 < COMP_CWORD)) || continue
        elif ((left > 0)); then
            left=$((left - 1))
        elif [[ $word == -- ]]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
        elif [[ $word == -* ]]; then
            flag=$word
            _benchlab_option "$command" "$flag"
            left=$count
        else
            _benchlab_command "$command"
            if [[ " $commands " == *" $word "* ]]; then
                command="$program $word" at=0
            else
                at=$((at + 1))
            fi
        fi
    done
    _benchlab_command "$command"
    if ((left > 0)); then
        _benchlab_option "$command" "$flag"
    elif [[ $cur == -* ]]; then
        kind=words words=$flags
    elif [[ -n $commands ]]; then
        kind=words words=$commands
    else
        _benchlab_option "$command" "$at"
    fi
    if [[ $kind == words ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    elif [[ $kind == path ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}
"""


def script(programs: Sequence[Command]) -> str:
    """Return the script."""
    lines = [
        "# bash completion of BenchLab Linux Telemetry, made by: benchctl completions bash",
        "",
        "# What a command takes: sets flags and commands.",
        "_benchlab_command() {",
        "    flags='' commands=''",
        "    case $1 in",
        *(line for program in programs for line in _commands(program)),
        "    esac",
        "}",
        "",
        "# What an option takes, or the operand of that number: sets count, kind and words.",
        "_benchlab_option() {",
        "    count=0 kind='' words=''",
        "    case $1:$2 in",
        *(line for program in programs for line in _options(program)),
        "    esac",
        "}",
        "",
        _WALK,
        f"complete -F _benchlab {' '.join(program.prog for program in programs)}",
    ]
    return "\n".join(lines) + "\n"


def _commands(command: Command) -> Iterator[str]:
    flags = " ".join(flag for option in command.flags for flag in option.flags)
    names = " ".join(one.prog.rpartition(" ")[2] for one in command.commands)
    yield f"        {shlex.quote(command.prog)}) flags={shlex.quote(flags)} commands={shlex.quote(names)} ;;"
    for one in command.commands:
        yield from _commands(one)


def _options(command: Command) -> Iterator[str]:
    for option in command.flags:
        if option.values:
            patterns = "|".join(f"{shlex.quote(command.prog)}:{flag}" for flag in option.flags)
            yield f"        {patterns}) count={len(option.values)} {_takes(option)} ;;"
    for number, operand in enumerate(command.operands):
        yield f"        {shlex.quote(command.prog)}:{number}) {_takes(operand)} ;;"
    for one in command.commands:
        yield from _options(one)


def _takes(option: Option) -> str:
    if option.choices:
        return f"kind=words words={shlex.quote(' '.join(option.choices))}"
    return "kind=path" if option.is_path else "kind=''"
