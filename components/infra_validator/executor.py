"""The work of InfraValidator: tries the model in a server, writes the verdict and the model with warm-up requests."""

import datetime
import json
import logging
import shutil
import sys
from pathlib import Path

from penstock.components.infra_validator import report as reports
from penstock.components.infra_validator import requests as requests_
from penstock.components.infra_validator import settings as settings_
from penstock.components.infra_validator.requests import NotAskable, Request
from penstock.components.infra_validator.settings import Settings
from penstock.components.infra_validator.trial import Result, Trial
from penstock.core import artifacts, progress
from penstock.core.artifacts import (
    Check,
    Examples,
    GateResult,
    InfraBlessing,
    InfraValidation,
    InfraVerdict,
    Model,
    SavedModel,
)
from penstock.core.files import atomic

logger = logging.getLogger(__name__)


def run(
    *,
    blessing: str,
    infra_validation: str,
    report: str,
    model: str,
    examples: str | None = None,
    serving_spec: str = "",
    validation_spec: str = "",
    request_spec: str = "",
    budgets: str = "",
    server_url: str = "",
    label: str = "",
    model_uri: str = "",
) -> GateResult:
    """Tries the serving model of `model` in a model server; component.py describes the arguments.

    Raises a ConfigError for a wrong parameter, a ModelError if there is no model or it lacks a signature that is asked
    for, and a DataError if there are no examples. Whatever the server does ends in a verdict.
    """
    settings = settings_.read(serving_spec, validation_spec, request_spec, budgets, server_url)
    for note in settings.notes:
        logger.info(note)
    with progress.task("InfraValidator") as counts:
        serving = SavedModel(Model(Path(model)).require_serving())
        output = InfraBlessing(Path(blessing))
        output.clear()
        if not serving.exists:
            result, stamped, checked = _unchecked(serving), None, False
        else:
            requests, not_asked = _requests(serving, examples, settings, label)
            counts["requests"] = len(requests)
            stamped = _stamped(output, serving, settings, requests)
            result, checked = Trial((stamped or serving).root, settings, requests).run(), True
            result.checks += not_asked
        verdict = InfraVerdict(
            blessed=result.blessed,
            checked=checked,
            model=model_uri or model,
            server=str(settings.url or "Penstock's model server"),
            created=datetime.datetime.now(datetime.UTC).isoformat(),
            checks=result.checks,
            log=result.log,
        )
        return _write(verdict, output, Path(infra_validation), Path(report), stamped, result)


def _unchecked(model: SavedModel) -> Result:
    sentence = f"the model is no SavedModel ({model.listed()}): no model server of TensorFlow's takes it"
    logger.info("not checked: %s", sentence)
    return Result([Check(name="saved_model", value=None, limit=None, passed=True, sentence=sentence)])


def _requests(
    model: SavedModel, examples: str | None, settings: Settings, label: str
) -> tuple[list[Request], list[Check]]:
    """Returns what the server is asked, and a check that says why it is not asked, if so."""
    if examples is None or settings.requests is None:
        logger.info("the model is only loaded: there are no examples, or there is no request_spec")
        return [], []
    try:
        return requests_.build(model.root, Examples(Path(examples)), settings.requests, label), []
    except NotAskable as reason:
        logger.info(str(reason))
        return [], [Check(name="answers", value=None, limit=None, passed=True, sentence=str(reason))]


def _stamped(
    output: InfraBlessing, model: SavedModel, settings: Settings, requests: list[Request]
) -> SavedModel | None:
    """Writes the model with warm-up requests, which is then the one that is tried; None if it is to have none of ours.

    Those that run_fn has written stay.
    """
    if not requests or settings.requests is None or not settings.requests.make_warmup:
        return None
    if model.warm_up_requests.is_file():
        logger.info("the model brings warm-up requests along: they stay as they are")
        return None
    stamped = output.stamped_model
    atomic.copy_tree(model.root, stamped.root, last=[SavedModel.FILE], link=True)
    requests_.write_warm_up(stamped, settings.model_name, requests)
    return stamped


def _write(
    verdict: InfraVerdict,
    output: InfraBlessing,
    validation: Path,
    report: Path,
    stamped: SavedModel | None,
    result: Result,
) -> GateResult:
    """Writes the verdict, and the mark last; returns the outputs' metadata."""
    blessed = verdict["blessed"]
    if stamped and not blessed:
        shutil.rmtree(stamped.root)
    for check in verdict["checks"]:
        logger.info("%s: %s", "passed" if check["passed"] else "not blessed", check["sentence"])
    InfraValidation(validation).write(verdict)
    reports.write(report, verdict)
    output.write(blessed)
    has_model = int(bool(stamped and blessed))
    return GateResult(
        {
            "blessing": artifacts.metadata(blessed=int(blessed), has_model=has_model, current_model=verdict["model"]),
            "infra_validation": {**artifacts.metadata(blessed=int(blessed)), InfraValidation.FINAL: int(result.final)},
        },
        blessed,
    )


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
