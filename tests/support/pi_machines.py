"""Made Raspberry Pis: their files under a root, and a program that answers as their vcgencmd does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from support.edge_fixtures import plant

FIXTURES = Path(__file__).parent.parent / "fixtures" / "pimon"

_PROGRAM = """\
import json, pathlib, sys
here = pathlib.Path(__file__).parent
question = " ".join(sys.argv[1:])
with (here / "asked").open("a") as asked:
    asked.write(question + "\\n")
answer = json.loads((here / "answers.json").read_text()).get(question)
print(answer if answer is not None else 'error=1 error_msg="Command not registered"')
"""


def pi(root: Path, name: str) -> Path:
    """Write the files of ``pi4`` or ``pi5`` below ``root`` and return it."""
    files: dict[str, str] = json.loads((FIXTURES / f"{name}.json").read_text())
    return plant(root, files)


def answers(name: str) -> dict[str, Any]:
    """Return what the firmware of ``pi4`` or ``pi5`` says, by question."""
    told: dict[str, Any] = json.loads((FIXTURES / f"vcgencmd_{name}.json").read_text())
    return told


class Vcgencmd:
    """A program in a folder; ``words`` run it."""

    def __init__(self, folder: Path, said: dict[str, Any]) -> None:
        folder.mkdir()
        self._folder = folder
        program = folder / "vcgencmd.py"
        program.write_text(_PROGRAM)
        self.words = [sys.executable, "-S", str(program)]
        self.says(said)

    def says(self, said: dict[str, Any]) -> None:
        (self._folder / "answers.json").write_text(json.dumps(said))

    def asked(self) -> list[str]:
        """Return what it was asked since this was last called."""
        log = self._folder / "asked"
        if not log.exists():
            return []
        found = log.read_text().splitlines()
        log.unlink()
        return found
