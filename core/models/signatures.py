"""What a SavedModel's signatures take and give, read from its graph, without loading or running the model."""

import functools
import re
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef, SignatureDef, TensorInfo
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel as SavedModelProto

from penstock.core.artifacts import SavedModel
from penstock.core.errors import ModelError

_PARSER = re.compile(r"Parse(Single)?(Sequence)?Example|DecodeProto")
type _Nodes = Mapping[str, NodeDef]  # of a graph or of a function's body, by name


@dataclass(frozen=True)
class Tensor:
    """An input or output. `shape` is None where the rank is unknown or the tensor is sparse or ragged."""

    dtype: tf.DType
    shape: tuple[int | None, ...] | None

    @classmethod
    def of(cls, info: TensorInfo) -> "Tensor":
        dense = info.WhichOneof("encoding") == "name" and not info.tensor_shape.unknown_rank
        sizes = tuple(dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim)
        return cls(tf.as_dtype(info.dtype), sizes if dense else None)


@dataclass(frozen=True)
class ParsedFeature:
    """A feature that a signature parses out of tf.Examples; if it is required, it must be in every one.

    `shape` is that of an example's values; None where there may be any number of them.
    """

    dtype: tf.DType
    required: bool
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Signature:
    """A signature of a SavedModel: its inputs and outputs by name, and TensorFlow's own description of it."""

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    definition: SignatureDef
    _graph: GraphDef
    _sources: frozenset[str]  # the nodes of the inputs

    @functools.cached_property
    def features(self) -> Mapping[str, ParsedFeature]:
        """The features that it parses out of serialized tf.Examples; none if it takes tensors of features."""
        parsed: dict[str, ParsedFeature] = {}
        for parser, beside in _parsers(self._graph, self._sources):
            parsed |= _parsed(parser, beside)
        return parsed

    @functools.cached_property
    def parses_examples(self) -> bool:
        """Whether it takes serialized tf.Examples, also where `features` cannot tell which it parses out of them."""
        return any(True for _ in _parsers(self._graph, self._sources))

    @functools.cached_property
    def parses_sequences(self) -> bool:
        """Whether it takes serialized tf.SequenceExamples."""
        return any("Sequence" in parser.op for parser, _ in _parsers(self._graph, self._sources))


def read(folder: Path, tags: Collection[str] = ()) -> dict[str, Signature]:
    """Returns the signatures of the SavedModel in a folder by name, without those of TensorFlow's own.

    Of several graphs those of the one with exactly these tags; by default of the first that is for serving.

    Raises a ModelError if its file cannot be read.
    """
    path = SavedModel(folder).path
    try:
        saved = SavedModelProto.FromString(path.read_bytes())
    except DecodeError as error:
        raise ModelError(f"{path}: expected a SavedModel: {error}") from None
    graphs = [graph for graph in saved.meta_graphs if _is_meant(set(graph.meta_info_def.tags), set(tags))]
    signatures = graphs[0].signature_def.items() if graphs else []
    return {name: _signature(graphs[0], signature) for name, signature in signatures if not name.startswith("__")}


def _is_meant(tags: set[str], wanted: set[str]) -> bool:
    return tags == wanted if wanted else tf.saved_model.SERVING in tags


def _signature(graph: MetaGraphDef, signature: SignatureDef) -> Signature:
    return Signature(
        {name: Tensor.of(info) for name, info in signature.inputs.items()},
        {name: Tensor.of(info) for name, info in signature.outputs.items()},
        signature,
        graph.graph_def,
        frozenset(_producer(info.name) for info in signature.inputs.values()),
    )


_parses: weakref.WeakKeyDictionary[tf.Graph, bool] = weakref.WeakKeyDictionary()


def parses_examples(function: tf.types.experimental.ConcreteFunction) -> bool:
    """Whether a signature of a loaded model parses its inputs as tf.Examples, and takes no tensors of features."""
    graph = function.graph
    if graph not in _parses:
        sources = {tensor.op.name for tensor in function.inputs if tensor.dtype == tf.string}
        _parses[graph] = any(True for _ in _parsers(graph.as_graph_def(), sources))
    return _parses[graph]


def _parsers(graph: GraphDef, sources: Iterable[str]) -> Iterator[tuple[NodeDef, _Nodes]]:
    """Yields the operations that parse examples which come from the nodes `sources`, and the nodes beside each."""
    functions = {function.signature.name: function for function in graph.library.function}
    waiting: list[tuple[Iterable[NodeDef], frozenset[str]]] = [(graph.node, frozenset(sources))]
    entered = set()
    while waiting:
        body, arguments = waiting.pop()
        nodes = {node.name: node for node in body}
        for node, reached in _consumers(nodes, arguments):
            if _PARSER.match(node.op):
                yield node, nodes
            for attribute in node.attr.values():
                function = functions.get(attribute.func.name)
                if function is None:
                    continue
                names = [argument.name for argument in function.signature.input_arg]
                inputs = _inputs(node)[-len(names) :]  # a condition and the like come before the arguments
                passed = frozenset(name for name, at in zip(names, inputs, strict=False) if _producer(at) in reached)
                if passed and (attribute.func.name, passed) not in entered:
                    entered.add((attribute.func.name, passed))
                    waiting.append((function.node_def, passed))


def _consumers(nodes: _Nodes, sources: frozenset[str]) -> list[tuple[NodeDef, set[str]]]:
    """Returns the nodes that what comes from `sources` reaches, up to parsers, and the names of all these."""
    taken_by: dict[str, list[NodeDef]] = {}
    for node in nodes.values():
        for tensor in _inputs(node):
            taken_by.setdefault(_producer(tensor), []).append(node)
    reached, waiting, found = set(sources), list(sources), []
    while waiting:
        for node in taken_by.get(waiting.pop(), ()):
            if node.name not in reached:
                reached.add(node.name)
                found.append(node)
                if not _PARSER.match(node.op):
                    waiting.append(node.name)
    return [(node, reached) for node in found]


def _parsed(parser: NodeDef, beside: _Nodes) -> dict[str, ParsedFeature]:
    """Returns what an operation parses: the operation of tf.io.parse_example, whose names are constants."""
    if parser.op != "ParseExampleV2":
        return {}
    sparse, dense, ragged = (_constant(tensor, beside) for tensor in _inputs(parser)[2:5])
    if sparse is None or dense is None or ragged is None:
        return {}
    types = parser.attr
    features = dict(zip(sparse, types["sparse_types"].list.type, strict=False))
    features |= dict(zip(ragged, types["ragged_value_types"].list.type, strict=False))
    features |= dict(zip(dense, types["Tdense"].list.type, strict=False))
    defaults = [_constant(tensor, beside) for tensor in _inputs(parser)[5:]]
    required = {
        name for name, default in zip(dense, defaults, strict=False) if default is not None and not default.size
    }
    shapes = {
        name: tuple(dim.size for dim in shape.dim)
        for name, shape in zip(dense, types["dense_shapes"].list.shape, strict=False)
        if not shape.unknown_rank and all(dim.size >= 0 for dim in shape.dim)
    }
    return {
        name.decode(errors="replace"): ParsedFeature(tf.as_dtype(dtype), name in required, shapes.get(name))
        for name, dtype in features.items()
    }


def _constant(tensor: str, beside: _Nodes) -> np.ndarray | None:
    node = beside.get(_producer(tensor))
    if node is None or node.op != "Const":
        return None
    values: np.ndarray = tf.make_ndarray(node.attr["value"].tensor)
    return values


def _inputs(node: NodeDef) -> list[str]:
    return [tensor for tensor in node.input if not tensor.startswith("^")]


def _producer(tensor: str) -> str:
    """Returns the node, or the argument of a function, that a tensor such as `node:0` or `node:output:0` is from."""
    return tensor.partition(":")[0]
