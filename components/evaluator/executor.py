"""Evaluates a model and decides whether it is blessed."""

import contextlib
import datetime
import functools
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow_model_analysis as tfma

from penstock.components.engines import Engine, open_engine
from penstock.components.evaluator import checks, diagnosis, predictions, results
from penstock.components.evaluator import eval_config as eval_configs
from penstock.components.evaluator import verdict as validations
from penstock.components.evaluator.tfma import accumulation
from penstock.core import artifacts, progress, user_modules
from penstock.core.artifacts import GateResult
from penstock.core.errors import DataError, ModelError, PenstockError
from penstock.core.examples import records

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
    model_uri: str = "",
    baseline_model_uri: str = "",
) -> GateResult:
    """Evaluates `model` on the examples; see the component for the arguments.

    The verdict names the models by their URIs, by which later runs find them; by default these are their paths.

    Raises a ConfigError for an EvalConfig that is none, a ModelError for a signature, label or feature that the model
    or the examples do not have, a DataError for a split that is not there or is empty.
    """
    with progress.task("Evaluator") as counts, open_engine(engine) as engine_:
        data, candidate = artifacts.Examples(Path(examples)), artifacts.Model(Path(model)).require_serving()
        baseline = _serving(baseline_model)
        config = eval_configs.complete(eval_configs.parse(eval_config), has_baseline=baseline is not None)
        read_schema = artifacts.Schema(Path(schema)).read() if schema else None
        folders = _folders(config, candidate, baseline)
        module = user_modules.load(module_file) if module_file else None
        checks.check(config, folders, read_schema, module)
        splits = list(example_splits) or ["eval"]
        data.require_splits(splits)
        files = [path for split in splits for path in data.files(split)]
        if not any(next(records.read(path, batch_size=1), None) for path in files):
            raise DataError(f"split {', '.join(splits)} has no examples to evaluate on")
        with _explained(config, folders, files):
            counts["rows"] = _evaluate(files, read_schema, config, folders, module, evaluation, engine_)
        blessed, reasons = _verdict(config, evaluation)
    baseline_uri = (baseline_model_uri or baseline_model) if baseline else None
    verdict: artifacts.Verdict = {
        "blessed": blessed,
        "model": model_uri or model,
        "baseline_model": baseline_uri,
        "created": datetime.datetime.now(datetime.UTC).isoformat(),
        "reasons": reasons,
    }
    artifacts.ModelValidation(Path(validation)).write(verdict)
    artifacts.ModelBlessing(Path(blessing)).write(blessed)
    properties = {"blessed": int(blessed), "current_model": model_uri or model, "component_id": "evaluator"}
    if baseline_uri:
        properties["baseline_model"] = baseline_uri
    metadata = {
        "evaluation": artifacts.metadata(),
        "blessing": artifacts.metadata(**properties),
        "validation": artifacts.metadata(blessed=int(blessed)),
    }
    return GateResult(metadata, blessed)


@contextlib.contextmanager
def _explained(config: Any, folders: dict[str, str], files: list[Path]) -> Iterator[None]:
    """Says which model cannot take the examples, if that is why an evaluation failed."""
    try:
        yield
    except (PenstockError, OSError):
        raise
    except Exception as error:
        told = diagnosis.failed_signature(config, folders, files)
        if told is None:
            raise
        raise told from error


def _serving(model: str | None) -> Path | None:
    """A baseline without a SavedModel is how LatestBlessedModel says that there is none."""
    serving = artifacts.Model(Path(model)).serving if model else None
    return serving if serving and artifacts.SavedModel(serving).exists else None


def _verdict(config: Any, evaluation: str) -> tuple[bool, list[artifacts.Reason]]:
    if eval_configs.has_thresholds(config):
        return validations.reasons(config, evaluation)
    sentence = "no threshold is configured, so the model is not validated"
    return False, [{"metric": "", "slice": "", "value": None, "threshold": "", "passed": False, "sentence": sentence}]


def _folders(config: Any, candidate: Path, baseline: Path | None) -> dict[str, str]:
    """Returns the model's folder for each of the config's model_specs."""
    folders = {}
    for spec in config.model_specs:
        path = baseline if spec.is_baseline else candidate
        if path is None:
            raise ModelError(f"eval_config: model {spec.name!r} is a baseline, but there is no baseline model")
        folders[spec.name] = str(path)
    return folders


def _evaluate(
    files: list[Path], schema: Any, config: Any, folders: dict[str, str], module: Any, output: str, engine: Engine
) -> int:
    """Writes TFMA's results; returns the number of examples."""
    models = _models(config, folders, module)
    reason = accumulation.reason_for_beam(config, models, module)
    shared = models[0] if len(models) == 1 else models
    if reason:
        logger.info("evaluated by Beam in one process: %s", reason)
        return _evaluate_with_beam(files, schema, config, shared, module, output)
    merger = accumulation.Merger(config)
    shards = accumulation.shards(files, config, schema, folders)
    total = engine.fold(accumulation.accumulate, merger.merge, shards) or accumulation.Accumulators(0, {})
    results.write(merger.metrics(total), config, shared, output)
    if total.unlabelled:
        logger.warning(
            "%s examples have no label that the model knows (it is NaN) and are left out", f"{total.unlabelled:,}"
        )
    return total.rows


def _models(config: Any, folders: dict[str, str], module: Any) -> list[Any]:
    load = user_modules.optional_function(module, "custom_eval_shared_model") if module else None
    if load is None:
        return predictions.shared_models(config, folders)
    return [
        user_modules.call(
            "custom_eval_shared_model",
            load,
            eval_saved_model_path=folders[spec.name],
            model_name=spec.name,
            eval_config=config,
            add_metrics_callbacks=None,
        )
        for spec in config.model_specs
    ]


def _evaluate_with_beam(files: list[Path], schema: Any, config: Any, shared: Any, module: Any, output: str) -> int:
    adapter = predictions.adapter_config(schema)
    extract = user_modules.optional_function(module, "custom_extractors") if module else None
    extractors = None
    if extract:
        arguments = {"eval_shared_model": shared, "eval_config": config, "tensor_adapter_config": adapter}
        extractors = user_modules.call("custom_extractors", extract, **arguments)
    # Beam pickles and compresses created values, so the data is read inside.
    read = functools.partial(
        predictions.example_batches, schema=schema.SerializeToString() if schema is not None else None
    )
    with results.beam_pipeline() as pipeline:
        evaluate = tfma.ExtractEvaluateAndWriteResults(
            eval_shared_model=shared,
            eval_config=config,
            extractors=extractors,
            output_path=output,
            tensor_adapter_config=adapter,
        )
        _ = pipeline | "Files" >> beam.Create(files) | "Examples" >> beam.FlatMap(read) | "Evaluate" >> evaluate
    return sum(len(serialized) for path in files for serialized in records.read(path))


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
