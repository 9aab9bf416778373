"""Vocabularies: TFT's operations from counting tokens to writing the file, without Beam.

The semantics are those of `tensorflow_transform/beam/analyzer_impls.py` (1.21), whose functions of single elements are
used unchanged. Counts and weights are in Arrow tables with the columns `token` and `value`. Mutual information needs a
vector for each token, which are in dictionaries.
"""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers, tf_utils
from tensorflow_transform.beam import analyzer_impls

from penstock.core import user_modules
from penstock.core.examples import records
from penstock.core.files import atomic, paths

_Order = analyzers._VocabOrderingType
_COUNTED = (_Order.FREQUENCY, _Order.WEIGHTED_FREQUENCY)
type Token = bytes | int
type Scored = tuple[tuple[float, Any], Token]  # as merged: (information, frequency) or (weight, labels), and the token
type Entry = tuple[int | float, bytes]  # of the vocabulary: count, weight or information, and the token
type Counts = pa.Table
type Values = dict[Token, Any]  # TFT's accumulators of weighted labels or of means, by token
type Accumulator = Counts | Values
type Pair = tuple[Token, Any]  # a token and its number or accumulator, as in TFT's cache


class Tokens:
    """Accumulates the tokens of one data set, by one of TFT's five orderings."""

    def __init__(self, ordering: int, input_dtype: str):
        self._ordering = ordering
        self._type = pa.large_binary() if input_dtype == tf.string.name else pa.int64()
        self._tables: list[pa.Table] = []
        self._values: Values = {}
        self._combiner = _means_combiner(ordering)

    def add(self, batch: tuple[np.ndarray, ...]) -> None:
        """Adds a batch: an array of tokens, then one each of weights, labels and counts, as the ordering needs them."""
        if self._ordering == _Order.FREQUENCY:
            counts = pa.array(batch[0].tolist(), self._type).value_counts()
            self._tables.append(_table(counts.field("values"), counts.field("counts")))
        elif self._ordering == _Order.WEIGHTED_FREQUENCY:
            tokens, weights = (column.tolist() for column in batch)
            self._tables.append(_table(pa.array(tokens, self._type), pa.array(weights, pa.float64())))
        elif self._ordering == _Order.WEIGHTED_LABELS:
            _combine_labels(self._values, analyzer_impls._flatten_value_and_labeled_weights_to_list_of_tuples(batch))
        else:
            weighted = self._ordering == _Order.WEIGHTED_MUTUAL_INFORMATION
            pairs = analyzer_impls._flatten_to_key_and_means_accumulator_list(batch, compute_weighted=weighted)
            _combine_means(self._values, pairs, self._combiner)
        if len(self._tables) > 16:  # so that memory is in proportion to the distinct tokens
            self._tables = [_sum(self._tables, self._type)]

    def result(self) -> Accumulator:
        """Returns the accumulator of all batches so far."""
        if self._ordering in _COUNTED:
            return _sum(self._tables, self._type)
        return self._values

    def entries(self, result: Accumulator) -> Iterable[Pair]:
        """Returns the (token, value) pairs of a result, as TFT's cache coder expects them."""
        if isinstance(result, dict):
            return result.items()
        return zip(result["token"].to_pylist(), result["value"].to_pylist(), strict=True)

    def merge(self, total: Accumulator, result: Accumulator) -> Accumulator:
        """Returns the sum of two results, in this order; tokens may then have several rows. Both may change."""
        if isinstance(total, dict):
            assert isinstance(result, dict)
            return _combine(total, result.items(), self._ordering, self._combiner)
        assert not isinstance(result, dict)
        if not total.num_rows or not result.num_rows:
            return total if total.num_rows else result
        table = pa.concat_tables([total, result])
        distinct = len(total["token"].chunk(0))  # in the last sum; the cost of a sum is in proportion to the rows
        return _sum([table], self._type).combine_chunks() if len(table) > 2 * distinct else table


def merge(
    operation: analyzer_nodes.VocabularyMerge, parts: Sequence[Accumulator | list[Pair]]
) -> Counts | list[Scored]:
    """Merges the accumulators of all data sets; a list of pairs comes from a cache.

    Returns counts or weights as a table. For mutual information it returns a list of ((information, frequency), token),
    for weighted labels one of (value, token).
    """
    ordering = operation.vocab_ordering_type
    total = combine(ordering, parts)
    if not isinstance(total, dict):
        return total
    if ordering == _Order.WEIGHTED_LABELS:
        return [(value, token) for token, value in total.items()]
    combiner = _means_combiner(ordering)  # its output is in float32, as Beam hands it on
    return _mutual_information(operation, {token: combiner.extract_output(value) for token, value in total.items()})


def combine(ordering: int, parts: Sequence[Accumulator | list[Pair]]) -> Accumulator:
    """Returns the sum of accumulators, in their order; a list of pairs comes from a cache."""
    if ordering in _COUNTED:
        tables: list[Counts] = [_from_pairs(part, ordering) if isinstance(part, list) else part for part in parts]
        tables = [table for table in tables if table.num_rows]
        return _sum(tables, tables[0].schema.field("token").type if tables else pa.large_binary())
    values: Values = {}
    combiner = _means_combiner(ordering)
    for part in parts:
        _combine(values, part.items() if isinstance(part, dict) else part, ordering, combiner)
    return values


def prune(operation: analyzer_nodes.VocabularyPrune, merged: Counts | list[Scored]) -> list[Entry]:
    """Returns the entries that pass the thresholds and top_k; with a key_fn, also those that cover each key."""
    kept = _select(
        merged,
        frequency=operation.frequency_threshold or 0,
        information=operation.informativeness_threshold,
        top_k=operation.top_k,
        dtype=operation.input_dtype,
    )
    if operation.key_fn is None:
        return kept
    covering = _select(
        merged,
        frequency=operation.coverage_frequency_threshold or 0,
        information=operation.coverage_informativeness_threshold,
        top_k=operation.coverage_top_k,
        dtype=operation.input_dtype,
        key_fn=operation.key_fn,
    )
    return list(dict.fromkeys([*kept, *covering]))


def count(entries: Counts | list[Entry]) -> np.int64:
    """Returns the size of a vocabulary: at least 1, because an empty one is written with a dummy token."""
    return np.int64(max(entries.num_rows if isinstance(entries, pa.Table) else len(entries), 1))


def write(
    operation: analyzer_nodes.VocabularyOrderAndWrite,
    entries: list[Entry],
    reserved: Sequence[bytes] | None,
    folder: Path,
) -> Path:
    """Writes the vocabulary with its entries ordered, the largest first or by fingerprint; returns its path.

    `reserved` holds the tokens that come first.
    """
    ordered = list(entries)
    if reserved is not None:
        reserved_set = set(reserved)
        ordered = [entry for entry in ordered if entry[1] not in reserved_set]
    if not operation.input_is_sorted or reserved is not None:
        if operation.fingerprint_shuffle:
            # Equal digests mean equal tokens, so the order does not depend on that of the input.
            ordered.sort(key=lambda entry: hashlib.sha1(entry[1]).digest())
        else:
            ordered.sort(reverse=True)
        ordered[:0] = [(-1, token) for token in reserved] if reserved is not None else []
        ordered = analyzer_impls.maybe_add_empty_vocabulary_dummy(ordered, operation.input_dtype)
    if operation.store_frequency:
        lines: Iterable[bytes] = (analyzer_impls._count_and_token_to_bytes(*entry) for entry in ordered)
    else:
        lines = (token for _, token in ordered)
    path = folder / paths.shortened(str(operation.vocab_filename))
    if operation.file_format == "tfrecord_gzip":
        path = path.with_name(f"{path.name}.tfrecord.gz")
        records.write(path, lines)
    else:
        atomic.write_bytes(path, b"".join(line + b"\n" for line in lines))
    return path


def _table(tokens: pa.Array, values: pa.Array) -> pa.Table:
    return pa.table({"token": tokens, "value": values})


def _sum(tables: Sequence[pa.Table], token_type: pa.DataType) -> pa.Table:
    """Returns a row for each token with the sum of its values; floats are added in the order of the tables."""
    if not tables:
        return _table(pa.array([], token_type), pa.array([], pa.int64()))
    grouped = pa.concat_tables(tables).group_by("token", use_threads=False).aggregate([("value", "sum")])
    return _table(grouped["token"], grouped["value_sum"])


def _from_pairs(pairs: list[Pair], ordering: int) -> pa.Table:
    tokens, values = [token for token, _ in pairs], [value for _, value in pairs]
    value_type = pa.int64() if ordering == _Order.FREQUENCY else pa.float64()
    token_type = pa.int64() if tokens and isinstance(tokens[0], int) else pa.large_binary()
    return _table(pa.array(tokens, token_type), pa.array(values, value_type))


def _combine(
    values: Values, items: Iterable[Pair], ordering: int, combiner: analyzer_impls._WeightedMeanCombineFn
) -> Values:
    if ordering == _Order.WEIGHTED_LABELS:
        _combine_labels(values, items)
    else:
        _combine_means(values, items, combiner)
    return values


def _combine_labels(into: Values, items: Iterable[Pair]) -> None:
    for token, value in items:
        into[token] = analyzer_impls.sum_labeled_weights([into.get(token, (0.0, [])), value])


def _combine_means(into: Values, items: Iterable[Pair], combiner: analyzer_impls._WeightedMeanCombineFn) -> None:
    for token, value in items:
        accumulator = into.get(token)
        into[token] = combiner.add_input(combiner.create_accumulator() if accumulator is None else accumulator, value)


def _means_combiner(ordering: int) -> analyzer_impls._WeightedMeanCombineFn:
    weighted = ordering == _Order.WEIGHTED_MUTUAL_INFORMATION
    return analyzer_impls._WeightedMeanCombineFn(output_shape=(None,), compute_weighted=weighted)


def _mutual_information(operation: analyzer_nodes.VocabularyMerge, values: Values) -> list[Scored]:
    """Returns ((mutual information, frequency), token) of each token; analyzer_impls has the formula and its source."""
    sentinels = (tf_utils.GLOBAL_Y_COUNT_SENTINEL_STRING, tf_utils.GLOBAL_Y_COUNT_SENTINEL_INT)
    total = next((values[token] for token in sentinels if token in values), None)
    if total is None:
        return []
    threshold = operation.min_diff_from_avg
    if threshold is None:
        threshold = analyzers.calculate_recommended_min_diff_from_avg(total.count * total.weight)
    entries: list[Scored] = []
    for item in values.items():
        if item[0] in sentinels:
            continue
        token, (information, _, frequency) = analyzer_impls._calculate_mutual_information_for_feature_value(
            item, total, use_adjusted_mutual_info=operation.use_adjusted_mutual_info, min_diff_from_avg=threshold
        )
        entries.append(((information, frequency), token))
    return entries


def _select(
    merged: Counts | list[Scored],
    *,
    frequency: float,
    information: float,
    top_k: int | None,
    dtype: str,
    key_fn: Callable[[bytes], Hashable] | None = None,
) -> list[Entry]:
    entries: list[tuple[int | float, Any]]
    if isinstance(merged, pa.Table):
        counts = merged.filter(pc.greater_equal(merged["value"], frequency)) if frequency > 0 else merged
        entries = _largest(counts, top_k if key_fn is None else None)
    else:
        bounded = frequency > 0 or information > float("-inf")
        kept = [item for item in merged if not bounded or (item[0][1] >= frequency and item[0][0] >= information)]
        entries = [(value[0], token) for value, token in kept]
    if dtype != tf.string.name:
        entries = [(value, str(token).encode() if isinstance(token, int) else token) for value, token in entries]
    if top_k is None:
        return entries
    if key_fn is None:
        return list(analyzer_impls.maybe_add_empty_vocabulary_dummy(sorted(entries, reverse=True)[:top_k], dtype))
    keyed: dict[Hashable, list[Entry]] = {}
    for value, token in entries:
        value = float(value) if isinstance(value, np.float64) else value
        keyed.setdefault(user_modules.call("key_fn", key_fn, token), []).append((value, token))
    return [entry for group in keyed.values() for entry in sorted(group, reverse=True)[:top_k]]


def _largest(counts: pa.Table, top_k: int | None) -> list[Entry]:
    """Returns the entries (value, token), the largest value first; of equal values the larger token, as text."""
    text = counts["token"]
    if pa.types.is_integer(text.type):
        text = pc.cast(pc.cast(text, pa.string()), pa.large_binary())
    counts = _table(text, counts["value"])
    order = [("value", "descending"), ("token", "descending")]
    indices = pc.sort_indices(counts, order) if top_k is None else pc.sort_indices(counts, order)[:top_k]
    counts = counts.take(indices)
    return list(zip(counts["value"].to_pylist(), counts["token"].to_pylist(), strict=True))
