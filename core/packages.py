"""Installed packages, none of which is imported: files inside them, written `package:NAME/path`, and the runtime."""

import importlib.util
from pathlib import Path

_PREFIX = "package:"
RUNTIME = "the runtime: pip install '.[runtime]'"  # what to install where it lacks


def has_runtime() -> bool:
    """Whether what tasks run on is installed here; without it, pipelines are compiled and submitted."""
    return all(importlib.util.find_spec(package) for package in ("tensorflow", "tfx_bsl"))


def is_inside(path: str) -> bool:
    """Whether a path begins with `package:`."""
    return path.startswith(_PREFIX)


def name(path: str) -> str:
    """Returns the package's name in `package:NAME/path`."""
    return path.removeprefix(_PREFIX).partition("/")[0]


def resolve(path: str) -> Path:
    """Returns the file that `package:NAME/path` means here; a ValueError says how to install the package."""
    return folder(name(path)) / path.removeprefix(_PREFIX).partition("/")[2].lstrip("/")


def folder(package: str) -> Path:
    """Returns the folder of an installed top-level package; a ValueError says how to install it."""
    try:
        spec = importlib.util.find_spec(package) if package.isidentifier() else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        install = f"pip install {package or 'NAME'}"
        raise ValueError(f"no package {package!r} in this environment: install it, such as `{install}`")
    return Path(next(iter(spec.submodule_search_locations)))
