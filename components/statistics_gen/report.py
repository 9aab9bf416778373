"""The data as one HTML page: what each column is, what is missing, how it is distributed by split and by label."""

import math
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from tensorflow_metadata.proto.v0 import statistics_pb2

from penstock.components.statistics_gen import distributions, groups
from penstock.components.statistics_gen.distributions import Groups
from penstock.components.statistics_gen.sample import Sample
from penstock.core import page
from penstock.core.artifacts import ExampleStatistics
from penstock.core.page import numbers
from penstock.core.text import printable

_MOST_CHARTS = 150  # of columns; further ones stand in the table alone
_LONGEST = 60  # characters of a column's name
_SHOWN = 3
_DIGITS = 3
_TRAIN = "train"
_TYPE = statistics_pb2.FeatureNameStatistics.Type

type Feature = statistics_pb2.FeatureNameStatistics
type Dataset = statistics_pb2.DatasetFeatureStatistics


def write(path: Path, statistics: Mapping[str, Dataset], samples: Mapping[str, Sample], label: str) -> Path:
    """Writes the page; returns where. A folder at `path` gets it as report.html.

    Args:
        path: The file to write.
        statistics: The statistics of all examples of each split.
        samples: A sample of each split's rows, of which the charts are drawn.
        label: The name of the label, by which the train split is shown as well; "" for none.
    """
    columns: dict[str, dict[str, Feature]] = {}
    for split, dataset in statistics.items():
        for feature in dataset.features:
            columns.setdefault(".".join(feature.path.step) or feature.name, {})[split] = feature
    rows = {split: dataset.num_examples for split, dataset in statistics.items()}
    counted = ", ".join(f"{numbers.count(count)} rows in {escape(split)}" for split, count in rows.items())
    body = (
        f'<h1>Data</h1><p class="muted">{counted}; {numbers.count(len(columns))} columns.</p>'
        f"{_table(columns, rows, label)}{_charts(columns, samples, label)}"
    )
    return page.write(path, "Data", body, "data")


def _table(columns: Mapping[str, Mapping[str, Feature]], rows: Mapping[str, int], label: str) -> str:
    lines = "".join(
        _row(title, by_split, rows, name == label)
        for title, (name, by_split) in zip(_titles(columns), columns.items(), strict=True)
    )
    missing = "".join(f'<th class="number">missing in {escape(split)}</th>' for split in rows)
    header = f'<th>column</th><th>type</th>{missing}<th class="number">distinct</th><th>values</th>'
    return page.table(lines, header, sort=True)


def _row(title: str, by_split: Mapping[str, Feature], rows: Mapping[str, int], is_label: bool) -> str:
    feature = by_split.get(_TRAIN) or next(iter(by_split.values()))
    cells = ""
    for split, count in rows.items():
        share = 1 - _present(by_split[split]) / count if split in by_split and count else float(count > 0)
        cells += f'<td class="number" data-value="{share}">{numbers.percentage(share) if share else "none"}</td>'
    distinct = _distinct(feature)
    mark = ' <span class="mark good">label</span>' if is_label else ""
    return (
        f'<tr><td class="name"><code>{page.breakable(title)}</code>{mark}</td><td>{_kind(feature)}</td>{cells}'
        f'<td class="number" data-value="{"" if distinct is None else distinct}">{numbers.count(distinct)}</td>'
        f'<td class="long wide">{escape(_values(feature))}</td></tr>'
    )


def _charts(columns: Mapping[str, Mapping[str, Feature]], samples: Mapping[str, Sample], label: str) -> str:
    tables = {split: sample.table() for split, sample in samples.items()}
    by_label = groups.by_label(tables.get(_TRAIN, next(iter(tables.values()))), label)
    drawn = {"split": _figures(columns, tables)}
    if len(by_label) > 1:
        drawn[f"label ({label})"] = _figures(columns, by_label)
    shown = page.choice("Each column by", drawn) if len(drawn) > 1 else drawn["split"]
    rows = max(table.num_rows for table in tables.values())
    more = f" The first {_MOST_CHARTS} columns are drawn." if len(columns) > _MOST_CHARTS else ""
    return f'<h2>Distributions</h2><p class="muted">Drawn from {numbers.count(rows)} rows or fewer.{more}</p>{shown}'


def _figures(columns: Mapping[str, Mapping[str, Feature]], rows: Groups) -> str:
    legend = page.legend(list(rows)) if len(rows) > 1 else ""
    return f'{legend}<div class="plots">{"".join(_of_columns(columns, rows))}</div>'


def _of_columns(columns: Mapping[str, Mapping[str, Feature]], rows: Groups) -> Iterator[str]:
    named = list(zip(_titles(columns), columns.items(), strict=True))
    for title, (name, by_split) in named[:_MOST_CHARTS]:
        drawn = distributions.chart(name, rows, all(map(_is_number, by_split.values())))
        if drawn:
            chart, left_out = drawn
            yield page.chart(chart, title + (f" ({left_out})" if left_out else ""))


def _titles(columns: Mapping[str, Mapping[str, Feature]]) -> list[str]:
    return printable.names(list(columns), _LONGEST)


def _common(feature: Feature) -> statistics_pb2.CommonStatistics:
    kind = feature.WhichOneof("stats")
    return getattr(feature, kind).common_stats if kind else statistics_pb2.CommonStatistics()


def _present(feature: Feature) -> int:
    """Returns how many rows have a value: to TFDV an example with an empty list is one that has the feature."""
    common = _common(feature)
    return int(common.tot_num_values if common.max_num_values <= 1 else common.num_non_missing)


def _is_number(feature: Feature) -> bool:
    return str(feature.WhichOneof("stats")) == "num_stats"


def _kind(feature: Feature) -> str:
    if not _present(feature):  # TFDV takes a column without any value for one of whole numbers
        return "empty"
    kind = "integer" if feature.type == _TYPE.INT else "number" if feature.type == _TYPE.FLOAT else "text"
    if feature.type == _TYPE.BYTES:
        kind = "bytes"
    if feature.type != _TYPE.STRING and feature.WhichOneof("stats") == "string_stats":
        kind = "category"
    most = _common(feature).max_num_values
    return f"{kind}, up to {most:,} in a row" if most > 1 else kind


def _distinct(feature: Feature) -> int | None:
    if feature.WhichOneof("stats") == "string_stats":
        return int(feature.string_stats.unique)
    for custom in feature.custom_stats:
        if custom.name == ExampleStatistics.DISTINCT_INTEGERS:
            return int(custom.num)
    return None


def _values(feature: Feature) -> str:
    """Returns a few words of a column's values: the range and the middle of numbers, the most frequent of others."""
    if not _present(feature):
        return ""
    match feature.WhichOneof("stats"):
        case "num_stats":
            of = feature.num_stats
            grouped = feature.type != _TYPE.INT or not numbers.are_years(of.min, of.max)
            if of.min == of.max:
                return f"always {of.min:{',' if grouped else ''}.15g}"
            values, digits = (of.min, of.max, of.median, of.mean), _digits(of.min, of.max)
            low, high, middle, mean = (numbers.number(value, digits, grouped) for value in values)
            return f"{low} to {high}, median {middle}, mean {mean}"
        case "string_stats":
            common = _common(feature)
            total = sum(bucket.sample_count for bucket in feature.string_stats.rank_histogram.buckets)
            total = max(total, common.tot_num_values, 1)
            top = feature.string_stats.rank_histogram.buckets[:_SHOWN]
            return ", ".join(
                f"{title} {numbers.percentage(bucket.sample_count / total)}"
                for title, bucket in zip(groups.names([bucket.label for bucket in top]), top, strict=True)
            )
        case _:
            return ""


def _digits(low: float, high: float) -> int:
    """Returns with how many digits two numbers are told apart: those of ids, or of places in one town, are long."""
    spread, largest = high - low, max(abs(low), abs(high))
    if not (math.isfinite(spread) and spread and largest):
        return _DIGITS
    return _DIGITS + max(math.floor(math.log10(largest / spread)), 0)
