"""What a signature's answers become: PredictionLogs, or columns of examples, by the signature's method.

TensorFlow Serving has three methods. Signatures of TensorFlow 2 have `predict`, whose outputs may be anything.
Estimators exported `classify`, with the outputs classes and scores, and `regress`, with one number; only of these may a
model be asked for several at once, as its heads.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_serving.apis.classification_pb2 import ClassificationResult
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tensorflow_serving.apis.regression_pb2 import RegressionResult

from penstock.components.bulk_inferrer.predict_log import PredictLogs
from penstock.components.bulk_inferrer.specs import OutputColumns
from penstock.core.errors import ConfigError, ModelError
from penstock.core.suggestions import did_you_mean, listed

type Outputs = Mapping[str, np.ndarray]  # of a signature by their names, with a row for each example

PREDICT = tf.saved_model.PREDICT_METHOD_NAME
CLASSIFY = tf.saved_model.CLASSIFY_METHOD_NAME
REGRESS = tf.saved_model.REGRESS_METHOD_NAME


class Method(ABC):
    """What becomes of the outputs of a signature."""

    kind: str  # the message of TFX's OutputColumnsSpec that is for it

    def __init__(self, signature: str, input_name: str):
        """`input_name` is what the signature calls its examples, which only the logs of `predict` tell."""
        self.signature = signature

    @abstractmethod
    def logs(self, examples: Sequence[bytes], outputs: Outputs) -> list[bytes]:
        """Returns a serialized PredictionLog for each example."""

    @abstractmethod
    def values(self, name: str, outputs: Outputs) -> np.ndarray:
        """Returns an array of values for each example, [examples, values]; `name` is one of the keys of OutputColumns.

        Raises a PenstockError where there is nothing of that name.
        """

    def columns(self, wanted: OutputColumns, outputs: Outputs) -> dict[str, pa.Array]:
        """Returns list columns by their names."""
        return {column: _lists(self.values(name, outputs)) for name, column in wanted.columns.items()}

    def _lacks(self, expected: str, outputs: Outputs) -> ModelError:
        """Returns the error of a signature without an output that its method has."""
        return ModelError(f"signature {self.signature!r}: expected {expected}, found {listed(sorted(outputs))}")


class Predict(Method):
    """Any outputs."""

    kind = "predict_output"

    def __init__(self, signature: str, input_name: str):
        super().__init__(signature, input_name)
        self._logs = PredictLogs(signature, input_name)

    def logs(self, examples: Sequence[bytes], outputs: Outputs) -> list[bytes]:
        return self._logs.serialize(examples, outputs)

    def values(self, name: str, outputs: Outputs) -> np.ndarray:
        output = outputs.get(name)
        if output is None:
            raise ConfigError(
                f"output_example_spec: signature {self.signature!r} has no output {name!r}; "
                + did_you_mean(name, outputs)
            )
        if sum(size != 1 for size in output.shape[1:]) > 1:
            raise ConfigError(
                f"output_example_spec: expected outputs of one dimension, received {name!r}, "
                f"of the shape {list(output.shape[1:])}"
            )
        return output.reshape(len(output), -1) if len(output) else np.empty((0, 1), output.dtype)


class Classify(Method):
    """The outputs `classes` (texts) and `scores` (numbers), both [examples, classes], or one of the two."""

    kind = "classify_output"

    def logs(self, examples: Sequence[bytes], outputs: Outputs) -> list[bytes]:
        logs = []
        for example, result in zip(examples, self.results(outputs), strict=True):
            log = PredictionLog()
            log.classify_log.request.input.example_list.examples.add().MergeFromString(example)
            log.classify_log.response.result.CopyFrom(result)
            logs.append(log.SerializeToString(deterministic=True))
        return logs

    def results(self, outputs: Outputs) -> list[ClassificationResult]:
        """Returns the message of each example."""
        arrays = {name: self._checked(name, outputs) for name in ("classes", "scores") if name in outputs}
        if not arrays:
            raise self._lacks("an output classes or scores", outputs)
        results = []
        for row in zip(*arrays.values(), strict=True):
            result = ClassificationResult()
            result.classifications.add()
            for values in zip(*row, strict=True):
                one = result.classifications[0].classes.add()
                for name, value in zip(arrays, values, strict=True):
                    setattr(one, "label" if name == "classes" else "score", value)
            results.append(result)
        return results

    def values(self, name: str, outputs: Outputs) -> np.ndarray:
        return self._checked("classes" if name == "label" else "scores", outputs)

    def _checked(self, name: str, outputs: Outputs) -> np.ndarray:
        if name not in outputs:
            raise self._lacks(f"an output {name}", outputs)
        output = outputs[name]
        dtype = np.dtype(object if name == "classes" else np.float32)
        if output.ndim != 2 or output.dtype != dtype:
            expected = "texts" if name == "classes" else "float32"
            raise ModelError(
                f"signature {self.signature!r}: expected {name} of {expected}, [examples, classes], received "
                f"{output.dtype.name} {list(output.shape)}"
            )
        return output


class Regress(Method):
    """One output, `outputs`, with a number for each example."""

    kind = "regress_output"

    def logs(self, examples: Sequence[bytes], outputs: Outputs) -> list[bytes]:
        logs = []
        for example, result in zip(examples, self.results(outputs), strict=True):
            log = PredictionLog()
            log.regress_log.request.input.example_list.examples.add().MergeFromString(example)
            log.regress_log.response.result.CopyFrom(result)
            logs.append(log.SerializeToString(deterministic=True))
        return logs

    def results(self, outputs: Outputs) -> list[RegressionResult]:
        """Returns the message of each example."""
        results = []
        for value in self._checked(outputs).ravel().tolist():
            result = RegressionResult()
            result.regressions.add().value = value
            results.append(result)
        return results

    def values(self, name: str, outputs: Outputs) -> np.ndarray:
        return self._checked(outputs)

    def _checked(self, outputs: Outputs) -> np.ndarray:
        name = tf.saved_model.REGRESS_OUTPUTS
        if name not in outputs:
            raise self._lacks(f"an output {name}", outputs)
        output = outputs[name]
        if output.dtype != np.float32 or output.size != len(output):
            raise ModelError(
                f"signature {self.signature!r}: expected outputs of float32, one for each example, received "
                f"{output.dtype.name} {list(output.shape)}"
            )
        return output.reshape(-1, 1)


METHODS: dict[str, type[Method]] = {PREDICT: Predict, CLASSIFY: Classify, REGRESS: Regress}


def logs(methods: Sequence[Method], examples: Sequence[bytes], outputs: Sequence[Outputs]) -> list[bytes]:
    """Returns a serialized PredictionLog for each example: of the one method, or of several heads together."""
    if len(methods) == 1:
        return methods[0].logs(examples, outputs[0])
    results = [
        method.results(of_method)
        for method, of_method in zip(methods, outputs, strict=True)
        if isinstance(method, Classify | Regress)
    ]
    logs = []
    for example, *of_example in zip(examples, *results, strict=True):
        log = PredictionLog()
        log.multi_inference_log.request.input.example_list.examples.add().MergeFromString(example)
        for method, result in zip(methods, of_example, strict=True):
            answer = log.multi_inference_log.response.results.add()
            answer.model_spec.signature_name = method.signature
            is_class = isinstance(result, ClassificationResult)
            (answer.classification_result if is_class else answer.regression_result).CopyFrom(result)
        logs.append(log.SerializeToString(deterministic=True))
    return logs


def _lists(values: np.ndarray) -> pa.Array:
    """Returns rows of values as a list column of int64, float32 or binary."""
    flat = values.ravel()
    if values.dtype.kind in "iub":
        elements = pa.array(flat.astype(np.int64))
    elif values.dtype.kind in "OSU":
        elements = pa.array(flat.tolist(), pa.large_binary())
    else:
        elements = pa.array(flat.astype(np.float32))
    offsets = np.arange(len(values) + 1, dtype=np.int64) * values.shape[1]
    return pa.LargeListArray.from_arrays(pa.array(offsets), elements)
