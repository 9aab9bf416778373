"""A column as the schema and the statistics tell it: what the plan's rules ask for.

What is learnt of a column is of the split to train on. What a column is must hold in all splits: the statistics' other
datasets say what else there is (Column.elsewhere).
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from penstock.core import csv_format, labels
from penstock.core.artifacts import ExampleStatistics
from penstock.core.errors import DataError
from penstock.core.statistics import exact
from penstock.trainer.plan import dates, numbers

_MEDIA = ("image_domain", "url_domain", "mid_domain")
_NO_TEXT = ("__BYTES_VALUE__", "__LARGE_BYTES__")  # what TFDV writes for them
_WORDS = 3
_DIFFERENT = 0.9  # the share of distinct values from which a column's values all differ
_COUNTED = 4000  # integers that the statistics count exactly
_FEW = 50  # values that make an integer a category as well
_OFTEN = 25  # how often a value occurs that is a code
_APART = 4  # so many times as wide as they are many: ages and years, which lie close, are no codes
_FEW_TEXTS = 3  # such as NA and ?


@dataclass(frozen=True)
class Column:
    """A column of the training split. Of a column without statistics only the name and `rows` are known.

    `values` counts values, `present` rows that have one; `least`, `greatest`, `mean`, `median` and `deviation` are of
    numbers, the others of strings (and of integers that the schema declares categorical, which TFDV counts as strings).
    `least` and `greatest` of integers are `int`, unless they are large and the statistics know doubles only.
    """

    name: str
    rows: int
    is_string: bool = False
    is_integer: bool = False
    present: int = 0
    values: int = 0
    most_values: int = 1
    fixed: int = 0  # values in every row, where that is the same number above 1
    least: int | float = 0
    greatest: int | float = 0
    mean: float = 0.0
    median: float = 0.0
    deviation: float = 0.0
    distinct: int = 0  # integers; 0 where the statistics do not tell
    repeated: float | None = None  # the share of these that occur more than once
    unique: int = 0
    top_values: tuple[str, ...] = ()
    all_values: tuple[str, ...] = ()  # as far as the rank histogram goes
    counts: tuple[int, ...] = ()  # of all_values
    rare_words: tuple[str, ...] = ()  # strings that are no numbers, among those that all_values lacks as well
    average_length: float = 0.0
    natural_language: bool = False
    sparse_size: int = 0
    unreadable: str = ""
    split: str = ""  # of a column in `elsewhere`
    elsewhere: tuple["Column", ...] = ()  # the same column in the other splits, as far as there are statistics

    @property
    def is_number(self) -> bool:
        """Whether all values are numbers, also where TFDV counts them as strings."""
        return not self.is_string or self.is_integer

    @property
    def is_one(self) -> bool:
        """Whether no row has several values."""
        return self.most_values <= 1

    @property
    def span(self) -> int:
        """How many integers there are from the least to the greatest."""
        return int(self.greatest) - int(self.least) + 1

    @property
    def is_code(self) -> bool:
        """Whether it holds integers that may mean as much by being equal as by being large."""
        if not self.is_integer:
            return False
        often = 3 <= self.distinct <= min(_FEW, self.values / _OFTEN)
        return 3 <= self.span <= _FEW or (often and self.span > _APART * self.distinct)

    @property
    def all_differ(self) -> bool:
        """Whether no integer is there twice, as far as the statistics count them, or nearly no string."""
        if self.is_string:
            return self.unique > _DIFFERENT * self.values
        return self.distinct >= (1.0 if self.values <= _COUNTED else _DIFFERENT) * self.values > 0

    @property
    def constant(self) -> str:
        """The one value that all rows have which have any; "" if there are several."""
        if self.is_string:
            return repr(self.top_values[0]) if self.unique == 1 and self.top_values else ""
        rounded = self.is_integer and isinstance(self.least, float) and self.distinct != 1
        return exact.text(self.least) if self.values and self.least == self.greatest and not rounded else ""

    @property
    def label_values(self) -> labels.Values:
        """What is known of the values, if this is the label."""
        if self.is_string:
            return labels.Values("string", len(self.all_values) == 2)
        return labels.Values("integer" if self.is_integer else "float", self.two_values, self.least, self.greatest)

    @property
    def two_values(self) -> bool:
        """Whether there are two different numbers. The statistics count integers; floats tell it by their variance.

        It is as large as it can be if a number is always the least or the greatest. For a mean m between a and b that
        is (m - a)(b - m), of those two values only: Bhatia and Davis 2000.
        """
        if self.is_integer and self.distinct:
            return self.distinct == 2
        largest = (self.greatest - self.mean) * (self.mean - self.least)
        return largest > 0 and abs(self.deviation**2 - largest) <= 1e-6 * largest

    @property
    def wordy(self) -> bool:
        """Whether most strings have several words, and are too many, or too different, to be categories."""
        words = 2 if self.all_differ else _WORDS
        wordy = sum(len(value.split()) >= words for value in self.top_values)
        return (self.unique > 100 or self.all_differ) and 2 * wordy > len(self.top_values)

    @functools.cached_property
    def numbers(self) -> numbers.Written | None:
        """The numbers among strings, None if there are none."""
        if not self.is_string or self.is_integer:
            return None
        return numbers.written(self.all_values, self.counts, self.unique, self.values)

    @property
    def as_numbers(self) -> "Column | None":
        """The column as numbers, where it holds more numbers than other strings; None where it does not.

        Digits after a zero are no number but a code.
        """
        found = self.numbers
        if found is None or found.padded or 2 * found.rows <= self.values:
            return None
        return replace(
            self, is_string=False, is_integer=found.whole, values=found.rows, present=min(self.present, found.rows),
            least=found.least, greatest=found.greatest, distinct=found.distinct,
        )  # fmt: skip

    @functools.cached_property
    def words(self) -> Mapping[str, str]:
        """The strings that are no numbers, each with the name of the other split that it is in, "" in this one."""
        words: dict[str, str] = {}
        for column in (self, *self.elsewhere):
            for text in (*column.all_values, *column.rare_words):
                if not numbers.is_number(text):
                    words.setdefault(text, column.split)
        return words

    @property
    def not_numbers(self) -> Mapping[str, str]:
        """The few `words` of a column that holds numbers otherwise; none of one that does not."""
        if not self.numbers:
            return {}
        mean_none = all(word.strip().lower() in csv_format.STAND_INS for word in self.words)
        few = len(self.words) <= _FEW_TEXTS and (mean_none or len(self.all_values) >= 10 * len(self.words))
        return self.words if few else {}

    @property
    def for_people(self) -> bool:
        """Whether most of the strings are numbers as people write them."""
        return self.is_string and 2 * sum(map(numbers.is_for_people, self.texts)) > len(self.texts)

    @property
    def texts(self) -> tuple[str, ...]:
        """The strings that the statistics list, the most frequent ones."""
        return self.all_values or self.top_values

    @property
    def texts_everywhere(self) -> tuple[str, ...]:
        """The same, and those of the other splits after them."""
        return tuple(dict.fromkeys(text for column in (self, *self.elsewhere) for text in column.texts))

    @functools.cached_property
    def dates(self) -> dates.Written | None:
        """How the strings are written if they are dates, in all splits."""
        return dates.written(self.texts_everywhere) if self.is_string and not self.is_integer else None

    @property
    def moments(self) -> str:
        """The format of integers that are moments of plausible years, "" if they are none."""
        return dates.unit(self.least, self.greatest) if self.is_integer and not self.is_string and self.values else ""


def table(schema: schema_pb2.Schema, statistics: statistics_pb2.DatasetFeatureStatisticsList) -> dict[str, Column]:
    """Returns the columns by name, in the schema's order; the parts of a sparse feature are that feature alone.

    The first dataset is that of the split to train on; those of other splits are named `Split-<name>`.
    """
    if not statistics.datasets or not statistics.datasets[0].num_examples:
        raise DataError("statistics: expected those of training data, found none: there is no row to learn from")
    others = {split: _table(schema, dataset) for split, dataset in other_splits(statistics).items()}
    return {
        name: _everywhere(column, [replace(columns[name], split=split) for split, columns in others.items()])
        for name, column in _table(schema, statistics.datasets[0]).items()
    }


def other_splits(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
) -> dict[str, statistics_pb2.DatasetFeatureStatistics]:
    """Returns the datasets of the splits beside the one to train on, by the splits' names."""
    return {
        dataset.name.removeprefix(ExampleStatistics.SPLIT): dataset
        for dataset in statistics.datasets[1:]
        if dataset.name.startswith(ExampleStatistics.SPLIT)
    }


def _everywhere(column: Column, elsewhere: Iterable[Column]) -> Column:
    """Returns a column that knows itself in other splits, and how many values a row has in any of them."""
    others = tuple(other for other in elsewhere if other.values)
    most = max((column.most_values, *(other.most_values for other in others)))
    fixed = column.fixed if all(other.fixed == column.fixed for other in others) else 0
    return replace(column, elsewhere=others, most_values=most, fixed=fixed)


def _table(schema: schema_pb2.Schema, dataset: statistics_pb2.DatasetFeatureStatistics) -> dict[str, Column]:
    known = {_name(feature): feature for feature in dataset.features if len(feature.path.step) <= 1}
    parts = {
        part for sparse in schema.sparse_feature
        for part in (sparse.value_feature.name, *(index.name for index in sparse.index_feature))
    }  # fmt: skip
    rows = int(dataset.num_examples)
    by_name = {
        feature.name: _column(feature, known.get(feature.name), rows)
        for feature in schema.feature
        if feature.name not in parts
    }
    sizes = {feature.name: feature.int_domain.max + 1 for feature in schema.feature if feature.HasField("int_domain")}
    for sparse in schema.sparse_feature:
        indices = [index.name for index in sparse.index_feature]
        size = sizes.get(indices[0], 0) if len(indices) == 1 else 0
        unreadable = "" if size > 0 else "the schema has no int_domain with a max for its one index feature"
        by_name[sparse.name] = Column(sparse.name, rows, sparse_size=max(int(size), 0), unreadable=unreadable)
    return by_name


def _column(feature: schema_pb2.Feature, statistics: statistics_pb2.FeatureNameStatistics | None, rows: int) -> Column:
    domain = feature.WhichOneof("domain_info") or ""
    if feature.type == schema_pb2.STRUCT or domain in _MEDIA:
        what = "a struct" if feature.type == schema_pb2.STRUCT else domain.removesuffix("_domain")
        return Column(feature.name, rows, unreadable=f"it is {what}: a module_file can use it")
    integer = feature.type == schema_pb2.INT
    kind = statistics.WhichOneof("stats") if statistics is not None else None
    if statistics is None or kind not in ("num_stats", "string_stats"):
        unreadable = "" if kind is None else "its values are bytes that are no text: a module_file can use them"
        return Column(feature.name, rows, feature.type == schema_pb2.BYTES, integer, unreadable=unreadable)
    common = getattr(statistics, kind).common_stats
    least, most = int(common.min_num_values), int(common.max_num_values)
    column = Column(
        feature.name, rows, kind == "string_stats", integer,
        # A row may have the feature and no value in it.
        present=int(common.tot_num_values if most <= 1 else common.num_non_missing),
        values=int(common.tot_num_values), most_values=most,
        fixed=most if least == most > 1 and common.num_non_missing == rows else 0,
    )  # fmt: skip
    if kind == "num_stats":
        of_numbers = statistics.num_stats
        nans = int(of_numbers.histograms[0].num_nan) if of_numbers.histograms else 0
        least_number, greatest = exact.ends(statistics)
        return replace(
            column, values=column.values - nans, present=column.present - (nans if most <= 1 else 0),
            least=least_number, greatest=greatest, mean=of_numbers.mean, median=of_numbers.median,
            deviation=of_numbers.std_dev, distinct=exact.distinct(statistics),
            repeated=exact.repeated(statistics),
        )  # fmt: skip
    strings = statistics.string_stats
    if strings.top_values and strings.top_values[0].value in _NO_TEXT:
        return Column(feature.name, rows, True, unreadable="its values are no text: a module_file can use them")
    listed = [bucket for bucket in strings.rank_histogram.buckets if bucket.label]
    return replace(
        column, unique=int(strings.unique), top_values=tuple(top.value for top in strings.top_values),
        all_values=tuple(bucket.label for bucket in listed),
        counts=tuple(int(bucket.sample_count) for bucket in listed),
        rare_words=_rare_words(statistics), average_length=strings.avg_length,
        natural_language=domain == "natural_language_domain",
    )  # fmt: skip


def _rare_words(statistics: statistics_pb2.FeatureNameStatistics) -> tuple[str, ...]:
    listed = (one for one in statistics.custom_stats if one.name == ExampleStatistics.NO_NUMBERS)
    return tuple(bucket.label for one in listed for bucket in one.rank_histogram.buckets)


def _name(feature: statistics_pb2.FeatureNameStatistics) -> str:
    return str(feature.path.step[0]) if feature.path.step else str(feature.name)
