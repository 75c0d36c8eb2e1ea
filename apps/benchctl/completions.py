"""benchctl completions: what a shell offers for the Tab key, made from the programs' own command lines."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence

from benchctl import completions_bash, completions_fish, completions_zsh
from benchctl.programs import all_programs
from benchlab import cli
from benchlab.cli_describe import Command
from benchlab.errors import Exit

EXAMPLES = """\
  eval "$(benchctl completions bash)"          # this shell alone
  benchctl completions bash | sudo tee /etc/bash_completion.d/benchlab
  benchctl completions zsh | sudo tee /usr/local/share/zsh/site-functions/_benchlab
  benchctl completions fish > ~/.config/fish/conf.d/benchlab.fish"""

SHELLS: Mapping[str, Callable[[Sequence[Command]], str]] = {
    "bash": completions_bash.script,
    "zsh": completions_zsh.script,
    "fish": completions_fish.script,
}


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    text = "Print the completions of every program of the product for a shell."
    p = cli.parser("benchctl completions", text, EXAMPLES)
    p.add_argument("shell", choices=list(SHELLS), help="for which shell")
    return p


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Print the script."""
    print(SHELLS[args.shell](all_programs()), end="")
    return Exit.OK
