"""Copies what a person may edit, the user's module and small files, into the pipeline root by content.

The copies' paths are what the pipeline is given. So a changed file is a changed parameter, and a run does not see
edits made while it is under way. A pipeline root in an object store is written through the store, mounted here or not.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from penstock.core import artifacts, user_modules
from penstock.core.errors import ConfigError
from penstock.core.files import atomic, object_stores
from penstock.pipelines.config import csv_columns
from penstock.pipelines.config.section import is_remote
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules import parsed

# What of a module's functions the Evaluator calls.
_EVALUATOR_FUNCTIONS = frozenset({"custom_eval_shared_model", "custom_extractors"})


@dataclass(frozen=True)
class Published:
    """What the pipeline is given in place of the user's files. "" stands for what there is not."""

    module_file: str = ""
    transforms: bool = False
    takes_statistics: bool = False  # preprocessing_fn has a parameter of this name
    customizes_evaluation: bool = False
    schema_file: str = ""
    hyperparameters: str = ""
    sources: dict[str, str] = field(default_factory=dict)


def publish(config: Config) -> Published:
    """Publishes the module and the files under the pipeline root. Says at once what is wrong with them or the label."""
    csv_columns.check(config)
    root = config.pipeline_root
    module_file, defined, sources = _module(config, root)
    schema_file = config.schema_.file or ""
    if schema_file and not is_remote(schema_file):
        copy = _file(Path(schema_file), root, artifacts.Schema.FILE)
        sources[copy] = schema_file
        schema_file = copy
    hyperparameters = (config.training and config.training.hyperparameters) or ""
    if hyperparameters and not is_remote(hyperparameters):
        _require_json(Path(hyperparameters))
        hyperparameters = _file(Path(hyperparameters), root, artifacts.HyperParameters.FILE).rpartition("/")[0]
    transform = config.transform
    transforms = transform is not None and (config.without_code or transform.preprocessing_fn in defined)
    return Published(
        module_file,
        transforms=transforms,
        takes_statistics=transforms and _takes_statistics(config),
        customizes_evaluation=bool(_EVALUATOR_FUNCTIONS & defined),
        schema_file=schema_file,
        hyperparameters=hyperparameters,
        sources=sources,
    )


def check(config: Config) -> None:
    """Says what `publish` would say of the user's files, and writes nothing."""
    csv_columns.check(config)
    _read_module(config)
    if config.training and config.training.hyperparameters and not is_remote(config.training.hyperparameters):
        _require_json(Path(config.training.hyperparameters))


def _module(config: Config, root: str) -> tuple[str, set[str], dict[str, str]]:
    """Returns what module_file is given, the names the module defines, and whose copy the published folder is."""
    source, defined = _read_module(config)
    if source is None:
        return "", defined, {}
    if config.module_path:
        return user_modules.pin(config.module_path), defined, {}
    if is_remote(root):
        published = user_modules.publish_remote(source, object_stores.join(root, "modules"))
    else:
        published = str(user_modules.publish(source, Path(root) / "modules"))
    return published, defined, {published.rpartition("/")[0]: str(source.parent)}


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


def _takes_statistics(config: Config) -> bool:
    """Whether Transform is to be given the statistics: other pipelines' caches do not depend on them."""
    if config.without_code:
        return True
    source, _ = _read_module(config)
    name = config.transform.preprocessing_fn if config.transform else ""
    return source is not None and "statistics" in parsed.parameters(source, name)


def _file(source: Path, root: str, name: str) -> str:
    """Copies a file to `<root>/files/<digest>/<name>`, alone in its folder, as TFX's readers expect it."""
    target = f"{root.rstrip('/')}/files/{atomic.digest([source], source.parent)[:16]}/{name}"
    if is_remote(root):
        with object_stores.open_store(root) as store:
            if not store.is_file(target):
                store.write(target, source.read_bytes())
    elif not Path(target).is_file():
        atomic.write_bytes(Path(target), source.read_bytes())
    return target


def _require_json(path: Path) -> None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"training.hyperparameters: {path}: expected JSON: {error}") from None
