"""The cache of finished tasks: `<pipeline root>/cache/<key>.json`, one entry each.

A key is the digest of all that decides a task's outputs: the component's source, the package's version, parameters,
and inputs. An input that a cacheable task made stands for itself by that task's key; any other by its content. User
modules are parameters whose path holds their content's digest, so a changed module is a changed parameter.

An entry is written last, when the task's folder is whole. A hit links the folder's files into the new run, so that
every run is complete by itself and an old one may be deleted; an entry whose files are gone or cut off is a miss.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from penstock.components import storage
from penstock.pipelines.local.worker import FAILURE_FILE, Task

_OUTPUT_FILE = "executor_output.json"


@dataclass(frozen=True)
class Key:
    """What decides a task's outputs, part by part, for `explain`; its digest names the cache entry."""

    component: str
    source: str
    version: str
    parameters: dict[str, str]
    inputs: dict[str, str]

    @property
    def digest(self) -> str:
        return _digest(json.dumps(vars(self), sort_keys=True))


def key(task: Task, root: Path, keys_of_folders: dict[Path, str]) -> Key:
    """Returns a task's key. `keys_of_folders` has the keys of this run's cacheable tasks by their folders."""
    given = task.executor_input.get("inputs", {})
    parameters = {
        name: json.dumps(value, sort_keys=True).replace(str(root), "{pipeline_root}")
        for name, value in given.get("parameterValues", {}).items()
    }
    inputs = {}
    for name, artifacts in given.get("artifacts", {}).items():
        parts = [_identity(Path(artifact["uri"]), keys_of_folders) for artifact in artifacts["artifacts"]]
        inputs[name] = ",".join(parts)
    return Key(task.function, _digest(task.source), metadata.version("penstock"), parameters, inputs)


def store(root: Path, digest: str, folder: Path) -> None:
    """Records a finished task's folder under its key."""
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in _files(folder)}
    entry = {"folder": folder.relative_to(root).as_posix(), "files": files}
    storage.write_text(_entry(root, digest), json.dumps(entry))


def restore(root: Path, digest: str, folder: Path) -> Path | None:
    """Puts the outputs of an earlier task into `folder`; returns that task's folder, None if there is none whole."""
    try:
        entry = json.loads(_entry(root, digest).read_text())
        source = root / str(entry["folder"])
        if any((source / name).stat().st_size != size for name, size in entry["files"].items()):
            return None
    except (OSError, ValueError, KeyError):
        return None
    for name in entry["files"]:
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if name != _OUTPUT_FILE:
            _link(source / name, copy)
    _make_folders(source, folder)
    output = source / _OUTPUT_FILE
    if output.exists():
        storage.write_text(folder / _OUTPUT_FILE, output.read_text().replace(str(source), str(folder)))
    return source


def _identity(folder: Path, keys_of_folders: dict[Path, str]) -> str:
    producer = keys_of_folders.get(folder.parent)
    if producer:
        return f"{producer}/{folder.name}"
    if folder.is_absolute() and not folder.exists():
        return "nothing"  # such as the baseline while there is none: its folder is another one in every run
    return "content:" + (storage.digest(_files(folder), folder) if folder.is_dir() else _digest(str(folder)))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FAILURE_FILE)


def _make_folders(source: Path, folder: Path) -> None:
    """Empty folders count too: an output that holds nothing is still there."""
    for path in source.rglob("*"):
        if path.is_dir():
            (folder / path.relative_to(source)).mkdir(parents=True, exist_ok=True)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _entry(root: Path, digest: str) -> Path:
    return root / "cache" / f"{digest}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
