"""TFT's analysis in process: evaluates TFT's own graph of operations over an engine, phase by phase.

TFT traces a preprocessing function and builds a graph of operations that does not depend on an engine
(`tensorflow_transform.beam.analysis_graph_builder.build`). Beam is one visitor of this graph, `_Evaluation` here is
another.

A phase is a SavedModel that computes the inputs of analyzers. A shard function applies it to files and returns an
accumulator for each file and operation. These are merged here in the order of the files, and the SavedModel of the next
phase holds the results.

Each operation computes what `tensorflow_transform/beam/analyzer_impls.py` and `impl.py` (1.21) compute. The values
between operations are TFT's: most are accumulators, whose type only their combiner knows.
"""

import contextlib
import functools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, impl_helper, nodes, tf_utils
from tensorflow_transform.analyzer_nodes import CacheCoder
from tensorflow_transform.beam import (
    analysis_graph_builder,
    analyzer_impls,
    beam_nodes,
    combiner_packing_util,
    impl,
)
from tensorflow_transform.beam.analyzer_cache import DatasetKey
from tensorflow_transform.nodes import OperationDef

from penstock.components.engines import Engine, fold
from penstock.components.transform import user_function
from penstock.components.transform.analysis import accumulating, accumulators, vocabularies
from penstock.components.transform.analysis.accumulating import Accumulation, Shard
from penstock.components.transform.analysis.accumulators import Accumulator, ByKey
from penstock.components.transform.analysis.cache import AnalyzerCache
from penstock.components.transform.analysis.vocabularies import Entry, Pair, Scored
from penstock.components.transform.reading import Reader
from penstock.components.transform.user_function import Traced

type Value = Any  # of an operation
type CacheNodes = Mapping[DatasetKey, Mapping[bytes, nodes.ValueNode]]
logger = logging.getLogger(__name__)
_ACCUMULATIONS = (
    analyzer_nodes.CacheableCombineAccumulate,
    analyzer_nodes.CacheableCombinePerKeyAccumulate,
    analyzer_nodes.VocabularyAccumulate,
)


class NeedsBeam(Exception):
    """The graph has an operation that only Beam can evaluate; the argument is its label."""


@dataclass(frozen=True)
class Source:
    """What is analyzed: files of tf.Examples, in order, and the reader that makes tensors from them."""

    files: tuple[Path, ...]
    reader: Reader


def analyze(traced: Traced, source: Source, engine: Engine, cache: AnalyzerCache | None = None) -> Path:
    """Evaluates all analyzers; returns the folder of a SavedModel that holds the results: TFT's `transform_fn`.

    Reads and fills `cache` unless it is None. Memory is bounded by the accumulators of one shard per worker and by the
    content of the cache, not by the number of rows. Raises NeedsBeam for a custom PTransform analyzer, before any data
    is read, and a ModuleError if the user's code fails.
    """
    if cache is not None and not cache.worthwhile(len(_cacheable(traced))):
        cache = None
    future, cache_nodes, plan = _planned(traced, cache)
    while cache is not None and not cache.load(plan.decoded):
        future, cache_nodes, plan = _planned(traced, cache)  # without the entries that are damaged
    if cache is not None:
        plan.cache = cache.plan(cache_nodes, plan.decoded)
    result = nodes.Traverser(_Evaluation(traced, source, engine, plan, cache)).visit_value_node(future)
    if cache is not None:
        cache.finish(plan.decoded)
    return Path(result)


def _planned(traced: Traced, cache: AnalyzerCache | None) -> tuple[nodes.ValueNode, CacheNodes, "_Plan"]:
    """Returns TFT's graph, the nodes of what is new for the cache, and what the graph accumulates."""
    analyzers = traced.graph.get_collection(analyzer_nodes.TENSOR_REPLACEMENTS)
    with _unpacked():
        future, cache_nodes, _ = analysis_graph_builder.build(
            traced.graph,
            traced.inputs,
            traced.outputs,
            [] if cache is None else cache.keys,
            cache_dict=None if cache is None else cache.available(),
        )
    for analyzer in analyzers:  # TFT takes them out, but may be asked again
        traced.graph.add_to_collection(analyzer_nodes.TENSOR_REPLACEMENTS, analyzer)
    plan = _Plan()
    nodes.Traverser(plan).visit_value_node(future)
    return future, cache_nodes or {}, plan


@contextlib.contextmanager
def _unpacked() -> Iterator[None]:
    """Keeps TFT's graph builder from packing combiners into one stage, which helps only Beam."""
    pack = combiner_packing_util.perform_combiner_packing_optimization
    combiner_packing_util.perform_combiner_packing_optimization = lambda future, cache_nodes, _: (future, cache_nodes)
    try:
        yield
    finally:
        combiner_packing_util.perform_combiner_packing_optimization = pack


@dataclass
class _Plan(nodes.Visitor):  # type: ignore[misc]
    """Collects, before anything is evaluated, what each phase accumulates over which data sets.

    The value of an operation is here what accumulations below it need to know: the label of the phase's SavedModel, the
    key of the data set, and the names of the inputs.
    """

    phases: dict[str, list[tuple[DatasetKey, Accumulation]]] = field(default_factory=dict)
    decoded: list[analyzer_nodes.DecodeCache] = field(default_factory=list)
    cache: dict[str, tuple[Path, CacheCoder]] = field(default_factory=dict)  # by the label of the accumulation

    def validate_value(self, value: Value) -> None:
        pass

    def visit(self, operation: OperationDef, inputs: Sequence[Value]) -> tuple[Value, ...]:
        if isinstance(operation, beam_nodes.CreateSavedModel):
            return (operation.label,)
        if isinstance(operation, beam_nodes.ExtractInputForSavedModel):
            return (operation.dataset_key,)
        if isinstance(operation, beam_nodes.ApplySavedModel):
            return (tuple(inputs),)
        if isinstance(operation, beam_nodes.ExtractFromDict):
            return ((*inputs[0], operation.keys),)
        if isinstance(operation, _ACCUMULATIONS):
            phase, dataset_key, keys = inputs[0]
            name = operation.label.rsplit("[AnalysisIndex", 1)[0]
            accumulation = Accumulation(operation.label, name, accumulators.starter(operation), keys)
            self.phases.setdefault(phase, []).append((dataset_key, accumulation))
        elif isinstance(operation, analyzer_nodes.DecodeCache):
            self.decoded.append(operation)
        elif not _Evaluation.covers(operation):
            raise NeedsBeam(operation.label)
        return (None,) * int(operation.num_outputs)

    def work(self, phase: str, source: Source, cache: AnalyzerCache | None) -> list[tuple[Path, list[Accumulation]]]:
        """Returns what to accumulate over each file in a phase, in the order of the files."""
        over_all: list[Accumulation] = []
        over_one: dict[DatasetKey | None, list[Accumulation]] = {}
        for dataset_key, accumulation in self.phases.get(phase, []):
            cache_file, coder = self.cache.get(accumulation.label, (None, None))
            planned = replace(accumulation, cache_file=cache_file, coder=coder)
            all_files = dataset_key.is_flattened_dataset_key()
            (over_all if all_files else over_one.setdefault(dataset_key, [])).append(planned)
        keys = cache.keys if cache is not None else [None] * len(source.files)
        pairs = ((path, [*over_one.get(key, []), *over_all]) for path, key in zip(source.files, keys, strict=True))
        return [(path, accumulations) for path, accumulations in pairs if accumulations]


class _Evaluation(nodes.Visitor):  # type: ignore[misc]
    """Evaluates every operation. Where Beam has a collection of accumulators, the value here is a list of them."""

    def __init__(self, traced: Traced, source: Source, engine: Engine, plan: _Plan, cache: AnalyzerCache | None):
        self._traced, self._source, self._engine, self._plan, self._cache = traced, source, engine, plan, cache
        self._accumulators: dict[str, list[Accumulator]] = {}
        self._models = 0

    def validate_value(self, value: Value) -> None:
        pass

    def visit(self, operation: OperationDef, inputs: Sequence[Value]) -> tuple[Value, ...]:
        value = self.value(operation, *inputs)
        return value if isinstance(value, _Outputs) else (value,)

    @classmethod
    def covers(cls, operation: OperationDef) -> bool:
        """Whether there is a method for operations of this type."""
        dispatch = cls.__dict__["value"].dispatcher.dispatch
        return dispatch(type(operation)) is not dispatch(object)

    @functools.singledispatchmethod
    def value(self, operation: OperationDef, *inputs: Value) -> Value:
        """Returns the value of an operation, or _Outputs if it has several."""
        raise NotImplementedError(operation.label)

    # A phase.

    @value.register(beam_nodes.CreateSavedModel)
    def _(self, operation: beam_nodes.CreateSavedModel, *bindings: impl._TensorBinding) -> Path:
        """Writes the SavedModel of a phase with the results so far, then runs all accumulations of the phase."""
        path = self._traced.folder / f"saved_model_{self._models}"
        self._models += 1
        signature = operation.output_signature
        tensors_only = all(isinstance(tensor, tf.Tensor) for tensor in signature.values())
        user_function.call(
            impl_helper.trace_and_write_v2_saved_model,
            str(path),
            self._traced.function,
            self._traced.specs,
            str(self._traced.folder),
            self._traced.fingerprint,
            impl._get_tensor_replacement_map(None, *bindings) if bindings else None,
            {key: tensor.name for key, tensor in signature.items()} if tensors_only else {},
            None,
        )
        self._accumulate(operation.label, path)
        return path

    def _accumulate(self, phase: str, model: Path) -> None:
        """Runs a phase over all files and merges the accumulators; memory does not grow with the number of files."""
        work = dict(self._plan.work(phase, self._source, self._cache))
        shards = [
            Shard(model, self._source.reader, cloudpickle.dumps([(path, work[path]) for path in group]))
            for group in fold.groups(work)
        ]
        accumulations = [item for of_file in work.values() for item in of_file]
        total = self._engine.fold(accumulating.accumulate, accumulating.merger(accumulations), shards)
        if total is None:
            return
        if self._cache is not None:
            self._cache.record_sizes(total.sizes)
        # An operation has a node for each data set. Later all are joined, so the first one gets the merged accumulator.
        for item in accumulations:
            if item.operation in total.accumulators:
                self._accumulators[item.label] = total.accumulators.pop(item.operation)

    @value.register(beam_nodes.ExtractInputForSavedModel)
    @value.register(beam_nodes.ApplySavedModel)
    @value.register(beam_nodes.ExtractFromDict)
    def _(self, operation: OperationDef, *_: Value) -> None:
        return None  # the workers do this

    @value.register(analyzer_nodes.CacheableCombineAccumulate)
    @value.register(analyzer_nodes.CacheableCombinePerKeyAccumulate)
    @value.register(analyzer_nodes.VocabularyAccumulate)
    def _(self, operation: OperationDef, _: Value) -> list[Accumulator]:
        return self._accumulators.pop(operation.label, [])

    @value.register(beam_nodes.CreateTensorBinding)
    def _(self, operation: beam_nodes.CreateTensorBinding, value: Value) -> impl._TensorBinding:
        return impl._TensorBinding(value, operation.tensor_name, operation.dtype_enum, operation.is_asset_filepath)

    # Caches.

    @value.register(beam_nodes.Flatten)
    def _(self, operation: OperationDef, *collections: list[Value]) -> list[Value]:
        return [item for collection in collections for item in collection]

    @value.register(analyzer_nodes.DecodeCache)
    def _(self, operation: analyzer_nodes.DecodeCache) -> list[Accumulator]:
        assert self._cache is not None
        return self._cache.decode(operation)

    # Combiners.

    @value.register(analyzer_nodes.CacheableCombineMerge)
    def _(self, operation: analyzer_nodes.CacheableCombineMerge, parts: list[Accumulator]) -> Value:
        return operation.combiner.extract_output(accumulators.merge(operation.combiner, parts))

    @value.register(analyzer_nodes.ExtractCombineMergeOutputs)
    def _(self, operation: analyzer_nodes.ExtractCombineMergeOutputs, outputs: Sequence[Value]) -> "_Outputs":
        if len(outputs) != operation.num_outputs:
            raise ValueError(f"{operation.label}: expected {operation.num_outputs} outputs, received {len(outputs)}")
        return _Outputs(outputs)

    @value.register(analyzer_nodes.FlattenLists)
    def _(self, operation: OperationDef, elements: Iterable[Value]) -> list[Value]:
        return list(elements)

    @value.register(analyzer_nodes.CacheableCombinePerKeyMerge)
    def _(
        self,
        operation: analyzer_nodes.CacheableCombinePerKeyMerge,
        parts: list[ByKey | list[tuple[bytes, Accumulator]]],
    ) -> list[tuple[bytes, Value]]:
        merged = accumulators.merge_per_key(operation.combiner, parts)
        return [(key, operation.combiner.extract_output(accumulator)) for key, accumulator in merged.items()]

    @value.register(analyzer_nodes.CacheableCombinePerKeyFormatKeys)
    def _(
        self, operation: analyzer_nodes.CacheableCombinePerKeyFormatKeys, outputs: list[tuple[bytes, Value]]
    ) -> "_Outputs":
        types = [info.dtype for info in operation.combiner.output_tensor_infos()]
        return _Outputs(output.value for output in analyzer_impls._merge_outputs_by_key(outputs, types))

    @value.register(analyzer_nodes.CacheableCombinePerKeyFormatLarge)
    def _(self, operation: OperationDef, outputs: list[tuple[bytes, np.ndarray]]) -> list[tuple[str, bytes]]:
        text = tf.compat.as_str_any
        return [(text(",".join(map(text, values))), key) for key, values in outputs]

    @value.register(analyzer_nodes.ScaleAndFlattenPerKeyBucketBouandaries)
    def _(self, operation: OperationDef, boundaries: np.ndarray) -> "_Outputs":
        return _Outputs(analyzer_impls._join_boundary_rows(boundaries))

    # Vocabularies.

    @value.register(analyzer_nodes.VocabularyMerge)
    def _(
        self, operation: analyzer_nodes.VocabularyMerge, parts: list[vocabularies.Accumulator | list[Pair]]
    ) -> vocabularies.Counts | list[Scored]:
        return vocabularies.merge(operation, parts)

    @value.register(analyzer_nodes.VocabularyPrune)
    def _(self, operation: analyzer_nodes.VocabularyPrune, merged: vocabularies.Counts | list[Scored]) -> list[Entry]:
        return vocabularies.prune(operation, merged)

    @value.register(analyzer_nodes.VocabularyCount)
    def _(self, operation: OperationDef, entries: vocabularies.Counts | list[Entry]) -> np.int64:
        return vocabularies.count(entries)

    @value.register(analyzer_nodes.ExtractVocabularyReservedTokens)
    def _(self, operation: analyzer_nodes.ExtractVocabularyReservedTokens) -> Sequence[bytes]:
        return list(tf_utils.fetch_vocabulary_reserved_tokens(self._traced.graph, operation.name))

    @value.register(analyzer_nodes.VocabularyOrderAndWrite)
    def _(
        self,
        operation: analyzer_nodes.VocabularyOrderAndWrite,
        entries: list[Entry],
        reserved: Sequence[bytes] | None = None,
    ) -> np.ndarray:
        path: np.ndarray = np.asarray(str(vocabularies.write(operation, entries, reserved, self._traced.folder)))
        return path


class _Outputs(tuple[Value, ...]):
    """The outputs of an operation that may have several; with a single one it is a tuple as well."""


def _cacheable(traced: Traced) -> set[str]:
    """Returns the labels of the operations whose accumulators TFT can cache."""
    labels: set[str] = set()

    class Labels(nodes.Visitor):  # type: ignore[misc]
        def validate_value(self, value: Value) -> None:
            pass

        def visit(self, operation: OperationDef, inputs: Sequence[Value]) -> tuple[Value, ...]:
            if operation.cache_coder is not None:
                labels.add(operation.label)
            return (None,) * int(operation.num_outputs)

    for sink in traced.graph.get_collection(analyzer_nodes.TENSOR_REPLACEMENTS):
        nodes.Traverser(Labels()).visit_value_node(sink.future)
    return labels
