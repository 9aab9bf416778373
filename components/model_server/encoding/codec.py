"""The codecs of signatures: one for those that parse tf.Examples, one for those that take tensors."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from penstock.components.model_server.encoding import answers, tensors
from penstock.components.model_server.encoding.rows import B64, RowEncoder, decode_b64
from penstock.components.model_server.inference import JsonCodec, Kind, RequestError, ServedFeature
from penstock.core.models.signatures import Tensor
from penstock.core.suggestions import did_you_mean
from penstock.core.text import printable


def codec(
    inputs: Mapping[str, Tensor], features: Mapping[str, ServedFeature], known: Iterable[str], parses: bool
) -> JsonCodec:
    """Returns the codec of a signature.

    `features` are what it parses out of tf.Examples, `known` all names that rows may have; `parses` says whether it
    takes tf.Examples, which may be so although the features are not known.
    """
    if parses:
        (name,) = inputs
        return _ExamplesCodec(name, features, known)
    return _TensorsCodec(inputs)


class _Answers:
    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[object]:
        return answers.rows(outputs)

    def columns(self, outputs: Mapping[str, np.ndarray]) -> object:
        return answers.columns(outputs)


class _ExamplesCodec(_Answers):
    """Rows and columns of features are encoded; serialized tf.Examples are taken as they are."""

    def __init__(self, name: str, features: Mapping[str, ServedFeature], known: Iterable[str]):
        self._name = name
        self._features = features
        self._encoder = RowEncoder(features, known)

    def inputs_from_rows(self, rows: Sequence[object]) -> dict[str, np.ndarray]:
        return {self._name: self._examples(rows)}

    def inputs_from_columns(self, columns: object) -> dict[str, np.ndarray]:
        if isinstance(columns, Mapping):
            if [*columns] == [B64]:
                columns = [columns]
            elif [*columns] == [self._name] and self._name not in self._features:
                columns = columns[self._name]
            else:
                return {self._name: self._examples(_rows(columns))}
        if not isinstance(columns, list):
            raise RequestError(Kind.INVALID, f"expected an object of features, received {printable.value(columns)}")
        return self.inputs_from_rows(columns)

    def _examples(self, rows: Sequence[object]) -> np.ndarray:
        result: np.ndarray = np.empty(len(rows), dtype=object)
        for index, row in enumerate(rows):
            try:
                result[index] = self._example(row)
            except RequestError as error:
                if len(rows) == 1:
                    raise
                raise RequestError(error.kind, f"row {index + 1} of {len(rows)}: {error.sentence}") from None
        return result

    def _example(self, row: object) -> bytes:
        if isinstance(row, dict):
            if len(row) == 1:
                if self._name in row and self._name not in self._features:
                    row = row[self._name]
                if isinstance(row, dict) and B64 in row and B64 not in self._features:
                    try:
                        return decode_b64(row[B64])
                    except ValueError as error:
                        raise RequestError(Kind.INVALID, f"a serialized tf.Example: {error}") from None
            if isinstance(row, dict) and self._features:
                return self._encoder.encode(row)
        if self._features:
            expected = f"an object of features, such as {next(iter(self._features))!r}"
        else:
            expected = (
                'a serialized tf.Example, {"b64": …}, for neither the model nor a schema beside it names features'
            )
        raise RequestError(Kind.INVALID, f"expected {expected}; received {printable.value(row)}")


class _TensorsCodec(_Answers):
    """Each input is an array."""

    def __init__(self, inputs: Mapping[str, Tensor]):
        self._inputs = inputs
        self._only = next(iter(inputs)) if len(inputs) == 1 else None

    def inputs_from_rows(self, rows: Sequence[object]) -> dict[str, np.ndarray]:
        if self._only is not None and not self._is_named(rows[0] if rows else None):
            return {self._only: tensors.array(self._only, self._inputs[self._only], rows)}
        return self._arrays({name: [_value(row, name, self._inputs) for row in rows] for name in self._inputs})

    def inputs_from_columns(self, columns: object) -> dict[str, np.ndarray]:
        if self._only is not None and not self._is_named(columns):
            return {self._only: tensors.array(self._only, self._inputs[self._only], columns)}
        return self._arrays({name: _value(columns, name, self._inputs) for name in self._inputs})

    def _is_named(self, value: object) -> bool:
        """Whether a value is an object of inputs; of one input it may be the value itself, such as bytes."""
        return isinstance(value, dict) and [*value] != [B64]

    def _arrays(self, values: Mapping[str, object]) -> dict[str, np.ndarray]:
        return {name: tensors.array(name, self._inputs[name], of_input) for name, of_input in values.items()}


def _value(row: object, name: str, inputs: Mapping[str, Tensor]) -> object:
    """Returns an input's value of an object that has a value for each input, and no other."""
    if not isinstance(row, dict):
        raise RequestError(
            Kind.INVALID, f"expected an object of the inputs {', '.join(inputs)}; received {printable.value(row)}"
        )
    if name not in row:
        raise RequestError(Kind.INVALID, f"input {name!r} is missing")
    if len(row) > len(inputs):
        unknown = next(key for key in row if key not in inputs)
        raise RequestError(Kind.INVALID, f"unknown input {unknown!r}; {did_you_mean(str(unknown), inputs)}")
    return row[name]


def _rows(columns: Mapping[str, object]) -> list[dict[str, object]]:
    """Returns the rows of columns, which are lists of the same length."""
    lengths = set()
    for name, values in columns.items():
        if not isinstance(values, list):
            raise RequestError(
                Kind.INVALID,
                f"feature {name!r}: expected a list with a value for each row, received {printable.value(values)}",
            )
        lengths.add(len(values))
    if len(lengths) > 1:
        sizes = ", ".join(f"{name} {len(values)}" for name, values in columns.items() if isinstance(values, list))
        raise RequestError(Kind.INVALID, f"expected features with a value for each row, received {sizes}")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]  # type: ignore[call-overload]
