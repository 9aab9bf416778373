"""A feature of the training rows in their order, to divide them by: groups, or moments in time.

Transform keeps the order of files and rows, so a feature of ExampleGen's examples stands for the row at its place.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from penstock.core.errors import DataError
from penstock.core.examples import records
from penstock.trainer.fn_args import FnArgs
from penstock.trainer.plan import dates

_IN_ORDER = re.compile(r"\d{4}\b.*", re.ASCII | re.DOTALL)  # such as 2013-W05
logger = logging.getLogger(__name__)
_MISSING_SHOWN = "expected one value in each row, since rows are divided by it"


def labelled(fn_args: FnArgs, feature: str, label: str) -> npt.NDArray[Any]:
    """Returns the feature's values, [rows], of the training rows that have a label: those that are trained on.

    Raises a DataError if a row has none or several, or if there is no such feature.
    """
    files = fn_args.train_files or []
    there = np.array([_is_label(value) for value in _single(files, label)], bool)
    raw_files = getattr(fn_args, "raw_train_files", None) or files
    values = _single(raw_files, feature)
    if len(values) != len(there):
        raise DataError(
            f"cross_validation: expected as many rows in the raw examples as in the transformed ones, found "
            f"{len(values)} and {len(there)}"
        )
    kept = [value for value, is_there in zip(values, there, strict=True) if is_there]
    missing = sum(value is None for value in kept)
    if missing:
        raise DataError(f"cross_validation.feature {feature!r}: {_MISSING_SHOWN}; {missing} rows have none or several")
    return np.array(kept)


def in_time(feature: str, values: npt.NDArray[Any], form: str = "") -> npt.NDArray[Any]:
    """Returns what the feature's values are ordered by in time: numbers by themselves, dates by the moment they tell.

    form: how dates are written (dates.py), "" to find out. Other texts are in the order of time as they stand only if
    all are of one length and begin with the year. Raises a DataError for others, and for a date that is not read.
    """
    if form in dates.UNITS or (values.dtype.kind != "S" and not form):
        return values
    texts = [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]
    different = sorted(set(texts))
    if not form and (found := dates.written(different)):
        form = found.format
    if not form:
        if all(map(_IN_ORDER.fullmatch, texts)) and len({len(text) for text in texts}) == 1:
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
    return np.array([moments[text] for text in texts], "datetime64[s]")


def _single(file_patterns: Sequence[str], feature: str) -> list[Any]:
    """A feature's value in each row; None where there is none, or are several."""
    found: list[Any] = []
    for name in sorted(name for pattern in file_patterns for name in tf.io.gfile.glob(pattern)):
        for serialized in records.read(Path(name)):
            batch = records.decode(serialized)
            if feature in batch.schema.names:
                cells = batch.column(batch.schema.names.index(feature)).to_pylist()
            else:
                cells = [None] * len(serialized)
            found += [cell[0] if cell is not None and len(cell) == 1 else None for cell in cells]
    if all(value is None for value in found):
        raise DataError(f"cross_validation.feature: the examples have no feature {feature!r} with one value in a row")
    return found


def _is_label(value: Any) -> bool:
    """As the default model sees it: NaN, or -1 for a class, stands for a label that is missing."""
    return value is not None and value == value and not (isinstance(value, int) and value < 0)
