"""From a request's tensors to a signature's inputs, and what a model's tensors are called."""

import base64
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from penstock.components.model_server.encoding import objects
from penstock.components.model_server.inference import (
    Kind,
    Models,
    RequestError,
    ServedFeature,
    ServedSignature,
    State,
    Target,
)
from penstock.components.model_server.open_inference import datatypes
from penstock.components.model_server.open_inference.tensors import InferTensor
from penstock.core.models.signatures import Tensor
from penstock.core.suggestions import did_you_mean, listed
from penstock.core.text import printable

SERVER = "penstock"
VERSION = importlib.metadata.version("penstock")
EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "tensorflow_savedmodel"
SIGNATURE = "signature_name"  # the parameter of a request that names another signature than serving_default


@dataclass(frozen=True)
class TensorMetadata:
    """What a model takes or gives. -1 in the shape is a dimension of any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def target(model: str, version: str) -> Target:
    """Returns the target of a model and a version, which may be empty, a number or a label."""
    if not version:
        return Target(model)
    if version.isascii() and version.isdecimal() and len(version) < 19:
        return Target(model, version=int(version))
    return Target(model, label=version)


def is_ready(models: Models, target: Target) -> bool:
    """Whether a version can be asked; a RequestError (NOT_FOUND) if there is no such model, version or label."""
    try:
        with models.lease(target):
            return True
    except RequestError as error:
        if error.kind is Kind.NOT_READY:
            return False
        raise


def versions(models: Models, model: str) -> list[str]:
    """Returns the versions of a model that can be asked, the highest first."""
    return [str(one.version) for one in models.status(model) if one.state is State.AVAILABLE]


def inputs_metadata(signature: ServedSignature) -> list[TensorMetadata]:
    """Returns what a signature takes: its features, if it parses tf.Examples."""
    if signature.features:
        features = signature.features.values()
        return [TensorMetadata(one.name, datatypes.of_tensor(one.dtype), _shape(one)) for one in features]
    return _metadata(signature.inputs)


def outputs_metadata(signature: ServedSignature) -> list[TensorMetadata]:
    return _metadata(signature.outputs)


def inputs(signature: ServedSignature, tensors: Sequence[InferTensor]) -> dict[str, np.ndarray]:
    """Returns the signature's inputs of a request's tensors.

    Numbers are converted to the type that the signature takes where that loses nothing but digits. Raises a
    RequestError (INVALID).
    """
    values = {tensor.name: tensor.values for tensor in tensors}
    if len(values) < len(tensors):
        names = [tensor.name for tensor in tensors]
        raise _invalid(f"input {printable.value(max(names, key=names.count))}: expected it once")
    are_features = values.keys() <= signature.features.keys() or values.keys().isdisjoint(signature.inputs)
    if signature.features and values and are_features:
        return _from_features(signature, values)
    _check_names(values, signature)
    return {name: _fitted(name, array, signature) for name, array in values.items()}


def requested(signature: ServedSignature, names: Sequence[str]) -> list[str]:
    """Returns the names of the outputs that a request asks for: all of them if it names none."""
    for name in names:
        if name not in signature.outputs:
            raise _invalid(f"output {printable.value(name)} is unknown: {did_you_mean(name, signature.outputs)}")
    return list(dict.fromkeys(names)) or list(signature.outputs)


def datatype(name: str, output: np.ndarray) -> str:
    """Returns the datatype of an output; a RequestError (INVALID) if the protocol has none, as for complex numbers."""
    datatype = datatypes.name(output.dtype)
    if datatype is None:
        raise _invalid(f"output {name!r} is of the type {output.dtype.name}, which the protocol does not have")
    return datatype


def _fitted(name: str, array: np.ndarray, signature: ServedSignature) -> np.ndarray:
    """Returns the values of an input in its type; a column of serialized examples is taken as their list."""
    tensor = signature.inputs[name]
    converted = _converted(name, array, tensor.dtype)
    is_column = signature.features and converted.ndim == 2 and converted.shape[1] == 1
    return converted[:, 0] if is_column else converted


def _from_features(signature: ServedSignature, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if 0 in (array.ndim for array in values.values()) or len({len(array) for array in values.values()}) > 1:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in values.items())
        raise _invalid(f"inputs: expected as many rows of each feature, a row for each example; received {shapes}")
    columns = {name: _column(name, signature.features.get(name), array) for name, array in values.items()}
    return signature.json.inputs_from_columns(columns)


def _column(name: str, feature: ServedFeature | None, array: np.ndarray) -> list[object]:
    """Returns a feature's values as JSON has them: a value for each example, or a list of values.

    One that is no feature may be the label, which is left out where rows are encoded.
    """
    values = array if feature is None else _converted(name, array, feature.dtype)
    if values.dtype == object:
        values = objects.array([_json_value(value) for value in values.ravel()], values.shape)
    column: list[object] = values.tolist()
    return column


def _json_value(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _check_names(values: Mapping[str, np.ndarray], signature: ServedSignature) -> None:
    for name in sorted(values.keys() - signature.inputs.keys()):
        raise _invalid(f"input {printable.value(name)} is unknown: {did_you_mean(name, signature.inputs)}")
    known = [*signature.inputs, *signature.features]
    for name in sorted(signature.inputs.keys() - values.keys()):
        raise _invalid(f"input {printable.value(name)} is missing: expected {listed(known)}")


def _converted(name: str, array: np.ndarray, dtype: tf.DType) -> np.ndarray:
    wanted = np.dtype(object if dtype == tf.string else dtype.as_numpy_dtype)
    if array.dtype == wanted:
        return array
    expected = f"input {printable.value(name)}: expected {datatypes.of_tensor(dtype)}"
    is_whole = array.dtype.kind in "iub"
    if object in (array.dtype, wanted) or wanted.kind == "b" or (wanted.kind in "iu" and not is_whole):
        raise _invalid(f"{expected}, received {datatypes.name(array.dtype)}")
    with np.errstate(over="ignore"):
        converted = array.astype(wanted)
    changed = converted != array if wanted.kind in "iu" else np.isinf(converted) & np.isfinite(array)
    if np.any(changed):
        raise _invalid(f"{expected}, received {datatypes.name(array.dtype)} with a value that is out of its range")
    return converted


def _metadata(tensors: Mapping[str, Tensor]) -> list[TensorMetadata]:
    return [
        TensorMetadata(
            name,
            datatypes.of_tensor(tensor.dtype),
            tuple(-1 if size is None else size for size in tensor.shape) if tensor.shape is not None else (-1,),
        )
        for name, tensor in tensors.items()
    ]


def _shape(feature: ServedFeature) -> tuple[int, ...]:
    return (-1, -1) if feature.shape is None else (-1, *feature.shape)


def _invalid(sentence: str) -> RequestError:
    return RequestError(Kind.INVALID, sentence)
