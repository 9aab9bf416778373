"""Texts that anybody may have written, files and JSON: read strictly, and within bounds. YAML: yaml_documents.py."""

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from penstock.core.files import kinds

LARGEST = 64 << 20  # bytes of a file
DEEPEST = 64
TOO_DEEP = f"expected at most {DEEPEST} lists and mappings in one another, found more"
LONGEST_NUMBER = 400  # characters
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class DocumentError(ValueError):
    """A text is no document, or none that is taken: a sentence that begins with the place."""


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Gives an OSError of the body the file's name: opening a file says it, reading one (EIO, ESTALE) does not."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, f"it cannot be read: {error.strerror}", str(path)) from error


def read_text(path: Path) -> str:
    """Returns the UTF-8 text of a file, without a byte order mark.

    Raises a DocumentError for what is no file, is too large or is not UTF-8; an OSError if it cannot be read.
    """
    special = kinds.special(path)
    if special and path.exists():  # opening a pipe would wait for a writer
        raise DocumentError(f"{path} is {special}: expected a file")
    with path.open("rb") as file:
        try:
            content = file.read(LARGEST + 1)
        except OSError as error:  # without the file's name
            raise DocumentError(f"{path}: it cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise DocumentError(f"{path}: expected at most {LARGEST >> 20} MiB of text, found more")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DocumentError(f"{path}: expected UTF-8 text, found UTF-16: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path}: expected UTF-8 text: {error.reason} at byte {error.start}") from None


def json_text(value: object, indent: int | None = None, allow_nan: bool = True, sort_keys: bool = False) -> str:
    """Returns JSON in which people read every character as it is, whatever its language.

    What is no character, as in a path that is not UTF-8, is escaped.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=allow_nan, sort_keys=sort_keys)
    return text.encode(errors="backslashreplace").decode()


def parse_json(text: str) -> Any:
    """Returns the value of a JSON text; of DocumentError's sentence the caller knows the place."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_int=_integer)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
        _require_shallow(value)
    except RecursionError:
        raise DocumentError(TOO_DEEP) from None
    except UnicodeEncodeError:
        raise DocumentError("expected text, found half a character, \\ud800 to \\udfff") from None
    return value


def read_json(path: Path) -> Any:
    """Returns the value of a JSON file, as `read_text` and `parse_json` do."""
    return parse_json(read_text(path))


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise DocumentError(f"key {next(name for name in names if names.count(name) > 1)!r} is here twice")
    return value


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise DocumentError(f"found a number of {len(digits):,} digits")
    return int(digits)


def _require_shallow(value: Any) -> None:
    waiting = [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        if isinstance(one, dict | list):
            if depth > DEEPEST:
                raise DocumentError(TOO_DEEP)
            waiting += ((part, depth + 1) for part in (one.values() if isinstance(one, dict) else one))
