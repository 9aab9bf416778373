"""The cache of finished tasks: `<pipeline root>/cache/<key>.json`, one entry each.

A key is the digest of all that decides a task's outputs: the component's source, our own sources that it or the user's
module imports (for a task in a container, its image), the package's version, parameters, inputs, and what it reads of
the environment. User modules are parameters whose path holds their content's digest, so a changed module is a changed
parameter. A credential in a parameter is a mask with a fingerprint of it: the run's record has the key.

An input that a cacheable task made stands for itself by its *origin*: the run and task that really computed it, which
a hit hands on. The maker's key would not do: training may end with another model when it is run again, and a cached
evaluation of the first model must not bless the second. Any other input stands for itself by its content.

An entry is written last, when the task's folder is whole. A hit puts the outputs into the new run's folder, and adds
that folder to the entry: every run is complete by itself, and any of them may be deleted. A folder in which a file is
gone, cut off or edited answers nothing, nor does an entry that is damaged or names a place outside the pipeline root.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path, PurePosixPath

from penstock.core.credentials import masks
from penstock.core.failures import FAILURE_FILE
from penstock.core.files import atomic
from penstock.pipelines.local.processes import imports, needs
from penstock.pipelines.local.processes.task import Task
from penstock.pipelines.local.records import environment
from penstock.pipelines.local.records.reading import tell_passed_over, validated

# Files up to this size are copied, larger ones are hard links: a schema that a person edits in one run's folder is not
# edited in the others.
_COPIED_BYTES = 256 << 10
# In these, the path of the earlier run's folder becomes the new one's; a log is history and stays as it was.
_WITH_PATHS = (".json", ".html", ".md", ".pbtxt")
_FOLDERS = 4


@dataclass(frozen=True)
class Key:
    """What decides a task's outputs, part by part, for `explain`; its digest names the cache entry."""

    component: str
    source: str
    version: str
    parameters: dict[str, str]
    inputs: dict[str, str]
    code: str = ""
    image: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The SHA-256, in hexadecimal, of all parts."""
        return _digest(json.dumps(vars(self), sort_keys=True))


@dataclass(frozen=True)
class Hit:
    """An earlier task's folder, and the origin of what is in it."""

    folder: Path
    origin: str


@dataclass(frozen=True)
class _State:
    """A file as it was stored: its size, and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True)
class _Folder:
    """A task's folder: its path below the pipeline root, and its files by their paths below the folder."""

    path: str
    files: dict[str, _State]


@dataclass(frozen=True)
class _Entry:
    """What a file of the cache holds: the origin of the outputs, and the folders that have them, the newest first."""

    origin: str
    folders: list[_Folder]


def key(task: Task, root: Path, origins: Mapping[Path, str], image: str = "") -> Key:
    """Returns a task's key. `origins` has the origins of this run's cacheable tasks by their folders, `image` the
    digest of the image that it runs in."""
    task_inputs = task.executor_input.get("inputs", {})
    parameters = {
        name: json.dumps(masks.fingerprinted(value, name), sort_keys=True).replace(str(root), "{pipeline_root}")
        for name, value in task_inputs.get("parameterValues", {}).items()
    }
    needed = needs.of_component(task.source)
    inputs = {}
    for name, artifacts in task_inputs.get("artifacts", {}).items():
        parts = [_identity(artifact["uri"], origins) for artifact in artifacts["artifacts"]]
        inputs[name] = ",".join(parts)
    source = _digest(task.source + json.dumps(task.environment, sort_keys=True))
    values = task_inputs.get("parameterValues", {}).values()
    version = metadata.version("penstock")
    if image:  # which has its own code, and is given nothing of this environment
        return Key(task.function, source, version, parameters, inputs, image=image)
    code = imports.digest(task.source, [*needed.modules, *values])
    read = environment.of_task(task.source, values, needed.slow)
    return Key(task.function, source, version, parameters, inputs, code, environment=read)


def store(root: Path, digest: str, folder: Path, origin: str) -> None:
    """Records a finished task's folder under its key; not one with links that lead out of the pipeline root."""
    files = _files(folder)
    linked_folders = any(path.is_symlink() and path.is_dir() for path in folder.rglob("*"))  # which nothing looks into
    if not linked_folders and all(_within(path, root) for path in files):
        states = {path.relative_to(folder).as_posix(): _state(path) for path in files}
        _write(root, digest, _Entry(origin, [_Folder(folder.relative_to(root).as_posix(), states)]))


def restore(root: Path, digest: str, folder: Path) -> Hit | None:
    """Puts the outputs of an earlier task into `folder`; None if there is no whole one.

    A damaged entry is passed over, of which a sentence on standard error tells.
    """
    path = _entry(root, digest)
    try:
        entry = validated(_Entry, path)
        for listing in entry.folders:
            _require_within(root, listing)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        tell_passed_over(path, str(error))
        return None
    for listing in entry.folders:
        source = root / listing.path
        if not _whole(source, listing.files):
            continue
        try:
            states = _copy(source, folder, listing.files, root)
        except FileNotFoundError:  # deleted just now
            shutil.rmtree(folder, ignore_errors=True)
            continue
        others = [other for other in entry.folders if (root / other.path).is_dir()]
        here = _Folder(folder.relative_to(root).as_posix(), states)
        _write(root, digest, _Entry(entry.origin, [here, *others][:_FOLDERS]))
        return Hit(source, entry.origin)
    return None


def run_folder(root: Path, folder: Path) -> Path:
    """Returns the run's folder that a task's folder is in; loops put theirs deeper."""
    return root / folder.relative_to(root).parts[0]


def _write(root: Path, digest: str, entry: _Entry) -> None:
    atomic.write_text(_entry(root, digest), json.dumps(asdict(entry)))


def _require_within(root: Path, listing: _Folder) -> None:
    """Raises a ValueError for a folder, or a file in it, that is not below the pipeline root."""
    for name in (listing.path, *listing.files):
        relative = PurePosixPath(name)
        if not relative.parts or relative.is_absolute() or ".." in relative.parts:
            raise ValueError(f"expected places below the pipeline root, found {name!r}")
    for path in (root / listing.path, *(root / listing.path / name for name in listing.files)):
        if not _within(path, root):
            raise ValueError(f"expected places below the pipeline root, found {path}")


def _within(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _state(path: Path) -> _State:
    with open(path, "rb") as file:
        return _State(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _whole(folder: Path, files: Mapping[str, _State]) -> bool:
    """Whether all files are there and as they were; their sizes are looked at first, which costs nothing."""
    try:
        if not folder.is_dir() or any((folder / name).stat().st_size != state.size for name, state in files.items()):
            return False
        return all(_state(folder / name) == state for name, state in files.items())
    except OSError:
        return False


def _copy(source: Path, folder: Path, files: Mapping[str, _State], root: Path) -> dict[str, _State]:
    """Copies or links the files; returns their states in the new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.rglob("*"):  # empty folders count too: an output that holds nothing is still there
        if path.is_dir():
            (folder / path.relative_to(source)).mkdir(parents=True, exist_ok=True)
    old, new = (str(run_folder(root, path)) for path in (source, folder))
    states = dict(files)
    for name, state in files.items():
        if state.size > _COPIED_BYTES:
            _link(source / name, folder / name)
        elif name.endswith(_WITH_PATHS):
            _copy_with_paths(source / name, folder / name, old, new)
            states[name] = _state(folder / name)
        else:
            shutil.copy2(source / name, folder / name)
    return states


def _copy_with_paths(source: Path, target: Path, old: str, new: str) -> None:
    try:
        text = before = source.read_bytes().decode()
    except UnicodeDecodeError:
        shutil.copy2(source, target)
        return
    for write in (str, _escaped):
        text = text.replace(f"{write(old)}/", f"{write(new)}/")
    if text == before:
        shutil.copy2(source, target)
    else:
        atomic.write_text(target, text)


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def _identity(uri: str, origins: Mapping[Path, str]) -> str:
    path = Path(uri)
    origin = origins.get(path.parent)
    if origin:
        return f"{origin}/{path.name}"
    if path.is_dir():
        return "content:" + atomic.digest(_files(path), path)
    if path.is_file():
        return "content:" + atomic.digest([path], path.parent)
    if path.is_absolute():
        return "nothing"  # such as the baseline while there is none: its folder is another one in every run
    return f"uri:{masks.fingerprinted(uri)}"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FAILURE_FILE)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _entry(root: Path, digest: str) -> Path:
    return root / "cache" / f"{digest}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
