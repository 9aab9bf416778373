"""TFT's analysis in process: its own graph of operations evaluated over an engine, phase by phase.

TFT traces a preprocessing function and builds a graph of operations that knows no engine
(`tensorflow_transform.beam.analysis_graph_builder.build`); Beam is one visitor of it, `Analysis` here another. A phase
is a SavedModel that computes the analyzers' inputs: a shard function applies it to files and returns accumulators, one
for each file and operation, which are merged here in the files' order. The next phase's SavedModel holds the results.

What each operation computes is what `tensorflow_transform/beam/analyzer_impls.py` and `impl.py` (1.21) compute.
"""

import contextlib
import functools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, impl_helper, nodes, tf_utils
from tensorflow_transform.beam import (
    analysis_graph_builder,
    analyzer_impls,
    beam_nodes,
    combiner_packing_util,
    impl,
)

from penstock.components.engines import Engine, fold
from penstock.components.transform import user_function
from penstock.components.transform.analysis import accumulating, accumulators, vocabularies
from penstock.components.transform.analysis.accumulating import Accumulation, Shard
from penstock.components.transform.analysis.cache import AnalyzerCache
from penstock.components.transform.reading import Reader
from penstock.components.transform.user_function import Traced

logger = logging.getLogger(__name__)
_ACCUMULATIONS = (
    analyzer_nodes.CacheableCombineAccumulate,
    analyzer_nodes.CacheableCombinePerKeyAccumulate,
    analyzer_nodes.VocabularyAccumulate,
)


class NeedsBeam(Exception):
    """The graph has an operation that only Beam can evaluate; its label is the argument."""


@dataclass(frozen=True)
class Source:
    """What is analyzed: files of tf.Examples, in order, and how they become tensors."""

    files: tuple[Path, ...]
    reader: Reader


def analyze(traced: Traced, source: Source, engine: Engine, cache: AnalyzerCache | None = None) -> Path:
    """Returns the folder of a SavedModel with all analyzers evaluated: TFT's `transform_fn`.

    Reads and fills `cache` unless it is None. Raises NeedsBeam for a custom PTransform analyzer, before any data is
    read. Memory is bounded by the accumulators of one shard per worker and by what the cache holds, whatever the rows.
    """
    if cache is not None and not cache.worthwhile(len(_cacheable(traced))):
        cache = None
    with _unpacked():
        future, cache_nodes, _ = analysis_graph_builder.build(
            traced.graph,
            traced.inputs,
            traced.outputs,
            [] if cache is None else cache.keys,
            cache_dict=None if cache is None else cache.available(),
        )
    plan = _Plan()
    traverser = nodes.Traverser(plan)
    traverser.visit_value_node(future)
    if cache is not None:
        plan.cache = cache.plan(cache_nodes or {}, plan.decoded)
    result = nodes.Traverser(_Evaluation(traced, source, engine, plan, cache)).visit_value_node(future)
    if cache is not None:
        cache.finish(plan.decoded)
    return Path(result)


@contextlib.contextmanager
def _unpacked() -> Iterator[None]:
    """Lets TFT's graph builder leave combiners as they are: packing them into one stage helps only Beam."""
    pack = combiner_packing_util.perform_combiner_packing_optimization
    combiner_packing_util.perform_combiner_packing_optimization = lambda future, cache_nodes, _: (future, cache_nodes)
    try:
        yield
    finally:
        combiner_packing_util.perform_combiner_packing_optimization = pack


@dataclass
class _Plan(nodes.Visitor):  # type: ignore[misc]
    """Finds, before anything is evaluated, what each phase accumulates over which data sets.

    The values of its visit are the labels of a phase's SavedModel, the data set's key beside it where they matter.
    """

    phases: dict[str, list[tuple[Any, Accumulation]]] = field(default_factory=dict)
    decoded: list[Any] = field(default_factory=list)
    cache: dict[str, tuple[Path, Any]] = field(default_factory=dict)  # by the label of the accumulation

    def validate_value(self, value: Any) -> None:
        pass

    def visit(self, operation: Any, inputs: Sequence[Any]) -> tuple[Any, ...]:
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
        """Returns what to accumulate over each file in a phase, in the files' order."""
        whole: list[Accumulation] = []
        single: dict[Any, list[Accumulation]] = {}
        for dataset_key, accumulation in self.phases.get(phase, []):
            cache_file, coder = self.cache.get(accumulation.label, (None, None))
            planned = replace(accumulation, cache_file=cache_file, coder=coder)
            (whole if dataset_key.is_flattened_dataset_key() else single.setdefault(dataset_key, [])).append(planned)
        keys = cache.keys_of_files if cache is not None else [None] * len(source.files)
        pairs = ((path, [*single.get(key, []), *whole]) for path, key in zip(source.files, keys, strict=True))
        return [(path, accumulations) for path, accumulations in pairs if accumulations]


class _Evaluation(nodes.Visitor):  # type: ignore[misc]
    """Evaluates every operation. A value that Beam would hold as a collection of accumulators is a list of them."""

    def __init__(self, traced: Traced, source: Source, engine: Engine, plan: _Plan, cache: AnalyzerCache | None):
        self._traced, self._source, self._engine, self._plan, self._cache = traced, source, engine, plan, cache
        self._accumulators: dict[str, list[Any]] = {}
        self._models = 0

    def validate_value(self, value: Any) -> None:
        pass

    def visit(self, operation: Any, inputs: Sequence[Any]) -> tuple[Any, ...]:
        value = self.value(operation, *inputs)
        return value if isinstance(value, _Outputs) else (value,)

    @classmethod
    def covers(cls, operation: Any) -> bool:
        """Whether there is a method for the operation."""
        dispatch = cls.__dict__["value"].dispatcher.dispatch
        return dispatch(type(operation)) is not dispatch(object)

    @functools.singledispatchmethod
    def value(self, operation: Any, *inputs: Any) -> Any:
        """Returns the value of an operation, or the tuple of them if it has several outputs."""
        raise NotImplementedError(operation.label)

    # A phase.

    @value.register(beam_nodes.CreateSavedModel)
    def _(self, operation: Any, *bindings: Any) -> Path:
        """Writes the phase's SavedModel with the results so far, then accumulates all that the phase can."""
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
        """Runs the phase over all files, and merges: what is in memory does not grow with the files."""
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
        # The nodes of an operation's data sets flow together: its first node stands for all that was read.
        for item in accumulations:
            if item.operation in total.accumulators:
                self._accumulators[item.label] = total.accumulators.pop(item.operation)

    @value.register(beam_nodes.ExtractInputForSavedModel)
    @value.register(beam_nodes.ApplySavedModel)
    @value.register(beam_nodes.ExtractFromDict)
    def _(self, operation: Any, *_: Any) -> None:
        return None  # done in the workers

    @value.register(analyzer_nodes.CacheableCombineAccumulate)
    @value.register(analyzer_nodes.CacheableCombinePerKeyAccumulate)
    @value.register(analyzer_nodes.VocabularyAccumulate)
    def _(self, operation: Any, _: Any) -> list[Any]:
        return self._accumulators.pop(operation.label, [])

    @value.register(beam_nodes.CreateTensorBinding)
    def _(self, operation: Any, value: Any) -> Any:
        return impl._TensorBinding(value, operation.tensor_name, operation.dtype_enum, operation.is_asset_filepath)

    # Caches.

    @value.register(beam_nodes.Flatten)
    def _(self, operation: Any, *collections: list[Any]) -> list[Any]:
        return [item for collection in collections for item in collection]

    @value.register(analyzer_nodes.DecodeCache)
    def _(self, operation: Any) -> list[Any]:
        assert self._cache is not None
        return self._cache.decode(operation)

    # Combiners.

    @value.register(analyzer_nodes.CacheableCombineMerge)
    def _(self, operation: Any, parts: list[Any]) -> Any:
        return operation.combiner.extract_output(accumulators.merge(operation.combiner, parts))

    @value.register(analyzer_nodes.ExtractCombineMergeOutputs)
    def _(self, operation: Any, outputs: Sequence[Any]) -> "_Outputs":
        if len(outputs) != operation.num_outputs:
            raise ValueError(f"{operation.label}: expected {operation.num_outputs} outputs, received {len(outputs)}")
        return _Outputs(outputs)

    @value.register(analyzer_nodes.FlattenLists)
    def _(self, operation: Any, elements: Any) -> list[Any]:
        return list(elements)

    @value.register(analyzer_nodes.CacheableCombinePerKeyMerge)
    def _(self, operation: Any, parts: list[Any]) -> list[tuple[bytes, Any]]:
        merged = accumulators.merge_per_key(operation.combiner, parts)
        return [(key, operation.combiner.extract_output(accumulator)) for key, accumulator in merged.items()]

    @value.register(analyzer_nodes.CacheableCombinePerKeyFormatKeys)
    def _(self, operation: Any, outputs: list[tuple[bytes, Any]]) -> "_Outputs":
        types = [info.dtype for info in operation.combiner.output_tensor_infos()]
        return _Outputs(output.value for output in analyzer_impls._merge_outputs_by_key(outputs, types))

    @value.register(analyzer_nodes.CacheableCombinePerKeyFormatLarge)
    def _(self, operation: Any, outputs: list[tuple[bytes, Any]]) -> list[tuple[str, bytes]]:
        text = tf.compat.as_str_any
        return [(text(",".join(map(text, values))), key) for key, values in outputs]

    @value.register(analyzer_nodes.ScaleAndFlattenPerKeyBucketBouandaries)
    def _(self, operation: Any, boundaries: np.ndarray) -> "_Outputs":
        return _Outputs(analyzer_impls._join_boundary_rows(boundaries))

    # Vocabularies.

    @value.register(analyzer_nodes.VocabularyMerge)
    def _(self, operation: Any, parts: list[Any]) -> Any:
        return vocabularies.merge(operation, parts)

    @value.register(analyzer_nodes.VocabularyPrune)
    def _(self, operation: Any, merged: Any) -> list[vocabularies.Entry]:
        return vocabularies.prune(operation, merged)

    @value.register(analyzer_nodes.VocabularyCount)
    def _(self, operation: Any, entries: Any) -> np.int64:
        return vocabularies.count(entries)

    @value.register(analyzer_nodes.ExtractVocabularyReservedTokens)
    def _(self, operation: Any) -> Sequence[bytes]:
        return list(tf_utils.fetch_vocabulary_reserved_tokens(self._traced.graph, operation.name))

    @value.register(analyzer_nodes.VocabularyOrderAndWrite)
    def _(self, operation: Any, entries: list[vocabularies.Entry], reserved: Sequence[bytes] | None = None) -> Any:
        return np.asarray(str(vocabularies.write(operation, entries, reserved, self._traced.folder)))


class _Outputs(tuple[Any, ...]):
    """The outputs of an operation whose number the combiner decides: one of them is still a tuple."""


def _cacheable(traced: Traced) -> set[str]:
    """Returns the labels of the operations whose accumulators TFT can cache."""
    labels: set[str] = set()

    class Labels(nodes.Visitor):  # type: ignore[misc]
        def validate_value(self, value: Any) -> None:
            pass

        def visit(self, operation: Any, inputs: Sequence[Any]) -> tuple[Any, ...]:
            if operation.cache_coder is not None:
                labels.add(operation.label)
            return (None,) * int(operation.num_outputs)

    for sink in traced.graph.get_collection(analyzer_nodes.TENSOR_REPLACEMENTS):
        nodes.Traverser(Labels()).visit_value_node(sink.future)
    return labels
