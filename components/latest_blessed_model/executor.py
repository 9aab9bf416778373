"""The work of LatestBlessedModel: a search through the folders of earlier runs."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.components.latest_blessed_model import remote, validations
from penstock.components.latest_blessed_model.validations import Blessed
from penstock.core import artifacts, progress
from penstock.core.artifacts import Model, ModelBlessing, ModelValidation, SavedModel, TaskResult
from penstock.core.errors import ConfigError, ModelError, UserError
from penstock.core.files import atomic, object_stores

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Baseline(TaskResult):
    """The metadata of `model`, and the URI that it is to have; None for the one it has."""

    uri: str | None


def run(*, candidate: str, pipeline_root: str, model: str, model_uri: str = "") -> Baseline:
    """Finds the newest blessed model under `pipeline_root` whose serving files differ from the candidate's.

    The output becomes that model by its URI. But where `model_uri`, the output's own, is in a bucket that is not
    mounted, as on Kubeflow, KFP's launcher uploads what is at `model`, and fails a task that names a URI outside of
    its run: there the model is copied to `model`.

    Passed over are models whose folder is gone or holds no serving model, and blessings whose validation.json cannot
    be read: a warning names each. A root in an object store is read where it is mounted, else through the store.
    Raises a ConfigError if the pipeline root does not exist.
    """
    with progress.task("LatestBlessedModel") as counts:
        blessed = sorted(_search(pipeline_root), reverse=True)
        counts.show(blessings=len(blessed))
        found = _newest_other(blessed, Model(Path(candidate)))
    if found is None:
        logger.info("no other blessed model under %s: the candidate has no baseline", pipeline_root)
        return Baseline({"model": artifacts.metadata(found=0)}, None)
    logger.info("baseline: %s, blessed at %s", found.uri, found.created.isoformat())
    if object_stores.is_remote(model_uri):
        _copy(found.uri, Path(model))
        return Baseline({"model": artifacts.metadata(found=1, copied_from=found.uri)}, None)
    return Baseline({"model": artifacts.metadata(found=1)}, found.uri)


def _copy(uri: str, folder: Path) -> None:
    with atomic.replacing(folder) as temporary:
        if object_stores.is_remote(uri):
            with object_stores.open_store(uri) as store:
                store.fetch({object_stores.join(uri, name): temporary / name for name in store.files(uri)})
        else:
            atomic.copy_tree(atomic.local_path(uri), temporary)


def _search(pipeline_root: str) -> list[Blessed]:
    if object_stores.is_remote(pipeline_root):
        with object_stores.open_store(pipeline_root) as store:
            found = remote.blessed_models(store, pipeline_root)
    else:
        root = atomic.local_path(pipeline_root)
        found = list(_blessed_models(root)) if root.is_dir() else None
    if found is None:
        raise ConfigError(f"pipeline_root: expected an existing folder, received {pipeline_root!r}")
    return found


def _newest_other(blessed: list[Blessed], candidate: Model) -> Blessed | None:
    serving = candidate.require_serving()
    digest = SavedModel(serving).digest()
    passed_over = set()
    for entry in blessed:
        if entry.uri in passed_over:
            continue
        passed_over.add(entry.uri)
        try:
            if _differs(entry.uri, serving, digest):
                return entry
        except (ConfigError, ModelError) as error:
            logger.warning("passed over a model blessed at %s: %s", entry.created.isoformat(), error.message)
    return None


def _differs(uri: str, candidate: Path, digest: str) -> bool:
    if object_stores.is_remote(uri):
        with object_stores.open_store(uri) as store:
            return remote.differs(store, uri, candidate, digest)
    return SavedModel(Model(atomic.local_path(uri)).require_serving()).digest() != digest


def _blessed_models(root: Path) -> Iterator[Blessed]:
    for blessing in _blessings(root):
        validation = ModelValidation(blessing.parent / "validation").path
        try:
            if ModelBlessing(blessing).read():
                yield validations.parse(validation.read_bytes())
        except (OSError, ValueError, UserError) as error:
            logger.warning("passed over %s: %s", validation, error)


def _blessings(root: Path) -> Iterator[Path]:
    """Yields the blessings' folders, without a look into the tasks that hold them or into data and models."""
    for folder, children, _ in os.walk(root):
        blessing = Path(folder) / "blessing"
        if "blessing" in children and (blessing / ModelBlessing.BLESSED).is_file():
            yield blessing
            children.clear()
        else:
            children[:] = sorted(name for name in children if not name.startswith(validations.NOT_SEARCHED))


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
