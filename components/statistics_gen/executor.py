"""StatisticsGen: TFDV's statistics of every split and exact ones of integers, shard by shard over an engine.

A shard is a file, or several small ones. Each is read in batches, so memory is bounded by a batch and by the partial
statistics (top_values.py). These are merged in the order of the files, so the statistics are the same bytes with any
number of workers.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tensorflow_data_validation.statistics.stats_options import StatsOptions
from tensorflow_metadata.proto.v0 import statistics_pb2

from penstock.components.engines import Engine, fold, open_engine
from penstock.components.statistics_gen import lift
from penstock.components.statistics_gen import report as report_page
from penstock.components.statistics_gen.options import parse
from penstock.components.statistics_gen.sample import Sample
from penstock.components.statistics_gen.shard import Shard
from penstock.core import artifacts, progress
from penstock.core.artifacts import Property, TaskResult
from penstock.core.errors import ConfigError, DataError, SchemaError
from penstock.core.examples import payloads
from penstock.core.examples.payloads import PayloadFormat
from penstock.core.statistics import partials
from penstock.core.statistics.integers import IntegerStatistics
from penstock.core.statistics.partials import Partial


@dataclass
class _Total:
    """What is known of a split, or of one shard of it: partial statistics, and a sample of its rows."""

    statistics: Partial
    sample: Sample


def run(
    *,
    statistics: str,
    examples: str,
    report: str = "",
    label: str = "",
    schema: str | None = None,
    stats_options: str = "",
    exclude_splits: Sequence[str] = (),
    engine: str = "local",
    examples_metadata: Mapping[str, Property] | None = None,
) -> TaskResult:
    """Writes the statistics of each split that is not excluded, and a page that shows them.

    Args:
        statistics: folder to write `Split-<name>/FeatureStats.pb` to.
        examples: folder of an Examples artifact.
        report: HTML file to write; "" for none.
        label: feature by which the page shows the first split; "" for none.
        schema: folder of a Schema artifact; declares which numbers are categories and which strings are bytes.
        stats_options: TFDV's StatsOptions as JSON; "" for the defaults.
        exclude_splits: splits to leave out.
        engine: where the shards are computed (`penstock.components.engines`).
        examples_metadata: the metadata of the Examples artifact: the order of the splits, the span, and what the
            records are.

    Raises:
        ConfigError: an option or an excluded split does not exist.
        DataError: a split has no examples, a file is damaged, or the type of a feature changes.
        SchemaError: the schema cannot be read, or the options hold another one.
    """
    with open_engine(engine, Path(statistics)) as engine_:
        options = _options(stats_options, schema)
        source, target = artifacts.Examples(Path(examples)), artifacts.ExampleStatistics(Path(statistics))
        properties = dict(examples_metadata or {})
        splits, payload_format = source.included(properties, exclude_splits, strict=True), payloads.of(properties)
        with progress.task("StatisticsGen") as counts:
            counts.show(rows=0)
            shards = {split: _shards(source, split, payload_format) for split in splits}
            totals = _totals(engine_, [shard for of_split in shards.values() for shard in of_split], options)
            results: dict[str, statistics_pb2.DatasetFeatureStatisticsList] = {}
            for split in splits:
                results[split], rows = _statistics(split, totals.get(split), options)
                target.write(split, lift.add(results[split], shards[split], options))
                counts.show(rows=counts["rows"] + rows)
            if report:
                samples = {split: totals[split].sample for split in splits}
                of_all = {split: result.datasets[0] for split, result in results.items()}
                report_page.write(Path(report), of_all, samples, label)
    rates = json.dumps(dict.fromkeys(splits, options.sample_rate or 1.0))
    span = {"span": int(properties["span"])} if "span" in properties else {}
    return TaskResult({"statistics": artifacts.metadata(split_names=splits, sample_rate_by_split=rates, **span)})


def _shards(source: artifacts.Examples, split: str, payload_format: PayloadFormat) -> list[Shard]:
    groups = enumerate(fold.groups(source.files(split)))
    return [Shard(split, number, files, payload_format) for number, files in groups]


def _totals(engine: Engine, shards: Sequence[Shard], options: StatsOptions) -> dict[str, _Total]:
    """Returns what is known of each split that has files."""
    merge = partial(_merge, partials.merger(options))
    return engine.fold(partial(_compute, options=options), merge, shards) or {}


def _compute(shard: Shard, options: StatsOptions) -> dict[str, _Total]:
    """Returns what is known of one shard, by its split."""
    sample = Sample(seed=shard.number)
    statistics = partials.compute(sample.passing(shard.batches(options)), options, seed=shard.number)
    return {shard.split: _Total(statistics, sample)}


def _merge(
    merge: Callable[[Partial, Partial], Partial], totals: dict[str, _Total], parts: dict[str, _Total]
) -> dict[str, _Total]:
    for split, part in parts.items():
        if split in totals:
            merge(totals[split].statistics, part.statistics)
            totals[split].sample.merge(part.sample)
        else:
            totals[split] = part
    return totals


def _statistics(
    split: str, total: _Total | None, options: StatsOptions
) -> tuple[statistics_pb2.DatasetFeatureStatisticsList, int]:
    result, rows = partials.statistics(total.statistics, options) if total else (None, 0)
    if result is None or rows == 0:
        raise DataError(
            f"split {split!r} has no examples{' in the sample' if options.sample_rate else ''}: expected at least one; "
            "give more rows or other output splits, or name it in exclude_splits"
        )
    return result, rows


def _options(stats_options: str, schema: str | None) -> StatsOptions:
    options = parse(stats_options)
    if schema:
        if options.schema is not None:
            raise SchemaError(
                "there is a schema in stats_options and one in the input `schema`: expected only one of them"
            )
        options.schema = artifacts.Schema(Path(schema)).read()
    if options.experimental_filter_read_paths and options.schema is None:
        raise ConfigError("stats_options: experimental_filter_read_paths needs a schema: give the input `schema`")
    options.generators = [*(options.generators or []), IntegerStatistics()]
    return options


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
