"""benchctl man: a manual page for every program, made from its own command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchctl.man_page import page
from benchctl.programs import all_programs
from benchlab import cli
from benchlab.errors import Exit
from benchlab.files import make_dir

EXAMPLES = """\
  benchctl man ~/.local/share/man/man1     # then: man benchctl
  sudo benchctl man /usr/local/share/man/man1"""


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    p = cli.parser("benchctl man", "Write a manual page for every program of the product.", EXAMPLES)
    p.add_argument("dir", type=Path, metavar="DIR", help="folder for the pages, made if it is not there")
    return p


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Write the pages and print their names."""
    pages = {f"{program.prog}.1": page(program) for program in all_programs()}
    make_dir(args.dir)
    for name, text in pages.items():
        path = args.dir / name
        path.write_text(text, encoding="utf-8")
        print(path)
    return Exit.OK
