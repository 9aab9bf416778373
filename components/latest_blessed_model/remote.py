"""The search in an object store: lists the pipeline root, then reads only the validations of blessed models."""

import logging
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from penstock.components.latest_blessed_model import validations
from penstock.components.latest_blessed_model.validations import Blessed
from penstock.core import artifacts
from penstock.core.artifacts import Model, ModelBlessing, ModelValidation, SavedModel
from penstock.core.errors import ConfigError, ModelError
from penstock.core.files import object_stores
from penstock.core.files.object_stores import Store

logger = logging.getLogger(__name__)


def blessed_models(store: Store, root: str) -> list[Blessed] | None:
    """Returns the models that were blessed below `root`, in the order of their names; None if nothing is there."""
    names = store.files(root)
    return list(_blessed_models(store, root, names)) if names else None


def _blessed_models(store: Store, root: str, names: dict[str, object_stores.Entry]) -> Iterator[Blessed]:
    for name in names:
        path = PurePosixPath(name)
        if path.name != ModelBlessing.BLESSED or path.parent.name != "blessing":
            continue
        if any(part.startswith(validations.NOT_SEARCHED) for part in path.parts):
            continue
        validation = object_stores.join(root, str(path.parent.parent / "validation" / ModelValidation.FILE))
        try:
            if str(path.with_name(ModelBlessing.NOT_BLESSED)) in names:
                raise ModelError(
                    f"blessing at {object_stores.join(root, str(path.parent))}: expected one mark, found both"
                )
            yield validations.parse(store.read(validation))
        except (ValueError, ConfigError, ModelError) as error:
            logger.warning("passed over %s: %s", validation, error)


def differs(store: Store, model: str, candidate: Path, digest: str) -> bool:
    """Whether the serving model of a Model's URI differs from the candidate, a folder with this digest.

    Downloads the model only if its files have the candidate's names and sizes. Raises a ModelError if there is no
    model.
    """
    serving = object_stores.join(model, Model.SERVING)
    entries = store.files(serving)
    below = Model.below_serving(entries)
    if below:
        serving, entries = object_stores.join(serving, below), store.files(object_stores.join(serving, below))
    if not SavedModel.is_model(entries):
        raise artifacts.no_model(serving)
    sizes = {name: entry.size for name, entry in entries.items() if name != SavedModel.FINGERPRINT}
    if sizes != SavedModel(candidate).sizes():
        return True
    with object_stores.fetched(serving) as copy:
        return SavedModel(copy).digest() != digest
