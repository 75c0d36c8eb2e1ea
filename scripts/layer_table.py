#!/usr/bin/env python3
"""Write the table of files in docs/ARCHITECTURE.md: every module, with the first line of its docstring.

``--check`` compares instead of writing (exit 1 on a difference). A file's responsibility is thus said once.
"""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "ARCHITECTURE.md"
BEGIN, END = "<!-- files: made by scripts/layer_table.py -->\n", "<!-- end of files -->\n"


def responsibility(path: Path) -> str:
    """Return the first line of a module's docstring. Raises SystemExit where there is none."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not doc:
        raise SystemExit(f"layer_table.py: {path} has no docstring, expected a first line that says what it does")
    return doc.splitlines()[0].replace("``", "`").replace("|", "\\|")


def rooms(root: Path) -> list[Path]:
    """Return the folders that hold modules, in the order of the data flow's foundation: libs, then apps."""
    modules = [path for top in ("libs", "apps") for path in sorted((root / top).rglob("*.py"))]
    return list(dict.fromkeys(path.parent for path in modules))


def table(root: Path) -> str:
    """Return the table: a heading row for each room, then its files."""
    lines = ["| room and file | responsibility |", "| --- | --- |"]
    for room in rooms(root):
        files = [path for path in sorted(room.glob("*.py")) if path.name not in ("__init__.py", "__main__.py")]
        lines.append(f"| **`{room.relative_to(root)}`** | **{responsibility(room / '__init__.py')}** |")
        lines += [f"| `{path.name}` | {responsibility(path)} |" for path in files]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Write the table, or compare it."""
    parser = argparse.ArgumentParser(prog="layer_table.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare the table instead of writing it")
    args = parser.parse_args(argv)
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = before + BEGIN + table(ROOT) + END + after
    if args.check and wanted != page:
        print(
            f"layer_table.py: the table in {PAGE} is not of this tree; run it without --check",
            file=sys.stderr,
        )
        return 1
    if not args.check:
        PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
