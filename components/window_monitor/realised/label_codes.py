"""Labels as data has them, and as the evaluation compares them with predictions: the same, or as the model makes them.

No model is loaded: one without code says its classes, and of others the baseline has what they make of some labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.core.artifacts.evaluation_summary import Problem
from penstock.core.errors import DataError
from penstock.core.labels import Label

type Value = str | int | float  # of a label
type _Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelCodes:
    """What stands for each label; None where it is the label itself. Picklable."""

    numbers: Mapping[Value, float] | None
    whole: bool = False  # the numbers are places of classes

    @classmethod
    def of(cls, label: Label) -> Self:
        """Returns those of a model without code."""
        if label.problem == "regression":
            return cls(None)
        return cls({value: place for place, value in enumerate(label.classes)}, whole=label.problem == "multiclass")

    @classmethod
    def learnt(cls, labels: pa.Array, made: pa.Array, problem: Problem) -> Self:
        """Returns those that rows show: their labels, a value for each, and what the model makes of them.

        Raises a DataError if it does not make the same of the same label: then it looks at other features as well. So
        it does for other numbers of a regression, as these rows do not have all the numbers that may come.
        """
        known = labels.is_valid().to_numpy(zero_copy_only=False) & made.is_valid().to_numpy(zero_copy_only=False)
        mask = pa.array(known)
        values, numbers = values_of(labels.filter(mask)), made.filter(mask).to_numpy(zero_copy_only=False)
        if not pa.types.is_large_binary(labels.type) and np.array_equal(np.array(values, float), numbers):
            return cls(None)
        if problem == "regression":
            raise DataError("the model makes other numbers of its label")
        pairs = dict(zip(values, numbers.tolist(), strict=True))
        if any(pairs[value] != number for value, number in zip(values, numbers.tolist(), strict=True)):
            raise DataError("the model makes its label of other features as well")
        return cls(pairs, whole=bool(pa.types.is_integer(made.type)))

    def codes(self, labels: pa.Array) -> tuple[np.ndarray, _Bools]:
        """Returns what stands for labels, [labels, 1], and which of them the model knows."""
        if self.numbers is None:
            plain = labels.to_numpy(zero_copy_only=False)
            is_number = plain.dtype.kind == "f"
            return plain[:, None], ~np.isnan(plain) if is_number else np.ones(len(plain), bool)
        encoded = labels.dictionary_encode()
        values = values_of(encoded.dictionary)
        known: _Bools = np.array([value in self.numbers for value in values], bool)
        numbers: np.ndarray = np.array(
            [self.numbers.get(value, 0) for value in values], np.int64 if self.whole else np.float32
        )
        places = encoded.indices.to_numpy()
        return numbers[places][:, None], known[places]


def values_of(labels: pa.Array) -> list[Value]:
    """Returns labels as Python has them; bytes as text."""
    return [one.decode(errors="replace") if isinstance(one, bytes) else one for one in labels.to_pylist()]
