"""Checks of ExampleGen's CSV options. Standard library only, because configurations are checked here as well."""

import codecs
import re
from collections.abc import Sequence

from penstock.core.suggestions import nearest

# What pandas takes for a missing value, in small letters, and what else is written for one.
STAND_INS = frozenset(
    ("", "#n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>", "n/a", "na", "nan", "none", "null")
    + ("?", "n.a.", "missing")
)
# With null_values: auto. In any column: what pandas takes for missing as it is written, but for None, which is a word
# of people's too, and the question mark. Among numbers: whatever is written for a missing one, in any case.
AUTO = "auto"
MISSING_ANYWHERE = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA")
    + ("NULL", "NaN", "n/a", "nan", "null", "?")
)
MISSING_AMONG_NUMBERS = frozenset(word.lower() for word in MISSING_ANYWHERE) | STAND_INS | {"-", "--", "."}
BLANKS = " \t\n\v\f\r"  # around such a word
# A number as Python, Arrow and TensorFlow all read it.
NUMBER = r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*"
_SEPARATOR_LINE = re.compile(r"\ufeff?sep=(?P<delimiter>[^\r\n])\r?\n")
_SWAPPED = str.maketrans(",.", ".,")


def check(
    delimiter: object = ",", quote_char: object = '"', encoding: str = "utf-8", decimal_point: object = "."
) -> str:
    """Checks the options and returns Python's name of the encoding; a ValueError begins with the wrong option's name.

    UTF-8 with a byte order mark and ASCII are returned as `utf-8`, which reads both.
    """
    for key, value in (("delimiter", delimiter), ("quote_char", quote_char)):
        if not isinstance(value, str) or len(value) != 1 or not value.isascii() or value in "\r\n\0":
            hint = '; a tab is "\\t" in double quotes' if value == r"\t" else ""
            raise ValueError(f"{key}: expected one ASCII character, received {value!r}{hint}")
    if delimiter == quote_char:
        raise ValueError(f"delimiter: expected another than quote_char, both are {delimiter!r}")
    if decimal_point not in (".", ","):
        raise ValueError(f"decimal_point: expected '.' or ',', received {decimal_point!r}")
    return _codec(encoding)


def is_missing(cell: str, null_values: Sequence[str], among_numbers: bool = False) -> bool:
    """Whether ExampleGen takes a cell for missing; `null_values` are its option's, or AUTO."""
    if null_values != AUTO:
        return not cell or cell in null_values
    word = cell.strip(BLANKS)
    return word in MISSING_ANYWHERE or (among_numbers and word.lower() in MISSING_AMONG_NUMBERS)


def without_separator_line(text: str) -> tuple[str, str]:
    """Returns the delimiter that a file's first line names for Excel, `sep=;`, and the text behind that line.

    The delimiter is "" where there is no such line.
    """
    said = _SEPARATOR_LINE.match(text)
    return (said["delimiter"], text[said.end() :]) if said else ("", text)


def number(cell: str, decimal_point: str = ".") -> float | None:
    """Returns the number that ExampleGen reads from a cell, as Python's float() does; None if the cell is text.

    With a decimal comma, a cell with a point is text.
    """
    try:
        return float(cell.translate(_SWAPPED) if decimal_point == "," else cell)
    except ValueError:
        return None


def check_names(names: Sequence[str]) -> None:
    """Raises a ValueError if there is no name, or if a column's name is empty or repeated."""
    if not names:
        raise ValueError("expected the names of the columns, found an empty line")
    places: dict[str, int] = {}
    for index, column in enumerate(names):
        if not column.strip():
            hint = "; if it is the index of pandas, to_csv(index=False) leaves it out" if index == 0 else ""
            raise ValueError(
                f"expected a name for every column, found none for column {index + 1} of {len(names)}{hint}"
            )
        first = places.setdefault(column, index)
        if first < index:
            raise ValueError(f"expected different names, found {column!r} for columns {first + 1} and {index + 1}")


def _codec(name: str) -> str:
    try:
        codec = codecs.lookup(name)
    except (LookupError, TypeError, ValueError):
        from encodings.aliases import aliases

        near = nearest(str(name).replace("-", "_"), sorted({*aliases, *aliases.values()}))
        hint = f"; did you mean {near.replace('_', '-')!r}?" if near else ""
        raise ValueError(f"encoding: unknown encoding {name!r}{hint}") from None
    if not codec._is_text_encoding:
        raise ValueError(f"encoding: expected a text encoding, received {name!r}")
    return "utf-8" if codec.name in ("utf-8", "utf-8-sig", "ascii") else codec.name
