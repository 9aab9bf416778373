"""Examples as batches for training: read once and kept in memory where they fit, streamed from their files where not.

A batch of training is a function of (seed, epoch, step, batch size) alone, so a run that was killed and goes on at a
step sees what an uninterrupted one does, and workers that share a batch each take their part of the same one. Every
batch is whole: an epoch's last one is filled up with the epoch's first rows, so shapes are static (XLA, JAX) and every
row is seen.
"""

import hashlib
import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core.errors import DataError, SchemaError
from penstock.core.suggestions import did_you_mean
from penstock.trainer.data import memory, reader

# The share of the free memory that examples may take. The other half is for the model, its gradients and the moment
# when the parts of a column are joined.
MEMORY_SHARE = 0.5
_PARSED_AT_ONCE = 4096  # records; above some thousands the parser is no faster
_SHUFFLED = 65_536  # records that a streamed epoch mixes at a time, from files in an order of the epoch's own
_OPEN_FILES = 8
_BLOCK = 256  # records taken from one of them before the next has its turn
_PREFETCHED = 8  # batches
_GATHERED_AT_ONCE = 64 << 20  # bytes of rows, of which a whole epoch is gathered at once
logger = logging.getLogger(__name__)

type Batch = tuple[Any, ...]  # (inputs by name, label) or (inputs by name, label, weight)
type Preprocess = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Shard:
    """The part of every batch that one of several workers takes."""

    index: int = 0
    count: int = 1

    def part(self, batch_size: int) -> slice:
        """Returns which rows of a batch are this worker's; a batch is divided evenly."""
        size = batch_size // self.count
        return slice(self.index * size, (self.index + 1) * size)


class Data(ABC):
    """Rows of (inputs, label[, weight]): dense tensors with a static shape, the first dimension being the rows'.

    rows: their number, at least 1.
    fingerprint: 64 hexadecimal digits that other rows do not have; a checkpoint is used only with its own data.
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
        """Returns the shuffled batches of an epoch from step `skip_steps` on: `shard`'s part of each.

        There are `steps(batch_size)` of them, all of the same size; `batch_size` is the whole batch's.
        """

    @abstractmethod
    def once(self, batch_size: int) -> tf.data.Dataset:
        """Returns every row once, in the files' order; the last batch holds what is left."""

    def batch(self, batch_size: int, epoch: int, seed: int, step: int) -> Batch:
        """Returns one batch as NumPy arrays."""
        first: Batch = next(self.batches(batch_size, epoch, seed, step).as_numpy_iterator())
        return first


class InMemory(Data):
    """Rows held as one tensor for each column; a batch is gathered by a permutation of the epoch's."""

    def __init__(
        self, inputs: Mapping[str, Any], label: Any, weight: Any | None = None, *, fingerprint: str | None = None
    ):
        """Takes arrays whose first dimensions are equal; without a fingerprint, it is made of their bytes."""
        columns = (dict(inputs), label) if weight is None else (dict(inputs), label, weight)
        with tf.device("CPU"):  # where batches are gathered while a GPU trains
            self._columns: Batch = tf.nest.map_structure(tf.convert_to_tensor, columns)
        sizes = {int(column.shape[0]) for column in tf.nest.flatten(self._columns)}
        if len(sizes) != 1:
            raise ValueError(f"expected columns of one length, received {sorted(sizes)}")
        (self.rows,) = sizes
        if self.rows == 0:
            raise DataError("expected rows to train on, received none")
        self.size = sum(column.dtype.size * column.shape.num_elements() for column in tf.nest.flatten(self._columns))
        self.fingerprint = fingerprint or self._digest()

    def batches(
        self, batch_size: int, epoch: int, seed: int, skip_steps: int = 0, shard: Shard = Shard()
    ) -> tf.data.Dataset:
        order = np.random.default_rng([seed, epoch]).permutation(self.rows)
        steps = self.steps(batch_size)
        rows: npt.NDArray[np.int64] = np.resize(order, (steps, batch_size))[
            skip_steps:, shard.part(batch_size)
        ]  # starts again at its end
        if self.size <= _GATHERED_AT_ONCE:  # no graph is traced for it, which takes longer than an epoch of few rows
            return tf.data.Dataset.from_tensor_slices(self._rows(rows)).prefetch(_PREFETCHED)
        return tf.data.Dataset.from_tensor_slices(rows).map(self._rows, tf.data.AUTOTUNE).prefetch(_PREFETCHED)

    def once(self, batch_size: int) -> tf.data.Dataset:
        rows = tf.data.Dataset.range(self.rows).batch(batch_size)
        return rows.map(self._rows, tf.data.AUTOTUNE).prefetch(_PREFETCHED)

    def take(self, rows: npt.NDArray[np.int64]) -> "InMemory":
        """Returns the rows with these indices, in their order."""
        chosen = hashlib.sha256(np.ascontiguousarray(rows, np.int64)).hexdigest()
        return InMemory(*self._rows(rows), fingerprint=_joined(self.fingerprint, chosen))

    def arrays(self) -> Batch:
        """Returns all rows as NumPy arrays."""
        whole: Batch = tf.nest.map_structure(lambda column: column.numpy(), self._columns)
        return whole

    def _rows(self, rows: Any) -> Any:
        with tf.device("CPU"):
            return tf.nest.map_structure(lambda column: tf.gather(column, rows), self._columns)

    def _digest(self) -> str:
        total = hashlib.sha256()
        for column in tf.nest.flatten(self.arrays()):
            total.update(f"{column.dtype} {column.shape}".encode() + np.ascontiguousarray(column).tobytes())
        return total.hexdigest()


class Streamed(Data):
    """Rows that stay in their files: each epoch reads them in another order of files, mixed within a buffer."""

    def __init__(self, files: Sequence[str], parse: Callable[[Any], Any], rows: int, fingerprint: str):
        self._files, self._parse, self.rows, self.fingerprint = list(files), parse, rows, fingerprint

    def batches(
        self, batch_size: int, epoch: int, seed: int, skip_steps: int = 0, shard: Shard = Shard()
    ) -> tf.data.Dataset:
        generator = np.random.default_rng([seed, epoch])
        files = [self._files[index] for index in generator.permutation(len(self._files))]
        order = int(generator.integers(1 << 31))

        def mix(block: tf.Tensor, records: tf.Tensor) -> tf.Tensor:
            # tf.data's own shuffle depends on TensorFlow's global seed as well, and moves records one by one.
            numbers = tf.random.stateless_uniform([tf.size(records)], [order, block], alg="philox")
            return tf.gather(records, tf.argsort(numbers))

        part = shard.part(batch_size)
        size = batch_size // shard.count

        def parse(serialized: tf.Tensor) -> Any:
            return self._parse(tf.ensure_shape(serialized[part], [size]))

        blocks = _some_at_a_time(files, _BLOCK).rebatch(_SHUFFLED).enumerate().map(mix).prefetch(1)
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
    """Reads the tf.Examples of TFRecord files: into memory where they fit into `memory_share` of what is free.

    Args:
        file_patterns: glob patterns, such as fn_args.train_files.
        schema: of the tf.Examples; it says how they are parsed.
        inputs, label, weight: names of what a row consists of.
        preprocess: makes these out of a batch of parsed features, with TensorFlow operations; without it they are
            features of the schema.
        memory_share: 0 never keeps them.

    Raises a DataError if no file matches, the files hold no example, one does not fit the schema or `label` is not
    there, and a SchemaError for an input without a fixed shape.
    """
    started = time.monotonic()
    files = reader.matching_files(file_patterns)
    parse = _parser(schema, inputs, label, weight, preprocess)
    budget = int(memory.free() * memory_share)
    fingerprint = _fingerprint(files, [*inputs, label, weight or ""])
    try:
        columns = _load(files, parse, budget) if budget else None
        if columns is not None:
            kept: Data = InMemory(*columns, fingerprint=fingerprint)
            size = sum(column.nbytes for column in tf.nest.flatten(columns))
            how = f"in memory, {size / 1e6:,.1f} MB of the {budget / 1e6:,.0f} MB that they may take"
        else:
            kept = Streamed(files, parse, _count(files), fingerprint)
            how = f"streamed in each epoch: they do not fit into {budget / 1e6:,.0f} MB"
    except tf.errors.DataLossError as error:
        raise DataError(f"{file_patterns[0]}: a TFRecord file is damaged: {_first_line(error)}") from None
    except tf.errors.InvalidArgumentError as error:
        raise DataError(f"{file_patterns[0]}: an example does not fit the schema: {_first_line(error)}") from None
    if kept.rows == 0:
        raise _no_example(files)
    logger.info("%s: %s rows %s (%.1f s)", file_patterns[0], f"{kept.rows:,}", how, time.monotonic() - started)
    return kept


def _parser(
    schema: schema_pb2.Schema, inputs: Sequence[str], label: str, weight: str | None, preprocess: Preprocess | None
) -> Callable[[Any], Any]:
    """Returns a function from serialized tf.Examples, [batch], to (inputs, label[, weight])."""
    specs, names = reader.parsing_specs(schema)
    wanted = [*inputs, label, *([weight] if weight else [])]
    if preprocess is None:
        for name in wanted:
            _require(name, names.values())
        specs = {key: spec for key, spec in specs.items() if names[key] in wanted}

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]  # so that an error stays what it is
    def parse(serialized: tf.Tensor) -> Any:
        parsed = tf.io.parse_example(serialized, specs)
        features = {names[key]: tensor for key, tensor in parsed.items()}
        features = features if preprocess is None else preprocess(features)
        for name in wanted:
            tensor = features.get(name)
            if not isinstance(tensor, tf.Tensor) or not tensor.shape[1:].is_fully_defined():
                found = "nothing" if tensor is None else f"{type(tensor).__name__} {tensor.shape}"
                raise SchemaError(
                    f"{name!r}: expected a dense tensor with a fixed shape for each row, received {found}"
                )
        row = ({name: features[name] for name in inputs}, features[label])
        return (*row, features[weight]) if weight else row

    tf.function(parse).get_concrete_function(tf.TensorSpec([None], tf.string))  # a schema that does not do is told now
    parser: Callable[[Any], Any] = parse
    return parser


def _require(name: str, names: Any) -> None:
    if name not in names:
        hint = did_you_mean(name, sorted(names), "it has")
        raise DataError(f"the schema of the training data has no feature {name!r}; {hint}")


def _load(files: Sequence[str], parse: Callable[[Any], Any], budget: int) -> Any | None:
    """Returns all rows as arrays, in the files' order; None as soon as they take more than `budget` bytes."""
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
            columns_of_part[index] = None  # its memory is free before the next column is joined
    return tf.nest.pack_sequence_as(part, columns)


def _parsed(files: Sequence[str], parse: Callable[[Any], Any]) -> Iterator[Any]:
    names = tf.data.Dataset.from_tensor_slices(list(files))
    together = min(_OPEN_FILES, len(files))
    # Blocks of one batch from each file in turn would be no order of the files: a file is read to its end.
    batches = names.interleave(
        lambda name: reader.tfrecords(name).batch(_PARSED_AT_ONCE).map(parse),
        cycle_length=together,
        block_length=1 << 30,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return iter(batches.prefetch(2))


def _some_at_a_time(files: Sequence[str], records: int) -> tf.data.Dataset:
    """Returns serialized records of some files in turn, a part of one file in each element."""
    return tf.data.Dataset.from_tensor_slices(list(files)).interleave(
        lambda name: reader.tfrecords(name).batch(records),
        cycle_length=min(_OPEN_FILES, len(files)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _count(files: Sequence[str]) -> int:
    batches = _some_at_a_time(files, _PARSED_AT_ONCE)
    return int(batches.reduce(np.int64(0), lambda total, batch: total + tf.size(batch, tf.int64)).numpy())


def _fingerprint(files: Sequence[str], names: Sequence[str]) -> str:
    """A digest of the sizes of the files and of their first and last bytes.

    The last eight of a gzip file are a checksum of all that it holds and the length of it, so that a large file need
    not be read for it.
    """
    parts = list(names)
    for file in files:
        size = tf.io.gfile.stat(file).length
        with tf.io.gfile.GFile(file, "rb") as opened:
            head = opened.read(4096)
            opened.seek(max(0, size - 4096))
            parts.append(f"{size} {hashlib.sha256(head + opened.read(4096)).hexdigest()}")
    return _joined(*parts)


def _no_example(files: Sequence[str]) -> DataError:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return DataError(f"{files[0]}{more}: expected tf.Examples, found none")


def _joined(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _first_line(error: tf.errors.OpError) -> str:
    return str(error.message).strip().splitlines()[0]
