"""What a command line may say, as data: completions and manual pages are made from it."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

FLAG = "--describe"


class Option(msgspec.Struct):
    """One option or operand.

    ``flags`` is empty for an operand; ``values`` are the placeholders of what it takes, ``choices`` all that it may
    be, ``is_path`` whether it names a file or folder.
    """

    name: str
    flags: list[str]
    help: str
    values: list[str] = []
    choices: list[str] = []
    is_path: bool = False
    repeatable: bool = False


class Command(msgspec.Struct):
    """A program, or a subcommand of one; ``prog`` is how it is called."""

    prog: str
    text: str
    examples: str
    usage: str
    options: list[Option]
    commands: list[Command] = []

    @property
    def flags(self) -> list[Option]:
        """The options that begin with a dash."""
        return [option for option in self.options if option.flags]

    @property
    def operands(self) -> list[Option]:
        """What stands without a flag."""
        return [option for option in self.options if not option.flags]


def describe(p: argparse.ArgumentParser) -> Command:
    """Return what a parser takes, hidden options left out."""
    usage = " ".join(p.format_usage().removeprefix("usage:").split())
    options = [_option(p, action) for action in p._actions if action.help != argparse.SUPPRESS]
    return Command(p.prog, p.description or "", p.epilog or "", usage, options)


def _option(p: argparse.ArgumentParser, action: argparse.Action) -> Option:
    text = p._get_formatter()._expand_help(action) if action.help else ""
    return Option(
        name=action.dest,
        flags=list(action.option_strings),
        help=" ".join(text.split()),
        values=_values(action),
        choices=[str(choice) for choice in action.choices or ()],
        is_path=action.type is Path or action.metavar in ("DIR", "FILE", "PATH"),
        repeatable=isinstance(action, argparse._AppendAction),
    )


def _values(action: argparse.Action) -> list[str]:
    """Return a placeholder for each word that an option takes."""
    if action.nargs == 0:
        return []
    if isinstance(action.metavar, tuple):
        return list(action.metavar)
    if action.metavar is not None or action.choices is None:
        placeholder = action.metavar or action.dest.upper()
    else:
        placeholder = "{" + ",".join(map(str, action.choices)) + "}"
    return [placeholder] * (action.nargs if isinstance(action.nargs, int) else 1)
