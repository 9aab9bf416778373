"""Copies what a person may edit, the user's module and small files, into the pipeline root by content.

The copies' paths are what the pipeline is given. So a changed file is a changed parameter, and a run does not see
edits made while it is under way. A pipeline root in an object store is written through the store, mounted here or not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from penstock.core import artifacts, packages, user_modules
from penstock.core.errors import ConfigError, ModuleError
from penstock.core.files import atomic, documents, module_files, object_stores, patterns
from penstock.core.legacy.advice import NO_ESTIMATORS
from penstock.core.suggestions import listed
from penstock.pipelines.config import csv_columns
from penstock.pipelines.config.section import is_remote
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules import estimators, functions, installed, keras_use, own_sources, parsed
from penstock.pipelines.modules.functions import UserFunction, UserFunctions, UserModule
from penstock.pipelines.modules.keras_use import KerasUse


@dataclass(frozen=True)
class Copy:
    """A copy below the pipeline root: of a file's content, or of a module file and what it can import."""

    source: Path
    path: str
    content: bytes | None = None  # None for a module
    store: str = ""  # of modules
    without: tuple[Path, ...] = ()  # what is beside a module and none of it
    project: Path | None = None  # the folder that a module may import from


@dataclass(frozen=True)
class Function:
    """A function of the user's as a component is given it: the published module file, and its name there."""

    module_file: str
    name: str = ""


@dataclass(frozen=True)
class Published:
    """What the pipeline is given in place of the user's files. "" stands for what there is not.

    `module_file` is the pipeline's parameter; a function in another module has its own. `copies` are what `write`
    makes, and `sources` whose copies they are, by their paths.
    """

    module_file: str = ""
    preprocessing_fn: Function | None = None
    run_fn: Function | None = None
    tuner_fn: Function | None = None
    evaluator: Function | None = None  # of what the Evaluator calls, which is found by its names
    updater: str = ""  # stats_options_updater_fn
    takes_statistics: bool = False  # preprocessing_fn has a parameter of this name
    keras: int = 0  # which Keras the functions' tasks have; 0: nothing says it
    keras_note: str = ""  # a sentence on it
    schema_file: str = ""
    hyperparameters: str = ""
    not_installed: str = ""  # a sentence on what the user's files import
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
    user = _read(config)
    copies: list[Copy] = []
    sources: dict[str, str] = {}
    references = {module.source: _reference(config, module, copies, sources) for module in _travelling(config, user)}
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
    keras, keras_note = keras_use.decide(config.keras, _uses(config, user), bool(user.tuner_fn))
    return Published(
        next((references[module.source] for module in user.modules()), ""),
        preprocessing_fn=_function(user.preprocessing_fn, references),
        run_fn=_function(user.run_fn, references),
        tuner_fn=_function(user.tuner_fn, references),
        evaluator=Function(references[user.evaluator.source]) if user.evaluator else None,
        updater=user.updater,
        takes_statistics=config.without_code or _takes_statistics(user.preprocessing_fn),
        keras=keras,
        keras_note=keras_note,
        schema_file=schema_file,
        hyperparameters=hyperparameters,
        left_out=_left_out(config, _travelling(config, user)),
        copies=tuple(copies),
        sources=sources,
    )


def source_classes(config: Config) -> dict[str, str]:
    """Returns what tasks know the data's own sources by, of their dotted paths: the module where it is published, and
    the class. It writes nothing.
    """
    return {
        source.path: f"{_reference(config, source.module, [], {})}:{source.class_name}"
        for source in own_sources.of(config)
    }


def write(published: Published) -> None:
    """Writes the copies that are not there yet; a ModuleError if the module has changed since it was planned."""
    for copy in published.copies:
        if copy.content is None:
            _write_module(copy)
        else:
            write_file(copy.path, copy.content)


def check(config: Config) -> Published:
    """Says what `plan` would say of the user's files; returns its sentences on them."""
    csv_columns.check(config)
    user = _read(config)
    if config.training and config.training.hyperparameters and not is_remote(config.training.hyperparameters):
        _require_json(Path(config.training.hyperparameters))
    keras, keras_note = keras_use.decide(config.keras, _uses(config, user), bool(user.tuner_fn))
    modules = _travelling(config, user)
    own, folders = _own_files(config, modules), [config.folder, *(module.source.parent for module in modules)]
    return Published(
        keras=keras,
        keras_note=keras_note,
        not_installed=installed.missing(own, folders) if packages.has_runtime() else "",
        left_out=_left_out(config, _travelling(config, user)),
    )


def _read(config: Config) -> UserFunctions:
    """Returns the user's functions; an error if one is missing, or if they need what TensorFlow no longer has."""
    user = functions.of(config)
    use = estimators.used(_own_files(config, user.modules()), (function.name for function in user.all()))
    if use:
        raise ModuleError(f"{use}: {NO_ESTIMATORS}")
    return user


def _travelling(config: Config, user: UserFunctions) -> list[UserModule]:
    """Returns the modules that tasks import: those of the functions, then those of the data's own sources."""
    modules = {module.source: module for module in user.modules()}
    for source in own_sources.of(config):
        modules.setdefault(source.module.source, source.module)
    return list(modules.values())


def _own_files(config: Config, modules: Iterable[UserModule]) -> list[Path]:
    """Returns modules, and the user's files that they import."""
    files: dict[Path, None] = {}
    for module in modules:
        source = module.source.resolve()
        files |= dict.fromkeys(module_files.own_files(source, module_files.root(source, config.folder)))
    return list(files)


def _uses(config: Config, user: UserFunctions) -> KerasUse:
    return keras_use.of(_own_files(config, user.modules()))


def _reference(config: Config, module: UserModule, copies: list[Copy], sources: dict[str, str]) -> str:
    """Returns what components are given as the module, and adds the copy that is to be made for it."""
    if module.module_path:
        return user_modules.pin(module.module_path)
    store, without = f"{config.pipeline_root.rstrip('/')}/modules", _not_the_modules(config, module.source)
    path = user_modules.published_path(module.source, store, without, config.folder)
    copies.append(Copy(module.source, path, store=store, without=without, project=config.folder))
    folder = module_files.root(module.source.resolve(), config.folder)
    sources[path.removesuffix(f"/{module.source.resolve().relative_to(folder).as_posix()}")] = str(folder)
    return path


def _function(function: UserFunction | None, references: Mapping[Path, str]) -> Function | None:
    return Function(references[function.module.source], function.name) if function else None


def _not_the_modules(config: Config, source: Path) -> tuple[Path, ...]:
    """Returns what may be beside the module and is none of it: the data, where models are pushed to, all runs."""
    folder = module_files.root(source.resolve(), config.folder)
    places = [Path(folder) for folder in config.push.folders.values()] if config.push else []
    for place in config.data.places:
        here, base = place.here, place.base_here
        if place.section:
            places += map(Path, place.section.local_paths().values())
        if here and here.exists():
            places.append(here)
        elif base:
            for _, pattern in place.patterns:
                places += base.glob(patterns.of_every_span(pattern))
    root = Path(config.pipeline_root).resolve()
    if root.is_relative_to(folder) and root != folder:
        places.append(folder / root.relative_to(folder).parts[0])  # other pipelines' runs are beside this one's
    elif root == folder:
        places += [*folder.glob(f"{config.name}-*"), *map(folder.joinpath, ("cache", "compiled", "files", "modules"))]
    return tuple(places)


def _left_out(config: Config, modules: Iterable[UserModule]) -> str:
    files = [
        module_files.of(module.source, _not_the_modules(config, module.source), config.folder)
        for module in modules
        if not module.module_path
    ]
    left_out = list(dict.fromkeys(path.name for each in files for path in each.left_out))
    if not left_out:
        return ""
    return (
        f"module_file: the module may read files beside it, and these are too large to travel with it: "
        f"{listed(left_out)}: {module_files.LARGEST >> 20} MiB each and {module_files.LARGEST_TOGETHER >> 20} MiB in "
        "all travel; give others by a path or URI in custom_config"
    )


def _takes_statistics(function: UserFunction | None) -> bool:
    """Whether Transform is to be given the statistics: other pipelines' caches do not depend on them."""
    return function is not None and "statistics" in parsed.parameters(function.module.source, function.name)


def _copy(source: Path, root: str, name: str) -> Copy:
    """Returns the copy of a file, `<root>/files/<digest>/<name>`: alone in its folder, as TFX's readers expect it."""
    digest = atomic.digest([source], source.parent)[:16]
    with documents.reading(source):
        return Copy(source, f"{root.rstrip('/')}/files/{digest}/{name}", source.read_bytes())


def write_file(path: str, content: bytes) -> None:
    """Writes a file that is named by its content, on this machine or in an object store, unless it is there."""
    if is_remote(path):
        with object_stores.open_store(path) as store:
            if not store.is_file(path):
                store.write(path, content)
    elif not Path(path).is_file():
        atomic.write_bytes(Path(path), content)


def _write_module(copy: Copy) -> None:
    if is_remote(copy.store):
        path = user_modules.publish_remote(copy.source, copy.store, copy.without, copy.project)
    else:
        path = str(user_modules.publish(copy.source, Path(copy.store), copy.without, copy.project))
    if path != copy.path:
        raise ModuleError(f"module_file: {copy.source} was changed while the pipeline was compiled: try again")


def _require_json(path: Path) -> None:
    try:
        documents.read_json(path)
    except ValueError as error:
        raise ConfigError(f"training.hyperparameters: {path}: expected JSON: {error}") from None
