"""What travels with a module file: the modules and packages that it can import beside it, and the files that it reads.

A module that names its own place, by `__file__` or importlib.resources, may read files there. Then the small files of
its folder travel as well. Large ones stay behind, as do hidden files, environments, and configurations of the module.
"""

import ast
import os
import re
import warnings
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

LARGEST = 4 << 20  # bytes of a file
LARGEST_TOGETHER = 32 << 20
_MOST_FILES = 1000
_OWN_PLACE = re.compile(
    rb"__file__|__path__|\bimportlib[._]resources\b|\bfrom\s+importlib\s+import\b[^\n]*\bresources\b|\bpkgutil\b"
    rb"|\bgetfile\b|\bgetsourcefile\b"
)
_NEVER = {"__pycache__", "node_modules"}
_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class ModuleFiles:
    """The files that travel with a module, sorted, and those that it might read but that are too large to travel."""

    folder: Path
    files: list[Path]
    left_out: list[Path]


def of(module_file: Path, without: Collection[Path] = ()) -> ModuleFiles:
    """Returns the files that travel with a module file.

    Args:
        module_file: The module; what it can import and read is in its folder and below.
        without: Files and folders that are none of the module's: the pipeline's data, its outputs.
    """
    folder = module_file.resolve().parent
    reached = _reached(module_file.resolve())
    modules = sorted(reached | _importable(folder))
    if not any(_OWN_PLACE.search(module.read_bytes()) for module in reached):
        return ModuleFiles(folder, modules, [])
    travelling, total = set(modules), 0
    left_out: list[Path] = []
    skipped = {*modules, *(path.resolve() for path in without)}
    for path in _data_files(folder, module_file.name, skipped):
        size = path.stat().st_size
        if size > LARGEST or total + size > LARGEST_TOGETHER or len(travelling) >= _MOST_FILES:
            left_out.append(path)
        else:
            travelling.add(path)
            total += size
    return ModuleFiles(folder, sorted(travelling), left_out)


def _importable(folder: Path) -> set[Path]:
    """Returns the modules in a folder, and those of its packages at any depth."""
    packages = (path.parent for path in folder.glob("*/__init__.py"))
    return {*_sources(folder.glob("*.py")), *(path for package in packages for path in _sources(package.rglob("*.py")))}


def _reached(module: Path) -> set[Path]:
    """Returns a module and what it imports beside it, directly or not; a package may do without __init__.py."""
    reached, waiting = set[Path](), [module]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            for name in _imported(one):
                beside = module.parent / name
                waiting += _sources([beside.with_suffix(".py"), *beside.rglob("*.py")])
    return reached


def _sources(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.is_file()]


def _imported(module: Path) -> Iterator[str]:
    """Yields the first names of what a module imports; nothing of one that is not Python, of which others will tell."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of the user's code: who imports it shows them
            tree = ast.parse(module.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _data_files(folder: Path, module: str, skipped: Collection[Path]) -> Iterator[Path]:
    """Yields the files below a folder that a module may read, in a fixed order."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if _may_hold_data(here / name, skipped))
        for name in sorted(files):
            path = here / name
            if name.startswith(".") or name.endswith(".pyc") or path in skipped or not path.is_file():
                continue
            if not (here == folder and path.suffix in _YAML and _names(path, module)):
                yield path


def _may_hold_data(folder: Path, skipped: Collection[Path]) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _NEVER
    return not (hidden or folder.is_symlink() or folder in skipped or (folder / "pyvenv.cfg").is_file())


def _names(file: Path, module: str) -> bool:
    """Whether a YAML file names the module: then it is a configuration of it, or was compiled from one."""
    with file.open("rb") as text:
        return module.encode() in text.read(1 << 20)
