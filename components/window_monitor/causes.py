"""What is likely behind a shift, in words: rows of the window beside rows of training."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.monitoring.measures import bins as binning
from penstock.components.monitoring.measures.bins import FeatureBins
from penstock.components.monitoring.measures.vocabulary import Vocabulary
from penstock.core.page import numbers
from penstock.core.text import printable

_QUANTILES = np.linspace(0.05, 0.95, 19)
_SAME = 0.12  # that most ratios of quantiles differ by, at most, if numbers are scaled
_LEAST_FACTOR = 0.04  # from which on numbers are scaled at all
_LEAST_OFFSET = 0.25  # of the spread between quartiles
_LEAST_MISSING = 0.01
_LEAST_WORDS = 0.02
_FEW = 30  # values: less say nothing
_SHOWN = 3
# Factors between units that people mix up, and the words for it.
_UNITS = (
    (10.0, "millimetres in place of centimetres"),
    (1.609344, "kilometres in place of miles"),
    (3.28084, "feet in place of metres"),
    (2.54, "centimetres in place of inches"),
    (2.204623, "pounds in place of kilograms"),
    (60.0, "minutes in place of hours, or seconds in place of minutes"),
    (3600.0, "seconds in place of hours"),
    (1000.0, "a unit a thousand times smaller"),
    (100.0, "percent in place of a share, or cents in place of dollars"),
)
_UNIT_PRECISION = 0.04
_KNOWN = 0.9  # of the values, from which on they are those of training in another unit
_BY_CHANCE = 0.5  # of them, at most, that a factor close by may turn into known ones
_DECIMALS = (0, 1, 2)  # that converted numbers may be rounded to

type _Doubles = npt.NDArray[np.float64]


def likely(bins: FeatureBins, before: pa.Table, after: pa.Table) -> str:
    """Returns a sentence about a feature; `before` and `after` are rows of training and of the window, lists."""
    if bins.name not in after.column_names or bins.name not in before.column_names or not after.num_rows:
        return ""
    old, new = (table[bins.name].combine_chunks() for table in (before, after))
    sentences = [_missing(old, new)]
    values = [_values(one) for one in (old, new)]
    if min(map(len, values)) >= _FEW:
        if bins.vocabulary:
            sentences += _of_words(bins.vocabulary, *(binning.texts(one) for one in values))
        sentences.append(_of_categories(*values) if bins.kind == "category" else _of_numbers(bins, *values))
    return " ".join(filter(None, sentences))


def _values(column: pa.Array) -> pa.Array:
    return pa.array([], pa.float64()) if pa.types.is_null(column.type) else pc.list_flatten(column).drop_null()


def _missing(old: pa.Array, new: pa.Array) -> str:
    before, after = (_missing_share(column) for column in (old, new))
    if abs(after - before) < _LEAST_MISSING:
        return ""
    shares = f"It is missing in {numbers.percentage(after)} of the rows, in training in {numbers.percentage(before)}"
    return shares + (": has its source failed?" if after > before else ".")


def _missing_share(column: pa.Array) -> float:
    if not len(column):
        return 0.0
    if pa.types.is_null(column.type):
        return 1.0
    return float(pc.mean(pc.equal(pc.fill_null(pc.list_value_length(column), 0), 0)).as_py())


def _of_numbers(bins: FeatureBins, old: pa.Array, new: pa.Array) -> str:
    if bins.kind == "text":
        old, new = pc.binary_length(old), pc.binary_length(new)
    if pa.types.is_large_binary(new.type) or pa.types.is_large_binary(old.type):
        return ""
    before, after = (column.cast(pa.float64()).to_numpy(zero_copy_only=False) for column in (old, new))
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if min(len(before), len(after)) < _FEW:
        return ""
    quantiles = np.quantile(before, _QUANTILES), np.quantile(after, _QUANTILES)
    if bins.kind == "text":
        return _scaled(*quantiles) or _moved(*quantiles, "Texts are")
    return _converted(before, after) or _scaled(*quantiles) or _moved(*quantiles, "Values are")


def _converted(before: _Doubles, after: _Doubles) -> str:
    """Says which unit the values are in, if a unit's factor makes known ones of them.

    Quantiles tell a factor only if nothing else has changed; values that repeat, such as distances between places, tell
    it whichever of them are frequent.
    """
    known = np.unique(before)
    rounded_to = (0.5 * 0.1**places for places in _DECIMALS if np.allclose(after, after.round(places), 0, 1e-9))
    tolerance = next(rounded_to, 0.0)
    for factor in (factor for size, _ in _UNITS for factor in (size, 1 / size)):
        if _known_share(after / factor, known, tolerance / factor) < _KNOWN:
            continue
        others = (1.0, factor * (1 - _UNIT_PRECISION), factor * (1 + _UNIT_PRECISION))
        if max(_known_share(after / other, known, tolerance / other) for other in others) <= _BY_CHANCE:
            times = numbers.number(max(factor, 1 / factor))
            return f"Values are {times} times {'larger' if factor > 1 else 'smaller'}{_unit(factor)}"
    return ""


def _known_share(values: _Doubles, known: _Doubles, tolerance: float) -> float:
    """Returns the share of the values beside which there is a known one, of which there are some, in their order."""
    above = np.searchsorted(known, values).clip(0, len(known) - 1)
    nearest = np.minimum(np.abs(known[above] - values), np.abs(values - known[np.maximum(above - 1, 0)]))
    return float((nearest <= tolerance + 1e-6 * np.abs(values)).mean())


def _scaled(before: _Doubles, after: _Doubles) -> str:
    """Says by which factor all quantiles differ, if they do by the same one."""
    nonzero = np.abs(before) > 1e-9 * np.abs(before).max(initial=0.0)
    if nonzero.sum() < len(before) // 2 or len(np.unique(before[nonzero])) < 4:
        return ""
    if (after[nonzero] * before[nonzero] <= 0).any():
        return ""
    factor = float(after[nonzero].sum() / before[nonzero].sum())
    offset = np.median(after - before)
    if np.abs(after - before - offset).mean() < np.abs(after - factor * before).mean():
        return ""  # all are higher, or lower, by the same amount, such as temperatures in summer
    deviations = np.abs(np.log(after[nonzero] / before[nonzero] / factor))
    if np.quantile(deviations, 0.8) > _SAME or abs(np.log(factor)) < _LEAST_FACTOR + 2 * np.median(deviations):
        return ""
    times = numbers.number(factor if factor > 1 else 1 / factor)
    return f"Values are {times} times {'larger' if factor > 1 else 'smaller'}{_unit(factor)}"


def _unit(factor: float) -> str:
    for size, words in _UNITS:
        if abs(factor / size - 1) < _UNIT_PRECISION:
            return f": {words}?"
        if abs(factor * size - 1) < _UNIT_PRECISION:
            return f": {words}, or the other way round?"
    return ": another unit?" if factor > 5 or factor < 0.2 else "."


def _moved(before: _Doubles, after: _Doubles, what: str) -> str:
    spread = float(np.subtract(*np.quantile(before, [0.75, 0.25]))) or float(np.ptp(before)) or 1.0
    differences = after - before
    offset = float(np.median(differences))
    middle = len(before) // 2
    old, new = (numbers.number(float(quantiles[middle])) for quantiles in (before, after))
    medians = f"the median is {new}, in training {old}"
    if abs(offset) > _LEAST_OFFSET * spread and np.abs(differences - offset).max() < _SAME * max(spread, abs(offset)):
        return f"{what} about {numbers.number(abs(offset))} {'higher' if offset > 0 else 'lower'}: {medians}."
    wider = float(np.ptp(after)) / (float(np.ptp(before)) or 1.0)
    if abs(offset) > _LEAST_OFFSET * spread:
        return f"{what} {'higher' if offset > 0 else 'lower'}: {medians}."
    if wider > 1.25 or wider < 0.8:
        return f"{what} spread {'wider' if wider > 1 else 'less'}; {medians}."
    return ""


def _of_words(vocabulary: Vocabulary, old: pa.Array, new: pa.Array) -> list[str]:
    """Names words that many texts have and training's had not, and the one of training's that has moved the most."""
    frequent = pa.array(Vocabulary.of(new).frequent, pa.large_string())
    unknown = frequent.filter(pa.array(vocabulary.is_new(frequent))).to_pylist()
    sentences = [f"New words in it: {', '.join(_quoted(word) for word in unknown[:_SHOWN])}."] if unknown else []
    before, after = (vocabulary.count(one, np.arange(len(one)))[:-1] / len(one) for one in (old, new))
    if not len(before) or np.abs(after - before).max() < _LEAST_WORDS:
        return sentences
    moved = int(np.abs(after - before).argmax())
    shares = [numbers.percentage(float(one[moved])) for one in (after, before)]
    return [
        *sentences,
        f"{_quoted(vocabulary.frequent[moved])} is in {shares[0]} of the texts, in training {shares[1]}.",
    ]


def _of_categories(old: pa.Array, new: pa.Array) -> str:
    before, after = (_shares(values) for values in (old, new))
    unknown = [value for value in after if value not in before]
    if like := _like_known(unknown, before):
        return like
    sentences = []
    if unknown and sum(after[value] for value in unknown) > _LEAST_MISSING:
        names = ", ".join(_quoted(value) for value in sorted(unknown, key=lambda one: -after[one])[:_SHOWN])
        sentences.append(f"New in it: {names}.")
    moved = max(before | after, key=lambda value: abs(after.get(value, 0.0) - before.get(value, 0.0)))
    share, share_before = (numbers.percentage(shares.get(moved, 0.0)) for shares in (after, before))
    sentences.append(f"{_quoted(moved)} is {share} of the values, in training {share_before}.")
    return " ".join(sentences)


def _shares(values: pa.Array) -> dict[str, float]:
    if pa.types.is_large_binary(values.type) or pa.types.is_binary(values.type):
        texts = [value.decode(errors="replace") for value in values.to_pylist()]
    else:
        texts = [str(value) for value in values.to_pylist()]
    return {value: count / len(texts) for value, count in Counter(texts).items()}


def _like_known(unknown: Sequence[str], known: dict[str, float]) -> str:
    """Says that new values are known ones in another writing, if most of them are."""
    plain = {value.strip().casefold() for value in known}
    alike = [value for value in unknown if value.strip().casefold() in plain]
    if not alike or 2 * len(alike) < len(unknown):
        return ""
    return f"Known values are written in another way, such as {_quoted(alike[0])}."


def _quoted(value: str) -> str:
    return f"'{printable.shortened(printable.printable(value), 40)}'"
