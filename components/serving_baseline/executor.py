"""The work of ServingBaseline: a search through the artifacts of earlier runs."""

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from penstock.components.latest_blessed_model import serving
from penstock.components.latest_blessed_model.validations import NOT_SEARCHED, Blessed
from penstock.core import artifacts, progress
from penstock.core.artifacts import TaskResult
from penstock.core.artifacts.monitoring import BaselineRecord, MonitoringBaseline
from penstock.core.errors import ConfigError, DataError
from penstock.core.files import atomic, object_stores
from penstock.core.files.object_stores import Store

logger = logging.getLogger(__name__)
_OUTPUT = "baseline"  # of ModelMonitor; a copy of this component has another name


@dataclass(frozen=True)
class Found(TaskResult):
    """The metadata of the output `current`, and its new URI; None if it keeps its own."""

    uri: str | None


@dataclass(frozen=True)
class _Made:
    """A baseline that a run has made."""

    created: datetime
    uri: str
    model: str


def run(
    *, current: str, pipeline_root: str, push_destination: str = "", baseline: str = "", current_uri: str = ""
) -> Found:
    """Returns where the baseline is; copies it to `current` if `current_uri` is in a bucket that is not mounted.

    Raises a ConfigError if the pipeline root does not exist, and a DataError if it has no baseline, or if there is none
    at `baseline`. A baseline that cannot be read is passed over with a warning.
    """
    with progress.task("ServingBaseline") as counts:
        if not baseline:
            made = sorted(_made(pipeline_root), key=lambda one: (one.created, one.uri), reverse=True)
            counts.show(baselines=len(made))
            if not made:
                raise DataError(
                    f"pipeline_root: {pipeline_root}: expected a run with a baseline of ModelMonitor, found none: "
                    "run the training pipeline first, or name one by the parameter baseline"
                )
            baseline = _of_the_serving_model(made, push_destination).uri
        logger.info("baseline: %s", baseline)
        about = {"current": artifacts.metadata(baseline=baseline)}
        if object_stores.is_remote(current_uri):
            _copy(baseline, Path(current))
            return Found(about, None)
        return Found(about, baseline)


def _of_the_serving_model(made: list[_Made], push_destination: str) -> _Made:
    """Returns the newest baseline of a model that serves, else the newest."""
    models = [Blessed(one.created, one.model) for one in made if one.model]
    serves = serving.newest(models, push_destination, candidate="") if push_destination else None
    return next((one for one in made if serves and one.model == serves.uri), made[0])


def _made(pipeline_root: str) -> list[_Made]:
    if object_stores.is_remote(pipeline_root):
        with object_stores.open_store(pipeline_root) as store:
            return list(_in_store(store, pipeline_root))
    root = atomic.local_path(pipeline_root)
    if not root.is_dir():
        raise ConfigError(f"pipeline_root: expected an existing folder, received {pipeline_root!r}")
    return list(_in_folder(root))


def _in_folder(root: Path) -> Iterator[_Made]:
    for folder, subfolders, files in root.walk():
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(NOT_SEARCHED))
        if folder.name == _OUTPUT and MonitoringBaseline.FILE in files:
            yield from _read(str(folder), (folder / MonitoringBaseline.FILE).read_bytes())


def _in_store(store: Store, root: str) -> Iterator[_Made]:
    for name in store.files(root):
        path = PurePosixPath(name)
        is_searched = not any(part.startswith(NOT_SEARCHED) for part in path.parts)
        if is_searched and path.name == MonitoringBaseline.FILE and path.parent.name == _OUTPUT:
            uri = object_stores.join(root, str(path.parent))
            yield from _read(uri, store.read(object_stores.join(root, name)))


def _read(uri: str, text: bytes) -> Iterator[_Made]:
    try:
        record: BaselineRecord = json.loads(text)
        yield _Made(datetime.fromisoformat(record["created"]), uri, record["model"])
    except (ValueError, TypeError, KeyError) as error:
        logger.warning("passed over %s: expected a baseline that this version's ModelMonitor wrote: %r", uri, error)


def _copy(uri: str, folder: Path) -> None:
    with atomic.replacing(folder) as temporary:
        if object_stores.is_remote(uri):
            with object_stores.open_store(uri) as store:
                names = store.files(uri)
                _require(uri, MonitoringBaseline.FILE in names)
                store.fetch({object_stores.join(uri, name): temporary / name for name in names})
        else:
            _require(uri, MonitoringBaseline(atomic.local_path(uri)).path.is_file())
            atomic.copy_tree(atomic.local_path(uri), temporary)


def _require(uri: str, is_there: bool) -> None:
    if not is_there:
        raise DataError(f"{uri}: expected a baseline, with {MonitoringBaseline.FILE} in it")


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
