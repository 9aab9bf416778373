"""How the files that a local run has left are read: whole and of the right types, or passed over with a word."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from penstock.core.files import documents
from penstock.core.text import printable

_adapter: Callable[[Any], TypeAdapter[Any]] = functools.cache(TypeAdapter)


def validated[Document](kind: type[Document], path: Path, **defaults: object) -> Document:
    """Reads a JSON file as a dataclass; `defaults` are of keys that it may lack.

    Keys that are not known are left out: a newer version may have written them. Raises an OSError without the file, a
    ValueError if its content does not fit.
    """
    content = documents.read_json(path)
    try:
        document: Document = _adapter(kind).validate_python({**defaults, **content} if defaults else content)
        return document
    except TypeError:
        raise ValueError("expected an object") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from None


@functools.cache
def tell_passed_over(path: Path, why: str) -> None:
    """Says on standard error, once, that a file is passed over."""
    cause = why.removeprefix(f"{path}: ").removeprefix(f"{path} is ")
    print(printable.sentence(f"penstock: {path} is damaged and passed over: {cause}"), file=sys.stderr)
