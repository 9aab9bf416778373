"""The beginning of a file that is elsewhere, as a plain file here."""

import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.core.errors import DataError
from penstock.core.files import compression
from penstock.core.files.data_files import DataFile

TEXT = ("csv", "json")  # whose beginning is rows, too
_CHARACTERS = 8 << 20


def copy(file: DataFile, to: Path, csv: Mapping[str, Any] | None) -> bool:
    """Writes whole lines of a file of text, compressed or plain, and returns whether these are all.

    `csv` says how CSV is written, None is for other text, in UTF-8. The last row is whole, whatever ends of lines its
    quoted cells hold. Raises a DataError for what is damaged, and for bytes that are no text.
    """
    encoding = (csv or {}).get("encoding") or "utf-8"
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        with compression.opened(file) as plain, io.TextIOWrapper(plain, encoding, newline="") as text:
            beginning = text.read(_CHARACTERS)
            is_all = not text.read(1)
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: expected text in {error.encoding}: {error.reason}") from None
    to.write_text(beginning if is_all else beginning[: end(beginning, csv)], encoding=encoding, newline="")
    return is_all


def end(text: str, csv: Mapping[str, Any] | None) -> int:
    """Returns where the last whole row of a text ends, that of the text if none does. `csv` is as in `copy`."""
    found, quote = text.rfind("\n") + 1, (csv or {}).get("quote_char") or '"'
    while csv is not None and found and text.count(quote, 0, found) % 2:
        found = text.rfind("\n", 0, found - 1) + 1
    return found or len(text)


def copy_all(file: DataFile, to: Path) -> None:
    """Writes all of a file."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with file.open("rb") as content, to.open("wb") as target:
        shutil.copyfileobj(content, target)
