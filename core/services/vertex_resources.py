"""What pushing to Vertex AI and monitoring there share: names of resources, labels, and settings of both."""

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.core.arguments import check_object
from penstock.core.errors import ConfigError
from penstock.core.services.retries import NotFound
from penstock.core.services.vertex import Server

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import DeployedModel, Model

VERSION = "penstock-version"  # the label of a model's version: the one that the push gave it
_LABEL, _LABEL_KEY = re.compile(r"^[a-z0-9_-]{0,63}$"), re.compile(r"^[a-z][a-z0-9_-]{0,62}$")
logger = logging.getLogger(__name__)


def version_name(deployed: "DeployedModel") -> str:
    """Returns the name of what is deployed, `projects/…/models/ID@VERSION`."""
    return f"{deployed.model.partition('@')[0]}@{deployed.model_version_id}"


def registered(server: Server, name: str) -> "Model | None":
    """Returns a version by its name, which it bears; None if the registry has none."""
    try:
        version: Model = server.repeat(server.models.get_model, name=name)
    except NotFound:
        return None
    version.name = f"{version.name.partition('@')[0]}@{version.version_id}"
    return version


def command(server: Server, words: str) -> str:
    """Returns a command that a person can run: `gcloud ai WORDS` in the project and the region."""
    return f"`gcloud ai {words} --project={server.project} --region={server.location}`"


def check_labels(name: str, value: object) -> dict[str, str]:
    """Returns labels of a setting; a ConfigError for those that Vertex AI does not take."""
    labels = check_object(name, value)
    for key, text in labels.items():
        if not _LABEL_KEY.match(key):
            raise ConfigError(
                f"{name}.{key}: expected a key of small letters, digits, _ and -, 63 at most, a letter first"
            )
        if not isinstance(text, str) or not _LABEL.match(text):
            raise ConfigError(f"{name}.{key}: expected small letters, digits, _ and -, 63 at most, received {text!r}")
    return labels


def present_credentials(name: str, path: str | None) -> str | None:
    """Returns the credentials' file where it is; a task on a cluster does not have that of the user's machine."""
    if path is None or Path(path).is_file():
        return path
    logger.info("%s.credentials_file: %s is not here: Google's application default credentials are used", name, path)
    return None
