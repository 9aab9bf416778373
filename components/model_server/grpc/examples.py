"""What Classify and Regress take and give: tf.Examples, and classes or a value for each of them."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.classification_pb2 import ClassificationResult
from tensorflow_serving.apis.input_pb2 import Input
from tensorflow_serving.apis.regression_pb2 import RegressionResult

from penstock.components.model_server.encoding import objects
from penstock.components.model_server.inference import Kind, RequestError, ServedSignature
from penstock.core.suggestions import listed


def inputs(signature: ServedSignature, sent: Input) -> dict[str, np.ndarray]:
    """Returns the serialized examples of a request as the signature's input; each has the features of its context.

    Raises a RequestError (INVALID) if there are none, or the signature takes something else.
    """
    if [tensor.dtype for tensor in signature.inputs.values()] != [tf.string]:
        raise RequestError(
            Kind.INVALID, f"signature {signature.name!r} takes no serialized tf.Examples: ask it with Predict"
        )
    if sent.WhichOneof("kind") == "example_list_with_context":
        context = sent.example_list_with_context.context
        serialized = [_merged(context, one) for one in sent.example_list_with_context.examples]
    else:
        serialized = [one.SerializeToString() for one in sent.example_list.examples]
    if not serialized:
        raise RequestError(Kind.INVALID, "input: expected at least one example")
    return dict.fromkeys(signature.inputs, objects.array(serialized))


def classifications(signature: ServedSignature, outputs: Mapping[str, np.ndarray]) -> ClassificationResult:
    """Returns the labels and scores of each example: those of the outputs `classes` and `scores`, or of one of them.

    Raises a RequestError (INVALID) if the signature has neither.
    """
    labels, scores = outputs.get("classes"), outputs.get("scores")
    shapes = {array.shape for array in (labels, scores) if array is not None}
    if len(shapes) != 1 or shapes == {()}:
        raise _no_output(signature, "classes or scores of one shape", "Classify")
    rows = shapes.pop()[0]
    texts = None if labels is None else labels.reshape(rows, -1).tolist()
    numbers = None if scores is None else scores.reshape(rows, -1).tolist()
    result = ClassificationResult()
    for row in range(rows):
        classes = result.classifications.add().classes
        for index in range(len((texts or numbers or [])[row])):
            label = _text(texts[row][index]) if texts else ""
            classes.add(label=label, score=numbers[row][index] if numbers else 0.0)
    return result


def regressions(signature: ServedSignature, outputs: Mapping[str, np.ndarray]) -> RegressionResult:
    """Returns the value of each example: of the output `outputs`, or of an only output with one number for each.

    Raises a RequestError (INVALID) if there is no such output.
    """
    values = outputs.get("outputs", next(iter(outputs.values())) if len(outputs) == 1 else None)
    if values is None or values.dtype.kind != "f" or values.ndim == 0 or values.size != len(values):
        raise _no_output(signature, "outputs, with one number for each example", "Regress")
    result = RegressionResult()
    for value in values.ravel().tolist():
        result.regressions.add(value=value)
    return result


def _merged(context: tf.train.Example, example: tf.train.Example) -> bytes:
    """Returns the example with the features of the context that it lacks."""
    merged = tf.train.Example()
    merged.CopyFrom(context)
    merged.MergeFrom(example)
    serialized: bytes = merged.SerializeToString()
    return serialized


def _text(label: object) -> str:
    return label.decode(errors="replace") if isinstance(label, bytes) else str(label)


def _no_output(signature: ServedSignature, expected: str, method: str) -> RequestError:
    return RequestError(
        Kind.INVALID,
        f"signature {signature.name!r}: {method} needs the output {expected}, it has "
        f"{listed(list(signature.outputs))}; ask it with Predict",
    )
