"""The user's preprocessing function: bound to its configuration, checked and traced."""

import errno
import functools
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers, annotators, graph_tools, impl_helper, nodes, tf2_utils

from penstock.components.transform.reading import RAW_EXAMPLE, Tensor
from penstock.core import user_modules
from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError, ModuleError, PenstockError
from penstock.core.files import paths
from penstock.core.suggestions import did_you_mean

_TFRECORD = ".tfrecord.gz"  # TFT's suffix of vocabularies that are TFRecords
type PreprocessingFn = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def bind(function: Callable[..., Any], custom_config: str, **values: object) -> Callable[..., Any]:
    """Returns the function with those arguments bound for which it has a parameter.

    The arguments are `custom_config`, which is a JSON object ("" for an empty one), and `values`. Raises a ConfigError
    if the function has a parameter whose value is None.
    """
    config = parse_object("custom_config", custom_config)
    parameters = inspect.signature(function).parameters
    bound = {name: value for name, value in {"custom_config": config, **values}.items() if name in parameters}
    for name, value in bound.items():
        if value is None:
            raise ConfigError(f"preprocessing_fn has a parameter {name}: expected the input {name} of Transform")
    return functools.partial(function, **bound) if bound else function


@dataclass(frozen=True)
class Checked:
    """A preprocessing function that checks its result before TensorFlow sees it. Picklable if the function is."""

    function: Callable[..., Any]

    def __call__(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        names = sorted(inputs)
        try:
            outputs = self.function(inputs)
        except KeyError as error:
            self._explain_key(error, names)
            raise
        if not isinstance(outputs, dict) or not outputs:
            what = "an empty dictionary" if outputs == {} else type(outputs).__name__
            raise ModuleError(
                f"preprocessing_fn: expected a dictionary of tensors by feature name, received {what}: return "
                "{'name': tensor, …}"
            )
        for name, value in outputs.items():
            if not isinstance(name, str) or not tf.is_tensor(value):
                raise ModuleError(
                    f"preprocessing_fn: expected a Tensor, SparseTensor or RaggedTensor for feature {name!r}, received "
                    f"{type(value).__name__}"
                )
            if isinstance(value, tf.Tensor) and (value.shape.rank == 0 or not tf.is_symbolic_tensor(value)):
                what = "a scalar" if value.shape.rank == 0 else "the result of an analyzer"
                raise ModuleError(
                    f"preprocessing_fn: expected a value for each row in feature {name!r}, received {what}: compute "
                    "with it, or repeat it for each row"
                )
        return outputs

    def _explain_key(self, error: KeyError, names: list[str]) -> None:
        """Raises a ModuleError if the missing key may be a feature that the schema does not have."""
        key = error.args[0] if error.args else None
        if isinstance(key, str) and key not in names:
            hint = did_you_mean(key, names, "it has")
            if names == [RAW_EXAMPLE]:
                hint = f"{RAW_EXAMPLE!r} is a serialized record; a tensor_representation_group would give it tensors"
            details = user_modules.user_lines(error)
            raise ModuleError(f"preprocessing_fn: the schema has no feature {key!r}; {hint}", details) from error


@dataclass(frozen=True)
class Traced:
    """A preprocessing function as a graph, and what the graph alone tells, before any data is read."""

    function: PreprocessingFn
    specs: Mapping[str, tf.TypeSpec]  # of the inputs
    folder: Path  # for temporary assets
    graph: tf.Graph
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    analyze_columns: frozenset[str]  # the inputs that analyzers depend on
    transform_columns: frozenset[str]  # the inputs that outputs depend on
    fingerprint: Mapping[str, Any]  # of the analyzers; each later trace must have the same
    asset_map: Mapping[str, str]  # the file of each vocabulary

    @property
    def columns(self) -> frozenset[str]:
        """The inputs that anything depends on."""
        return self.analyze_columns | self.transform_columns


def trace(function: PreprocessingFn, specs: Mapping[str, tf.TypeSpec], folder: Path) -> Traced:
    """Traces the function for inputs of these specs, with `folder` for temporary assets.

    Raises a ModuleError if the user's code fails, with its lines, or creates trainable variables.
    """
    graph, inputs, outputs = call(impl_helper.trace_preprocessing_function, function, specs, False, str(folder))
    if graph.get_collection(tf.compat.v1.GraphKeys.TRAINABLE_VARIABLES):
        raise ModuleError("preprocessing_fn: expected no trainable variables; they belong in the trainer")
    sources = graph_tools.SourcedTensorsVisitor()
    for sink in graph.get_collection(analyzer_nodes.TENSOR_REPLACEMENTS):
        nodes.Traverser(sources).visit_value_node(sink.future)
    flat = tf.nest.flatten(outputs, expand_composites=True)
    _, control = tf2_utils.strip_and_get_tensors_and_control_dependencies(flat)
    analyzed = graph_tools.get_dependent_inputs(graph, inputs, [*sources.sourced_tensors, *control])
    transformed = graph_tools.get_dependent_inputs(graph, inputs, outputs)
    asset_map = _vocabulary_files(annotators.get_asset_annotations(graph))
    annotators.clear_asset_annotations(graph)
    fingerprint = graph_tools.get_analyzers_fingerprint(graph, inputs)
    return Traced(
        function,
        specs,
        folder,
        graph,
        inputs,
        outputs,
        frozenset(analyzed),
        frozenset(transformed),
        fingerprint,
        asset_map,
    )


def _vocabulary_files(annotations: Mapping[str, str]) -> dict[str, str]:
    """Returns the name of each vocabulary's file, as vocabularies.py writes it.

    Raises a ModuleError if TFT makes the same file name of two: the second would overwrite the first.
    """
    files: dict[str, str] = {}
    names: dict[str, str] = {}
    for vocabulary, file in sorted(annotations.items()):
        base = file.removesuffix(_TFRECORD)
        files[vocabulary] = paths.shortened(base) + file[len(base) :]
        if analyzers.sanitized_vocab_filename(filename=vocabulary) != base:
            continue  # another name for a vocabulary, by tft.annotate_asset
        other = names.setdefault(file, vocabulary)
        if other != vocabulary:
            raise ModuleError(
                f"preprocessing_fn: the vocabularies {other!r} and {vocabulary!r} would be the same file {file!r}: "
                "expected a vocab_filename of its own for each"
            )
    return files


def call(step: Callable[..., Any], *args: Any) -> Any:
    """Calls a function of TFT that runs the user's function; errors become a ModuleError with the user's lines.

    A full disk stays an OSError.
    """
    try:
        return user_modules.call("preprocessing_fn", step, *args)
    except PenstockError as error:
        cause: BaseException | None = error
        while cause is not None:  # TensorFlow may have wrapped the error of Checked
            if isinstance(cause, ModuleError) and cause.message.startswith("preprocessing_fn:"):
                raise cause from None
            if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
                raise cause from None
            if isinstance(cause, tf.errors.ResourceExhaustedError) and os.strerror(errno.ENOSPC) in str(cause):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a SavedModel") from None
            cause = cause.__cause__ or cause.__context__
        raise
