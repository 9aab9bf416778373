"""What travels with a module file: the modules and packages that it can import beside it, and the files that it reads.

A module may be one of a package, and import by names that begin above its folder, as `models.features` in
models/model.py. Then what it imports there travels, too, and the copy has the same folders.

A module that names its own place, by `__file__` or importlib.resources, may read files there. Then the small files of
its folder travel as well. Large ones stay behind, as do hidden files, environments, and configurations of the module.
"""

import ast
import functools
import os
import re
import warnings
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.core.files import documents

LARGEST = 4 << 20  # bytes of a file
LARGEST_TOGETHER = 32 << 20
_MOST_FILES = 1000
_OWN_PLACE = re.compile(
    rb"__file__|__path__|\bimportlib[._]resources\b|\bfrom\s+importlib\s+import\b[^\n]*\bresources\b|\bpkgutil\b"
    rb"|\bgetfile\b|\bgetsourcefile\b"
)
_INSTALLED = {"site-packages", "dist-packages"}
_NEVER = {"__pycache__", "node_modules"}
_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class ModuleFiles:
    """The files that travel with a module, sorted, and those that it might read but that are too large to travel.

    folder: The folder that all of them are in, and that the module is imported from.
    """

    folder: Path
    files: list[Path]
    left_out: list[Path]


def of(module_file: Path, without: Collection[Path] = (), project: Path | None = None) -> ModuleFiles:
    """Returns the files that travel with a module file.

    Args:
        module_file: The module.
        without: Files and folders that are none of the module's: the pipeline's data, its outputs.
        project: A folder above it that it may import from.
    """
    own = module_file.resolve()
    folder = root(own, project)
    reached = _reached(own, folder)
    modules = sorted(reached | _importable(own.parent, folder))
    if not any(_OWN_PLACE.search(_content(module)) for module in reached):
        return ModuleFiles(folder, modules, [])
    travelling, total = set(modules), 0
    left_out: list[Path] = []
    skipped = {*modules, *(path.resolve() for path in without)}
    for path in _data_files(own.parent, folder, module_file.name, skipped):
        size = path.stat().st_size
        if size > LARGEST or total + size > LARGEST_TOGETHER or len(travelling) >= _MOST_FILES:
            left_out.append(path)
        else:
            travelling.add(path)
            total += size
    return ModuleFiles(folder, sorted(travelling), left_out)


def root(module_file: Path, project: Path | None = None) -> Path:
    """Returns the folder that a module is imported from: its own, or one above it that it imports from.

    Above it are the folders that hold the packages it is in, and `project`. A package that is installed is no project.
    """
    folder = module_file.parent
    for candidate in [*_above(folder), *([project.resolve()] if project else [])]:
        if candidate == folder or not folder.is_relative_to(candidate) or _INSTALLED & set(candidate.parts):
            continue
        parts = (*folder.relative_to(candidate).parts, module_file.stem)
        if all(part.isidentifier() for part in parts) and _imports_from(module_file, candidate):
            return candidate
    return folder


def own_files(module_file: Path, root: Path) -> list[Path]:
    """Returns a module and the files that it imports, directly or not, from its folder and from `root`."""
    files: dict[Path, None] = {}
    waiting = [module_file]
    while waiting:
        path = waiting.pop()
        if path not in files:
            files[path] = None
            for statement in _imports(path):
                waiting += _files(statement, path, (module_file.parent, root))
    return list(files)


def _above(folder: Path) -> Iterator[Path]:
    """Yields the folder that a package is in, and those above while they are packages as well."""
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        folder = folder.parent
        yield folder


def _imports_from(module_file: Path, root: Path) -> bool:
    """Whether a module imports by names that begin in `root` and not in its own folder, or relative to that folder."""
    folder = module_file.parent
    for path in own_files(module_file, root):
        for level, name in _imports(path):
            if level:
                relative_to = path.parents[min(level, len(path.parents)) - 1]
                if folder.is_relative_to(relative_to):
                    return True
            elif not _files((0, name), path, (folder,)) and _files((0, name), path, (root,)):
                return True
    return False


def _files(statement: tuple[int, str], path: Path, places: Collection[Path]) -> list[Path]:
    """Returns the user's files that an import in the module `path` loads: the module, and the packages around it."""
    level, name = statement
    for place in [path.parents[level - 1]] if 0 < level <= len(path.parents) else places:
        folder, files = place, list[Path]()
        for part in name.split("."):
            module, package = folder / f"{part}.py", folder / part / "__init__.py"
            files += [file for file in (package, module) if file.is_file()][:1]
            folder /= part
        if files:
            return files
    return []


def _importable(folder: Path, root: Path) -> set[Path]:
    """Returns the modules in a folder, those of its packages at any depth, and of the package that it is in."""
    packages = [path.parent for path in folder.glob("*/__init__.py")]
    if root != folder:
        packages.append(root / folder.relative_to(root).parts[0])
    return {*_sources(folder.glob("*.py")), *(path for package in packages for path in _sources(package.rglob("*.py")))}


def _reached(module: Path, root: Path) -> set[Path]:
    """Returns a module and what it imports in its folder and `root`, directly or not, with whole packages."""
    reached, waiting = set[Path](), [module]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            for level, name in _imports(one):
                waiting += _files((level, name), one, (module.parent, root))
                for place in () if level else {module.parent, root}:
                    beside = place / name.partition(".")[0]
                    waiting += _sources([beside.with_suffix(".py"), *beside.rglob("*.py")])
    return reached


def _content(module: Path) -> bytes:
    with documents.reading(module):
        return module.read_bytes()


def _sources(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.is_file()]


@functools.lru_cache(maxsize=256)
def _parsed(path: Path, changed: int) -> tuple[tuple[int, str], ...]:
    try:
        with warnings.catch_warnings(action="ignore"):  # of the user's code: who imports it shows them
            tree = ast.parse(_content(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # of which others will tell
        return ()
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.level, f"{node.module or ''}.{alias.name}".strip(".")) for alias in node.names]
    return tuple(found)


def _imports(module: Path) -> tuple[tuple[int, str], ...]:
    """Returns what a module imports, anywhere in it: the number of dots before a relative name, and the name."""
    return _parsed(module, module.stat().st_mtime_ns)


def _data_files(folder: Path, root: Path, module: str, skipped: Collection[Path]) -> Iterator[Path]:
    """Yields the files that a module may read, in a fixed order: below its folder, or its package in another `root`."""
    for place, folders, files in os.walk(folder if root == folder else root / folder.relative_to(root).parts[0]):
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
    with documents.reading(file), file.open("rb") as text:
        return module.encode() in text.read(1 << 20)
