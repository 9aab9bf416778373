"""Batches of examples for training: kept in memory where they fit, else streamed from their files in each epoch.

A training batch depends on seed, epoch, step and batch size alone. So a training that was killed continues with the
batches that an uninterrupted one sees, and workers that share a batch each take their part of the same one. Every batch
is whole, since XLA and JAX want static shapes: the last batch of an epoch is filled up with the epoch's first rows.
"""

import hashlib
import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core.errors import DataError, SchemaError
from penstock.core.suggestions import did_you_mean
from penstock.trainer.data import memory, reader

# The share of the free memory that examples may take. The rest is for the model, its gradients, and the copy of a
# column that is made when its parts are joined.
MEMORY_SHARE = 0.5
_PARSED_AT_ONCE = 4096  # records; above some thousands the parser is no faster
_SHUFFLED = 65_536  # records that a streamed epoch shuffles at a time
_OPEN_FILES = 8  # that are read at once
_BLOCK = 256  # records read from one of them before the next has its turn
_PREFETCHED = 8  # batches
_GATHERED_AT_ONCE = 64 << 20  # bytes of an epoch that is gathered at once, not batch by batch
logger = logging.getLogger(__name__)

# (inputs by name, label) or (inputs by name, label, weight), as tensors or as NumPy arrays
type Batch = tuple[Any, ...]
type Features = dict[str, tf.Tensor | tf.SparseTensor | tf.RaggedTensor]
type Preprocess = Callable[[Features], Features]
type Parse = Callable[[tf.Tensor], Batch]


@dataclass(frozen=True)
class Shard:
    """The part of every batch that one of several workers takes.

    index: of the worker, from 0. count: the number of workers.
    """

    index: int = 0
    count: int = 1

    def part(self, batch_size: int) -> slice:
        """Returns which rows of a batch are this worker's; `count` must divide the batch size."""
        size = batch_size // self.count
        return slice(self.index * size, (self.index + 1) * size)


class Data(ABC):
    """Rows of (inputs, label[, weight]): dense tensors, whose shape for each row is static.

    rows: the number of rows, at least 1.
    fingerprint: a SHA-256 digest of the data; a checkpoint is used only with the data that it was made with.
    """

    rows: int
    fingerprint: str

    def steps(self, batch_size: int) -> int:
        """Returns the number of batches of an epoch."""
        return math.ceil(self.rows / batch_size)

    @abstractmethod
    def batches(
        self, batch_size: int, epoch: int, seed: int, skip_steps: int = 0, shard: Shard = Shard()
    ) -> tf.data.Dataset:
        """Returns the shuffled batches of an epoch, or of each the part that `shard` takes.

        They are `steps(batch_size) - skip_steps` batches of the same size. batch_size: rows of a whole batch.
        skip_steps: how many batches are left out at the start.
        """

    @abstractmethod
    def once(self, batch_size: int) -> tf.data.Dataset:
        """Returns every row once, in the order of the files; the last batch may be smaller."""

    def batch(self, batch_size: int, epoch: int, seed: int, step: int) -> Batch:
        """Returns one batch as NumPy arrays."""
        first: Batch = next(self.batches(batch_size, epoch, seed, step).as_numpy_iterator())
        return first


class InMemory(Data):
    """Rows held as one tensor for each column; the batches of an epoch follow a permutation of the rows."""

    def __init__(
        self,
        inputs: Mapping[str, np.ndarray | tf.Tensor],
        label: np.ndarray | tf.Tensor,
        weight: np.ndarray | tf.Tensor | None = None,
        *,
        fingerprint: str | None = None,
    ):
        """Takes arrays whose first dimensions are equal. The default of `fingerprint` is a digest of their bytes.

        Raises a ValueError for arrays of different lengths, a DataError for empty ones.
        """
        columns = (dict(inputs), label) if weight is None else (dict(inputs), label, weight)
        with tf.device("CPU"):  # which gathers batches while a GPU trains
            self._columns: Batch = tf.nest.map_structure(tf.convert_to_tensor, columns)
        sizes = {int(column.shape[0]) for column in tf.nest.flatten(self._columns)}
        if len(sizes) != 1:
            raise ValueError(f"expected columns of one length, received {sorted(sizes)}")
        (self.rows,) = sizes
        if self.rows == 0:
            raise DataError("expected rows to train on, received none")
        self.size = sum(column.dtype.size * column.shape.num_elements() for column in tf.nest.flatten(self._columns))
        self.fingerprint = fingerprint or self._digest_of_bytes()

    def batches(
        self, batch_size: int, epoch: int, seed: int, skip_steps: int = 0, shard: Shard = Shard()
    ) -> tf.data.Dataset:
        order = np.random.default_rng([seed, epoch]).permutation(self.rows)
        order = np.resize(order, (self.steps(batch_size), batch_size))  # which repeats the first rows at the end
        rows: npt.NDArray[np.int64] = order[skip_steps:, shard.part(batch_size)]
        if self.size <= _GATHERED_AT_ONCE:  # to trace a graph takes longer than an epoch of few rows
            return tf.data.Dataset.from_tensor_slices(self._rows(rows)).prefetch(_PREFETCHED)
        return tf.data.Dataset.from_tensor_slices(rows).map(self._rows, tf.data.AUTOTUNE).prefetch(_PREFETCHED)

    def once(self, batch_size: int) -> tf.data.Dataset:
        rows = tf.data.Dataset.range(self.rows).batch(batch_size)
        return rows.map(self._rows, tf.data.AUTOTUNE).prefetch(_PREFETCHED)

    def take(self, rows: npt.NDArray[np.int64]) -> "InMemory":
        """Returns the rows with these indices, in the order of the indices."""
        digest = hashlib.sha256(np.ascontiguousarray(rows, np.int64)).hexdigest()
        return InMemory(*self._rows(rows), fingerprint=_digest(self.fingerprint, digest))

    def arrays(self) -> Batch:
        """Returns all rows as NumPy arrays."""
        whole: Batch = tf.nest.map_structure(lambda column: column.numpy(), self._columns)
        return whole

    def _rows(self, rows: np.ndarray | tf.Tensor) -> Batch:
        with tf.device("CPU"):
            gathered: Batch = tf.nest.map_structure(lambda column: tf.gather(column, rows), self._columns)
        return gathered

    def _digest_of_bytes(self) -> str:
        total = hashlib.sha256()
        for column in tf.nest.flatten(self.arrays()):
            total.update(f"{column.dtype} {column.shape}".encode() + np.ascontiguousarray(column).tobytes())
        return total.hexdigest()


class Streamed(Data):
    """Rows that stay in their files: each epoch reads these in an order of its own, and shuffles within a buffer."""

    def __init__(self, files: Sequence[str], parse: Parse, rows: int, fingerprint: str):
        """`parse` makes a batch of serialized tf.Examples, [batch]; `rows` is the number of rows in all files."""
        self._files, self._parse, self.rows, self.fingerprint = list(files), parse, rows, fingerprint

    def batches(
        self, batch_size: int, epoch: int, seed: int, skip_steps: int = 0, shard: Shard = Shard()
    ) -> tf.data.Dataset:
        generator = np.random.default_rng([seed, epoch])
        files = [self._files[index] for index in generator.permutation(len(self._files))]
        order = int(generator.integers(1 << 31))

        def shuffle(block: tf.Tensor, records: tf.Tensor) -> tf.Tensor:
            # tf.data's shuffle depends on TensorFlow's global seed as well, and moves records one by one.
            numbers = tf.random.stateless_uniform([tf.size(records)], [order, block], alg="philox")
            return tf.gather(records, tf.argsort(numbers))

        part = shard.part(batch_size)
        size = batch_size // shard.count

        def parse(serialized: tf.Tensor) -> Batch:
            return self._parse(tf.ensure_shape(serialized[part], [size]))

        blocks = _interleaved(files, _BLOCK).rebatch(_SHUFFLED).enumerate().map(shuffle).prefetch(1)
        whole = blocks.repeat().rebatch(batch_size, drop_remainder=True)
        steps = self.steps(batch_size) - skip_steps
        return whole.skip(skip_steps).take(steps).map(parse, tf.data.AUTOTUNE).prefetch(_PREFETCHED)

    def once(self, batch_size: int) -> tf.data.Dataset:
        records = tf.data.Dataset.from_tensor_slices(self._files).flat_map(reader.tfrecords)
        return records.batch(batch_size).map(self._parse, tf.data.AUTOTUNE).prefetch(_PREFETCHED)


def read(
    file_patterns: Sequence[str],
    schema: schema_pb2.Schema,
    *,
    inputs: Sequence[str],
    label: str,
    weight: str | None = None,
    preprocess: Preprocess | None = None,
    memory_share: float = MEMORY_SHARE,
) -> Data:
    """Reads the tf.Examples of TFRecord files, into memory if they fit into a share of the free memory.

    Args:
        file_patterns: glob patterns, such as fn_args.train_files.
        schema: of the tf.Examples; they are parsed by it.
        inputs, label, weight: names of the tensors of a row.
        preprocess: makes these tensors out of a batch of parsed features, with TensorFlow operations. Without it, they
            are features of the schema.
        memory_share: the share of the free memory; with 0, rows are always streamed.

    Raises a DataError if no file matches, if the files hold no example or one that does not fit the schema, or if a
    name is not in the schema. Raises a SchemaError for a tensor without a fixed shape for each row.
    """
    started = time.monotonic()
    files = reader.matching_files(file_patterns)
    parse = _parser(schema, inputs, label, weight, preprocess)
    budget = int(memory.free() * memory_share)
    fingerprint = _fingerprint(files, [*inputs, label, weight or ""])
    try:
        columns = _load(files, parse, budget) if budget else None
        if columns is not None:
            data: Data = InMemory(*columns, fingerprint=fingerprint)
            size = sum(column.nbytes for column in tf.nest.flatten(columns))
            place = f"in memory, {size / 1e6:,.1f} MB of the {budget / 1e6:,.0f} MB that they may take"
        else:
            data = Streamed(files, parse, _count(files), fingerprint)
            place = f"streamed in each epoch: they do not fit into {budget / 1e6:,.0f} MB"
    except tf.errors.DataLossError as error:
        raise DataError(f"{file_patterns[0]}: a TFRecord file is damaged: {_first_line(error)}") from None
    except tf.errors.InvalidArgumentError as error:
        raise DataError(f"{file_patterns[0]}: an example does not fit the schema: {_first_line(error)}") from None
    if data.rows == 0:
        raise _no_example(files)
    logger.info("%s: %s rows %s (%.1f s)", file_patterns[0], f"{data.rows:,}", place, time.monotonic() - started)
    return data


def _parser(
    schema: schema_pb2.Schema, inputs: Sequence[str], label: str, weight: str | None, preprocess: Preprocess | None
) -> Parse:
    """Returns a function from serialized tf.Examples, [batch], to (inputs, label[, weight])."""
    specs, tensor_names = reader.parsing_specs(schema)
    names = [*inputs, label, *([weight] if weight else [])]
    if preprocess is None:
        for name in names:
            _require(name, tensor_names.values())
        specs = {key: spec for key, spec in specs.items() if tensor_names[key] in names}

    # AutoGraph would turn an error of `preprocess` into one of its own.
    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def parse(serialized: tf.Tensor) -> Batch:
        parsed = tf.io.parse_example(serialized, specs)
        features = {tensor_names[key]: tensor for key, tensor in parsed.items()}
        features = features if preprocess is None else preprocess(features)
        for name in names:
            tensor = features.get(name)
            if not isinstance(tensor, tf.Tensor) or not tensor.shape[1:].is_fully_defined():
                received = "nothing" if tensor is None else f"{type(tensor).__name__} {tensor.shape}"
                raise SchemaError(
                    f"{name!r}: expected a dense tensor with a fixed shape for each row, received {received}"
                )
        row = ({name: features[name] for name in inputs}, features[label])
        return (*row, features[weight]) if weight else row

    tf.function(parse).get_concrete_function(tf.TensorSpec([None], tf.string))  # so that an unfit schema fails here
    parser: Parse = parse
    return parser


def _require(name: str, names: Collection[str]) -> None:
    if name not in names:
        hint = did_you_mean(name, sorted(names), "it has")
        raise DataError(f"the schema of the training data has no feature {name!r}; {hint}")


def _load(files: Sequence[str], parse: Parse, budget: int) -> Batch | None:
    """Returns all rows as arrays, in the order of the files; None as soon as they take more than `budget` bytes."""
    parts, size = [], 0
    for part in _parsed(files, parse):
        parts.append([column.numpy() for column in tf.nest.flatten(part)])
        size += sum(column.nbytes for column in parts[-1])
        if size > budget:
            return None
    if not parts:
        raise _no_example(files)
    columns = []
    for index in range(len(parts[0])):
        columns.append(np.concatenate([columns_of_part[index] for columns_of_part in parts]))
        for columns_of_part in parts:
            columns_of_part[index] = None  # frees its memory before the next column is joined
    rows: Batch = tf.nest.pack_sequence_as(part, columns)
    return rows


def _parsed(files: Sequence[str], parse: Parse) -> Iterator[Batch]:
    names = tf.data.Dataset.from_tensor_slices(list(files))
    # A block is a whole file: shorter ones would mix the rows of several files.
    batches = names.interleave(
        lambda name: reader.tfrecords(name).batch(_PARSED_AT_ONCE).map(parse),
        cycle_length=min(_OPEN_FILES, len(files)),
        block_length=1 << 30,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return iter(batches.prefetch(2))


def _interleaved(files: Sequence[str], records: int) -> tf.data.Dataset:
    """Returns serialized records, taken from several files in turn; an element is a batch from one file."""
    return tf.data.Dataset.from_tensor_slices(list(files)).interleave(
        lambda name: reader.tfrecords(name).batch(records),
        cycle_length=min(_OPEN_FILES, len(files)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _count(files: Sequence[str]) -> int:
    batches = _interleaved(files, _PARSED_AT_ONCE)
    return int(batches.reduce(np.int64(0), lambda total, batch: total + tf.size(batch, tf.int64)).numpy())


def _fingerprint(files: Sequence[str], names: Sequence[str]) -> str:
    """Returns a digest of the names, and of each file's size and its first and last bytes.

    The last eight bytes of a gzip file are a checksum of its content and the content's length. So a large file need not
    be read.
    """
    parts = list(names)
    for file in files:
        size = tf.io.gfile.stat(file).length
        with tf.io.gfile.GFile(file, "rb") as opened:
            head = opened.read(4096)
            opened.seek(max(0, size - 4096))
            parts.append(f"{size} {hashlib.sha256(head + opened.read(4096)).hexdigest()}")
    return _digest(*parts)


def _no_example(files: Sequence[str]) -> DataError:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return DataError(f"{files[0]}{more}: expected tf.Examples, found none")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _first_line(error: tf.errors.OpError) -> str:
    return str(error.message).strip().splitlines()[0]
