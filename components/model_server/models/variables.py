"""Variables that a SavedModel's signatures read and TensorFlow's loader for sessions does not restore.

`tf.saved_model.save` writes each variable of a Keras 3 model twice, as Keras's own object and as TensorFlow's. Both
stand in the graph, and the loader gives a value to one of the two, which may be the other one. TensorFlow's loader by
objects knows them for the same, so what is missing is taken from there.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

_CALLS = ("StatefulPartitionedCall", "PartitionedCall")
logger = logging.getLogger(__name__)


def restore_rest(
    session: tf.compat.v1.Session, graph: tf.Graph, folder: Path, definitions: Mapping[str, SignatureDef]
) -> int:
    """Gives their values to the variables that have none yet; returns how many these are."""
    calls = {name: call for name, definition in definitions.items() if (call := _call(graph, definition))}
    handles = {tensor.op for call in calls.values() for tensor in call.inputs if tensor.op.type == "VarHandleOp"}
    with graph.as_default():
        checks = {op: tf.raw_ops.VarIsInitializedOp(resource=op.outputs[0]) for op in handles}
    restored = session.run(checks)
    missing = {op for op, is_restored in restored.items() if not is_restored}
    if not missing:
        return 0
    for handle, value in _by_objects(folder, calls, missing):
        with graph.as_default():
            given = tf.compat.v1.placeholder(value.dtype)
            assign = tf.raw_ops.AssignVariableOp(resource=handle.outputs[0], value=given)
        session.run(assign, {given: value.numpy()})
    logger.info("%s: %d variables restored by TensorFlow's objects", folder, len(missing))
    return len(missing)


def _call(graph: tf.Graph, definition: SignatureDef) -> tf.Operation | None:
    """Returns the operation that calls a signature's function; None where the graph computes it itself."""
    for info in definition.outputs.values():
        operation = graph.get_tensor_by_name(info.name).op
        while operation.type == "Identity":
            operation = operation.inputs[0].op
        if operation.type in _CALLS:
            return operation
    return None


def _by_objects(
    folder: Path, calls: Mapping[str, tf.Operation], missing: set[tf.Operation]
) -> Iterator[tuple[tf.Operation, tf.Tensor]]:
    """Yields the handle of each missing variable once, and its value: a function's captures are its call's inputs."""
    loaded = tf.saved_model.load(str(folder))
    left = set(missing)
    for name, call in calls.items():
        captures = loaded.signatures[name].captured_inputs
        for tensor, captured in zip(call.inputs[len(call.inputs) - len(captures) :], captures, strict=True):
            if tensor.op in left:
                left.remove(tensor.op)
                dtype = tf.as_dtype(tensor.op.get_attr("dtype"))
                yield tensor.op, tf.raw_ops.ReadVariableOp(resource=captured, dtype=dtype)
