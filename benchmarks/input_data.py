"""Examples per second that training gets from TFX's tf_dataset_factory and from Penstock's input, on the same files.

    python benchmarks/input_data.py EXAMPLES TRANSFORM_GRAPH     artifacts of Transform; prints the figures as JSON

Both give batches of 512 shuffled examples of split train, parsed by Transform's schema, to a loop that does nothing.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tensorflow_transform as tft
from tfx.components.util import tfxio_utils
from tfx.types import standard_artifacts
from tfx_bsl.public.tfxio import TensorFlowDatasetOptions

from penstock.core.artifacts import Examples
from penstock.trainer.data import input_data, reader

BATCH_SIZE = 512
STEPS = 400
LABEL = "late"


def rate(batches: Iterable[Any], steps: int) -> float:
    """Returns examples per second over `steps` batches, the first of them not counted: it starts the threads."""
    iterator = iter(batches)
    next(iterator)
    started = time.monotonic()
    for _ in range(steps):
        next(iterator)
    return steps * BATCH_SIZE / (time.monotonic() - started)


def main(examples: str, transform_graph: str) -> dict[str, int]:
    schema = tft.TFTransformOutput(transform_graph).transformed_metadata.schema
    pattern = [str(Examples(Path(examples)).split("train") / "*")]
    options = TensorFlowDatasetOptions(batch_size=BATCH_SIZE, label_key=LABEL)
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.split_names = examples, '["train", "eval"]'
    artifact.set_string_custom_property("tfx_version", "1.21.0")
    theirs: Callable[..., Any] = tfxio_utils.get_tf_dataset_factory_from_artifact([artifact], ["benchmark"])

    started = time.monotonic()
    inputs = [feature.name for feature in schema.feature if feature.name != LABEL]
    data = input_data.read(pattern, schema, inputs=inputs, label=LABEL)
    for _ in data.batches(BATCH_SIZE, epoch=0, seed=1):
        pass
    first = data.rows / (time.monotonic() - started)
    streamed = input_data.read(pattern, schema, inputs=inputs, label=LABEL, memory_share=0.0)
    steps = data.steps(BATCH_SIZE) - 1
    figures = {
        "TFX's tf_dataset_factory": rate(theirs(pattern, options, schema), STEPS),
        "FnArgs.data_accessor": rate(reader.data_accessor().tf_dataset_factory(pattern, options, schema), STEPS),
        "default model, first epoch with reading": first,
        "default model, later epochs": rate(data.batches(BATCH_SIZE, epoch=1, seed=1), steps),
        "default model, what does not fit into memory": rate(streamed.batches(BATCH_SIZE, epoch=1, seed=1), steps),
    }
    return {name: round(figure) for name, figure in figures.items()}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
