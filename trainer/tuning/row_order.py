"""Reads a feature of the training rows, by which cross-validation divides them: their groups or their times.

Transform keeps the order of files and rows. So values of ExampleGen's examples belong to the transformed rows at the
same positions.
"""

import itertools
import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from penstock.core.errors import DataError
from penstock.core.examples import records
from penstock.trainer.fn_args import FnArgs
from penstock.trainer.plan import dates

_YEAR_FIRST = re.compile(r"\d{4}\b.*", re.ASCII | re.DOTALL)  # such as 2013-W05
logger = logging.getLogger(__name__)

type Cell = bytes | int | float


def labelled(fn_args: FnArgs, feature: str, label: str) -> np.ndarray:
    """Returns the feature's values, [rows], of the training rows that have a label.

    They are read from `fn_args.raw_train_files`, or else from `fn_args.train_files`. Raises a DataError if there is no
    such feature, or if a row has no value or several.
    """
    files = fn_args.train_files or []
    has_label = [_is_label(value) for value in _single(files, label)]
    raw_files = getattr(fn_args, "raw_train_files", None) or files
    values = _single(raw_files, feature)
    if len(values) != len(has_label):
        raise DataError(
            f"cross_validation: expected as many rows in the raw examples as in the transformed ones, found "
            f"{len(values)} and {len(has_label)}"
        )
    column: np.ndarray = np.array(list(itertools.compress(values, has_label)))
    missing = sum(value is None for value in column.tolist())
    if missing:
        raise DataError(
            f"cross_validation.feature {feature!r}: expected one value in each row, since rows are divided by it; "
            f"{missing} rows have none or several"
        )
    return column


def in_time(feature: str, values: np.ndarray, form: str = "") -> np.ndarray:
    """Returns values whose order is the order in time: dates as datetime64, all others as they are.

    form: how dates are written (dates.py); with "", their format is detected.

    Texts that are no dates keep their order only if all have one length and begin with a year. Raises a DataError for
    other texts, and for a date that is not written in the format.
    """
    if form in dates.UNITS or (values.dtype.kind != "S" and not form):
        return values
    texts = [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]
    different = sorted(set(texts))
    if not form and (detected := dates.written(different)):
        form = detected.format
    if not form:
        if all(map(_YEAR_FIRST.fullmatch, texts)) and len({len(text) for text in texts}) == 1:
            return values
        raise DataError(
            f"cross_validation.feature {feature!r}: expected numbers, or dates in one format, which are in the order "
            f"of time, found texts such as {texts[0]!r}: give features.{feature}.format, or another feature"
        )
    moments = dict(zip(different, map(dates.reader(form), different), strict=True))
    unread = [text for text in texts if moments[text] is None]
    if unread:
        raise DataError(
            f"cross_validation.feature {feature!r}: expected a date in each row, written as {form}; {len(unread):,} "
            f"rows have others, such as {unread[0]!r}"
        )
    logger.info("cross-validation: rows are in the order of %s, read as %s", feature, form)
    times: np.ndarray = np.array([moments[text] for text in texts], "datetime64[s]")
    return times


def _single(file_patterns: Sequence[str], feature: str) -> list[Cell | None]:
    """Returns a feature's value in each row; None for a row with no value or with several."""
    values: list[Cell | None] = []
    for name in sorted(name for pattern in file_patterns for name in tf.io.gfile.glob(pattern)):
        for serialized in records.read(Path(name)):
            batch = records.decode(serialized)
            if feature in batch.schema.names:
                cells = batch.column(batch.schema.names.index(feature)).to_pylist()
            else:
                cells = [None] * len(serialized)
            values += [cell[0] if cell is not None and len(cell) == 1 else None for cell in cells]
    if all(value is None for value in values):
        raise DataError(f"cross_validation.feature: the examples have no feature {feature!r} with one value in a row")
    return values


def _is_label(value: Cell | None) -> bool:
    """Whether a transformed label is present: where it is missing, the default model has NaN, or -1 for a class."""
    return value is not None and value == value and not (isinstance(value, int) and value < 0)
