"""The work of LatestBlessedModel: a search through the folders of earlier runs."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.components.latest_blessed_model import remote, serving, validations
from penstock.components.latest_blessed_model.validations import Blessed
from penstock.core import artifacts, progress
from penstock.core.artifacts import Model, ModelBlessing, ModelValidation, SavedModel, TaskResult
from penstock.core.errors import ConfigError, ModelError, UserError
from penstock.core.files import atomic, object_stores

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Baseline(TaskResult):
    """The metadata of the output `model`, and its new URI; None if it keeps its own."""

    uri: str | None


def run(*, candidate: str, pipeline_root: str, model: str, model_uri: str = "", push_destination: str = "") -> Baseline:
    """Finds the newest blessed model under `pipeline_root` whose serving files differ from the candidate's.

    Of those the one that serves at `push_destination` goes before newer ones.

    The output normally gets that model's URI. But if `model_uri`, the output's own URI, is in a bucket that is not
    mounted, the model is copied to `model`. That is so on Kubeflow, where KFP's launcher uploads that folder, and fails
    a task that sets a URI outside of its run.

    Skips models whose folder is gone or has no serving model, and blessings whose validation.json cannot be read, with
    a warning for each. An object store is read through its mount if there is one. Raises a ConfigError if the pipeline
    root does not exist, and a ModelError if the candidate has no serving model.
    """
    with progress.task("LatestBlessedModel") as counts:
        blessed = sorted(_search(pipeline_root), reverse=True)
        counts.show(blessings=len(blessed))
        folder = Model(Path(candidate)).require_serving()
        digest = SavedModel(folder).digest()
        baseline = serving.newest(blessed, push_destination, digest) if push_destination else None
        baseline = baseline or _newest_other(blessed, folder, digest)
    if baseline is None:
        logger.info("no other blessed model under %s: the candidate has no baseline", pipeline_root)
        return Baseline({"model": artifacts.metadata(found=0)}, None)
    logger.info("baseline: %s, blessed at %s", baseline.uri, baseline.created.isoformat())
    if object_stores.is_remote(model_uri):
        _copy(baseline.uri, Path(model))
        return Baseline({"model": artifacts.metadata(found=1, copied_from=baseline.uri)}, None)
    return Baseline({"model": artifacts.metadata(found=1)}, baseline.uri)


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
            blessed = remote.blessed_models(store, pipeline_root)
    else:
        root = atomic.local_path(pipeline_root)
        blessed = list(_blessed_models(root)) if root.is_dir() else None
    if blessed is None:
        raise ConfigError(f"pipeline_root: expected an existing folder, received {pipeline_root!r}")
    return blessed


def _newest_other(blessed: list[Blessed], candidate: Path, digest: str) -> Blessed | None:
    seen = set()
    for entry in blessed:
        if entry.uri in seen:
            continue
        seen.add(entry.uri)
        try:
            if _differs(entry.uri, candidate, digest):
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
    """Yields the folders of the blessings, without searching further in their tasks, or in data and models."""
    for folder, children, _ in os.walk(root):
        blessing = Path(folder) / "blessing"
        if "blessing" in children and (blessing / ModelBlessing.BLESSED).is_file():
            yield blessing
            children.clear()
        else:
            children[:] = sorted(name for name in children if not name.startswith(validations.NOT_SEARCHED))


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
