"""Transforms raw columns as a plan says, with tf.Transform: into dense tensors of static width.

The serving model uses the same graph. What is learnt from the training data (quantiles, means and vocabularies) is
constant in it.
"""

import functools
import math
from collections.abc import Mapping

import tensorflow as tf
import tensorflow_transform as tft

from penstock.core import csv_format
from penstock.core.labels import Label
from penstock.trainer.plan import dates, numbers
from penstock.trainer.plan.features import Categorical, Date, Feature, Numeric, Sparse, Text
from penstock.trainer.plan.plan import Plan

type Column = tf.Tensor | tf.SparseTensor | tf.RaggedTensor
type Tensors = Mapping[str, Column]

_EPSILON = 0.001  # the error of the quantiles' ranks
_DEVIATIONS = 4.0  # standard deviations from 0.5 to 0 and to 1
_DAY = 86400
_YEAR = 365.2425


def transform(plan: Plan, inputs: Tensors) -> dict[str, tf.Tensor]:
    """Returns the transformed features and the label, by name; the classes of plan.py describe their shapes."""
    outputs: dict[str, tf.Tensor] = {}
    for feature in plan.features:
        outputs |= apply(feature, inputs[feature.name])
    outputs[plan.label.output] = label(plan.label, inputs[plan.label.name])
    return outputs


@functools.singledispatch
def apply(feature: Feature, column: Column) -> dict[str, tf.Tensor]:
    """Returns the model inputs of a feature by name, made of its column; the feature's class has their shapes."""
    raise NotImplementedError(type(feature))


@apply.register
def numeric(feature: Numeric, column: Column) -> dict[str, tf.Tensor]:
    """Scales a number to [0, 1]: the second value of each row is 1 where the number is missing, or a text is none."""
    rows = _rows(column)
    if rows.dtype == tf.string:
        rows = rows.with_flat_values(_read(rows.flat_values, feature.origin))
    elif feature.origin:
        rows = rows.with_flat_values(_from(rows.flat_values, feature.origin))
    value, present = _one_number(rows, feature.of)
    scale = _quantiles if feature.transform == "quantiles" else _z_score
    return {feature.output: _number(scale(value, present, feature.bins), present)}


@apply.register
def categorical(feature: Categorical, column: Column) -> dict[str, tf.Tensor]:
    """Looks values up in the vocabulary of the training data; an empty string counts as missing."""
    rows = _rows(column)
    values = rows.flat_values
    if values.dtype.is_floating:
        values = tf.strings.as_string(values, shortest=True)
    ids = 1 + tft.compute_and_apply_vocabulary(
        _in_one_line(values) if values.dtype == tf.string else values,
        top_k=feature.vocabulary_size,
        frequency_threshold=feature.frequency_threshold,
        num_oov_buckets=feature.oov_buckets,
        vocab_filename=feature.output,
    )
    if values.dtype == tf.string:
        ids = tf.where(values == "", tf.zeros_like(ids), ids)
    return {feature.output: _padded(rows.with_flat_values(ids), feature.width)}


def _in_one_line(values: tf.Tensor) -> tf.Tensor:
    """Puts a space in place of line ends: a vocabulary has a line for each value, and TFT leaves out what has more."""
    return tf.strings.regex_replace(values, r"[\r\n]+", " ")


@apply.register
def text(feature: Text, column: Column) -> dict[str, tf.Tensor]:
    """Hashes lower-case words and their n-grams; several texts of a row are joined."""
    rows = _rows(column)
    joined = tf.strings.reduce_join(rows, axis=-1, separator=" ")
    words = tf.strings.split(tf.strings.regex_replace(tf.strings.lower(joined, "utf-8"), r"[^\pL\pN]+", " "))
    tokens = [words] + [tf.strings.ngrams(words, size) for size in range(2, feature.ngrams + 1)]
    grams = tf.concat(tokens, axis=1)
    ids = 1 + tf.strings.to_hash_bucket_fast(grams.flat_values, feature.hash_buckets)
    return {feature.output: _padded(grams.with_flat_values(ids), feature.width)}


@apply.register
def date(feature: Date, column: Column) -> dict[str, tf.Tensor]:
    """Makes days on a quantile scale, and a point on a circle for each of year, week and day, scaled to [0, 1]."""
    rows = _rows(column)
    moment, present = seconds(rows, feature.format, timed="day" in feature.parts)
    day = tf.math.floordiv(moment, _DAY)
    turns = {  # the share of each circle since 1 January of a mean year, since Monday, since midnight
        "year": tf.cast(day, tf.float64) / _YEAR,
        "week": tf.cast(tf.math.floormod(day + 3, 7), tf.float64) / 7,
        "day": tf.cast(tf.math.floormod(moment, _DAY), tf.float64) / _DAY,
    }
    outputs: dict[str, tf.Tensor] = {}
    for part in feature.parts:
        if part == "days":
            days = tf.cast(moment - feature.origin, tf.float64) / _DAY
            outputs[f"{feature.output}_days"] = _number(_quantiles(days, present, feature.bins), present)
            continue
        angle = 2 * math.pi * turns[part]
        for name, function in (("sin", tf.sin), ("cos", tf.cos)):
            outputs[f"{feature.output}_{part}_{name}"] = _number((function(angle) + 1) / 2, present)
    return outputs


@apply.register
def sparse(feature: Sparse, column: tf.SparseTensor) -> dict[str, tf.Tensor]:
    """Makes a bag of indices, or a number on a quantile scale for each index."""
    if feature.width:
        rows = tf.RaggedTensor.from_value_rowids(column.indices[:, 1] + 1, column.indices[:, 0], column.dense_shape[0])
        return {feature.output: _padded(rows, feature.width)}
    dense = tf.sparse.to_dense(tf.sparse.reorder(tf.cast(column, tf.float64)))
    dense = tf.reshape(dense, [-1, feature.size])
    present = tf.ones_like(dense[:, 0], tf.bool)
    return {name: _number(_quantiles(dense[:, i], present, 48), present) for i, name in enumerate(feature.outputs)}


def label(label: Label, column: Column) -> tf.Tensor:
    """Returns the label, [batch, 1]; penstock.core.labels.Label describes its type and missing values."""
    rows = _rows(column)
    if label.problem == "regression":
        value, _ = _one_number(rows, "value")
        value, missing = tf.cast(value, tf.float32), tf.constant(float("nan"), tf.float32)
        return tf.where(tf.math.is_finite(value), value, missing)[:, tf.newaxis]  # an infinite label has no loss
    values = rows.to_tensor(shape=[None, 1])
    same = tf.equal(values, tf.constant([label.classes], values.dtype)) & (rows.row_lengths() > 0)[:, tf.newaxis]
    index = tf.argmax(same, axis=1, output_type=tf.int64)[:, tf.newaxis]
    known = tf.reduce_any(same, axis=1, keepdims=True)
    if label.problem == "multiclass":
        return tf.where(known, index, -tf.ones_like(index))
    return tf.where(known, tf.cast(index, tf.float32), tf.constant(float("nan"), tf.float32))


def _rows(column: Column) -> tf.RaggedTensor:
    """Returns any column as [batch, (values)].

    Ragged tensors are not validated: the parser's columns are valid, and the checks would be most of the operations
    in a wide table's graph.
    """
    if isinstance(column, tf.SparseTensor):
        row_ids, rows = column.indices[:, 0], column.dense_shape[0]
        return tf.RaggedTensor.from_value_rowids(column.values, row_ids, rows, validate=False)
    if isinstance(column, tf.RaggedTensor):
        return column if column.ragged_rank == 1 else column.merge_dims(1, -1)
    values = tf.reshape(column, [-1])
    splits = tf.range(0, tf.size(values, tf.int64) + 1, math.prod(column.shape[1:]))
    return tf.RaggedTensor.from_row_splits(values, splits, validate=False)


def _one_number(rows: tf.RaggedTensor, of: int | str) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a number for each row, float64 [batch], and whether it is present; NaN is missing."""
    values = tf.cast(rows, tf.float64)
    if of == "value" or isinstance(of, int):
        place = of if isinstance(of, int) else 0
        nan = tf.constant(float("nan"), tf.float64)
        value = values.to_tensor(nan, shape=[None, place + 1])[:, place]
        return value, ~tf.math.is_nan(value)
    values = tf.ragged.boolean_mask(values, ~tf.math.is_nan(values))
    lengths = values.row_lengths()
    if of == "count":
        return tf.cast(lengths, tf.float64), tf.ones_like(lengths, tf.bool)
    reduce = {"mean": tf.reduce_mean, "min": tf.reduce_min, "max": tf.reduce_max}[str(of)]
    value = reduce(values, axis=1)
    return value, (lengths > 0) & ~tf.math.is_nan(value)  # the mean of both infinities is NaN


def _read(texts: tf.Tensor, origin: int) -> tf.Tensor:
    """Returns the numbers that texts hold, less the origin, as float64; NaN for a text that is no number."""
    texts = tf.strings.strip(texts)
    is_number = tf.strings.regex_full_match(texts, csv_format.NUMBER)
    values = tf.strings.to_number(tf.where(is_number, texts, "nan"), tf.float64) - origin
    if not origin:
        return values
    whole = tf.strings.regex_full_match(texts, numbers.WHOLE)
    integers = tf.strings.to_number(tf.where(whole, texts, str(origin)), tf.int64)
    return tf.where(whole, _from(integers, origin), values)


def _from(integers: tf.Tensor, origin: int) -> tf.Tensor:
    """Returns `integers - origin` as float64: exact near the origin, and without overflow, however large both are."""
    high = tf.bitwise.right_shift(integers, 32) - (origin >> 32)
    low = tf.bitwise.bitwise_and(integers, 0xFFFFFFFF) - (origin & 0xFFFFFFFF)
    return tf.cast(high, tf.float64) * 2.0**32 + tf.cast(low, tf.float64)


def _number(value: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Returns float32 [batch, 2]: the value, 0 where it is missing, and whether it is."""
    value = tf.where(present, value, tf.zeros_like(value))
    return tf.stack([tf.cast(value, tf.float32), tf.cast(~present, tf.float32)], axis=1)


def _quantiles(value: tf.Tensor, present: tf.Tensor, bins: int) -> tf.Tensor:
    """Returns values in [0, 1], linear between the training data's quantiles, which lie at equal distances.

    Equal quantiles count once. So each value of a number with few values has a place of its own.
    """
    seen = _seen(value, present)
    between = tf.squeeze(tft.quantiles(seen, bins, _EPSILON), 0)
    least, greatest = tft.min(seen), tft.max(seen)
    bounds, _ = tf.unique(tf.concat([tf.cast([least], tf.float32), between, tf.cast([greatest], tf.float32)], axis=0))
    bounds = tf.cast(bounds, tf.float64)
    last = tf.size(bounds) - 1
    # As tf.searchsorted does, but without reshaping for batches of bounds.
    above = tf.raw_ops.UpperBound(sorted_inputs=tf.expand_dims(bounds, 0), values=tf.expand_dims(value, 0))
    upper = tf.minimum(tf.squeeze(above, 0), last)
    lower = tf.maximum(upper - 1, 0)
    start, end = tf.gather(bounds, lower), tf.gather(bounds, upper)
    part = tf.clip_by_value(tf.math.divide_no_nan(value - start, end - start), 0.0, 1.0)
    place = tf.cast(lower, tf.float64) + part
    return tf.math.divide_no_nan(place, tf.cast(last, tf.float64))


def _z_score(value: tf.Tensor, present: tf.Tensor, _: int) -> tf.Tensor:
    """Returns values in [0, 1]: the mean is 0.5, and four standard deviations reach 0 and 1."""
    seen = _seen(value, present)
    score = tf.math.divide_no_nan(value - tft.mean(seen), tf.sqrt(tft.var(seen)))
    return tf.clip_by_value(0.5 + score / (2 * _DEVIATIONS), 0.0, 1.0)


def _seen(value: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Returns the values that are present and finite: as tf.boolean_mask, with a tenth of its operations."""
    return tf.gather_nd(value, tf.where(present & tf.math.is_finite(value)))


def _padded(ids: tf.RaggedTensor, width: int) -> tf.Tensor:
    """Returns ids as int64 [batch, width], cut off or padded with 0."""
    return tf.cast(ids, tf.int64).to_tensor(0, shape=[None, width])


def seconds(rows: tf.RaggedTensor, form: str, timed: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the seconds since 1970 of each row's first value, int64 [batch], and whether it is a valid date.

    form: a format of dates.py.
    timed: whether the time of day counts; without it, the seconds are those of midnight.
    """
    if form in dates.UNITS and rows.dtype.is_floating:
        value, _ = _one_number(rows, "value")
        present = tf.math.is_finite(value)
        return tf.cast(tf.where(present, value, tf.zeros_like(value)), tf.int64) // dates.UNITS[form], present
    present = rows.row_lengths() > 0
    if form in dates.UNITS:
        return rows.to_tensor(0, shape=[None, 1])[:, 0] // dates.UNITS[form], present
    written = rows if rows.dtype == tf.string else rows.with_flat_values(tf.strings.as_string(rows.flat_values))
    texts = written.to_tensor("", shape=[None, 1])[:, 0]
    pattern, places = dates.pattern(form)
    matched = tf.strings.regex_full_match(texts, pattern) & present

    def text(letter: str, default: str) -> tf.Tensor:
        if letter not in places:
            return tf.fill(tf.shape(texts), default)
        group = tf.strings.regex_replace(texts, f"^{pattern}$", rf"\{places[letter]}", replace_global=False)
        return tf.where(matched & (group != ""), group, tf.fill(tf.shape(texts), default))

    def part(letter: str, default: int) -> tf.Tensor:
        return tf.strings.to_number(text(letter, str(default)), tf.int64)

    year, month, day = part("Y", 1970), part("m", 1), part("d", 1)
    if "y" in places:
        year = part("y", 70)
        year += tf.where(year >= 69, tf.constant(1900, tf.int64), tf.constant(2000, tf.int64))
    if "b" in places:
        name = tf.strings.substr(tf.strings.lower(text("b", dates.MONTHS[0])), 0, 3)
        month = tf.cast(name[:, tf.newaxis] == dates.MONTHS, tf.int64) @ tf.range(1, 13, dtype=tf.int64)[:, tf.newaxis]
        month = month[:, 0]
    valid = matched & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= _month_days(year, month))
    midnight = _days(year, month, day) * _DAY
    if not timed:
        return midnight, valid
    hour, minute, second = part("H", 0), part("M", 0), part("S", 0)
    valid &= (hour <= 24) & (minute <= 59) & (second <= 60)
    if "p" in places:
        half = tf.strings.lower(tf.strings.substr(text("p", " "), 0, 1))
        noon = tf.where(half == "p", tf.constant(12, tf.int64), tf.constant(0, tf.int64))
        hour = tf.where((half != " ") & (hour <= 12), hour % 12 + noon, hour)
    return midnight + hour * 3600 + minute * 60 + second, valid


def _month_days(year: tf.Tensor, month: tf.Tensor) -> tf.Tensor:
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    lengths = 30 + (month + month // 8) % 2
    return tf.where(month == 2, tf.where(leap, lengths - 1, lengths - 2), lengths)


def _days(year: tf.Tensor, month: tf.Tensor, day: tf.Tensor) -> tf.Tensor:
    """Returns days since 1970-01-01 in the Gregorian calendar (Hinnant, chrono-compatible date algorithms)."""
    year = tf.where(month <= 2, year - 1, year)
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * tf.math.floormod(month + 9, 12) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146097 + day_of_era - 719468
