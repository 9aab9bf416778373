"""Where files are, as paths and patterns name them: the one folder that they are below, and patterns relative to it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from penstock.core import packages
from penstock.core.files import formats, patterns
from penstock.pipelines.config.section import is_remote

_ANY_DEPTH = "**/*"


class Located(NamedTuple):
    """A folder with patterns that are relative to it, or one file or folder without a pattern."""

    base: str
    patterns: tuple[str, ...] = ()


def located(paths: Sequence[str], is_partitioned: bool) -> Located:
    """Returns where the files are that paths, patterns or both name; of folders that are partitions those at any depth.

    Raises a ValueError for paths that have no folder in common.
    """
    if len(paths) == 1:
        return _one(paths[0], is_partitioned)
    found = [_one(path, is_partitioned) for path in paths]
    folders = [base if several else base.rpartition("/")[0] for base, several in found]
    base = _common(folders)
    if base in ("", "/") or base.endswith((":/", ":")):
        raise ValueError(f"path: expected patterns below one folder, received {paths[0]} and {_farthest(paths)}")
    return Located(base, tuple(pattern for one in found for pattern in _below(base, one)))


def here(path: str) -> Path | None:
    """Returns where a path is on this machine; None in a bucket, and in a package that this environment lacks."""
    if is_remote(path):
        return None
    try:
        return packages.resolve(path) if packages.is_inside(path) else Path(path)
    except ValueError:
        return None


def _one(path: str, is_partitioned: bool) -> Located:
    elsewhere = is_remote(path) or packages.is_inside(path)  # the same whether it is here as well or not
    if elsewhere:
        base = Path()
    else:  # a folder that exists is no pattern, whatever its name
        base = next(folder for folder in (Path(path), *Path(path).parents) if folder.is_dir())
    start = len(str(base)) + 1 if base != Path() else 0
    rest = path[start:]
    if rest and not elsewhere and Path(path).is_file():
        return Located(str(Path(path).parent), (patterns.escape(Path(path).name),))
    wild = patterns.first_wild(rest)
    if wild >= 0:
        start += rest[:wild].rfind("/") + 1
        return Located(path[: start - 1], (path[start:],))
    is_folder = not formats.of_names([path]) if elsewhere else Path(path).is_dir()
    return Located(path, (_ANY_DEPTH,) if is_partitioned and is_folder else ())


def _common(folders: Sequence[str]) -> str:
    """Returns the deepest folder that all are in, or are."""
    parts = list(zip(*(folder.split("/") for folder in folders), strict=False))
    same = next((depth for depth, names in enumerate(parts) if len(set(names)) > 1), len(parts))
    return "/".join(folders[0].split("/")[:same])


def _below(base: str, one: Located) -> list[str]:
    """Returns the patterns that mean the same in a folder further up."""
    rest = patterns.escape(one.base[len(base) + 1 :])
    if one.patterns:
        return [f"{rest}/{pattern}" if rest else pattern for pattern in one.patterns]
    is_file = bool(formats.of_names([one.base])) and not Path(one.base).is_dir()
    return [rest if is_file else f"{rest}/*" if rest else "*"]


def _farthest(paths: Sequence[str]) -> str:
    return min(paths[1:], key=lambda path: len(_common([paths[0], path])))
