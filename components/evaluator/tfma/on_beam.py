"""An evaluation on Beam as a whole, by TFMA's own pipeline: what cannot be added up shard by shard."""

import functools

import apache_beam as beam
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.api.types import EvalSharedModel, MaybeMultipleEvalSharedModels

from penstock.components.engines.fold import Stripe
from penstock.components.evaluator import predictions, results
from penstock.components.evaluator.preparation import Evaluation
from penstock.components.evaluator.tfma import extraction
from penstock.core import user_modules
from penstock.core.examples import records


def models(task: Evaluation) -> list[EvalSharedModel]:
    """Returns the models, loaded by the module if it does so."""
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


def evaluate(task: Evaluation, shared: MaybeMultipleEvalSharedModels) -> tuple[int, int]:
    """Writes TFMA's results; returns the numbers of examples that were evaluated and that were left out."""
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
        evaluation = tfma.ExtractEvaluateAndWriteResults(
            eval_shared_model=shared,
            eval_config=task.config,
            extractors=extractors,
            output_path=task.output,
            tensor_adapter_config=adapter,
        )
        files = [Stripe(file, 0, 1) for file in task.files]
        _ = pipeline | "Files" >> beam.Create(files) | "Examples" >> beam.FlatMap(read) | "Evaluate" >> evaluation
    dropped = extraction.dropped(pipeline.result)
    rows = sum(len(serialized) for path in task.files for serialized in records.read(path)) - dropped
    return rows, dropped
