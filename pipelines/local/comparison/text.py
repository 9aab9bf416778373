"""Two runs beside each other on the terminal."""

from collections.abc import Iterable, Sequence

from penstock.core.text.aligned import aligned
from penstock.core.text.printable import printable
from penstock.pipelines.local.comparison import rows
from penstock.pipelines.local.comparison.comparison import Comparison
from penstock.pipelines.local.comparison.rows import Row

_MARKS = {True: "better", False: "worse", None: ""}
_LONGEST_DIFF = 60  # lines of a file's diff: the page has all


def text(comparison: Comparison) -> str:
    """Returns what differs, a table for each kind of it; what does not differ is left out."""
    header = Row("", "first", "second")
    parts = [
        _table("", map(_cells, [header, *rows.results(comparison)])),
        _table("configuration", map(_cells, rows.configuration(comparison))),
        _table("columns", map(_cells, rows.columns(comparison))),
        _table("what else changed", ((one["task"], one["changed"]) for one in comparison["tasks"])),
        *(_shortened(one["diff"]) for one in comparison["files"]),
    ]
    same = not any((comparison["configuration"], comparison["columns"], comparison["tasks"], comparison["files"]))
    parts += ["nothing is known to differ in what they were made of"] if same else []
    return "\n\n".join(part for part in parts if part)


def _cells(row: Row) -> tuple[str, ...]:
    return row.name, row.first, row.second, f"{row.change} {_MARKS[row.better]}".strip()


def _table(title: str, lines: Iterable[Sequence[str]]) -> str:
    cells = [[printable(cell) for cell in line] for line in lines]
    if not cells:
        return ""
    indent = "  " if title else ""
    return "\n".join([*([title] if title else []), *(indent + line for line in aligned(cells))])


def _shortened(diff: str) -> str:
    lines = diff.splitlines()
    more = [f"and {len(lines) - _LONGEST_DIFF:,} more lines"] if len(lines) > _LONGEST_DIFF else []
    return "\n".join([*lines[:_LONGEST_DIFF], *more])
