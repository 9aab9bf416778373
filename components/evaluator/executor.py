"""Evaluates a model and decides whether it is blessed."""

import contextlib
import datetime
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.engines import Engine, open_engine
from penstock.components.evaluator import diagnosis, preparation, results
from penstock.components.evaluator import eval_config as eval_configs
from penstock.components.evaluator import verdict as verdicts
from penstock.components.evaluator.defaults import metrics as default_metrics
from penstock.components.evaluator.defaults import observation, problem, target
from penstock.components.evaluator.defaults.observation import Sample
from penstock.components.evaluator.defaults.problem import Problem
from penstock.components.evaluator.defaults.target import Target
from penstock.components.evaluator.metrics import shards
from penstock.components.evaluator.preparation import Evaluation, Inputs
from penstock.components.evaluator.report import report as report_page
from penstock.components.evaluator.summary import one_pass, service_pages
from penstock.components.evaluator.summary import summary as summaries
from penstock.components.evaluator.summary.one_pass import Observed
from penstock.components.evaluator.summary.service_pages import EvaluationResult
from penstock.components.evaluator.tfma import on_beam
from penstock.components.evaluator.tfma import undefined as undefined_metrics
from penstock.components.evaluator.tfma.extracts import ModelFailure
from penstock.components.evaluator.trivial import margins as trivial_margins
from penstock.components.evaluator.trivial.evaluation import TrivialEvaluation
from penstock.core import artifacts, progress, user_modules
from penstock.core.artifacts import Metadata, Reason, Verdict
from penstock.core.artifacts.evaluation_summary import EvaluationSummary
from penstock.core.errors import ConfigError, DataError, ModelError
from penstock.core.examples import payloads
from penstock.core.files import temporary
from penstock.core.legacy import keras_version

logger = logging.getLogger(__name__)
_FEW_ROWS = 50  # of which an accuracy has an interval of 14 points on either side


def run(
    *,
    evaluation: str,
    blessing: str,
    validation: str,
    report: str,
    examples: str,
    model: str,
    baseline_model: str | None = None,
    schema: str | None = None,
    eval_config: str = "",
    label: str = "",
    example_splits: Sequence[str] = (),
    train_splits: Sequence[str] = (),
    eval_splits: Sequence[str] = (),
    better_than_trivial: str = "",
    importance_rows: int = -1,
    module_file: str = "",
    engine: str = "local",
    keras: int = 0,
    model_uri: str = "",
    baseline_model_uri: str = "",
    payload_format: str = "",
) -> EvaluationResult:
    """Evaluates `model` on the examples, of this payload_format; component.py describes the arguments.

    The verdict names the models by their URIs, by which later runs find them; by default these are their paths.

    Raises a ConfigError if the EvalConfig cannot be read, and a ModelError if the model or the examples do not have a
    signature, label or feature that it names. A DataError if a split is missing or empty. Where the EvalConfig asks for
    nothing, a model that cannot be evaluated is no error: the verdict says why.
    """
    keras_version.use(keras)
    with progress.task("Evaluator") as counts, open_engine(engine, Path(evaluation)) as engine_:
        config = eval_configs.parse(eval_config)
        inputs = Inputs(
            artifacts.Examples(Path(examples)),
            list(example_splits) or ["eval"],
            list(train_splits) or ["train"],
            payloads.parse(payload_format),
            artifacts.Schema(Path(schema)).read() if schema else None,
            label,
            trivial_margins.parse(better_than_trivial),
            artifacts.Model(Path(model)).require_serving(),
            _serving(baseline_model),
            user_modules.load(module_file) if module_file else None,
            None if importance_rows < 0 else importance_rows,
        )
        rows, blessed, reasons, summary = _evaluated(inputs, config, evaluation, engine_)
        if rows:
            counts["rows"] = rows
    verdict = Verdict(
        blessed=blessed,
        model=model_uri or model,
        baseline_model=(baseline_model_uri or baseline_model) if inputs.baseline else None,
        created=datetime.datetime.now(datetime.UTC).isoformat(),
        reasons=reasons,
        notes=list(_notes(rows, inputs.splits, inputs.trained_on, list(eval_splits) or ["eval"])),
    )
    report_page.write(Path(report), summary, verdict)
    metadata = _write(verdict, blessing, validation) | {"metrics": service_pages.metrics(summary) if summary else {}}
    return EvaluationResult(metadata, blessed, service_pages.classification(summary) if summary else {})


def _evaluated(
    inputs: Inputs, config: EvalConfig, output: str, engine: Engine
) -> tuple[int, bool, list[Reason], EvaluationSummary | None]:
    """Evaluates; a model that cannot be evaluated is an error only where something is asked for.

    Where it is the data, the machine or a defect that fails an evaluation, it is one always.
    """
    is_asked_for = default_metrics.are_asked_for(config) or bool(inputs.margins)
    try:
        return _judged(preparation.prepare(inputs, config, output), engine)
    except (ConfigError, ModelError) as error:
        if is_asked_for:
            raise
        logger.warning("the model is not evaluated: %s", error)
        return 0, False, [verdicts.objection(f"the model is not evaluated: {error.message}", slice_name="")], None


def _judged(task: Evaluation, engine: Engine) -> tuple[int, bool, list[Reason], EvaluationSummary]:
    """Evaluates; returns the number of examples, the verdict with its reasons, and the summary."""
    with _explained(task.config, task.folders, task.files):
        observed_problem = None
        if task.models and default_metrics.are_left_out(task.config):
            observed_problem = _problem(task, engine)
            default_metrics.fill(task.config, observed_problem)
        trivial = _trivial(task) if task.margins else None
        predicted = target.of_models(task.config, task.models, observed_problem)
        observed = _evaluate(task, predicted, engine)
    undefined = undefined_metrics.observed(task.config)
    for sentence in undefined.sentences():
        logger.warning(sentence)
    summary = summaries.of_evaluation(
        task.config, predicted, task.splits, task.trained_on, task.output, undefined, observed
    )
    artifacts.ModelEvaluation(Path(task.output)).write_summary(summary)
    reasons = list(_against_trivial(task, trivial, engine, undefined)) if trivial else []
    return observed.rows, *_verdict(task, undefined, reasons), summary


def _trivial(task: Evaluation) -> TrivialEvaluation:
    """Returns the evaluation of the trivial model; a ConfigError if a margin is of what cannot be compared with it."""
    if not task.models:
        raise ConfigError("better_than_trivial: expected an evaluation that the module does not customize")
    trivial_margins.check(task.margins, task.config)
    model = task.candidate
    return TrivialEvaluation.of(task.margins, task.config, model, task.schema, task.labels, task.payload_format)


def _against_trivial(
    task: Evaluation, trivial: TrivialEvaluation, engine: Engine, undefined: undefined_metrics.Undefined
) -> Iterator[Reason]:
    """Yields how much better than the trivial model the candidate is."""
    with temporary.folder() as output:
        trivial.run(engine, task.train_files, task.files, str(output))
        yield from trivial_margins.reasons(task.margins, task.config, task.output, str(output), undefined)


def _problem(task: Evaluation, engine: Engine) -> Problem:
    """Returns what the candidate predicts, by some of the examples if it does not say so itself."""
    candidate = task.candidate
    if not candidate.spec.label_key and not candidate.spec.label_keys:
        raise ConfigError(
            "eval_config: expected a label_key in model_specs: nothing says which feature the model predicts"
        )
    known = problem.known(candidate)
    if known is not None:
        return known
    parts = shards.shards(task.files, task.config, task.schema, task.folders, task.payload_format, task.labels)
    sample = Sample(tuple(task.files), parts[0])
    (found,) = engine.map(observation.observed, [sample])
    logger.info("the model is evaluated as one of a %s problem", found.kind)
    return found


def _notes(rows: int, splits: list[str], learnt_from: list[str], stopped_by: list[str]) -> Iterator[str]:
    """Yields what to bear in mind of so few rows, and of evaluated splits that training has seen."""
    if 0 < rows < _FEW_ROWS:
        yield (
            f"evaluated on {rows} example{'s' if rows > 1 else ''} only, so chance alone moves each figure far: "
            f"expected {_FEW_ROWS} or more; give more data, or the split a larger share"
        )
    learnt = [split for split in splits if split in learnt_from]
    seen = [split for split in splits if split in stopped_by and split not in learnt]
    if learnt:
        yield f"evaluated on {', '.join(learnt)}, from which the model has learnt"
    if seen:
        yield (
            f"evaluated on {', '.join(seen)}, which training sees too, to decide when to stop; a third split, such as "
            "test, would be new to the model"
        )


@contextlib.contextmanager
def _explained(config: EvalConfig, folders: dict[str, str], files: list[Path]) -> Iterator[None]:
    """Names the model that cannot take the examples, if that is why an evaluation failed."""
    try:
        yield
    except diagnosis.EXPLAINED:
        raise
    except Exception as error:
        explanation = diagnosis.failed_signature(config, folders, files)
        if explanation is None and isinstance(error, ModelFailure):
            explanation = ModelError(f"the model cannot be evaluated: {error}")
        if explanation is None:
            raise
        raise explanation from error


def _write(verdict: Verdict, blessing: str, validation: str) -> dict[str, Metadata]:
    """Writes the verdict and the blessing; returns the metadata of these and of the evaluation."""
    blessed = verdict["blessed"]
    artifacts.ModelValidation(Path(validation)).write(verdict)
    artifacts.ModelBlessing(Path(blessing)).write(blessed)
    properties = artifacts.metadata(blessed=int(blessed), current_model=verdict["model"], component_id="evaluator")
    if verdict["baseline_model"]:
        properties["baseline_model"] = verdict["baseline_model"]
    return {
        "evaluation": artifacts.metadata(),
        "blessing": properties,
        "validation": artifacts.metadata(blessed=int(blessed)),
    }


def _serving(model: str | None) -> Path | None:
    """Returns the folder of the baseline; None if there is no model in it, as if LatestBlessedModel found none."""
    return artifacts.Model(Path(model)).serving_model() if model else None


def _verdict(
    task: Evaluation, undefined: undefined_metrics.Undefined, of_margins: list[Reason]
) -> tuple[bool, list[Reason]]:
    """Returns whether the model is blessed: if it meets its thresholds, of which there must be one."""
    if not eval_configs.has_thresholds(task.config) and not of_margins:
        return False, [verdicts.objection("no threshold was given, so nothing is blessed", slice_name="")]
    meets, reasons = True, of_margins
    if eval_configs.has_thresholds(task.config):
        meets, others = verdicts.reasons(task.config, task.output, undefined)
        reasons = [*others, *of_margins]
    return meets and all(reason["passed"] for reason in of_margins), verdicts.in_order(reasons)


def _evaluate(task: Evaluation, predicted: Target, engine: Engine) -> Observed:
    """Writes TFMA's results; returns what else is found."""
    undefined_metrics.observe()
    models = on_beam.models(task)
    reason = shards.reason_for_beam(task.config, models, task.module)
    shared = models[0] if len(models) == 1 else models
    parts = shards.shards(
        task.files, task.config, task.schema, task.folders, task.payload_format, task.labels, predicted
    )
    probes = one_pass.probes(parts[0], task.config, task.models, task.sampled, task.importance_rows)
    if reason:
        logger.info("evaluated by Beam in one process: %s", reason)
        rows, dropped = on_beam.evaluate(task, shared)
        _tell_dropped(dropped, rows)
        return one_pass.observed(one_pass.run(engine, [], probes), rows)
    computed = one_pass.run(engine, parts, probes)
    total = computed.total or shards.empty(task.config)
    _tell_dropped(total.dropped, total.rows)
    sliced = results.Slices(shards.metrics(total), shards.sizes(total), shards.sampled(total))
    results.write(sliced, task.config, shared, task.output)
    return one_pass.observed(computed, total.rows)


def _tell_dropped(dropped: int, rows: int) -> None:
    """Warns of examples that were left out; a DataError if no others were there."""
    if dropped and not rows:
        raise DataError(
            f"none of the {dropped:,} examples has a label that the model knows: expected some to evaluate on"
        )
    if dropped:
        logger.warning(
            "%s examples have no label that the model knows, or no weight: they are left out", f"{dropped:,}"
        )


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
