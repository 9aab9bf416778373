"""User modules: a Python file with what it imports and reads beside it, or a dotted path in the environment.

`publish` copies a module file and what travels with it to a folder named by the digest of their content. A pipeline
gets the path of the copy. So a changed module changes a parameter, and a run does not see later edits.
"""

import atexit
import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Collection
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.core.errors import ConfigError, ModuleError, PenstockError
from penstock.core.files import atomic, module_files, object_stores
from penstock.core.legacy import advice
from penstock.core.suggestions import did_you_mean

_PUBLISHED = re.compile(r"^(.*/)?([0-9a-f]{16})/(?=.)")  # the folder that `publish` makes: all in it was to travel


def published_path(module_file: Path, store: str, without: Collection[Path] = (), project: Path | None = None) -> str:
    """Returns where `publish` and `publish_remote` put a module file as it is now; it writes nothing."""
    sources = module_files.of(module_file, without, project)
    return f"{store}/{_digest(sources)}/{_place(module_file, sources)}"


def publish(module_file: Path, store: Path, without: Collection[Path] = (), project: Path | None = None) -> Path:
    """Copies the module file and what travels with it (core/files/module_files.py) to `<store>/<digest>/`.

    Returns the copy's path. `without` are files and folders that are none of the module's, and `project` is a folder
    above it that it may import from. Raises a ModuleError if there is no such file.
    """
    if not module_file.is_file():
        raise ModuleError(f"module_file: {module_file} does not exist")
    sources = module_files.of(module_file, without, project)
    target = store / _digest(sources)
    if not target.is_dir():
        with atomic.replacing(target) as temporary:
            for source in sources.files:
                copy = temporary / source.relative_to(sources.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(source.read_bytes())
    return target / _place(module_file, sources)


def publish_remote(module_file: Path, store: str, without: Collection[Path] = (), project: Path | None = None) -> str:
    """Does what `publish` does, in a folder of an object store; returns the URI of the copied module file.

    That file is written last: where it exists, the copy is complete.
    """
    if not module_file.is_file():
        raise ModuleError(f"module_file: {module_file} does not exist")
    sources = module_files.of(module_file, without, project)
    target = object_stores.join(store, _digest(sources))
    uri = object_stores.join(target, _place(module_file, sources))
    with object_stores.open_store(store) as opened:
        if not opened.is_file(uri):
            for source in sorted(sources.files, key=lambda source: source == module_file.resolve()):
                name = source.relative_to(sources.folder).as_posix()
                opened.write(object_stores.join(target, name), source.read_bytes())
    return uri


def pin(module_path: str) -> str:
    """Returns a dotted path with the digest of its top-level package's sources: `package.module@<digest>`.

    Raises a ModuleError if the environment has no such package.
    """
    spec = _spec(module_path.split(".")[0])
    origin = Path(spec.origin) if spec and spec.origin else None
    if origin is None:
        raise ModuleError(f"module_path: no module {module_path!r} in this environment")
    if origin.name != "__init__.py":
        return f"{module_path}@{hashlib.sha256(origin.read_bytes()).hexdigest()[:16]}"
    return f"{module_path}@{atomic.digest(origin.parent.rglob('*.py'), origin.parent)[:16]}"


def load(reference: str) -> ModuleType:
    """Imports a user module: a path that ends in `.py`, or a dotted path (with or without `@<digest>`).

    The folder of a file goes to the front of `sys.path`, so that its siblings can be imported, as in TFX. If it imports
    from a folder above (core/files/module_files.py), that one goes there, the file is a module of a package in it, and
    its own folder comes last. A file in an object store that is not mounted is first downloaded together with its
    siblings. Raises a ModuleError if the file does not exist, or if importing it fails.
    """
    if not reference.endswith(".py"):
        return call("import", importlib.import_module, reference.split("@")[0])
    path = _fetched(reference) if object_stores.is_remote(reference) else atomic.local_path(reference)
    if not path.is_file():
        raise ModuleError(f"module_file: {reference} does not exist")
    path = path.resolve()
    root = import_root(path)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    return call("import", _imported, path, root)


def find(module_file: str, name: str, default: str) -> Callable[..., Any]:
    """Returns the user's function as TFX resolves it.

    `module_file` alone: the file's function `default`. With a plain `name`: the file's function of that name. `name`
    alone: a dotted path `package.module.function` (with or without `@<digest>`). Raises a ConfigError for anything
    else, a ModuleError if the function is missing.
    """
    if module_file and "." not in name:
        return function(load(module_file), name or default)
    path, _, function_name = name.partition("@")[0].rpartition(".")
    if module_file or not path:
        raise ConfigError(
            f"{default}: expected either module_file or a dotted path (package.module.{default}), received "
            f"{module_file!r} and {name!r}"
        )
    return function(load(path), function_name)


def find_optional(module_file: str, name: str, default: str) -> Callable[..., Any] | None:
    """Does what `find` does, but returns None if no name is given and the file has no function `default`."""
    if name:
        return find(module_file, name, default)
    return optional_function(load(module_file), default) if module_file else None


def function(module: ModuleType, name: str) -> Callable[..., Any]:
    """Returns the module's function `name`; without it, a ModuleError suggests the nearest name."""
    member = optional_function(module, name)
    if member is None and name == "run_fn" and advice.is_for_estimators(vars(module)):
        raise ModuleError(f"{module.__file__}: expected a function {name!r}, found trainer_fn: {advice.NO_ESTIMATORS}")
    if member is None:
        defined = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        hint = did_you_mean(name, sorted(defined), "it defines")
        raise ModuleError(f"{module.__file__}: expected a function {name!r}; {hint}")
    return member


def optional_function(module: ModuleType, name: str) -> Callable[..., Any] | None:
    """Returns the module's member `name`; None if it is missing or cannot be called."""
    member = getattr(module, name, None)
    return member if callable(member) else None


def call[Returned](what: str, user_function: Callable[..., Returned], *args: Any, **kwargs: Any) -> Returned:
    """Calls the user's code; an error in it becomes a ModuleError with the user's own lines of the traceback.

    Penstock's own errors pass through. `what` begins the sentence: `call("tuner_fn", tuner_fn, fn_args)` may raise
    "tuner_fn raised KeyError: 'units'".
    """
    try:
        return user_function(*args, **kwargs)
    except PenstockError:
        raise
    except SystemExit as error:  # it would end the task as if it were done
        code = "" if error.code is None else repr(error.code)
        message = f"{what} called sys.exit({code}): expected it to return, or to raise an error"
        raise ModuleError(message, user_lines(error)) from error
    except Exception as error:
        raise error_of(what, error) from error


def error_of(what: str, error: Exception) -> ModuleError:
    """Returns what `call` raises for an error of the user's code."""
    first, _, more = str(error).partition("\n")
    what_to_do = advice.on(error)
    sentence = f"{what} raised {type(error).__name__}: {first}{f'; {what_to_do}' if what_to_do else ''}"
    raised = ModuleError(sentence, "\n".join(filter(None, [more, user_lines(error)])))
    raised.__cause__ = error
    return raised


def user_lines(error: BaseException) -> str:
    """Returns the frames of a traceback that are neither Penstock's nor an installed package's, as Python formats them.

    A frame without an absolute path is an installed package's too: that is how compiled code names its file.
    """
    root = Path(__file__).resolve().parent.parent
    ours = tuple(f"{root / name}/" for name in ("core", "trainer", "components", "pipelines"))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<frozen", *ours))
        and os.path.isabs(frame.filename)
        and not any(part in frame.filename for part in ("/site-packages/", "/lib/python3"))
    ]
    return "".join(traceback.format_list(frames)).rstrip()


def import_root(path: Path) -> Path:
    """Returns the folder that a module file, published or not, is imported from; others can be imported from there."""
    published = _PUBLISHED.match(str(path))
    return Path(published[0]) if published else module_files.root(path)


def _digest(sources: module_files.ModuleFiles) -> str:
    return atomic.digest(sources.files, sources.folder)[:16]


def _place(module_file: Path, sources: module_files.ModuleFiles) -> str:
    return module_file.resolve().relative_to(sources.folder).as_posix()


def _imported(path: Path, root: Path) -> ModuleType:
    """Imports a module file by its name, or by one of its own where the name is none, or is another module's."""
    parts = path.relative_to(root).with_suffix("").parts
    if all(part.isidentifier() for part in parts):
        module = importlib.import_module(".".join(parts))
        if _is_of(module, path):
            return module
    name = f"{re.sub(r'\W', '_', path.stem)}_file"
    while name in sys.modules or _spec(name):
        if name in sys.modules and _is_of(sys.modules[name], path):
            return sys.modules[name]
        name += "_"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None  # its name ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_of(module: ModuleType, path: Path) -> bool:
    return Path(getattr(module, "__file__", None) or "").resolve() == path.resolve()


@functools.cache
def _fetched(uri: str) -> Path:
    """Downloads a module file and what it can import beside it; the copy exists until this process ends."""
    published = _PUBLISHED.match(uri)
    folder = published[0].rstrip("/") if published else uri.rpartition("/")[0]
    temporary = Path(tempfile.mkdtemp(prefix="penstock-module-"))
    atexit.register(_remove, temporary, os.getpid())
    copy = temporary / published[2] if published else temporary
    with object_stores.open_store(uri) as store:
        names = list(store.files(folder)) if published else _importable_files(store, folder)
        store.fetch({object_stores.join(folder, file): copy / file for file in names})
    return copy / uri[len(folder) + 1 :]


def _importable_files(store: object_stores.Store, folder: str) -> list[str]:
    """Returns the modules and packages of a folder that a person made: what else is in it may be anything."""
    files, folders = store.children(folder)
    names = [file for file in files if file.endswith(".py")]
    for package in folders:
        if store.is_file(object_stores.join(folder, f"{package}/__init__.py")):
            inside = store.files(object_stores.join(folder, package))
            names += [f"{package}/{file}" for file in inside if file.endswith(".py")]
    return names


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not when a fork of the process that made the folder ends
        shutil.rmtree(folder, ignore_errors=True)


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
