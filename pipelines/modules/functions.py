"""The user's functions that a configuration names, each in its module: a file of the project, or of a package.

TFX's templates have a module for each component (models/preprocessing.py, models/model.py) and name functions by dotted
paths; its examples have one module file for all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.core.errors import ConfigError, ModuleError
from penstock.core.legacy import advice
from penstock.pipelines.config.components import Training, Transform
from penstock.pipelines.config.section import is_remote
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.config.tuning import Tuning
from penstock.pipelines.modules import parsed

_EVALUATOR_FUNCTIONS = frozenset({"custom_eval_shared_model", "custom_extractors"})


@dataclass(frozen=True)
class UserModule:
    """A module of the user's.

    key: The configuration's key that names it.
    source: Its file.
    module_path: Its dotted path, if it is one of a package in this environment; "" for a file that is published.
    """

    key: str
    source: Path
    module_path: str = ""


@dataclass(frozen=True)
class UserFunction:
    """A function of the user's: its module, and its name there."""

    module: UserModule
    name: str


@dataclass(frozen=True)
class UserFunctions:
    """What the components call; None for what the user does not have.

    updater: The name of the stats_options_updater_fn, which is in the preprocessing_fn's module.
    evaluator: The module with the functions that the Evaluator looks for.
    """

    preprocessing_fn: UserFunction | None = None
    run_fn: UserFunction | None = None
    tuner_fn: UserFunction | None = None
    updater: str = ""
    evaluator: UserModule | None = None

    def all(self) -> Iterator[UserFunction]:
        """Yields the functions that are named."""
        yield from filter(None, (self.run_fn, self.tuner_fn, self.preprocessing_fn))

    def modules(self) -> list[UserModule]:
        """Returns the modules, that of the run_fn first, and no file twice."""
        modules: dict[Path, UserModule] = {}
        for module in (*(function.module for function in self.all()), self.evaluator):
            if module:
                modules.setdefault(module.source, module)
        return list(modules.values())


def of(config: Config) -> UserFunctions:
    """Returns the user's functions; a ConfigError or ModuleError if one that is named is not there."""
    shared = _shared(config)
    run_fn = _function(config, "training", "run_fn", shared) if config.module else None
    main = shared or (run_fn.module if run_fn else None)
    tuner_fn = None if config.tuning and config.tuning.parameters else _function(config, "tuning", "tuner_fn", main)
    preprocessing_fn = _function(config, "transform", "preprocessing_fn", main)
    for function in filter(None, (run_fn, tuner_fn)):
        _require(function)
    if preprocessing_fn and not _is_optional(config, preprocessing_fn):
        _require(preprocessing_fn)
    elif preprocessing_fn and preprocessing_fn.name not in parsed.defined_names(preprocessing_fn.module.source):
        preprocessing_fn = None
    return UserFunctions(
        preprocessing_fn, run_fn, tuner_fn, _updater(config, preprocessing_fn), _evaluator(config, main)
    )


def _shared(config: Config) -> UserModule | None:
    """Returns the module that is for all functions."""
    if config.module_file:
        return _file("module_file", config.module_file)
    return dotted_module(config, "module_path", config.module_path) if config.module_path else None


def _file(key: str, path: str) -> UserModule:
    if is_remote(path):
        raise ConfigError(
            f"{key}: expected a local file, which is copied into the pipeline root as it is now, received {path!r}"
        )
    return UserModule(key, Path(path))


def dotted_module(config: Config, key: str, path: str) -> UserModule:
    """Returns the module at a dotted path: one of the project, else of a package in this environment."""
    own = parsed.beside(config.folder, path)
    if own:
        return UserModule(key, own)
    try:
        return UserModule(key, parsed.source_file(path), path)
    except ModuleError as error:
        close = parsed.near(config.folder, path)
        if close:
            raise ModuleError(f"{key}: no module {path!r}; did you mean {close!r}?") from None
        place = config.folder.joinpath(*path.split(".")).with_suffix(".py")
        if config.folder.joinpath(path.partition(".")[0]).is_dir():  # it is no package that is to be installed
            raise ModuleError(f"{key}: no module {path!r}: {place} does not exist") from None
        raise ModuleError(f"{key}: {error.message}; a module beside the configuration would be {place}") from None


def _function(config: Config, section: str, key: str, other: UserModule | None) -> UserFunction | None:
    """Returns the function that a section names, in `other` if the section names no module."""
    settings: Transform | Training | Tuning | None = getattr(config, section)
    if settings is None:
        return None
    own, (path, _, name) = settings.module_file, getattr(settings, key).rpartition(".")
    if own and path:
        raise ConfigError(
            f"{section}.{key}: expected the name of a function in {section}.module_file, received {path}.{name}: a "
            "dotted path names the module itself"
        )
    if path and parsed.beside(config.folder, f"{path}.{name}"):
        raise ConfigError(f"{section}.{key}: {path}.{name} is a module: expected its function, {path}.{name}.{key}")
    if path:
        return UserFunction(dotted_module(config, f"{section}.{key}", path), name)
    module = _file(f"{section}.module_file", own) if own else other
    return UserFunction(module, name) if module else None


def _is_optional(config: Config, function: UserFunction) -> bool:
    """Whether Transform is left out if the module has no such function: nothing but the default names it."""
    return function.name == "preprocessing_fn" and not function.module.key.startswith("transform.")


def _require(function: UserFunction) -> None:
    source = function.module.source
    defined = parsed.defined_names(source)
    if function.name == "run_fn" and advice.is_for_estimators(defined):
        raise ModuleError(f"{source}: expected a function 'run_fn', found trainer_fn: {advice.NO_ESTIMATORS}")
    parsed.require(source, function.name, defined)


def _updater(config: Config, preprocessing_fn: UserFunction | None) -> str:
    key = "transform.stats_options_updater_fn"
    path, _, name = ((config.transform and config.transform.stats_options_updater_fn) or "").rpartition(".")
    if path and preprocessing_fn and dotted_module(config, key, path).source != preprocessing_fn.module.source:
        raise ConfigError(
            f"{key}: expected a function in the module of the preprocessing_fn, "
            f"{preprocessing_fn.module.source}, received {path}.{name}"
        )
    return name


def _evaluator(config: Config, main: UserModule | None) -> UserModule | None:
    settings = config.evaluation
    own = settings.module_file if settings else None
    module = _file("evaluation.module_file", own) if own else main
    if settings is None or module is None:
        return None
    if _EVALUATOR_FUNCTIONS & parsed.defined_names(module.source):
        return module
    if own:
        names = " or ".join(sorted(_EVALUATOR_FUNCTIONS))
        raise ModuleError(f"{module.source}: expected a function {names}, which the Evaluator calls")
    return None
