"""Evaluates a model and decides whether it is blessed."""

import contextlib
import datetime
import functools
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import apache_beam as beam
import tensorflow_model_analysis as tfma
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_model_analysis.api.types import EvalSharedModel, MaybeMultipleEvalSharedModels
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.engines import Engine, open_engine
from penstock.components.evaluator import checks, diagnosis, predictions, results, text_labels
from penstock.components.evaluator import eval_config as eval_configs
from penstock.components.evaluator import models as evaluated_models
from penstock.components.evaluator import verdict as verdicts
from penstock.components.evaluator.summary import summary as summaries
from penstock.components.evaluator.tfma import accumulation, extraction
from penstock.components.evaluator.tfma import undefined as undefined_metrics
from penstock.core import artifacts, progress, user_modules
from penstock.core.artifacts import GateResult, Reason, Verdict
from penstock.core.errors import DataError, ModelError, PenstockError
from penstock.core.examples import payloads, records
from penstock.core.examples.payloads import PayloadFormat
from penstock.core.legacy import keras_version

logger = logging.getLogger(__name__)


def run(
    *,
    evaluation: str,
    blessing: str,
    validation: str,
    examples: str,
    model: str,
    baseline_model: str | None = None,
    schema: str | None = None,
    eval_config: str = "",
    example_splits: Sequence[str] = (),
    module_file: str = "",
    engine: str = "local",
    keras: int = 0,
    model_uri: str = "",
    baseline_model_uri: str = "",
    payload_format: str = "",
) -> GateResult:
    """Evaluates `model` on the examples, of this payload_format; component.py describes the arguments.

    The verdict names the models by their URIs, by which later runs find them; by default these are their paths.

    Raises a ConfigError if the EvalConfig cannot be read, and a ModelError if the model or the examples do not have a
    signature, label or feature that it names. A DataError if a split is missing or empty.
    """
    keras_version.use(keras)
    with progress.task("Evaluator") as counts, open_engine(engine) as engine_:
        data, candidate = artifacts.Examples(Path(examples)), artifacts.Model(Path(model)).require_serving()
        baseline = _serving(baseline_model)
        config = eval_configs.complete(eval_configs.parse(eval_config), has_baseline=baseline is not None)
        schema_ = artifacts.Schema(Path(schema)).read() if schema else None
        folders = _folders(config, candidate, baseline)
        module = user_modules.load(module_file) if module_file else None
        if not _defines(module, "custom_eval_shared_model"):
            evaluated_models.require_saved_models(config, folders)
        is_customized = _defines(module, "custom_eval_shared_model", "custom_extractors")
        evaluated = () if is_customized else evaluated_models.read(config, folders)
        labels = text_labels.transformed(evaluated, config, schema_)
        checks.check(config, evaluated, schema_, module)
        splits, examples_are = list(example_splits) or ["eval"], payloads.parse(payload_format)
        data.require_splits(splits)
        files = [path for split in splits for path in data.files(split)]
        if not records.any_record(files, examples_are):
            raise DataError(f"split {', '.join(splits)} has no examples to evaluate on")
        with _explained(config, folders, files):
            task = _Evaluation(config, schema_, folders, labels, module, files, evaluation, examples_are)
            counts["rows"] = _evaluate(task, engine_)
        undefined = undefined_metrics.observed(config)
        for sentence in undefined.sentences():
            logger.warning(sentence)
        blessed, reasons = _verdict(config, evaluation, undefined)
        summary = summaries.of_evaluation(config, evaluated, splits, evaluation, undefined, {(): int(counts["rows"])})
        artifacts.ModelEvaluation(Path(evaluation)).write_summary(summary)
    baseline_uri = (baseline_model_uri or baseline_model) if baseline else None
    created = datetime.datetime.now(datetime.UTC).isoformat()
    verdict = Verdict(
        blessed=blessed, model=model_uri or model, baseline_model=baseline_uri, created=created, reasons=reasons
    )
    return _write(verdict, blessing, validation)


@dataclass(frozen=True)
class _Evaluation:
    """What is evaluated, and the folder for TFMA's results."""

    config: EvalConfig
    schema: Schema | None
    folders: dict[str, str]  # of the SavedModels, by the name of their model_spec
    labels: list[str]  # if not empty, nothing else is taken from the features that models transform
    module: ModuleType | None  # the user's
    files: list[Path]
    output: str
    payload_format: PayloadFormat


@contextlib.contextmanager
def _explained(config: EvalConfig, folders: dict[str, str], files: list[Path]) -> Iterator[None]:
    """Names the model that cannot take the examples, if that is why an evaluation failed."""
    try:
        yield
    except (PenstockError, OSError):
        raise
    except Exception as error:
        explanation = diagnosis.failed_signature(config, folders, files)
        if explanation is None:
            raise
        raise explanation from error


def _write(verdict: Verdict, blessing: str, validation: str) -> GateResult:
    """Writes the verdict and the blessing; returns the metadata of all outputs."""
    blessed = verdict["blessed"]
    artifacts.ModelValidation(Path(validation)).write(verdict)
    artifacts.ModelBlessing(Path(blessing)).write(blessed)
    properties = artifacts.metadata(blessed=int(blessed), current_model=verdict["model"], component_id="evaluator")
    if verdict["baseline_model"]:
        properties["baseline_model"] = verdict["baseline_model"]
    metadata = {
        "evaluation": artifacts.metadata(),
        "blessing": properties,
        "validation": artifacts.metadata(blessed=int(blessed)),
    }
    return GateResult(metadata, blessed)


def _serving(model: str | None) -> Path | None:
    """Returns the folder of the baseline; None if there is no model in it, as if LatestBlessedModel found none."""
    return artifacts.Model(Path(model)).serving_model() if model else None


def _verdict(config: EvalConfig, evaluation: str, undefined: undefined_metrics.Undefined) -> tuple[bool, list[Reason]]:
    if eval_configs.has_thresholds(config):
        return verdicts.reasons(config, evaluation, undefined)
    return False, [verdicts.objection("no threshold is configured, so the model is not validated", slice_name="")]


def _folders(config: EvalConfig, candidate: Path, baseline: Path | None) -> dict[str, str]:
    """Returns the folder of the model for each of the config's model_specs, by its name."""
    folders = {}
    for spec in config.model_specs:
        path = baseline if spec.is_baseline else candidate
        if path is None:
            raise ModelError(f"eval_config: model {spec.name!r} is a baseline, but there is no baseline model")
        folders[spec.name] = str(path)
    return folders


def _evaluate(task: _Evaluation, engine: Engine) -> int:
    """Writes TFMA's results; returns the number of evaluated examples."""
    undefined_metrics.observe()
    models = _models(task)
    reason = accumulation.reason_for_beam(task.config, models, task.module)
    shared = models[0] if len(models) == 1 else models
    if reason:
        logger.info("evaluated by Beam in one process: %s", reason)
        return _evaluate_with_beam(task, shared)
    merger = accumulation.Merger(task.config)
    shards = accumulation.shards(task.files, task.config, task.schema, task.folders, task.payload_format, task.labels)
    total = engine.fold(accumulation.accumulate, merger.merge, shards) or accumulation.Accumulators(0, {})
    _tell_dropped(total.dropped, total.rows)
    results.write(merger.metrics(total), task.config, shared, task.output)
    return total.rows


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


def _defines(module: ModuleType | None, *names: str) -> bool:
    """Whether there is a module with one of these functions."""
    return module is not None and any(user_modules.optional_function(module, name) for name in names)


def _models(task: _Evaluation) -> list[EvalSharedModel]:
    load = user_modules.optional_function(task.module, "custom_eval_shared_model") if task.module else None
    if load is None:
        return predictions.shared_models(task.config, task.folders)
    return [
        user_modules.call(
            "custom_eval_shared_model",
            load,
            eval_saved_model_path=task.folders[spec.name],
            model_name=spec.name,
            eval_config=task.config,
            add_metrics_callbacks=None,
        )
        for spec in task.config.model_specs
    ]


def _evaluate_with_beam(task: _Evaluation, shared: MaybeMultipleEvalSharedModels) -> int:
    adapter = predictions.adapter_config(task.schema, task.payload_format)
    extract = user_modules.optional_function(task.module, "custom_extractors") if task.module else None
    if extract:
        arguments = {"eval_shared_model": shared, "eval_config": task.config, "tensor_adapter_config": adapter}
        extractors = user_modules.call("custom_extractors", extract, **arguments)
    else:
        extractors = extraction.extractors(task.config, shared, task.schema, task.payload_format, task.labels)
        extractors.insert(-1, extraction.complete(task.config))
    # Beam pickles and compresses created values, so the data is read inside the pipeline.
    schema = task.schema.SerializeToString() if task.schema is not None else None
    read = functools.partial(predictions.example_batches, schema=schema, payload_format=task.payload_format)
    with results.beam_pipeline() as pipeline:
        evaluate = tfma.ExtractEvaluateAndWriteResults(
            eval_shared_model=shared,
            eval_config=task.config,
            extractors=extractors,
            output_path=task.output,
            tensor_adapter_config=adapter,
        )
        _ = pipeline | "Files" >> beam.Create(task.files) | "Examples" >> beam.FlatMap(read) | "Evaluate" >> evaluate
    dropped = extraction.dropped(pipeline.result)
    rows = sum(len(serialized) for path in task.files for serialized in records.read(path)) - dropped
    _tell_dropped(dropped, rows)
    return rows


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
