"""What a model has answered, as columns that are measured like features. It needs no TensorFlow."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.monitoring.windows import columns
from penstock.components.monitoring.windows.payloads.bodies import UNNAMED
from penstock.core.labels import Label

PREDICTION, PROBABILITY = "prediction", "probability"
_ONLY = {"regression": "predictions", "binary": "probabilities"}
_OF_SCORES = (": place of the greatest", ": the greatest")
_NUMBERS = pa.float32()
_TEXTS = pa.large_binary()


@dataclass(frozen=True)
class Predictions:
    """How the outputs of a model become columns of lists, by their names.

    Of classes these are `prediction`, the most probable one, and `probability`, of the second class of two, else of the
    predicted one; of a regression `prediction`. Of a model of somebody's own there is a column for each output; of one
    with several numbers in each row, as of scores, their greatest and its place.
    """

    label: Label | None = None

    def columns(self, outputs: Mapping[str, pa.Array]) -> pa.RecordBatch:
        """Returns the predictions of some rows; columns whose outputs are missing are missing."""
        if self.label is None:
            made = {name: array for output in sorted(outputs) for name, array in _of_output(output, outputs[output])}
        elif self.label.problem == "regression":
            made = _numbers(outputs, "predictions", PREDICTION)
        elif self.label.problem == "binary":
            made = self._of_two(_numbers(outputs, "probabilities", PROBABILITY))
        else:
            made = self._of_scores(outputs)
        return pa.RecordBatch.from_arrays(list(made.values()), list(made))

    def named(self, outputs: Mapping[str, pa.Array], columns: Iterable[str]) -> Mapping[str, pa.Array]:
        """Returns outputs with a name for the only one, where a response has none: `columns` are the baseline's."""
        if [*outputs] != [UNNAMED]:
            return outputs
        if self.label:
            return {_ONLY.get(self.label.problem, "scores"): outputs[UNNAMED]}
        names = {functools.reduce(str.removesuffix, _OF_SCORES, column) for column in columns}
        return {names.pop(): outputs[UNNAMED]} if len(names) == 1 else outputs

    def _of_two(self, made: dict[str, pa.Array]) -> dict[str, pa.Array]:
        if PROBABILITY not in made:
            return made
        values = pc.list_flatten(made[PROBABILITY]).to_numpy(zero_copy_only=False)
        counts = pc.fill_null(pc.list_value_length(made[PROBABILITY]), 0).to_numpy(zero_copy_only=False)
        known = ~np.isnan(values)  # NaN is the probability of no class
        rows: npt.NDArray[np.int64] = np.repeat(np.arange(len(counts)), counts)
        chosen = self._classes().take(pa.array((values[known] > 0.5).astype(np.int64)))
        return {PREDICTION: columns.of_counts(np.bincount(rows[known], minlength=len(counts)), chosen), **made}

    def _of_scores(self, outputs: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        scores = _matrix(outputs.get("scores"))
        if scores is None or scores.shape[1] != len(self._classes()):
            return {}
        kept, best, greatest = _greatest(scores)
        return {
            PREDICTION: columns.of_counts(kept, self._classes().take(pa.array(best))),
            PROBABILITY: columns.of_counts(kept, greatest),
        }

    def _classes(self) -> pa.Array:
        assert self.label is not None
        return pa.array([str(value).encode() for value in self.label.classes], _TEXTS)


def _numbers(outputs: Mapping[str, pa.Array], output: str, name: str) -> dict[str, pa.Array]:
    return {name: columns.to_lists(outputs[output], _NUMBERS).column} if output in outputs else {}


def _of_output(name: str, output: pa.Array) -> list[tuple[str, pa.Array]]:
    numbers = _matrix(output)
    if numbers is None:
        return [(name, columns.to_lists(output, _TEXTS).column)]
    if numbers.shape[1] == 1:
        return [(name, _ones(pa.array(numbers[:, 0], _NUMBERS)))]
    kept, best, greatest = _greatest(numbers)
    places = pa.array([str(place).encode() for place in best.tolist()], _TEXTS)
    return [
        (f"{name}: place of the greatest", columns.of_counts(kept, places)),
        (f"{name}: the greatest", columns.of_counts(kept, greatest)),
    ]


def _greatest(numbers: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], pa.Array]:
    """Returns how many values each row has, 1 or, with NaN in it, 0; and of the others the place of the greatest.

    The third is these numbers themselves.
    """
    kept = ~np.isnan(numbers).any(axis=1)
    return kept.astype(np.int64), numbers[kept].argmax(axis=1), pa.array(numbers[kept].max(axis=1), _NUMBERS)


def _matrix(output: pa.Array | None) -> npt.NDArray[np.float32] | None:
    """Returns numbers with a row for each row, if all rows have as many, and at least one.

    Text is none, whatever it says: what a column is must not depend on the rows that come together.
    """
    if output is None or columns.is_text(output.type):
        return None
    lists = columns.to_lists(output, _NUMBERS)
    counts = pc.fill_null(pc.list_value_length(lists.column), 0).to_numpy(zero_copy_only=False)
    if lists.unfit or not len(counts) or not counts[0] or (counts != counts[0]).any():
        return None
    flat: npt.NDArray[np.float32] = lists.column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(counts), int(counts[0]))


def _ones(values: pa.Array) -> pa.LargeListArray:
    """Returns lists of one value each."""
    return columns.of_counts(np.ones(len(values), np.int64), values)
