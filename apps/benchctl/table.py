"""What commands print: tables with columns as wide as their content, never cut, and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

GAP = "  "


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield a line of titles and a line for each row; columns of integers stand to the right."""
    cells = [list(titles), *([_text(value) for value in row] for row in rows)]
    columns = [_column(texts, rows, index) for index, texts in enumerate(zip(*cells, strict=True))]
    for line in zip(*columns, strict=True):
        yield GAP.join(line).rstrip()


def _column(texts: Sequence[str], rows: Sequence[Sequence[object]], index: int) -> list[str]:
    width = max(map(len, texts))
    if rows and all(isinstance(row[index], int) for row in rows):
        return [text.rjust(width) for text in texts]
    return [text.ljust(width) for text in texts]


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def print_json(document: object) -> None:
    """Print a document as JSON that people can read, too."""
    print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
