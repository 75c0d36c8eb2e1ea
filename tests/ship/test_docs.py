"""What the documentation says exists: programs, flags, keys, files, links."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from benchctl.main import COMMANDS
from benchlab.config import KEYS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
PROGRAMS: dict[str, str] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md"]
PAGES += [*(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "data/sample/README.md"]

# What a page calls a program by, beside its name: the path of its script.
SCRIPTS = {f"apps/{where.split(':')[0].replace('.', '/')}.py": name for name, where in PROGRAMS.items()}
SCRIPTS["./scripts/dev_run.sh"] = "benchctl demo"
SCRIPTS["./scripts/benchlab_emulator.py"] = "benchctl emulate benchlab"

# Flags of programs that are not ours, by the program that a command line begins with.
FOREIGN = ("prometheus", "promtool", "python3 -m venv", "pip", "curl", "sudo", "ffmpeg")


@cache
def help_of(program: str) -> str:
    """Return what ``--help`` says, for ``benchctl demo`` that of the subcommand."""
    name, *rest = program.split()
    module = PROGRAMS[name].split(":")[0]
    return subprocess.check_output([sys.executable, "-m", module, *rest, "--help"], env=env(), text=True)


def env() -> dict[str, str]:
    return {"PYTHONPATH": f"{REPOSITORY / 'apps'}:{REPOSITORY / 'libs'}", "PATH": "/usr/bin:/bin", "COLUMNS": "100"}


def code(text: str) -> Iterator[str]:
    """Yield every line of a fenced shell block and every piece of inline code."""
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def program_of(command: str) -> str | None:
    """Return which of our programs a command line starts, with its subcommand where it has some."""
    words = command.split()
    if words[0] in ("python", "python3") and len(words) > 1:
        words = words[1:]
    name = SCRIPTS.get(words[0], words[0])
    if name.split()[0] not in PROGRAMS:
        return None
    verbs: list[str] = []
    for word in words[1:]:
        if not re.fullmatch(r"[a-z]+", word) or f" {word}" not in help_of(" ".join([name, *verbs])):
            break
        verbs.append(word)
    return " ".join([name, *verbs]) if name == "benchctl" else name


def flags_in(command: str) -> list[str]:
    """Return the long options before ``--``, which ends those of the program itself."""
    return re.findall(r"(?<!\S)(--[a-z][a-z-]+)", command.split(" -- ")[0])


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for command in code(page.read_text()):
            program = program_of(command) if command.strip() else None
            if program and flags_in(command):
                found.append((program, command))
    return found


@pytest.mark.parametrize(("program", "command"), commands())
def test_flags_of_a_documented_command_exist(program: str, command: str) -> None:
    known = help_of(program)
    assert [flag for flag in flags_in(command) if not re.search(rf"{flag}\b", known)] == []


def test_every_flag_the_readme_mentions_exists_somewhere() -> None:
    verbs = [f"benchctl {verb}" for verb in COMMANDS]
    logger = [sys.executable, str(REPOSITORY / "scripts" / "logger.py"), "--help"]
    everything = "".join(map(help_of, [*PROGRAMS, *verbs])) + subprocess.check_output(logger, env=env(), text=True)
    ours = [piece for piece in code(README) if not piece.startswith(FOREIGN)]
    flags = {flag for piece in ours for flag in flags_in(piece)}
    assert flags
    assert sorted(flag for flag in flags if flag not in everything and flag != "--help") == []


def test_every_program_is_in_the_readme_and_explains_itself() -> None:
    table = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert sorted(table) == sorted(PROGRAMS)
    for program in PROGRAMS:
        assert "examples:" in help_of(program), program


def test_every_verb_of_benchctl_the_readme_mentions_exists() -> None:
    (row,) = re.findall(r"^\| `benchctl` \| (.*?) \|", README, re.MULTILINE)
    verbs = [*re.findall(r"`(\w+)`", row), *re.findall(r"`benchctl (\w+)", README)]
    assert [verb for verb in verbs if not re.search(rf"\b{verb}\b", help_of("benchctl"))] == []


def test_every_configuration_key_is_in_the_commented_configuration() -> None:
    text = (REPOSITORY / "configs" / "config.toml").read_text()
    section, found = "", set()
    for line in text.splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = heading[1]
        elif key := re.match(r"(?:# )?(\w+) = ", line):
            found.add(f"{section}.{key[1]}")
    assert found == set(KEYS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_decision_is_listed() -> None:
    folder = REPOSITORY / "docs" / "adr"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\) \| (.+) \|", (folder / "README.md").read_text())
    titles = {path.name: path.read_text().splitlines()[0] for path in folder.glob("0*.md")}
    assert {name: f"# {name[:4]} {title}" for name, title in listed} == titles


def test_paths_that_the_readme_names_exist() -> None:
    paths = [piece for piece in code(README) if re.fullmatch(r"[\w./-]+/[\w.-]*", piece)]
    mine = [path for path in paths if not path.startswith(("/", "aligned/", "raw/", ".benchlab"))]
    assert "data/sample" in README and mine
    assert [path for path in mine if not (REPOSITORY / path).exists() and path not in ("input/output",)] == []
