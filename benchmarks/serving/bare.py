"""The bare SavedModel, which every server of benchmarks/serving.py calls, and a loop of calls in one process.

    python benchmarks/serving/bare.py MODEL EXAMPLES SECONDS

EXAMPLES is a JSON list of tf.Examples in base64. Prints, as JSON, the calls in a second, the milliseconds of a call,
and the output for the first example.
"""

import base64
import json
import sys
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf


class BareModel:
    """A SavedModel whose signature takes tf.Examples and has one output."""

    def __init__(self, folder: str):
        self._model = tf.saved_model.load(folder)  # keeps the variables alive
        self._call = self._model.signatures["serving_default"]

    def predict(self, examples: Sequence[bytes]) -> list[list[float]]:
        (output,) = self._call(examples=tf.constant(examples)).values()
        return output.numpy().tolist()


def main(folder: str, examples_file: str, seconds: float) -> None:
    model = BareModel(folder)
    with open(examples_file, encoding="utf-8") as file:
        examples = [base64.b64decode(text) for text in json.load(file)]
    _times(model, examples, 2.0)
    times = _times(model, examples, seconds)
    p50, p99 = np.percentile(times, [50, 99]) / 1e6
    ((prediction,),) = model.predict(examples[:1])
    print(json.dumps({"rate": len(times) / sum(times) * 1e9, "p50": p50, "p99": p99, "prediction": prediction}))


def _times(model: BareModel, examples: Sequence[bytes], seconds: float) -> list[int]:
    times: list[int] = []
    until = time.perf_counter_ns() + int(seconds * 1e9)
    while (started := time.perf_counter_ns()) < until:
        model.predict([examples[len(times) % len(examples)]])
        times.append(time.perf_counter_ns() - started)
    return times


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
