"""What a task's container sees of this machine beside the pipeline root: what the configuration names, and no more."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.core import packages
from penstock.core.errors import ConfigError
from penstock.core.files import atomic, object_stores
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules import functions, own_sources

# The folder of the container that the package of a module_path is put into.
PACKAGES = "/opt/penstock-modules"


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine, and where a container has it: at the same path, but for packages."""

    source: str
    target: str
    writable: bool = False


def needed(config: Config) -> list[Mount]:
    """Returns the mounts that a configuration's tasks need; makes the folder that models are pushed to.

    Raises a ConfigError for what is in an object store: a container has no network.
    """
    root = Path(config.pipeline_root)
    mounts = [Mount(str(root.resolve()), str(root), writable=True)] if root != root.resolve() else []
    mounts += [Mount(str(path), str(path)) for path in _read(config) if not _within(path, root)]
    for key, folder in (config.push.folders if config.push else {}).items():
        pushed = _local(key, folder)
        if not _within(pushed, root):
            pushed.mkdir(parents=True, exist_ok=True)
            mounts.append(Mount(str(pushed), str(pushed), writable=True))
    modules = [*functions.of(config).modules(), *(source.module for source in own_sources.of(config))]
    for name in sorted({module.module_path.partition(".")[0] for module in modules} - {""}):
        mounts.append(Mount(str(packages.folder(name)), f"{PACKAGES}/{name}"))
    return list({mount.target: mount for mount in mounts}.values())


def _read(config: Config) -> Iterator[Path]:
    """Yields what tasks read. Module files, schemas and hyperparameters were copied into the pipeline root, and data
    inside a package is the image's."""
    for key, path in config.data.local_paths().items():
        yield _local(f"data.{key}", path)
    if config.validation and config.validation.previous_statistics:
        yield _local("validation.previous_statistics", config.validation.previous_statistics)
    if config.validation and config.validation.serving_statistics:
        yield _local("validation.serving_statistics", config.validation.serving_statistics)
    if config.transform and config.transform.analyzer_cache:
        yield _local("transform.analyzer_cache", config.transform.analyzer_cache)
    if config.training and config.training.base_model:
        yield _local("training.base_model", config.training.base_model)


def _local(key: str, uri: str) -> Path:
    if object_stores.is_remote(uri):
        raise ConfigError(
            f"{key}: expected a local path, since containers have no network here, received {uri!r}: copy it to this "
            "machine, or run without --runner docker"
        )
    return atomic.local_path(uri)


def _within(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())
