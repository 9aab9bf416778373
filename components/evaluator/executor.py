"""Evaluates a model and decides whether it is blessed."""

import datetime
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow_model_analysis as tfma
from apache_beam.options.pipeline_options import PipelineOptions
from tfx_bsl.tfxio import tensor_adapter, tf_example_record

from penstock.components import artifacts, modules, progress, records, storage
from penstock.components.errors import DataError, ModelError
from penstock.components.evaluator import config as eval_configs
from penstock.components.evaluator import validation as validations

VALIDATION_FILE = "validation.json"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """The metadata of the outputs, and the verdict."""

    metadata: dict[str, dict[str, Any]]
    blessed: bool


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
) -> Result:
    """Evaluates `model` on the examples; see the component for the arguments.

    Raises a ConfigError for an EvalConfig that is none, a ModelError for a signature, label or feature that the model
    or the examples do not have, a DataError for a split that is not there or is empty.
    """
    with progress.task("Evaluator") as counts:
        data, candidate = artifacts.Examples(Path(examples)), artifacts.Model(Path(model)).require_serving()
        baseline = _serving(baseline_model)
        config = eval_configs.complete(eval_configs.parse(eval_config), has_baseline=baseline is not None)
        read_schema = artifacts.Schema(Path(schema)).read() if schema else None
        eval_configs.check(config, candidate, read_schema)
        splits = list(example_splits) or ["eval"]
        data.require_splits(splits)
        files = [path for split in splits for path in data.files(split)]
        module = modules.load(module_file) if module_file else None
        models = _models(config, candidate, baseline, module)
        counts["rows"] = _evaluate(files, read_schema, config, models, module, evaluation)
        if not counts["rows"]:
            raise DataError(f"split {', '.join(splits)} has no examples to evaluate on")
        blessed, reasons = _verdict(config, evaluation)
    document = {
        "blessed": blessed,
        "model": model,
        "baseline_model": baseline_model if baseline else None,
        "created": datetime.datetime.now(datetime.UTC).isoformat(),
        "reasons": reasons,
    }
    storage.write_text(Path(validation) / VALIDATION_FILE, json.dumps(document, indent=1))
    artifacts.ModelBlessing(Path(blessing)).write(blessed)
    properties = {"blessed": int(blessed), "current_model": model, "component_id": "evaluator"}
    if baseline:
        properties["baseline_model"] = baseline_model or ""
    metadata = {
        "evaluation": artifacts.metadata(),
        "blessing": artifacts.metadata(**properties),
        "validation": artifacts.metadata(blessed=int(blessed)),
    }
    return Result(metadata, blessed)


def _serving(model: str | None) -> Path | None:
    """A baseline without a SavedModel is how LatestBlessedModel says that there is none."""
    serving = artifacts.Model(Path(model)).serving if model else None
    return serving if serving and (serving / "saved_model.pb").is_file() else None


def _verdict(config: Any, evaluation: str) -> tuple[bool, list[dict[str, Any]]]:
    if eval_configs.has_thresholds(config):
        return validations.reasons(config, evaluation)
    sentence = "no threshold is configured, so the model is not validated"
    return False, [{"metric": "", "slice": "", "value": None, "threshold": "", "passed": False, "sentence": sentence}]


def _models(config: Any, candidate: Path, baseline: Path | None, module: Any) -> list[Any]:
    load = modules.optional_function(module, "custom_eval_shared_model") if module else None
    loaded = []
    for spec in config.model_specs:
        path = baseline if spec.is_baseline else candidate
        if path is None:
            raise ModelError(f"eval_config: model {spec.name!r} is a baseline, but there is no baseline model")
        arguments = {
            "eval_saved_model_path": str(path),
            "model_name": spec.name,
            "eval_config": config,
            "add_metrics_callbacks": None,
        }
        if load:
            loaded.append(modules.call("custom_eval_shared_model", load, **arguments))
        else:
            loaded.append(tfma.default_eval_shared_model(**arguments))
    return loaded


def _evaluate(files: list[Path], schema: Any, config: Any, models: list[Any], module: Any, output: str) -> int:
    """Runs TFMA over the files in this process; returns the number of examples."""
    tensor_adapter_config = None
    if schema is not None:
        tfxio = tf_example_record.TFExampleRecord(
            "", schema=schema, raw_record_column_name=tfma.constants.ARROW_INPUT_COLUMN
        )
        tensor_adapter_config = tensor_adapter.TensorAdapterConfig(
            arrow_schema=tfxio.ArrowSchema(), tensor_representations=tfxio.TensorRepresentations()
        )
    shared = models[0] if len(models) == 1 else models
    extract = modules.optional_function(module, "custom_extractors") if module else None
    extractors = None
    if extract:
        extractors = modules.call(
            "custom_extractors",
            extract,
            eval_shared_model=shared,
            eval_config=config,
            tensor_adapter_config=tensor_adapter_config,
        )
    rows = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for path in files:
            for serialized in records.read(path):
                rows += len(serialized)
                yield with_raw_records(serialized, schema)

    options = PipelineOptions(["--runner=DirectRunner", "--direct_running_mode=in_memory"])
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | "Examples" >> beam.Create(list(batches()))
            | "Evaluate"
            >> tfma.ExtractEvaluateAndWriteResults(
                eval_shared_model=shared,
                eval_config=config,
                extractors=extractors,
                output_path=output,
                tensor_adapter_config=tensor_adapter_config,
            )
        )
    return rows


def with_raw_records(serialized: list[bytes], schema: Any) -> pa.RecordBatch:
    """Returns examples as TFMA takes them: their features, and the serialized examples in a column of their own."""
    batch = records.decode(serialized, schema)
    raw = pa.array(([record] for record in serialized), pa.large_list(pa.large_binary()), size=len(serialized))
    return pa.RecordBatch.from_arrays([*batch.columns, raw], [*batch.schema.names, tfma.constants.ARROW_INPUT_COLUMN])


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
