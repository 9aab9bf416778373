"""Counts of a window's rows, or of training data, over a feature's bins. Shards are counted apart and merged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.monitoring.measures.bins import GROUPS, FeatureBins, texts
from penstock.components.monitoring.measures.combinations import Combinations
from penstock.components.monitoring.measures.distances import Indices

MOST_VALUES = 16  # of a row, counted each; more count as so many
_ROWS = 65_536  # whose groups are counted at once


@dataclass
class FeatureCounts:
    """Counts of one feature. `values` are over its bins, `lengths` are rows by how many values they have.

    Of text, `words` are rows by the words that they have, over its vocabulary.
    A row that has no value, or only such as are none (NaN), is missing, with length 0.
    """

    values: Indices
    lengths: Indices = field(default_factory=lambda: np.zeros(MOST_VALUES + 1, np.int64))
    words: Indices = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def empty(cls, bins: FeatureBins) -> "FeatureCounts":
        words = bins.vocabulary.size if bins.vocabulary else 0
        return cls(np.zeros(bins.size, np.int64), words=np.zeros(words, np.int64))

    def merge(self, other: "FeatureCounts") -> None:
        """Adds counts over the same bins."""
        self.values += other.values
        self.lengths += other.lengths
        self.words += other.words

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return int(self.lengths[0])

    @property
    def rows(self) -> int:
        """All rows."""
        return int(self.lengths.sum())

    @property
    def present(self) -> int:
        """Rows with a value: as many independent ones as there are, for values of one row are alike."""
        return self.rows - self.missing


@dataclass
class WindowCounts:
    """Counts of rows over bins. Small, whatever the number of rows, and what an engine folds over shards.

    joint: For each two of the features `paired`, how many rows are in which of their groups: a matrix with GROUPS rows
        and columns for each feature.
    rare: For each two of `combinations`, how many rows have a combination that training hardly has.
    """

    bins: Mapping[str, FeatureBins]
    paired: Sequence[str]
    features: dict[str, FeatureCounts]
    joint: Indices
    rows: int = 0
    combinations: Combinations = field(default_factory=Combinations)
    rare: Indices = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def empty(
        cls, bins: Mapping[str, FeatureBins], paired: Sequence[str] = (), combinations: Combinations | None = None
    ) -> "WindowCounts":
        features = {name: FeatureCounts.empty(one) for name, one in bins.items()}
        size = GROUPS * len(paired)
        known = combinations or Combinations()
        rare: Indices = np.zeros(len(known.pairs), np.int64)
        return cls(bins, tuple(paired), features, np.zeros((size, size), np.int64), 0, known, rare)

    def add(self, batch: pa.RecordBatch) -> None:
        """Counts a batch's rows, columns of lists. A feature that the batch lacks is missing in all of them.

        Raises a DataError that names a feature whose values are of another type; then nothing is counted.
        """
        placed = {name: _placed(bins, batch) for name, bins in self.bins.items()}  # all, before any is counted
        words = {name: _words(bins, batch) for name, bins in self.bins.items()}
        for name, bins in self.bins.items():
            values, lengths = placed[name]
            rows = np.bincount(np.minimum(lengths, MOST_VALUES), minlength=MOST_VALUES + 1)
            self.features[name].merge(FeatureCounts(np.bincount(values, minlength=bins.size), rows, words[name]))
        first = {name: _first(*placed[name]) for name in self.paired}
        groups = np.empty((batch.num_rows, len(self.paired)), np.int64)
        for index, name in enumerate(self.paired):
            groups[:, index] = np.append(self.bins[name].groups, GROUPS - 1)[first[name]]  # -1 is the last
        for start in range(0, batch.num_rows, _ROWS):
            self.joint += _joint(groups[start : start + _ROWS])
        self.rare += self.combinations.count(first)
        self.rows += batch.num_rows

    def merge(self, other: "WindowCounts") -> None:
        """Adds another shard's counts over the same bins."""
        for name, counts in other.features.items():
            self.features[name].merge(counts)
        self.joint += other.joint
        self.rare += other.rare
        self.rows += other.rows


def row_bins(bins: Mapping[str, FeatureBins], batch: pa.RecordBatch) -> Indices:
    """Returns for each row and feature the bin of its first value, -1 if it has none."""
    return np.stack([_first(*_placed(one, batch)) for one in bins.values()], axis=1)


def _placed(bins: FeatureBins, batch: pa.RecordBatch) -> tuple[Indices, Indices]:
    """Returns the bins of a feature's values, and how many of them each row has: none if the batch lacks it."""
    column = _column(bins, batch)
    if column is None:
        return np.zeros(0, np.int64), np.zeros(batch.num_rows, np.int64)
    lengths = _lengths(column)
    values = bins.place(pc.list_flatten(column))
    if (values < 0).any():
        rows = np.repeat(np.arange(len(lengths)), lengths)[values >= 0]
        values, lengths = values[values >= 0], np.bincount(rows, minlength=len(lengths))
    return values, lengths


def _words(bins: FeatureBins, batch: pa.RecordBatch) -> Indices:
    """Returns in how many rows each word is."""
    column = _column(bins, batch)
    if bins.vocabulary is None or column is None:
        return np.zeros(bins.vocabulary.size if bins.vocabulary else 0, np.int64)
    rows: Indices = np.repeat(np.arange(batch.num_rows), _lengths(column))
    return bins.vocabulary.count(texts(pc.list_flatten(column)), rows)


def _column(bins: FeatureBins, batch: pa.RecordBatch) -> pa.Array | None:
    """Returns a feature's lists, None if the batch has no value of it."""
    column = batch.column(bins.name) if bins.name in batch.schema.names else None
    return None if column is None or pa.types.is_null(column.type) else column


def _lengths(column: pa.Array) -> Indices:
    return np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False), np.int64)


def _first(values: Indices, lengths: Indices) -> Indices:
    """Returns each row's first value, -1 of a row that has none."""
    first: Indices = np.full(len(lengths), -1)
    present = lengths > 0
    first[present] = values[(np.cumsum(lengths) - lengths)[present]]
    return first


def _joint(groups: Indices) -> Indices:
    """Returns for each two columns how many rows are in which of their groups.

    Each group is a mask of bits, a bit for each row; what two groups share is counted word by word.
    """
    rows, columns = groups.shape
    if not columns:
        return np.zeros((0, 0), np.int64)
    masks = np.zeros((columns * GROUPS, 8 * -(-rows // 64)), np.uint8)
    for group in range(GROUPS):
        masks[group::GROUPS, : -(-rows // 8)] = np.packbits((groups == group).T, axis=1)
    words = masks.view(np.uint64)
    joint: Indices = np.zeros((len(words), len(words)), np.int64)
    for index, word in enumerate(words):
        joint[index, index:] = np.bitwise_count(word & words[index:]).sum(axis=1, dtype=np.int64)
    return joint + np.triu(joint, 1).T
