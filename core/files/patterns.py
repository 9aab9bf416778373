"""Glob patterns of data files, and names that look like patterns: a path that exists is that path.

    *, ?, [ab], [!ab]   within a part of a path; **/ is any number of folders
    [*] [?] [[] [{]     the characters themselves, as `escape` writes them; [{] is no beginning of {SPAN}

Standard library only: the same rules hold for configurations, local folders and object stores.
"""

import glob
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Literal

from penstock.core.errors import DataError
from penstock.core.files import kinds

_WILD = re.compile(r"[*?\[{]")
_GLOB = re.compile(
    r"(?P<deep>\*\*/)|(?P<any>\*)|(?P<one>\?)|\[(?P<not>!?)(?P<set>\][^\]]*|[^\]]+)\]|(?P<literal>.)", re.DOTALL
)

type Kind = Literal["file", "folder", ""]

_VARIABLE = re.compile(r"(?<!\[)\{[^{}]*\}")


def is_wild(text: str) -> bool:
    """Whether a text has a character that means another in a pattern: of a glob, or the brace of {SPAN}."""
    return _WILD.search(text) is not None


def first_wild(text: str) -> int:
    """Returns the place of the first such character, -1 if there is none."""
    wild = _WILD.search(text)
    return wild.start() if wild else -1


def fixed(pattern: str) -> str:
    """Returns the folders that a pattern begins with, up to the first that may be several: `a/b/` of `a/b/c*/d`."""
    wild = first_wild(pattern)
    return pattern[: pattern.rfind("/", 0, wild if wild >= 0 else None) + 1]


def escape(name: str) -> str:
    """Returns the pattern that means a name whatever characters it has."""
    return glob.escape(name).replace("{", "[{]")


def without_escapes(pattern: str) -> str:
    """Returns a pattern without the braces that `escape` has written, to look for {SPAN} and the like in it."""
    return pattern.replace("[{]", "")


def of_every_span(pattern: str) -> str:
    """Returns a pattern with * in the place of {SPAN}, {VERSION} and the like: of the files of all spans."""
    return _VARIABLE.sub("*", pattern)


def literal(pattern: str, kind: Callable[[str], Kind]) -> str:
    """Returns a pattern in which what exists under its own name means itself: the whole, or the folders it begins with.

    `data[1].csv` is that file where it exists, and else `data1.csv`; a folder is the files right in it. `kind` tells
    what there is of a name.
    """
    parts = pattern.split("/")
    for length in range(len(parts), 0, -1):
        name = "/".join(parts[:length])
        if length < len(parts) and not is_wild(name):
            break
        match kind(name):
            case "file" if length == len(parts):
                return escape(name)
            case "folder":
                return f"{escape(name.rstrip('/'))}/{'/'.join(parts[length:]) or '*'}"
    return pattern


def literal_below(folder: Path, pattern: str) -> str:
    """Does what `literal` does, for what exists in a folder of this machine."""

    def kind(name: str) -> Kind:
        path = folder / name
        return "file" if path.is_file() else "folder" if path.is_dir() else ""

    return literal(pattern, kind)


def files(folder: Path, pattern: str) -> list[str]:
    """Returns the names of the files in a folder that match, sorted, without those that are marked as no data.

    Raises a DataError for what matches and is neither a file nor a folder: without it, the data would be incomplete.
    """
    names = []
    for name in sorted(glob.glob(pattern, root_dir=folder, recursive=True)):
        path = folder / name
        if is_marked(name, pattern):
            continue
        if path.is_file():
            names.append(name)
        elif special := kinds.special(path):
            raise DataError(f"{path} is {special}: expected a file; remove it, or name a pattern that leaves it out")
    return names


def is_marked(name: str, pattern: str) -> bool:
    """Whether a name that matches is no data: a part begins with a dot, or the file's name with an underscore."""
    if PurePosixPath(name).name.startswith("_") and not PurePosixPath(pattern).name.startswith("_"):
        return True
    dots = any(part.startswith(".") for part in name.split("/"))
    return dots and not any(part.startswith(".") for part in pattern.split("/"))


def translate(pattern: str) -> str:
    """Returns the regular expression of a glob pattern."""
    return "".join(map(_meaning, _GLOB.finditer(pattern)))


def _meaning(part: re.Match[str]) -> str:
    if part["set"]:
        members = re.sub(r"([\[\]\\^&~|])", r"\\\1", part["set"])
        return f"[{'^' if part['not'] else ''}{members}]"
    return {"deep": "(?:.*/)?", "any": "[^/]*", "one": "[^/]"}.get(str(part.lastgroup)) or re.escape(part[0])
