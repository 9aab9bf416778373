"""The work of the Pusher: reads the blessings again, then pushes the model."""

import json
import logging
import sys
from pathlib import Path

from penstock.components.pusher.destinations import destination
from penstock.core import artifacts, progress
from penstock.core.artifacts import InfraBlessing, Model, ModelBlessing, SavedModel, TaskResult
from penstock.core.errors import ConfigError
from penstock.core.files import atomic

logger = logging.getLogger(__name__)


def run(
    *,
    pushed_model: str,
    model: str | None = None,
    model_blessing: str | None = None,
    infra_blessing: str | None = None,
    push_destination: str = "",
) -> TaskResult:
    """Pushes the serving model of `model` if no blessing forbids it; destinations/ says how.

    A model that InfraValidator has given warm-up requests takes its place. component.py describes the arguments;
    artifacts are folders here. Raises a ConfigError for a wrong destination, a ModelError if there is no serving model
    or a blessing has no mark, a UserError if the destination cannot be written.
    """
    with progress.task("Pusher"):
        push = destination(push_destination)
        serving = _serving_model(model, infra_blessing)
        refusal = _refusal(model_blessing, infra_blessing)
        if refusal:
            logger.info("not pushed: %s", refusal)
            return TaskResult({"pushed_model": artifacts.metadata(pushed=0)})
        version = push(serving)
        verb = "pushed to" if version.new else "already the newest version, nothing written:"
        logger.info("model %s %s", verb, version.place)
        atomic.copy_tree(serving, Path(pushed_model), last=[SavedModel.FILE], link=True)
    metadata = artifacts.metadata(pushed=1, pushed_destination=version.place, pushed_version=str(version.number))
    return TaskResult({"pushed_model": metadata})


def _serving_model(model: str | None, infra_blessing: str | None) -> Path:
    """Returns the model with warm-up requests that was blessed, else the model itself."""
    stamped = InfraBlessing(Path(infra_blessing)).stamped_model if infra_blessing else None
    if stamped and stamped.exists:
        return stamped.root
    if model is None:
        raise ConfigError("expected a model, or an infra_blessing that holds one: make_warmup in its request_spec")
    return Model(Path(model)).require_serving()


def _refusal(model_blessing: str | None, infra_blessing: str | None) -> str:
    """Returns why the model may not be pushed; empty if it may."""
    if model_blessing is not None and not ModelBlessing(Path(model_blessing)).read():
        return f"the Evaluator did not bless the model ({model_blessing})"
    if infra_blessing is not None and not InfraBlessing(Path(infra_blessing)).read():
        return f"the InfraValidator did not bless the model ({infra_blessing})"
    if model_blessing is None and infra_blessing is None:
        logger.warning("pushing a model that was not validated: pass the blessing of an Evaluator to the Pusher")
    return ""


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
