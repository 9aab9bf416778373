"""Copies what a person may edit, the user's module and small files, into the pipeline root by content.

The copies' paths are what the pipeline is given. So a changed file is a changed parameter, and a run does not see
edits made while it is under way.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from penstock.components import artifacts, modules, storage
from penstock.components.errors import ConfigError
from penstock.pipelines import user_module
from penstock.pipelines.config import Config
from penstock.pipelines.section import is_remote

# What of a module's functions the Evaluator calls.
_EVALUATOR_FUNCTIONS = frozenset({"custom_eval_shared_model", "custom_extractors"})


@dataclass(frozen=True)
class Published:
    """What the pipeline is given in place of the user's files. "" stands for what there is not."""

    module_file: str = ""
    transforms: bool = False
    customizes_evaluation: bool = False
    schema_file: str = ""
    hyperparameters: str = ""
    sources: dict[str, str] = field(default_factory=dict)


def publish(config: Config) -> Published:
    """Publishes the module and the files under the pipeline root. Says at once if the module lacks its functions."""
    _require_writable(config)
    root = Path(config.pipeline_root)
    module_file, defined, sources = _module(config, root)
    schema_file = config.schema_.file or ""
    if schema_file and not is_remote(schema_file):
        schema_file = str(_file(Path(schema_file), root, artifacts.Schema.FILE))
    hyperparameters = (config.training and config.training.hyperparameters) or ""
    if hyperparameters and not is_remote(hyperparameters):
        _require_json(Path(hyperparameters))
        hyperparameters = str(_file(Path(hyperparameters), root, artifacts.HyperParameters.FILE).parent)
    transform = config.transform
    return Published(
        module_file,
        transforms=transform is not None and transform.preprocessing_fn in defined,
        customizes_evaluation=bool(_EVALUATOR_FUNCTIONS & defined),
        schema_file=schema_file,
        hyperparameters=hyperparameters,
        sources=sources,
    )


def _require_writable(config: Config) -> None:
    """Refuses files of this machine where the pipeline root is in a bucket: Path would take its URI for a folder."""
    hyperparameters = config.training and config.training.hyperparameters
    own = {
        "module_file": config.module_file,
        "schema.file": config.schema_.file,
        "training.hyperparameters": hyperparameters,
    }
    local = [key for key, path in own.items() if path and not is_remote(path)]
    if is_remote(config.pipeline_root) and local:
        raise ConfigError(
            f"pipeline_root {config.pipeline_root}: {', '.join(local)} would be copied there, and buckets are not "
            "written from here: put it in the image (module_path) or in the bucket, or use a mounted folder as pipeline_root"
        )


def check(config: Config) -> None:
    """Says what `publish` would say of the user's files, and writes nothing."""
    _read_module(config)
    if config.training and config.training.hyperparameters and not is_remote(config.training.hyperparameters):
        _require_json(Path(config.training.hyperparameters))


def _module(config: Config, root: Path) -> tuple[str, set[str], dict[str, str]]:
    """Returns what module_file is given, the names the module defines, and whose copy the published folder is."""
    source, defined = _read_module(config)
    if source is None:
        return "", defined, {}
    if config.module_path:
        return modules.pin(config.module_path), defined, {}
    published = modules.publish(source, root / "modules")
    return str(published), defined, {str(published.parent): str(source.parent)}


def _read_module(config: Config) -> tuple[Path | None, set[str]]:
    """Returns the module's source and the names it defines; a ModuleError if one that is called is not there."""
    if config.module_file:
        source = Path(config.module_file)
    elif config.module_path:
        source = user_module.source_file(config.module_path)
    else:
        return None, set()
    defined = user_module.defined_names(source)
    if config.training:
        user_module.require(source, config.training.run_fn, defined)
    if config.transform and config.transform.preprocessing_fn != "preprocessing_fn":
        user_module.require(source, config.transform.preprocessing_fn, defined)
    return source, defined


def _file(source: Path, root: Path, name: str) -> Path:
    """Copies a file to `<root>/files/<digest>/<name>`, alone in its folder, as TFX's readers expect it."""
    target = root / "files" / storage.digest([source], source.parent)[:16] / name
    if not target.is_file():
        storage.write_bytes(target, source.read_bytes())
    return target


def _require_json(path: Path) -> None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"training.hyperparameters: {path}: expected JSON: {error}") from None
