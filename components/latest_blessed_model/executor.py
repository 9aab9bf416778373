"""The work of LatestBlessedModel: a search through the folders of earlier runs."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from penstock.components import artifacts, progress, storage
from penstock.components.artifacts import Model, ModelBlessing
from penstock.components.errors import ConfigError, UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """Metadata of `model`, and the URI of the model found; None if there is none."""

    metadata: dict[str, dict[str, Any]]
    uri: str | None


@dataclass(frozen=True, order=True)
class Blessed:
    """A model that an Evaluator blessed, by the time of it; the URI decides between equal times."""

    created: datetime
    uri: str

    @property
    def model(self) -> Model:
        return Model(storage.local_path(self.uri))


def run(*, candidate: str, pipeline_root: str) -> Result:
    """Finds the newest blessed model under `pipeline_root` whose serving files differ from the candidate's.

    Passed over are models whose folder is gone or holds no serving model, and blessings whose validation.json cannot
    be read: a warning names each. Raises a ConfigError if the pipeline root does not exist.
    """
    with progress.task("LatestBlessedModel") as counts:
        root = storage.local_path(pipeline_root)
        if not root.is_dir():
            raise ConfigError(f"pipeline_root: expected an existing folder, received {pipeline_root!r}")
        blessed = sorted(_blessed_models(root), reverse=True)
        counts.show(blessings=len(blessed))
        found = _newest_other(blessed, Model(Path(candidate)))
    if found is None:
        logger.info("no other blessed model under %s: the candidate has no baseline", pipeline_root)
        return Result({"model": artifacts.metadata(found=0)}, None)
    logger.info("baseline: %s, blessed at %s", found.uri, found.created.isoformat())
    return Result({"model": artifacts.metadata(found=1)}, found.uri)


def _newest_other(blessed: list[Blessed], candidate: Model) -> Blessed | None:
    digest = artifacts.saved_model_digest(candidate.require_serving())
    passed_over = set()
    for entry in blessed:
        if entry.uri in passed_over:
            continue
        passed_over.add(entry.uri)
        try:
            serving = entry.model.require_serving()
        except UserError as error:
            logger.warning("passed over a model blessed at %s: %s", entry.created.isoformat(), error.message)
            continue
        if artifacts.saved_model_digest(serving) != digest:
            return entry
    return None


def _blessed_models(root: Path) -> Iterator[Blessed]:
    for blessing in _blessings(root):
        validation = blessing.parent / "validation" / "validation.json"
        try:
            if ModelBlessing(blessing).read():
                yield _read(validation)
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
            children[:] = sorted(name for name in children if not name.startswith((".", "Split-", "Format-")))


def _read(validation: Path) -> Blessed:
    """Reads `{"blessed": true, "model": <uri>, "created": <ISO time>}`; a ValueError says what is wrong with it."""
    content = json.loads(validation.read_bytes())
    if not isinstance(content, dict) or content.get("blessed") is not True:
        raise ValueError('expected "blessed": true, as the mark BLESSED says')
    uri, created = content.get("model"), content.get("created")
    if not isinstance(uri, str) or not uri or not isinstance(created, str):
        raise ValueError('expected "model", a URI, and "created", a time')
    time = datetime.fromisoformat(created)
    return Blessed(time if time.tzinfo else time.replace(tzinfo=UTC), uri)


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
