"""Manual pages hold every option, are free of groff's warnings, and show text as it is."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchctl.main import COMMANDS
from benchctl.man_page import page
from benchctl.programs import all_programs, scripts
from benchlab.cli_describe import Command, Option
from benchlab.errors import Exit

Benchctl = Callable[..., "subprocess.CompletedProcess[str]"]
ALL = all_programs()
SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES")


@pytest.fixture
def needs_groff(component: Callable[[str, str], str]) -> None:
    component("groff", "groff-base")


def groff(text: str) -> tuple[str, str]:
    """Return a page as a terminal shows it, and what groff has to say of it."""
    argv = ["groff", "-ww", "-man", "-Tutf8", "-P-cbou", "-rLL=200n"]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=True)
    return done.stdout.replace("\u2010", "-"), done.stderr


def test_there_is_a_page_for_every_console_script(benchctl: Benchctl, tmp_path: Path) -> None:
    folder = tmp_path / "share" / "man1"
    done = benchctl("man", str(folder))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{script.name}.1" for script in scripts())
    assert done.stdout.splitlines() == sorted(str(path) for path in folder.iterdir())


@pytest.mark.parametrize("program", ALL, ids=lambda program: str(program.prog))
def test_page_has_its_sections_in_their_order(program: Command) -> None:
    found = [name for name in re.findall(r"^\.SH (.*)$", page(program), re.MULTILINE) if name != "COMMANDS"]
    assert tuple(found) == SECTIONS


@pytest.mark.usefixtures("needs_groff")
@pytest.mark.parametrize("program", ALL, ids=lambda program: str(program.prog))
def test_page_shows_every_flag_and_groff_has_nothing_to_say(program: Command) -> None:
    shown, complaints = groff(page(program))
    assert complaints == ""
    for command in (program, *program.commands):
        for option in command.flags:
            for flag in option.flags:
                assert re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", shown), flag
    for code in Exit:
        assert re.search(rf"^ +{int(code)} +\w", shown, re.MULTILINE)
    assert program.examples.splitlines()[-1].split()[0] in shown


@pytest.mark.usefixtures("needs_groff")
def test_page_of_benchctl_has_every_command() -> None:
    (program,) = (one for one in ALL if one.prog == "benchctl")
    shown, _ = groff(page(program))
    assert all(f"benchctl {name}\n" in shown for name in COMMANDS)


@pytest.mark.usefixtures("needs_groff")
def test_text_that_looks_like_requests_is_shown_as_it_is() -> None:
    odd = "\\fBback\\slash 'quote' -dash `tick` ^hat ~tilde 100%"
    lines = [odd, ".so /etc/passwd", "'in 5", "..", ""]
    program = Command("odd", "\n".join(lines), "examples:\n" + "\n".join(lines), "odd [-x]", [Option("x", ["-x"], odd)])
    shown, complaints = groff(page(program))
    assert complaints == ""
    for line in lines:
        assert line in shown
    assert shown.count(odd) >= 3
    assert "root:" not in shown


@pytest.mark.usefixtures("needs_groff")
def test_checker_finds_a_broken_page() -> None:
    assert "warning" in groff(page(ALL[0]) + ".NOSUCHMACRO\n")[1]
