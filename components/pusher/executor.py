"""The work of the Pusher: reads the blessings again, then pushes the model."""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from penstock.components.pusher import custom_config as custom_configs
from penstock.components.pusher import destinations
from penstock.components.pusher.destinations import Folder, Pushed, Service
from penstock.core import artifacts, progress
from penstock.core.artifacts import InfraBlessing, Model, ModelBlessing, SavedModel, TaskResult
from penstock.core.errors import ConfigError, PenstockError, SystemFailure, UserError
from penstock.core.files import atomic
from penstock.core.services.retries import Interrupted

logger = logging.getLogger(__name__)


def run(
    *,
    pushed_model: str,
    model: str | None = None,
    model_blessing: str | None = None,
    infra_blessing: str | None = None,
    push_destination: str = "",
    custom_config: str = "",
) -> TaskResult:
    """Pushes the serving model of `model` if no blessing forbids it; destinations/ says where and how.

    A model that InfraValidator has given warm-up requests takes its place. component.py describes the arguments;
    artifacts are folders here. Raises a ConfigError for a wrong destination, a ModelError if there is no serving model
    or a blessing has no mark, a UserError if the destination cannot be written.
    """
    with progress.task("Pusher"):
        places = destinations.read(custom_configs.applied(push_destination, custom_config, pushed_model))
        serving = _serving_model(model, infra_blessing)
        refusal = _refusal(model_blessing, infra_blessing)
        if refusal:
            logger.info("not pushed: %s", refusal)
            return TaskResult({"pushed_model": artifacts.pushed_metadata([])})
        pushed = _push(serving, places)
        atomic.copy_tree(serving, Path(pushed_model), last=[SavedModel.FILE], link=True)
    versions = [artifacts.PushedVersion(one.place, one.version, one.percent) for one in pushed]
    return TaskResult({"pushed_model": artifacts.pushed_metadata(versions)})


def _serving_model(model: str | None, infra_blessing: str | None) -> Path:
    """Returns the model with warm-up requests that was blessed, else the model itself."""
    stamped = InfraBlessing(Path(infra_blessing)).stamped_model if infra_blessing else None
    if stamped and stamped.exists:
        return stamped.root
    if model is None:
        raise ConfigError("expected a model, or an infra_blessing that holds one: make_warmup in its request_spec")
    return Model(Path(model)).require_serving()


def _push(serving: Path, places: Sequence[Folder | Service]) -> list[Pushed]:
    """Pushes to one place after the other, also where one has failed; the error then tells of them all."""
    pushed: list[Pushed] = []
    failures: dict[str, PenstockError] = {}
    for place in places:
        try:
            result = destinations.push(place, serving)
        except PenstockError as error:
            failures[place.key] = error
            if isinstance(error, Interrupted):
                break
            continue
        verb = "pushed to" if result.new else "already there, nothing changed:"
        logger.info("model %s %s (version %s, %d %%)", verb, result.place, result.version, result.percent)
        for note in result.notes:
            logger.warning("%s", note)
        pushed.append(result)
    if failures:
        raise _failure(failures, pushed) if len(places) > 1 else next(iter(failures.values()))
    return pushed


def _failure(failures: Mapping[str, PenstockError], pushed: Sequence[Pushed]) -> PenstockError:
    """Returns one error for all places: the user's to mend only if every failure is."""
    kinds = [Interrupted, SystemFailure, UserError]
    kind = next(kind for kind in kinds if any(isinstance(error, kind) for error in failures.values()))
    (key, first), *more = failures.items()
    lines = [*first.details.splitlines()]
    for other, error in more:
        lines += [f"{other}: {error.message}", *error.details.splitlines()]
    lines += [f"pushed: version {one.version} to {one.place}" for one in pushed]
    return kind(f"not pushed to {', '.join(failures)}: {key}: {first.message}", "\n".join(lines))


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
