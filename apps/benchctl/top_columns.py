"""Tables that fit: columns are dropped from the least needed on, one is shortened, no line is ever longer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

GAP = "  "
LEAST = 6
"""Cells that a column keeps which gives way to others."""

WIDEST = 26
"""Cells that a name may take."""

Cell = tuple[str, str]


@dataclass(frozen=True)
class Column:
    """One column; ``need`` 0 always stays, of the others the greatest goes first.

    ``fills``: it takes what room the others leave.
    """

    title: str
    need: int = 0
    right: bool = False
    fills: bool = False


def text_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> Iterator[Text]:
    """Yield the titles and the rows, each at most ``width`` cells long; a cell is its text and its style."""
    widths = [_natural(column, [row[i][0] for row in rows]) for i, column in enumerate(columns)]
    kept = _kept(columns, widths, width)
    room = width - sum(widths[i] for i in kept if not columns[i].fills) - len(GAP) * (len(kept) - 1)
    for i in kept:
        if columns[i].fills:
            widths[i] = max(0, min(widths[i], room))
    yield _line([(columns[i].title, "dim") for i in kept], [columns[i] for i in kept], [widths[i] for i in kept], width)
    for row in rows:
        yield _line([row[i] for i in kept], [columns[i] for i in kept], [widths[i] for i in kept], width)


def _natural(column: Column, texts: Sequence[str]) -> int:
    widest = max(map(cell_len, (column.title, *texts)))
    return widest if column.fills or column.right else min(widest, WIDEST)


def _kept(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    kept = list(range(len(columns)))
    while _least(columns, widths, kept) > width:
        droppable = [i for i in kept if columns[i].need]
        if not droppable:
            break
        kept.remove(max(droppable, key=lambda i: columns[i].need))
    return kept


def _least(columns: Sequence[Column], widths: Sequence[int], kept: Sequence[int]) -> int:
    cells = sum(min(widths[i], LEAST) if columns[i].fills else widths[i] for i in kept)
    return cells + len(GAP) * (len(kept) - 1)


def _line(cells: Sequence[Cell], columns: Sequence[Column], widths: Sequence[int], width: int) -> Text:
    line = Text(no_wrap=True)
    for i, ((text, style), column, size) in enumerate(zip(cells, columns, widths, strict=True)):
        fitted = shortened(text, size)
        padding = " " * (size - cell_len(fitted))
        line.append(GAP if i else "")
        line.append(padding + fitted if column.right else fitted + padding, style)
    line.rstrip()
    line.truncate(width)
    return line


def shortened(text: str, size: int) -> str:
    """Return text of at most ``size`` cells, with an ellipsis where something is missing."""
    if cell_len(text) <= size:
        return text
    return set_cell_size(text, max(0, size - 1)) + "…" if size > 0 else ""


def printable(text: str) -> str:
    """Return text without characters that a terminal would obey."""
    return "".join(c if c.isprintable() else "·" for c in text)
