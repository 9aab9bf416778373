"""Asks a model about all examples, by TFX's BulkInferrer or by Penstock's; both write PredictionLogs.

Run by side_by_side.py, each side in a process of its own. Writes the seconds, without the imports, to --times as JSON.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def by_tfx(examples: Path, model: Path, output: Path) -> float:
    from tfx.components.bulk_inferrer.executor import Executor
    from tfx.types import artifact_utils, standard_artifacts

    data, saved, result = (
        standard_artifacts.Examples(),
        standard_artifacts.Model(),
        standard_artifacts.InferenceResult(),
    )
    data.uri, saved.uri, result.uri = str(examples), str(model), str(output)
    for artifact in (data, saved):
        artifact.set_string_custom_property("tfx_version", "1.21.0")
    data.split_names = artifact_utils.encode_split_names(["eval", "train"])
    started = time.monotonic()
    Executor().Do(
        {"examples": [data], "model": [saved]},
        {"inference_result": [result]},
        {"data_spec": "{}", "model_spec": "{}", "output_example_spec": ""},
    )
    return time.monotonic() - started


def by_penstock(examples: Path, model: Path, output: Path) -> float:
    from penstock.components.bulk_inferrer import executor

    started = time.monotonic()
    executor.run(
        inference_result=str(output), output_examples=f"{output}-none", examples=str(examples), model=str(model)
    )
    return time.monotonic() - started


def save_again(examples: Path, model: Path, output: Path) -> float:
    """Writes the model as one that TFX can load: it uses a session, which finds no variables in Keras 3's models."""
    import tensorflow as tf

    from penstock.core.artifacts import Model

    loaded = tf.saved_model.load(str(Model(model).require_serving()))
    tf.saved_model.save(loaded, str(Model(output).serving), signatures=loaded.signatures)
    return 0.0


def main() -> None:
    sides = {"tfx": by_tfx, "penstock": by_penstock, "save_again": save_again}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=sides)
    for name in ("examples", "model", "output", "times"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    ask = sides[arguments.side]
    seconds = ask(arguments.examples, arguments.model, arguments.output)
    arguments.times.write_text(json.dumps({"BulkInferrer": seconds}))


if __name__ == "__main__":
    main()
