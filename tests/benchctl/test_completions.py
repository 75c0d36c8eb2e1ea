"""Completions hold every command and flag of the real parsers, and bash, zsh and fish themselves take them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from benchctl import completions_bash, completions_fish, completions_zsh, programs
from benchctl.completions import SHELLS
from benchctl.main import COMMANDS
from benchlab.cli_describe import Command, Option

Component = Callable[[str, str], str]
ALL = programs.all_programs()
DRIVER = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
complete -p "${1##*/}" >/dev/null || exit 9
_benchlab "$1" "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def bash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bash") / "completions.bash"
    path.write_text(completions_bash.script(ALL))
    return path


def offered(script: Path, *words: str, cwd: Path | None = None) -> list[str]:
    """Return what bash offers for the last of these words."""
    argv = ["bash", "--norc", "-c", DRIVER, "bash", str(script), *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=cwd)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def commands() -> Iterator[tuple[list[str], Command]]:
    """Yield every program and subcommand with the words that call it."""
    for program in ALL:
        yield [program.prog], program
        for command in program.commands:
            yield command.prog.split(" "), command


def flags(command: Command) -> set[str]:
    return {flag for option in command.flags for flag in option.flags}


def test_every_console_script_is_described() -> None:
    assert [program.prog for program in ALL] == sorted(script.name for script in programs.scripts())
    assert "muxd" in [program.prog for program in ALL]


def test_every_command_of_benchctl_is_described_by_its_own_parser() -> None:
    (found,) = (program for program in ALL if program.prog == "benchctl")
    assert [command.prog.split()[1] for command in found.commands] == list(COMMANDS)
    for command, (module, _) in zip(found.commands, COMMANDS.values(), strict=True):
        listed = re.findall(r"^  (-.*?)(?:  |$)", import_module(module).parser().format_help(), re.MULTILINE)
        assert flags(command) == set(re.findall(r"(?<!\S)-{1,2}[\w-]+", " ".join(listed))), command.prog


@pytest.mark.parametrize(
    ("words", "command"), list(commands()), ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bash_offers_every_flag(bash: Path, words: list[str], command: Command) -> None:
    assert set(offered(bash, *words, "-")) == flags(command)


def test_bash_offers_every_command_of_benchctl(bash: Path) -> None:
    assert offered(bash, "benchctl", "") == list(COMMANDS)
    assert offered(bash, "benchctl", "do") == ["doctor"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["benchctl", "--log-level", ""], ["debug", "info", "warning", "error"]),
        (["benchctl", "completions", ""], ["bash", "zsh", "fish"]),
        (["benchctl", "session", "n"], ["new"]),
        (["benchctl", "session", "new", "--js"], ["--json"]),
        (["/opt/benchlab/.venv/bin/muxd", "--sink", "s"], ["sqlite"]),
        (["muxd", "--log-format", "=", "j"], ["json"]),
        (["muxd", "--log-format", "="], ["text", "json"]),
        (["benchctl", "tail", "--pair", "a", ""], []),
        (["benchctl", "tail", "--pair", "a", "b", "--no"], ["--no-follow"]),
        (["benchctl", "--session", "status", "ver"], ["verify"]),
        (["benchctl", "--session", "x", "top", "--on"], ["--once"]),
    ],
    ids=" ".join,
)
def test_bash_knows_where_in_the_line_it_is(bash: Path, words: list[str], expected: list[str]) -> None:
    assert offered(bash, *words) == expected


def test_bash_offers_files_with_blanks_as_one_word(bash: Path, tmp_path: Path) -> None:
    (tmp_path / "my config.toml").touch()
    (tmp_path / "other").touch()
    assert offered(bash, "muxd", "--config", "my", cwd=tmp_path) == ["my config.toml"]
    assert offered(bash, "benchctl", "record", "--", "my", cwd=tmp_path) == ["my config.toml"]


def odd() -> Command:
    text = 'it\'s a ["test"]: 100% `of` $(what) \\ breaks; quoting'
    option = Option("x", ["--x"], text, ["X"], ["it's", "$(touch broken)", "b"])
    return Command("odd", text, "", "odd", [option], [Command("odd sub", f"{text}\n{text}", "", "", [option])])


def test_nothing_in_a_text_is_run_by_bash(tmp_path: Path) -> None:
    script = tmp_path / "odd.bash"
    script.write_text(completions_bash.script([odd()]))
    assert offered(script, "odd", "sub", "--", cwd=tmp_path) == ["--x"]
    assert not (tmp_path / "broken").exists()


def conditions(text: str) -> dict[str, set[str]]:
    """Return the long options that fish has for each command."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if words := re.match(r"complete -c (\S+)(?: -n '__fish_seen_subcommand_from (\w+)')?.*? -l (\S+)", line):
            name = f"{words[1]} {words[2]}" if words[2] else words[1]
            found.setdefault(name, set()).add(f"--{words[3]}")
    return found


def test_fish_has_every_command_and_flag() -> None:
    text = completions_fish.script(ALL)
    found = conditions(text)
    for words, command in commands():
        assert found[" ".join(words)] == {flag for flag in flags(command) if flag.startswith("--")}
    assert all(f"-a {name} -d" in text for name in COMMANDS)


def test_zsh_has_every_command_and_flag() -> None:
    text = completions_zsh.script(ALL)
    for _, command in commands():
        body = text.partition(f"{completions_zsh.function(command)}() {{\n")[2].partition("\n}")[0]
        assert {flag for flag in flags(command) if f"{flag}[" in body} == flags(command)
    assert text.startswith(f"#compdef {' '.join(program.prog for program in ALL)}\n")


def open_quote(text: str, shell: str) -> str | None:
    """Return the quote within which a script ends. In single quotes of zsh a backslash has no meaning."""
    inside: str | None = None
    escaped = False
    for character in "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")):
        if escaped:
            escaped = False
        elif character == "\\" and not (shell == "zsh" and inside == "'"):
            escaped = True
        elif character in "'\"":
            inside = None if inside == character else inside or character
    return inside


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_script_ends_outside_of_quotes(shell: str) -> None:
    for some in (ALL, [odd()]):
        assert open_quote(SHELLS[shell](some), shell) is None
    assert open_quote(SHELLS[shell](ALL) + "'it", shell) == "'"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_itself_can_read_the_script(shell: str, component: Component, tmp_path: Path) -> None:
    component(shell, shell)
    for number, some in enumerate((ALL, [odd()])):
        path = tmp_path / str(number)
        path.write_text(SHELLS[shell](some))
        done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    path.write_text("if (")
    assert subprocess.run([shell, "-n", str(path)], capture_output=True).returncode != 0


def test_fish_itself_offers_commands_and_values(component: Component, tmp_path: Path) -> None:
    component("fish", "fish")
    path = tmp_path / "benchlab.fish"
    path.write_text(completions_fish.script(ALL))
    for line, expected in (("benchctl ", set(COMMANDS)), ("benchctl completions ", set(SHELLS))):
        code = f"source {path}; complete -C '{line}'"
        env = {**os.environ, "HOME": str(tmp_path)}
        said = subprocess.run(["fish", "-N", "-c", code], capture_output=True, text=True, check=True, env=env).stdout
        assert {row.partition("\t")[0] for row in said.splitlines()} == expected


def test_command_prints_the_script() -> None:
    argv = [sys.executable, "-m", "benchctl", "completions", "bash"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (completions_bash.script(ALL), "")
