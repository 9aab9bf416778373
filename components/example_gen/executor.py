"""ExampleGen: files of CSV, Parquet or TFRecord to shards of tf.Examples in splits."""

import contextlib
import json
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Literal

import numpy as np
import pandas  # noqa: F401  Arrow imports it on first use: here once, else in every worker that is forked
import pyarrow as pa

from penstock.components.engines import Engine, open_engine
from penstock.components.example_gen import configs, labels
from penstock.components.example_gen.configs import OutputSplits
from penstock.components.example_gen.inputs import spans
from penstock.components.example_gen.labels import LabelValues
from penstock.components.example_gen.sources import parquet, tfrecord
from penstock.components.example_gen.sources.csv import source as csv_source
from penstock.components.example_gen.sources.csv.options import CsvOptions
from penstock.components.example_gen.sources.csv.source import CsvSource
from penstock.components.example_gen.sources.csv.types import TypeGrew
from penstock.components.example_gen.sources.pieces import Block, Shard, Source
from penstock.components.example_gen.splits import Splitter
from penstock.core import artifacts, progress
from penstock.core.artifacts import TaskResult
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import records
from penstock.core.files import atomic

logger = logging.getLogger(__name__)
FileFormat = Literal["csv", "parquet", "tfrecord"]


@dataclass
class Written:
    """The rows and the label's values in each split, and how many numbers of a column are infinite."""

    rows: Counter[str]
    values: dict[str, LabelValues]
    infinite: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, splits: Sequence[str]) -> "Written":
        return cls(Counter(dict.fromkeys(splits, 0)), {name: LabelValues() for name in splits})

    def merge(self, other: "Written") -> "Written":
        """Adds the other to this one, and returns it."""
        self.rows.update(other.rows)
        self.infinite.update(other.infinite)
        for name, found in other.values.items():
            self.values.setdefault(name, LabelValues()).merge(found)
        return self


def run(
    *,
    examples: str,
    input_base: str,
    resolved_input: str,
    fingerprint: str = "",
    span: int = 0,
    version: int = 0,
    output_config: str = "",
    csv_options: str = "",
    label: str = "",
    engine: str = "local",
    file_format: FileFormat = "csv",
) -> TaskResult:
    """Writes `Split-<name>/data_tfrecord-*.gz`, the same bytes whatever the engine and its number of workers.

    Raises a ConfigError for parameters that do not fit, a DataError for files that cannot be read as they should, a
    split without rows, or a label that does not exist or cannot be learnt.
    """
    options = CsvOptions.from_json(csv_options)
    inputs = configs.input_splits(resolved_input)
    output = configs.output_splits(output_config, list(dict.fromkeys(split.name for split in inputs)))
    with (
        progress.task("ExampleGen") as counts,
        open_engine(engine) as engine_,
        spans.local_files(input_base, inputs) as files,
    ):
        rows, unlabelled = _generate(Path(examples), file_format, files, output, options, label, engine_)
        counts.show(rows=rows.total(), files=sum(map(len, files.values())))
        if unlabelled:
            logger.warning("%d of %d rows have no value of the label %r", unlabelled, rows.total(), label)
            counts.show(**{"without a label": unlabelled})
    return TaskResult(
        {
            "examples": artifacts.metadata(
                split_names=rows,
                span=span,
                version=version,
                payload_format="FORMAT_TF_EXAMPLE",
                file_format="tfrecords_gzip",
                input_fingerprint=fingerprint,
                num_examples=json.dumps(dict(rows)),
            )
        }
    )


def _generate(
    root: Path,
    file_format: str,
    files: dict[str, list[Path]],
    output: OutputSplits,
    options: CsvOptions,
    label: str,
    engine: Engine,
) -> tuple[Counter[str], int]:
    """Writes the splits' folders, all of them or none; returns the rows of each, and how many lack the label."""
    names = output.names or tuple(files)
    root.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(suffix=".tmp", prefix=".plain-", dir=root) as scratch,
        contextlib.ExitStack() as written,
    ):
        source, shards = _plan(file_format, files, options, label, Path(scratch), engine)
        folders = {
            name: written.enter_context(atomic.replacing(artifacts.Examples(root).split(name))) for name in names
        }
        write = partial(_write, Splitter(output) if output.names else None, folders, label)
        try:
            of_shards = engine.fold(partial(write, source), Written.merge, shards)
        except TypeGrew:
            assert isinstance(source, CsvSource)  # no other raises it
            logger.info("columns change their type within the data: every row is looked at first")
            source = csv_source.with_all_types(source, shards, engine)
            of_shards = engine.fold(partial(write, source), Written.merge, shards)
        total = Written.of(names)
        if of_shards is not None:
            total.merge(of_shards)
        _check_rows(total.rows, output)
        _warn_of_infinities(total.infinite, label)
        unlabelled = labels.check(label, total.values, output) if label else 0
    return total.rows, unlabelled


def _plan(
    file_format: str, files: dict[str, list[Path]], options: CsvOptions, label: str, scratch: Path, engine: Engine
) -> tuple[Source, list[Shard]]:
    if file_format == "csv":
        return csv_source.plan(files, options, label, scratch, engine)
    if file_format == "parquet":
        return parquet.plan(files, label)
    if file_format == "tfrecord":
        return tfrecord.plan(files)
    raise ConfigError(f"file_format: expected csv, parquet or tfrecord, received {file_format!r}")


def _write(splitter: Splitter | None, folders: Mapping[str, Path], label: str, source: Source, shard: Shard) -> Written:
    """Writes one shard's file in each split."""
    names = splitter.splits.names if splitter else (shard.split,)
    written = Written.of(names)
    file_name = artifacts.Examples.file_name(shard.index, shard.count)
    with contextlib.ExitStack() as files:
        writers = {name: files.enter_context(records.writer(folders[name] / file_name)) for name in names}
        for piece in shard.pieces:
            for block in source.read(piece):
                written.infinite.update(_infinities(block.columns))
                for name, chosen in _assign(splitter, names, block, piece.name):
                    examples = block.examples if chosen is None else list(compress(block.examples, chosen.tolist()))
                    writers[name](examples)
                    written.rows[name] += len(examples)
                    if label:
                        written.values[name].add(label, block.columns, chosen)
    return written


def _infinities(columns: pa.RecordBatch) -> dict[str, int]:
    """Returns how many numbers are infinite, of the columns that have some."""
    counts = {
        name: int(np.isinf(column.flatten().to_numpy(zero_copy_only=False)).sum())
        for name, column in zip(columns.schema.names, columns.columns, strict=True)
        if not pa.types.is_null(column.type) and pa.types.is_floating(column.type.value_type)
    }
    return {name: count for name, count in counts.items() if count}


def _assign(
    splitter: Splitter | None, names: Sequence[str], block: Block, where: str
) -> Iterator[tuple[str, np.ndarray | None]]:
    """Yields each split's name and which rows are in it, None for all."""
    if splitter is None:
        yield names[0], None
        return
    assigned = splitter.assign(block.columns, block.canonical, where)
    for index, name in enumerate(names):
        yield name, assigned == index


def _warn_of_infinities(infinite: Counter[str], label: str) -> None:
    for name, count in sorted(infinite.items()):
        taken = "leaves such rows out" if name == label else "takes such for the column's least or greatest number"
        logger.warning(
            "column %r: %s infinite (inf, or beyond 32-bit floats): the model without code %s; "
            "data.csv.null_values makes such cells of a CSV missing",
            name,
            "1 number is" if count == 1 else f"{count:,} numbers are",
            taken,
        )


def _check_rows(rows: Counter[str], output: OutputSplits) -> None:
    if not rows.total():
        raise DataError("the files hold no row: expected at least one")
    empty = [name for name, count in rows.items() if not count]
    if empty:
        raise DataError(f"split {empty[0]!r} got none of the {rows.total()} rows: {configs.more_rows(output)}")


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
