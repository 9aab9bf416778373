"""A model's outputs as columns: classes by their names, probabilities, numbers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import tensorflow as tf

from penstock.core.labels import Label
from penstock.core.models.signatures import Tensor

PREDICTION, PROBABILITY = "prediction", "probability"
_MOST_CLASSES = 50  # with a column each

type Outputs = Mapping[str, np.ndarray]


class Answers(ABC):
    """What is written of a model's outputs. Picklable."""

    schema: pa.Schema

    @abstractmethod
    def arrays(self, outputs: Outputs) -> list[pa.Array]:
        """Returns the columns of the schema, a row for each example."""


def of_model(label: Label | None, outputs: Mapping[str, Tensor]) -> Answers:
    """Returns what is written of a model: of one without code by its label, else of each of its outputs."""
    if label is None:
        return SignatureAnswers(outputs)
    return RegressionAnswers() if label.problem == "regression" else ClassAnswers(label)


class ClassAnswers(Answers):
    """The most probable class, its probability, and that of each class where there are up to fifty."""

    def __init__(self, label: Label):
        self._is_binary = label.problem == "binary"
        self._classes = pa.array([*label.classes])
        names = [f"{PROBABILITY}_{value}" for value in label.classes]
        self._all = names if len(names) <= _MOST_CLASSES else []
        fields = [(PREDICTION, self._classes.type), *((name, pa.float32()) for name in (PROBABILITY, *self._all))]
        self.schema = pa.schema(fields)

    def arrays(self, outputs: Outputs) -> list[pa.Array]:
        if self._is_binary:
            greater = outputs["probabilities"].reshape(-1)
            shares: np.ndarray = np.stack([1 - greater, greater], axis=1)
        else:
            shares = outputs["scores"]
        best = shares.argmax(axis=1)
        columns = [np.take_along_axis(shares, best[:, None], axis=1)[:, 0]]
        columns += [shares[:, index] for index in range(len(self._all))]
        predicted = self._classes.take(pa.array(best))
        return [predicted, *(pa.array(np.ascontiguousarray(column, np.float32)) for column in columns)]


class RegressionAnswers(Answers):
    """The predicted number."""

    schema = pa.schema([(PREDICTION, pa.float32())])

    def arrays(self, outputs: Outputs) -> list[pa.Array]:
        return [pa.array(outputs["predictions"].reshape(-1).astype(np.float32))]


class SignatureAnswers(Answers):
    """Each output by its name: one value, or a list of those that a row has."""

    def __init__(self, outputs: Mapping[str, Tensor]):
        self._single = {
            name: tensor.shape is not None and all(size == 1 for size in tensor.shape[1:])
            for name, tensor in sorted(outputs.items())
        }
        fields = []
        for name, single in self._single.items():
            kind = _type(outputs[name].dtype)
            fields.append((name, kind if single else pa.large_list(kind)))
        self.schema = pa.schema(fields)

    def arrays(self, outputs: Outputs) -> list[pa.Array]:
        return [
            _values(outputs[name].reshape(-1), self.schema.field(name).type) if single else self._lists(outputs[name])
            for name, single in self._single.items()
        ]

    def _lists(self, output: np.ndarray) -> pa.Array:
        rows = output.reshape(len(output), int(np.prod(output.shape[1:])))
        offsets: np.ndarray = np.arange(len(rows) + 1, dtype=np.int64) * rows.shape[1]
        return pa.LargeListArray.from_arrays(pa.array(offsets), _values(rows.reshape(-1), _type_of(output)))


def _type(dtype: tf.DType) -> pa.DataType:
    if dtype == tf.string:
        return pa.string()
    if dtype == tf.bfloat16 or dtype == tf.float16:
        return pa.float32()
    return pa.from_numpy_dtype(dtype.as_numpy_dtype)


def _type_of(output: np.ndarray) -> pa.DataType:
    return _type(tf.as_dtype(output.dtype))


def _values(flat: np.ndarray, kind: pa.DataType) -> pa.Array:
    if flat.dtype == object:
        return pa.array([value.decode(errors="replace") for value in flat.tolist()], kind)
    return pa.array(flat if pa.types.is_boolean(kind) else flat.astype(kind.to_pandas_dtype()), kind)


def clashes(answers: Answers, shown: Sequence[str]) -> list[str]:
    """Returns the columns of the answers that the data has already."""
    return [name for name in answers.schema.names if name in shown]
