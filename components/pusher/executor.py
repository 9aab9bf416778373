"""The Pusher's work: the blessings are read again, then the model is pushed."""

import json
import logging
import sys
from pathlib import Path

from penstock.components.pusher.destinations import filesystem, object_store
from penstock.core import artifacts, progress
from penstock.core.arguments import check_object, check_string, parse_object
from penstock.core.artifacts import InfraBlessing, Model, ModelBlessing, SavedModel, TaskResult
from penstock.core.errors import ConfigError
from penstock.core.files import atomic, object_stores

logger = logging.getLogger(__name__)
_FILESYSTEM = '{"base_directory": "<folder>"}'
_DESTINATION = f'{{"filesystem": {_FILESYSTEM}}}'
_VERSIONINGS = ("AUTO", "UNIX_TIMESTAMP")


def run(
    *,
    pushed_model: str,
    model: str,
    model_blessing: str | None = None,
    infra_blessing: str | None = None,
    push_destination: str = "",
) -> TaskResult:
    """Pushes the serving model of `model`, if every blessing given says yes (filesystem.push says how).

    The arguments are the component's (component.py describes them), artifacts being folders. Raises a ConfigError for
    a wrong destination, a ModelError if there is no serving model or a blessing holds no mark, a UserError if the
    destination cannot be written.
    """
    with progress.task("Pusher"):
        base = _base_directory(push_destination)
        serving = Model(Path(model)).require_serving()
        refused = _refusal(model_blessing, infra_blessing)
        if refused:
            logger.info("not pushed: %s", refused)
            return TaskResult({"pushed_model": artifacts.metadata(pushed=0)})
        version = filesystem.push(serving, base) if isinstance(base, Path) else object_store.push(serving, base)
        verb = "pushed to" if version.new else "already the newest version, nothing written:"
        logger.info("model %s %s", verb, version.folder)
        atomic.copy_tree(serving, Path(pushed_model), last=[SavedModel.FILE], link=True)
    return TaskResult(
        {
            "pushed_model": artifacts.metadata(
                pushed=1, pushed_destination=str(version.folder), pushed_version=str(version.number)
            )
        }
    )


def _refusal(model_blessing: str | None, infra_blessing: str | None) -> str:
    """Returns why the model may not be pushed; empty if it may."""
    if model_blessing is not None and not ModelBlessing(Path(model_blessing)).read():
        return f"the Evaluator did not bless the model ({model_blessing})"
    if infra_blessing is not None and not InfraBlessing(Path(infra_blessing)).read():
        return f"the InfraValidator did not bless the model ({infra_blessing})"
    if model_blessing is None and infra_blessing is None:
        logger.warning("pushing a model that nothing validated: give the Pusher the blessing of an Evaluator")
    return ""


def _base_directory(push_destination: str) -> Path | str:
    """Reads push_destination, JSON of TFX's PushDestination.

    Returns a path, or the URI of a folder in an object store that is not mounted.
    """
    destination = parse_object("push_destination", push_destination, ("filesystem",), _DESTINATION)
    name = "push_destination.filesystem"
    filesystem_ = check_object(name, destination.get("filesystem"), ("base_directory", "versioning"), _FILESYSTEM)
    versioning = filesystem_.get("versioning", "AUTO")
    if versioning not in _VERSIONINGS:
        raise ConfigError(f"{name}.versioning: expected one of {', '.join(_VERSIONINGS)}, received {versioning!r}")
    base = check_string(f"{name}.base_directory", filesystem_.get("base_directory"), "a folder")
    return base.rstrip("/") if object_stores.is_remote(base) else atomic.local_path(base).absolute()


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
