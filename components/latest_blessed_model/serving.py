"""Which of the blessed models serves."""

import logging
from collections.abc import Iterable

from penstock.components.latest_blessed_model.validations import Blessed
from penstock.components.pusher import destinations
from penstock.core.artifacts import Model, SavedModel
from penstock.core.errors import ConfigError, ModelError, PenstockError
from penstock.core.files import atomic, object_stores

logger = logging.getLogger(__name__)


def newest(blessed: Iterable[Blessed], push_destination: str, candidate: str) -> Blessed | None:
    """Returns the newest of the models that serve where models are pushed, and are not on trial there.

    None where no other than the candidate, the digest of a model, does. Models that are gone are passed over.
    """
    wanted = _serving(push_destination) - {candidate}
    seen = set()
    for entry in blessed if wanted else ():
        if entry.uri in seen:
            continue
        seen.add(entry.uri)
        try:
            if _of_model(entry.uri) in wanted:
                return entry
        except (ConfigError, ModelError) as error:
            logger.warning("passed over a model blessed at %s: %s", entry.created.isoformat(), error.message)
    return None


def _serving(push_destination: str) -> set[str]:
    """Returns the digests of the models that serve; none where a destination cannot be asked."""
    digests = set()
    for place in destinations.read(push_destination):
        try:
            endpoint = place.endpoint()
            current = endpoint and endpoint.current
            if current:  # a folder keeps no digests
                digests.add(current.digest or _digest(current.uri))
        except PenstockError as error:
            logger.warning("%s cannot be asked which model serves: %s", place.place, error.message)
    return digests


def _of_model(uri: str) -> str:
    """Returns the digest of a Model's serving model."""
    if object_stores.is_remote(uri):
        return _digest(object_stores.join(uri, Model.SERVING))
    return _digest(str(Model(atomic.local_path(uri)).require_serving()))


def _digest(uri: str) -> str:
    if object_stores.is_remote(uri):
        with object_stores.fetched(uri) as copy:
            return SavedModel(copy).digest()
    return SavedModel(atomic.local_path(uri)).digest()
