"""The slices of the examples of a batch, as integer codes.

Examples with the same values in the columns of a slicing spec are in the same of its slices. So each combination of
values is looked at once, by TFMA's slicer, and the examples get their slices by array operations.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import Extracts, TensorValueMaybeMultiLevelDict, VarLenTensorValue
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tensorflow_model_analysis.slicer import slice_accessor, slicer_lib
from tensorflow_model_analysis.utils import util

# Features and their values in TFMA's form, such as (("island", "Biscoe"), ("year", 2008)); () is the overall slice.
type SliceKey = tuple[tuple[str, str | int | float], ...]


@dataclass(frozen=True)
class Memberships:
    """Which examples of a batch are in which slices: `codes[starts[i]:starts[i + 1]]` are the slices of example i.

    A code is there several times for an example that a bootstrap sample has drawn several times.
    """

    starts: np.ndarray
    codes: np.ndarray

    def expand(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns pairs of a position in `rows`, which are examples of the batch, and the code of one of its slices."""
        counts = self.starts[rows + 1] - self.starts[rows]
        positions: np.ndarray = np.repeat(np.arange(len(rows)), counts)
        ends = np.cumsum(counts)
        within = np.arange(len(positions)) - np.repeat(ends - counts, counts)
        return positions, self.codes[np.repeat(self.starts[rows], counts) + within]


class Codes:
    """The codes of slices: 0, 1, 2 and so on, in the order in which the data has them."""

    def __init__(self) -> None:
        self._codes: dict[SliceKey, int] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def __iter__(self) -> Iterator[SliceKey]:
        return iter(self._codes)

    def of(self, key: SliceKey) -> int:
        """Returns the code of a slice, a new one if it has none."""
        return self._codes.setdefault(key, len(self._codes))


@dataclass(frozen=True)
class _Column:
    """A feature of the examples: a number for each distinct content, and the content of each number."""

    numbers: np.ndarray
    contents: Sequence[np.ndarray | None]


class Slicer:
    """Finds the slices of examples by the specs of an EvalConfig."""

    def __init__(self, config: EvalConfig, codes: Codes):
        self._config, self._codes = config, codes
        specs = [slicer_lib.SingleSliceSpec(spec=spec) for spec in config.slicing_specs]
        for crossing in config.cross_slicing_specs:
            specs.append(slicer_lib.SingleSliceSpec(spec=crossing.baseline_spec))
            specs += [slicer_lib.SingleSliceSpec(spec=spec) for spec in crossing.slicing_specs]
        self._specs = list(dict.fromkeys(specs)) or [slicer_lib.SingleSliceSpec()]
        self._known: dict[tuple[int, Hashable], np.ndarray] = {}
        self.features = {name for spec in self._specs for name in _names(spec)}

    def memberships(self, extracts: Extracts, rows: np.ndarray) -> Memberships:
        """Returns the slices of the examples at these positions of a batch."""
        sources = self._sources(extracts)
        columns = {
            (place, name): _column(source[name])
            for place, source in enumerate(sources)
            for name in sorted(self.features & source.keys())
            if source[name] is not None
        }
        parts = [self._of_spec(number, columns, rows, len(sources)) for number in range(len(self._specs))]
        examples = np.concatenate([part[0] for part in parts])
        codes = np.concatenate([part[1] for part in parts])
        pairs = np.unique(examples * np.int64(len(self._codes)) + codes)
        examples, codes = np.divmod(pairs, max(len(self._codes), 1))
        counts = np.bincount(examples, minlength=len(rows))
        starts: np.ndarray = np.concatenate([[0], np.cumsum(counts)])
        return Memberships(starts, codes)

    def _sources(self, extracts: Extracts) -> list[Mapping[str, TensorValueMaybeMultiLevelDict]]:
        """Returns where TFMA looks for a feature: in the transformed features of each model, then in the others."""
        features = util.get_features_from_extracts(extracts)
        transformed = extracts.get(constants.TRANSFORMED_FEATURES_KEY)
        if transformed is None:
            return [features]
        if len(self._config.model_specs) == 1:
            return [transformed, features]
        names = [spec.name for spec in self._config.model_specs if spec.name in transformed]
        return [*(transformed[name] for name in names), features]

    def _of_spec(
        self, number: int, columns: Mapping[tuple[int, str], _Column], rows: np.ndarray, sources: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns pairs of an example, counted by `rows`, and the code of one of its slices by a spec."""
        spec = self._specs[number]
        used = {key: column for key, column in columns.items() if key[1] in _names(spec)}
        numbers: np.ndarray = np.zeros(len(rows), np.int64)
        for column in used.values():
            numbers = numbers * len(column.contents) + column.numbers[rows]
            _, numbers = np.unique(numbers, return_inverse=True)
        distinct, first, numbers = np.unique(numbers, return_index=True, return_inverse=True)
        combinations = []
        for row in rows[first]:
            contents = {key: column.contents[column.numbers[row]] for key, column in used.items()}
            identity = (number, tuple((key, _hashable(value)) for key, value in contents.items()))
            if identity not in self._known:
                self._known[identity] = self._coded(spec, contents, sources)
            combinations.append(self._known[identity])
        counts = np.array([len(codes) for codes in combinations], np.int64)
        members = Memberships(
            np.concatenate([[0], np.cumsum(counts)]), np.concatenate([np.zeros(0, np.int64), *combinations])
        )
        return members.expand(numbers) if len(distinct) else (np.zeros(0, np.int64), np.zeros(0, np.int64))

    def _coded(
        self, spec: slicer_lib.SingleSliceSpec, contents: Mapping[tuple[int, str], np.ndarray | None], sources: int
    ) -> np.ndarray:
        dicts = [
            {name: value for (place, name), value in contents.items() if place == number} for number in range(sources)
        ]
        accessor = slice_accessor.SliceAccessor(dicts[:-1], dicts[-1])
        keys = [tuple(map(tuple, key)) for key in spec.generate_slices(accessor)]
        codes: np.ndarray = np.array([self._codes.of(key) for key in keys], np.int64)
        return codes


def _names(spec: slicer_lib.SingleSliceSpec) -> set[str]:
    return {*spec._columns, *(name for name, _ in spec._features)}


def _column(value: TensorValueMaybeMultiLevelDict) -> _Column:
    if isinstance(value, np.ndarray) and value.ndim in (1, 2) and (value.ndim == 1 or value.shape[1] == 1):
        flat = value.reshape(-1)
        if value.dtype != object:
            distinct, numbers = np.unique(flat, return_inverse=True)
            return _Column(numbers, list(distinct[:, None]))
        coded = _coded_text(flat)
        if coded is not None:
            return coded
    contents = _lists(value) if isinstance(value, VarLenTensorValue) else _split(value)
    places: dict[Hashable, int] = {}
    numbers = np.array([places.setdefault(_hashable(content), len(places)) for content in contents], np.int64)
    _, first = np.unique(numbers, return_index=True)
    return _Column(numbers, [contents[row] for row in first])


def _coded_text(values: np.ndarray) -> _Column | None:
    try:
        coded = pa.array(values, pa.binary()).dictionary_encode()
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None  # not text alone
    if coded.indices.null_count:
        return None
    return _Column(coded.indices.to_numpy(), [np.array([text], object) for text in coded.dictionary.to_pylist()])


def _lists(value: VarLenTensorValue) -> list[np.ndarray]:
    counts = np.bincount(value.indices[:, 0], minlength=int(value.dense_shape[0]))
    return np.split(value.values, np.cumsum(counts)[:-1])


def _split(value: TensorValueMaybeMultiLevelDict) -> list[np.ndarray | None]:
    return [example.get("value") for example in util.split_extracts({"value": value})]


def _hashable(content: object) -> Hashable:
    return tuple(content.ravel().tolist()) if isinstance(content, np.ndarray) else repr(content)
