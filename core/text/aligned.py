"""Rows of cells as lines of text whose columns stand below each other."""

from collections.abc import Iterable, Sequence


def aligned(rows: Iterable[Sequence[str]], right: bool = False) -> list[str]:
    """Returns a line for each row, all of as many cells; `right` aligns all cells but the first one to the right."""
    lines = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(_padded(line, widths, right)).rstrip() for line in lines]


def _padded(cells: Sequence[str], widths: Sequence[int], right: bool) -> Iterable[str]:
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        yield cell.rjust(width) if right and place else cell.ljust(width)
