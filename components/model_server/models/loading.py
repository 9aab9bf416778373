"""Loads a SavedModel as TensorFlow Serving does: its graph in a session of its own, whose calls are the cheapest."""

import ctypes
import gc
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo

from penstock.components.model_server.encoding import codec
from penstock.components.model_server.inference import ServedSignature
from penstock.components.model_server.models import features, variables
from penstock.core.artifacts import SavedModel, read_schema
from penstock.core.errors import ModelError, SchemaError
from penstock.core.models import signatures
from penstock.core.models.failures import cause

logger = logging.getLogger(__name__)

type Call = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]


class LoadedModel:
    """A SavedModel in memory: its signatures, and a function for each.

    A function takes a signature's inputs and returns its outputs, both in the signature's order. Threads may call it.
    """

    def __init__(self, session: tf.compat.v1.Session, served: Mapping[str, ServedSignature], calls: Mapping[str, Call]):
        self._session = session
        self.signatures = served
        self.calls = dict(calls)

    def close(self) -> None:
        """Gives the memory back; no function may be called any more."""
        self.calls.clear()
        self._session.close()
        gc.collect()
        _trim()


def load(folder: Path, threads: int = 0) -> LoadedModel:
    """Loads the SavedModel in a folder; a ModelError says why it cannot be loaded.

    `threads` are those that an operation may use, 0 for one a core.
    """
    described = signatures.read(folder)
    schema = _schema(folder)
    graph = tf.Graph()
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=threads)
    session = tf.compat.v1.Session(graph=graph, config=config)
    try:
        with graph.as_default():
            loaded = tf.compat.v1.saved_model.loader.load(session, [tf.saved_model.SERVING], str(folder))
        variables.restore_rest(session, graph, folder, {name: loaded.signature_def[name] for name in described})
        served, calls = {}, {}
        for name, signature in described.items():
            definition = loaded.signature_def[name]
            if not _is_dense(definition):
                logger.warning("%s: signature %r is not served: it has sparse or ragged tensors", folder, name)
                continue
            served[name] = _served(name, signature, definition, schema)
            calls[name] = _call(session, graph, definition)
    except (tf.errors.OpError, ValueError, OSError, RuntimeError) as error:
        session.close()
        reason = cause(error) if isinstance(error, tf.errors.OpError) else str(error)
        raise ModelError(f"the model at {folder} cannot be loaded: {reason}") from None
    if not served:
        session.close()
        raise ModelError(f"the model at {folder} has no signature that can be served: save it with signatures=…")
    return LoadedModel(session, served, calls)


def _schema(folder: Path):  # type: ignore[no-untyped-def]  # schema_pb2.Schema | None
    path = SavedModel(folder).schema
    if not path.is_file():
        return None
    try:
        return read_schema(path)
    except SchemaError as error:
        logger.warning("%s: rows are encoded by the model's graph alone", error)
        return None


def _is_dense(definition: SignatureDef) -> bool:
    return all(
        info.WhichOneof("encoding") == "name" for info in (*definition.inputs.values(), *definition.outputs.values())
    )


def _served(name: str, signature: signatures.Signature, definition: SignatureDef, schema) -> ServedSignature:  # type: ignore[no-untyped-def]
    inputs = dict(sorted(signature.inputs.items()))
    parses = len(inputs) == 1 and signature.parses_examples
    served = features.served(signature.features, schema) if parses else {}
    known = [feature.name for feature in schema.feature] if schema else []
    return ServedSignature(
        name,
        inputs,
        dict(sorted(signature.outputs.items())),
        served,
        definition,
        codec.codec(inputs, served, known, parses),
    )


def _call(session: tf.compat.v1.Session, graph: tf.Graph, definition: SignatureDef) -> Call:
    def tensors(infos: Mapping[str, TensorInfo]) -> list[tf.Tensor]:
        return [graph.get_tensor_by_name(infos[name].name) for name in sorted(infos)]

    run = session.make_callable(tensors(definition.outputs), tensors(definition.inputs))
    return lambda inputs: run(*inputs)


def _trim() -> None:
    """Gives freed memory back to the system, which glibc keeps otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)
