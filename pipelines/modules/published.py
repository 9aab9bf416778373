"""Copies what a person may edit, the user's module and small files, into the pipeline root by content.

The copies' paths are what the pipeline is given. So a changed file is a changed parameter, and a run does not see
edits made while it is under way. A pipeline root in an object store is written through the store, mounted here or not.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from penstock.core import artifacts, user_modules
from penstock.core.errors import ConfigError, ModuleError
from penstock.core.files import atomic, documents, module_files, object_stores
from penstock.core.suggestions import listed
from penstock.pipelines.config import csv_columns
from penstock.pipelines.config.section import is_remote
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules import parsed

# What of a module's functions the Evaluator calls.
_EVALUATOR_FUNCTIONS = frozenset({"custom_eval_shared_model", "custom_extractors"})
_VARIABLE = re.compile(r"\{[^{}]*\}")  # {SPAN} and the like in a pattern


@dataclass(frozen=True)
class Copy:
    """A copy below the pipeline root: of a file's content, or of a module file and what it can import."""

    source: Path
    path: str
    content: bytes | None = None  # None for a module
    without: tuple[Path, ...] = ()  # what is beside a module and none of it


@dataclass(frozen=True)
class Published:
    """What the pipeline is given in place of the user's files. "" stands for what there is not.

    `copies` are what `write` makes, and `sources` whose copies they are, by their paths.
    """

    module_file: str = ""
    transforms: bool = False
    takes_statistics: bool = False  # preprocessing_fn has a parameter of this name
    customizes_evaluation: bool = False
    schema_file: str = ""
    hyperparameters: str = ""
    left_out: str = ""  # a sentence on the files beside the module that it might read, and that do not travel
    copies: tuple[Copy, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)


def publish(config: Config) -> Published:
    """Publishes the module and the files under the pipeline root, as `plan` and `write` do."""
    published = plan(config)
    write(published)
    return published


def plan(config: Config) -> Published:
    """Returns what is to be published, and writes nothing. Says at once what is wrong with the files or the label."""
    csv_columns.check(config)
    root = config.pipeline_root
    source, defined = _read_module(config)
    module_file, left_out, copies, sources = "", "", [], {}
    if source is not None and config.module_path:
        module_file = user_modules.pin(config.module_path)
    elif source is not None:
        without = _not_the_modules(config, source)
        module_file = user_modules.published_path(source, f"{root.rstrip('/')}/modules", without)
        copies.append(Copy(source, module_file, without=without))
        left_out = _left_out(source, without)
        sources[module_file.rpartition("/")[0]] = str(source.parent)
    schema_file = config.schema_.file or ""
    if schema_file and not is_remote(schema_file):
        copies.append(_copy(Path(schema_file), root, artifacts.Schema.FILE))
        sources[copies[-1].path] = schema_file
        schema_file = copies[-1].path
    hyperparameters = (config.training and config.training.hyperparameters) or ""
    if hyperparameters and not is_remote(hyperparameters):
        _require_json(Path(hyperparameters))
        copies.append(_copy(Path(hyperparameters), root, artifacts.HyperParameters.FILE))
        hyperparameters = copies[-1].path.rpartition("/")[0]
    transform = config.transform
    transforms = transform is not None and (config.without_code or transform.preprocessing_fn in defined)
    return Published(
        module_file,
        transforms=transforms,
        takes_statistics=transforms and _takes_statistics(config),
        customizes_evaluation=bool(_EVALUATOR_FUNCTIONS & defined),
        schema_file=schema_file,
        hyperparameters=hyperparameters,
        left_out=left_out,
        copies=tuple(copies),
        sources=sources,
    )


def write(published: Published) -> None:
    """Writes the copies that are not there yet; a ModuleError if the module has changed since it was planned."""
    for copy in published.copies:
        if copy.content is None:
            _write_module(copy)
        else:
            _write_file(copy.path, copy.content)


def check(config: Config) -> str:
    """Says what `plan` would say of the user's files; returns its sentence on those that do not travel."""
    csv_columns.check(config)
    source, _ = _read_module(config)
    if config.training and config.training.hyperparameters and not is_remote(config.training.hyperparameters):
        _require_json(Path(config.training.hyperparameters))
    if source is None or config.module_path:
        return ""
    return _left_out(source, _not_the_modules(config, source))


def _read_module(config: Config) -> tuple[Path | None, set[str]]:
    """Returns the module's source and the names it defines; a ModuleError if one that is called is not there."""
    if config.module_file and is_remote(config.module_file):
        raise ConfigError(
            "module_file: expected a local file, which is copied into the pipeline root as it is now, received "
            f"{config.module_file!r}"
        )
    if config.module_file:
        source = Path(config.module_file)
    elif config.module_path:
        source = parsed.source_file(config.module_path)
    else:
        return None, set()
    defined = parsed.defined_names(source)
    if config.training:
        parsed.require(source, config.training.run_fn, defined)
    if config.tuning:
        parsed.require(source, config.tuning.tuner_fn, defined)
    if config.transform and config.transform.preprocessing_fn != "preprocessing_fn":
        parsed.require(source, config.transform.preprocessing_fn, defined)
    return source, defined


def _not_the_modules(config: Config, source: Path) -> tuple[Path, ...]:
    """Returns what may be beside the module and is none of it: the data, where models are pushed to, all runs."""
    folder = source.resolve().parent
    places = [Path(config.push.directory)] if config.push else []
    here, base = config.data.here, config.data.base_here
    if here and here.exists():
        places.append(here)
    elif base:
        for pattern in config.data.patterns.values():
            places += base.glob(_VARIABLE.sub("*", pattern))
    root = Path(config.pipeline_root).resolve()
    if root.is_relative_to(folder) and root != folder:
        places.append(folder / root.relative_to(folder).parts[0])  # other pipelines' runs are beside this one's
    elif root == folder:
        places += [*folder.glob(f"{config.name}-*"), *map(folder.joinpath, ("cache", "compiled", "files", "modules"))]
    return tuple(places)


def _left_out(source: Path, without: Collection[Path]) -> str:
    left_out = [path.name for path in module_files.of(source, without).left_out]
    if not left_out:
        return ""
    return (
        f"module_file: the module may read files beside it, and these are too large to travel with it: "
        f"{listed(left_out)}: {module_files.LARGEST >> 20} MiB each and {module_files.LARGEST_TOGETHER >> 20} MiB in "
        "all travel; give others by a path or URI in custom_config"
    )


def _takes_statistics(config: Config) -> bool:
    """Whether Transform is to be given the statistics: other pipelines' caches do not depend on them."""
    if config.without_code:
        return True
    source, _ = _read_module(config)
    name = config.transform.preprocessing_fn if config.transform else ""
    return source is not None and "statistics" in parsed.parameters(source, name)


def _copy(source: Path, root: str, name: str) -> Copy:
    """Returns the copy of a file, `<root>/files/<digest>/<name>`: alone in its folder, as TFX's readers expect it."""
    digest = atomic.digest([source], source.parent)[:16]
    return Copy(source, f"{root.rstrip('/')}/files/{digest}/{name}", source.read_bytes())


def _write_file(path: str, content: bytes) -> None:
    if is_remote(path):
        with object_stores.open_store(path) as store:
            if not store.is_file(path):
                store.write(path, content)
    elif not Path(path).is_file():
        atomic.write_bytes(Path(path), content)


def _write_module(copy: Copy) -> None:
    folder = copy.path.rsplit("/", 2)[0]
    if is_remote(folder):
        path = user_modules.publish_remote(copy.source, folder, copy.without)
    else:
        path = str(user_modules.publish(copy.source, Path(folder), copy.without))
    if path != copy.path:
        raise ModuleError(f"module_file: {copy.source} was changed while the pipeline was compiled: try again")


def _require_json(path: Path) -> None:
    try:
        documents.read_json(path)
    except ValueError as error:
        raise ConfigError(f"training.hyperparameters: {path}: expected JSON: {error}") from None
