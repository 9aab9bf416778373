"""Loads a SavedModel, and makes of each signature the cheapest call that there is."""

import ctypes
import gc
import logging
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from penstock.components.model_server.encoding import codec
from penstock.components.model_server.inference import Kind, RequestError, ServedSignature
from penstock.components.model_server.models import features
from penstock.core.artifacts import SavedModel, read_schema
from penstock.core.errors import ModelError, SchemaError
from penstock.core.models import cleaned, signatures
from penstock.core.models.failures import cause, emptied, reason

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

    from penstock.core.cleaning.serving import Cleaner

logger = logging.getLogger(__name__)
_closing = threading.Lock()

type Call = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]


class LoadedModel:
    """A SavedModel in memory: its signatures, and a function for each.

    A function takes a signature's inputs and returns its outputs, both in the signature's order. Threads may call it.
    """

    def __init__(self, loaded: object, served: Mapping[str, ServedSignature], calls: Mapping[str, Call]):
        self._loaded: object | None = loaded  # which keeps the variables
        self.signatures = served
        self.calls = dict(calls)
        _open.add(self)

    def close(self) -> None:
        """Gives the memory back; no function may be called any more. The last open model ends what `freeze` does."""
        self._loaded = None
        self.calls.clear()
        with _closing:
            _open.discard(self)
            gc.unfreeze()
            gc.collect()
            _trim()
            if _open:
                gc.freeze()


_open = weakref.WeakSet[LoadedModel]()


def freeze() -> None:
    """Has the garbage collector leave alone what is in memory: it would stop requests to look through the models."""
    gc.collect()  # or garbage would stay with it
    gc.freeze()


def load(folder: Path) -> LoadedModel:
    """Loads the SavedModel in a folder; a ModelError says why it cannot be loaded."""
    described = signatures.read(folder)
    schema = _schema(folder)
    try:
        loaded = tf.saved_model.load(str(folder), tags=[tf.saved_model.SERVING])
    except Exception as error:  # of whatever kind: the files and the operations in them are the model's
        raise ModelError(f"the model at {folder} cannot be loaded: {reason(error)}") from None
    cleaner = cleaned.cleaner(folder)
    served, calls = {}, {}
    for name, signature in sorted(described.items()):
        if not _is_dense(signature.definition):
            logger.warning("%s: signature %r is not served: it has sparse or ragged tensors", folder, name)
            continue
        served[name] = _served(name, signature, schema, cleaner)
        calls[name] = _call(loaded.signatures[name])
        if cleaner and _takes_examples(signature):
            calls[name] = _cleaned(calls[name], cleaner)
        elif cleaner:
            logger.warning("%s: signature %r takes no tf.Examples, so its inputs are not cleaned", folder, name)
    if not served:
        raise ModelError(f"the model at {folder} has no signature that can be served: save it with signatures=…")
    return LoadedModel(loaded, served, calls)


def _schema(folder: Path) -> "schema_pb2.Schema | None":
    path = SavedModel(folder).schema
    if not path.is_file():
        return None
    try:
        return read_schema(path)
    except SchemaError as error:
        logger.warning("%s: rows are encoded by the model's graph alone", error)
        return None


def _is_dense(definition: SignatureDef) -> bool:
    tensors = (*definition.inputs.values(), *definition.outputs.values())
    return all(info.WhichOneof("encoding") == "name" for info in tensors)


def _takes_examples(signature: signatures.Signature) -> bool:
    return len(signature.inputs) == 1 and signature.parses_examples


def _cleaned(call: Call, cleaner: "Cleaner") -> Call:
    """Returns a call of serialized tf.Examples that cleans them first."""

    def clean(inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        (examples,) = inputs
        if examples.ndim != 1:
            return call(inputs)
        rows: np.ndarray = np.empty(len(examples), object)
        rows[:] = cleaner.clean(examples.tolist())
        try:
            return call([rows])
        except tf.errors.InvalidArgumentError as error:
            if said := emptied(cause(error), examples.tolist(), rows.tolist()):
                raise RequestError(Kind.INVALID, said) from None
            raise

    return clean


def _served(
    name: str, signature: signatures.Signature, schema: "schema_pb2.Schema | None", cleaner: "Cleaner | None"
) -> ServedSignature:
    inputs = dict(sorted(signature.inputs.items()))
    parses = _takes_examples(signature)
    cleaning = cleaner.cleaning if cleaner else None
    served = features.served(signature.features, schema, cleaning) if parses else {}
    known = [feature.name for feature in schema.feature] if schema else []
    return ServedSignature(
        name,
        inputs,
        dict(sorted(signature.outputs.items())),
        served,
        signature.definition,
        codec.codec(inputs, served, known, parses),
    )


def _call(function: tf.types.experimental.ConcreteFunction) -> Call:
    """Returns a signature as a function of arrays.

    It calls what is below the signature, in half of the time: arguments by their place, and the variables as they are.
    """
    names = sorted(function._arg_keywords)
    order = [names.index(name) for name in function._arg_keywords]
    dtypes = [tensor.dtype for tensor in function.inputs[: len(order)]]
    captured = function.captured_inputs
    compute = function.inference_fn.call_flat

    def call(inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        tensors = [_tensor(inputs[index], dtype) for index, dtype in zip(order, dtypes, strict=True)]
        return [output.numpy() for output in compute(*tensors, *captured)]

    return call


def _tensor(array: np.ndarray, dtype: tf.DType) -> tf.Tensor:
    if dtype == tf.string and array.ndim == 1 and array.size:
        return tf.constant(array.tolist(), dtype)  # TensorFlow reads a list of texts faster than an array of them
    return tf.constant(array, dtype)


def _trim() -> None:
    """Gives freed memory back to the system, which glibc keeps otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)
