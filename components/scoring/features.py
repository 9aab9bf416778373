"""What a model reads of a row, and which of it a file of rows has."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core.artifacts import SavedModel, read_schema
from penstock.core.cleaning.rules import Type
from penstock.core.errors import DataError, ModelError
from penstock.core.examples import records
from penstock.core.labels import Label
from penstock.core.models import cleaned, signatures
from penstock.core.models.loaded import SIGNATURE
from penstock.core.models.signatures import Signature
from penstock.core.suggestions import listed, nearest
from penstock.core.text import printable
from penstock.trainer.plan import date_cells
from penstock.trainer.plan.date_cells import DateCells

if TYPE_CHECKING:
    from penstock.core.cleaning.cleaning import Cleaning

Kind = Literal["number", "whole number", "text"]
_KINDS: dict[tf.DType, Kind] = {tf.float32: "number", tf.int64: "whole number", tf.string: "text"}
_OF_SCHEMA: dict[int, Kind] = {
    schema_pb2.FLOAT: "number",
    schema_pb2.INT: "whole number",
    schema_pb2.BYTES: "text",
}
_OF_RULES: dict[Type, Kind] = {"float": "number", "integer": "whole number", "text": "text"}
TYPES: dict[Kind, pa.DataType] = {"number": pa.float32(), "whole number": pa.int64(), "text": pa.large_binary()}
_SLIP = 0.8  # how like a name is to another that was plainly meant


@dataclass(frozen=True)
class Feature:
    """A column that the model reads. `count` is how many values a row has; None: any number of them.

    `date` is how a date is written; None where the column holds none, or the model does not say it.
    """

    name: str
    kind: Kind
    required: bool
    count: int | None = None
    date: DateCells | None = None


@dataclass(frozen=True)
class ModelInputs:
    """What a model reads, and all names that its data had, the label's among them.

    Without features nobody knows them: the model takes tf.Examples alone.
    """

    features: tuple[Feature, ...]
    known: frozenset[str]
    signature: Signature
    label: Label | None = None

    def require_features(self, model: Path, expected: str) -> None:
        """Raises a ModelError if nobody knows what the model reads, so that it takes no rows but as tf.Examples."""
        if not self.features:
            unknown = "neither the model nor a schema beside it names the columns that it reads"
            raise ModelError(f"{model}: {unknown}: expected {expected}")

    @classmethod
    def of(cls, folder: Path) -> "ModelInputs":
        """Reads them from a SavedModel's graph and the schema beside it.

        Raises a ModelError if the model's signature takes no serialized tf.Examples.
        """
        signature = _of_examples(folder, signatures.read(folder).get(SIGNATURE))
        label, dates, path = Label.read(folder), date_cells.read(folder), SavedModel(folder).schema
        schema = read_schema(path) if path.is_file() else schema_pb2.Schema()
        features = [
            Feature(name, _KINDS[parsed.dtype], parsed.required, _count(parsed.shape), dates.get(name))
            for name, parsed in signature.features.items()
            if parsed.dtype in _KINDS
        ] or [
            Feature(feature.name, _OF_SCHEMA[feature.type], required=False, date=dates.get(feature.name))
            for feature in schema.feature
            if feature.type in _OF_SCHEMA and not (label and feature.name == label.name)
        ]
        known = {feature.name for feature in schema.feature} | ({label.name} if label else set())
        cleaner = cleaned.cleaner(folder)
        if cleaner and features:
            features = _before_cleaning(features, cleaner.cleaning, label.name if label else "")
        return cls(tuple(features), frozenset(known), signature, label)


def _before_cleaning(features: Sequence[Feature], cleaning: "Cleaning", label: str) -> list[Feature]:
    """Returns the columns of rows that are cleaned before the model is asked."""
    before = [
        replace(
            feature,
            required=feature.required and feature.name not in cleaning.filled,
            kind="text" if feature.name in cleaning.converted else feature.kind,
        )
        for feature in features
        if feature.name not in cleaning.made
    ]
    there = {feature.name for feature in features} | {label}
    kinds = {name: kind for name, kind in cleaning.reads.items() if name not in there}
    return before + [Feature(name, _OF_RULES[kind], required=False) for name, kind in kinds.items()]


def _of_examples(folder: Path, signature: Signature | None) -> Signature:
    """Returns the signature if it takes serialized tf.Examples; else a ModelError says what it takes, and what to do.

    One of a string for each row may parse it in a way of its own, so it is given tf.Examples.
    """
    expected = f"the model at {folder}: expected a signature {SIGNATURE} that takes serialized tf.Examples, found"
    if signature is None:
        raise ModelError(f"{expected} none: save the model with signatures={{{SIGNATURE!r}: …}}")
    if [tensor.dtype for tensor in signature.inputs.values()] != [tf.string]:
        tensors = listed([f"{name} ({tensor.dtype.name})" for name, tensor in sorted(signature.inputs.items())])
        raise ModelError(
            f"{expected} one of the tensors {tensors}: `penstock serve {folder}` takes such in JSON, or save the model "
            "with a signature that parses tf.Examples by tf.io.parse_example"
        )
    if signature.parses_sequences:
        raise ModelError(
            f"{expected} one of tf.SequenceExamples, which files of rows do not hold: BulkInferrer asks it about the "
            f"examples of a pipeline, and `penstock predict {folder} --examples FILE` shows what it says of a TFRecord "
            "file's first ones"
        )
    return signature


def _count(shape: tuple[int, ...] | None) -> int | None:
    return None if shape is None else int(np.prod(shape))


@dataclass(frozen=True)
class Match:
    """Which of a model's features a file has, and what a person is told of the others and of other columns."""

    features: tuple[Feature, ...]
    notes: list[str] = field(default_factory=list)


def match(inputs: ModelInputs, names: Sequence[str], where: str, hint: str = "", has_more_names: bool = False) -> Match:
    """Compares a model's features with a file's columns; `hint` says what else may be wrong with the file.

    Where later rows may have more columns than `names`, all features are read, and each row tells what it lacks.

    Raises a DataError if a column is missing that every row must have, or one that another is plainly meant to be.
    """
    if not inputs.features:
        return Match(())
    missing = [feature for feature in inputs.features if feature.name not in names]
    read = {feature.name for feature in inputs.features}
    unknown = [name for name in names if name not in read and name not in inputs.known]
    required = [feature.name for feature in missing if feature.required]
    if required and not has_more_names:
        raise DataError(f"{where}: {_are_missing(required)}, which the model needs{_slips(required, unknown)}{hint}")
    slips = {feature.name: nearest(feature.name, unknown, _SLIP) for feature in missing}
    for name, slip in slips.items():
        if slip:
            raise DataError(
                f"{where}: there is no column {name!r}, but {slip!r}, which the model does not know: rename it, "
                "or leave it out if it is another"
            )
    notes = []
    if missing:
        where_missing = " in the first rows" if has_more_names else ": missing in every row"
        notes.append(_are_missing(list(slips)) + where_missing)
    if unknown:
        notes.append(f"columns that the model does not know, and ignores: {listed(unknown)}")
    return Match(tuple(one for one in inputs.features if has_more_names or one.name in names), notes)


def _are_missing(names: Sequence[str]) -> str:
    quoted = [repr(name) for name in names]
    return f"there is no column {quoted[0]}" if len(names) == 1 else f"there are no columns {listed(quoted)}"


def _slips(missing: Iterable[str], unknown: Sequence[str]) -> str:
    """Says which unknown columns may be the missing ones."""
    near = {name: nearest(name, unknown) for name in missing}
    pairs = [f"{slip!r} for {name!r}" for name, slip in near.items() if slip]
    return f" (is it {listed(pairs)}?)" if pairs else ""


def encode(
    columns: Mapping[str, pa.Array], features: Iterable[Feature], reasons: dict[int, str], rows: int
) -> tuple[list[bytes], pa.BooleanArray]:
    """Returns rows as serialized tf.Examples, and which rows these are: those for which there is no reason against.

    `columns` are lists of the features' types, `reasons` by the row's number; those of `check` are added.
    """
    for feature in features:
        check(feature, columns[feature.name], reasons)
    keep: np.ndarray = np.ones(rows, bool)
    keep[list(reasons)] = False
    mask = pa.array(keep)
    arrays = [without_empty(column.filter(mask)) for column in columns.values()]
    if not arrays:  # a model that needs nothing of these rows
        return [b""] * int(keep.sum()), mask
    return records.encode(pa.RecordBatch.from_arrays(arrays, list(columns)), skip_nulls=True), mask


def check(feature: Feature, column: pa.Array, reasons: dict[int, str]) -> None:
    """Adds to `reasons` why rows do not have as many values as the model takes, or a date that it does not read."""
    if feature.count is not None:
        _check_counts(feature, column, reasons)
    if feature.date:
        _check_dates(feature, feature.date, column, reasons)


def _check_dates(feature: Feature, written: DateCells, column: pa.Array, reasons: dict[int, str]) -> None:
    cells = pc.list_element(without_empty(column), 0).dictionary_encode()
    known = cells.dictionary.to_pylist()
    texts = [one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in known]
    is_read = written.reader()
    bad: np.ndarray = np.array([not is_read(text) for text in texts] + [False])  # the last where there is no value
    places = pc.fill_null(cells.indices, len(texts)).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(bad[places]).tolist():
        expected = f"expected a date such as {written.example()}, found {printable.value(texts[places[row]])}"
        reasons.setdefault(row, f"column {feature.name!r}: {expected}")


def _check_counts(feature: Feature, column: pa.Array, reasons: dict[int, str]) -> None:
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    wrong = lengths != feature.count
    if not feature.required:
        wrong &= lengths > 0
    values = "a value" if feature.count == 1 else f"{feature.count} values"
    for row in np.flatnonzero(wrong).tolist():
        received = f"{lengths[row]}" if lengths[row] else "none"
        reasons.setdefault(row, f"column {feature.name!r}: expected {values}, found {received}")


def without_empty(column: pa.Array) -> pa.Array:
    """Returns a list column with null in place of empty lists: a row without the feature, of which there is none."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    if lengths.all():
        return column
    offsets: np.ndarray = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    absent = pa.array(np.append(lengths == 0, False))
    return pa.LargeListArray.from_arrays(
        pa.array(offsets, mask=absent.to_numpy(zero_copy_only=False)), column.flatten()
    )
