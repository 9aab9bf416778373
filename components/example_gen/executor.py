"""ExampleGen: the rows of a source to shards of tf.Examples in splits."""

import contextlib
import itertools
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas  # noqa: F401  Arrow imports it on first use: here once, else in every worker that is forked
import pyarrow as pa

from penstock.components.engines import open_engine
from penstock.components.example_gen import configs, labels, positions, sources
from penstock.components.example_gen.configs import OutputSplits
from penstock.components.example_gen.inputs import references
from penstock.components.example_gen.kinds import FeatureKinds
from penstock.components.example_gen.labels import LabelValues
from penstock.components.example_gen.rows import Rows
from penstock.components.example_gen.sources.csv.cell_notes import CellNotes
from penstock.components.example_gen.sources.pieces import Piece, Shard
from penstock.components.example_gen.sources.source import Opened, Place, Request, Source, TypesGrew
from penstock.components.example_gen.splits import Indices, Splitter
from penstock.core import artifacts, progress
from penstock.core.artifacts import Property, TaskResult
from penstock.core.errors import DataError
from penstock.core.examples import payloads, records
from penstock.core.files import atomic, object_stores

logger = logging.getLogger(__name__)
_NAMED = 20  # columns that are warned of


@dataclass
class Written:
    """The rows and the label's values in each split, how many numbers are infinite by column, and more of the rows.

    `kinds` are those of the features of records that say themselves what their values are.
    """

    rows: Counter[str]
    values: dict[str, LabelValues]
    infinite: Counter[str] = field(default_factory=Counter)
    kinds: FeatureKinds = field(default_factory=FeatureKinds)
    facts: Rows = field(default_factory=Rows)
    notes: CellNotes = field(default_factory=CellNotes)

    @classmethod
    def nothing(cls, splits: Sequence[str]) -> "Written":
        """Returns what is written of no row."""
        return cls(Counter(dict.fromkeys(splits, 0)), {name: LabelValues() for name in splits})

    @property
    def unlabelled(self) -> int:
        """How many rows have no value of the label."""
        return sum(values.missing for values in self.values.values())

    def merge(self, other: "Written") -> "Written":
        """Adds what was written of later rows to this one, and returns it; a DataError if their kinds differ."""
        self.rows.update(other.rows)
        self.infinite.update(other.infinite)
        self.kinds.merge(other.kinds)
        self.facts.merge(other.facts)
        self.notes.merge(other.notes)
        for name, values in other.values.items():
            self.values.setdefault(name, LabelValues()).merge(values)
        return self


def run(
    *,
    source: str = "csv",
    examples: str,
    input_base: str,
    resolved_input: str,
    fingerprint: str = "",
    span: int = 0,
    version: int = 0,
    output_config: str = "",
    options: str = "",
    payload_format: str = "",
    label: str = "",
    engine: str = "local",
) -> TaskResult:
    """Writes `Split-<name>/data_tfrecord-*.gz`, the same bytes whatever the engine and its number of workers.

    `source` is one of `sources.NAMES`, `options` are its own as JSON, unless `input_base` names both. The others are
    the components'.

    Raises a ConfigError for parameters that do not fit, a DataError for data that cannot be read as it should, a
    split without rows, or a label that does not exist or cannot be learnt.
    """
    reference = references.parse(input_base)
    if reference:
        source, options = reference.name, json.dumps(dict(reference.options))
    kind = sources.named(source)
    inputs, spans = configs.resolved_splits(resolved_input)
    output = configs.output_splits(output_config, list(dict.fromkeys(split.name for split in inputs)), label)
    records_are, root = payloads.parse(payload_format), Path(examples)
    object_stores.import_for(input_base)
    with (
        progress.task("ExampleGen") as counts,
        open_engine(engine, root) as opened_engine,
        atomic.scratch(root) as scratch,
    ):
        request = Request(input_base, inputs, options, label, scratch, opened_engine, records_are)
        progress.say("looking at the data")
        with kind.open(request) as opened:
            written, output = _write(root, opened, request, output)
            if opened.done:
                opened.done()
        _show(counts, written, opened.extent, label)
    told = {
        "span": span,
        "version": version,
        "payload_format": records_are,
        "input_fingerprint": fingerprint,
        **({"spans": spans} if spans else {}),
        **({"origin": json.dumps(dict(opened.origin), sort_keys=True)} if opened.origin else {}),
    }
    return TaskResult({"examples": _metadata(written, output, told)})


def _show(counts: progress.Counts, written: Written, extent: Mapping[str, int], label: str) -> None:
    total = written.rows.total()
    counts.show(rows=total, **extent)
    if written.unlabelled:
        logger.warning("%d of %d rows have no value of the label %r", written.unlabelled, total, label)
        counts.show(**{"without a label": written.unlabelled})


def _metadata(written: Written, output: OutputSplits, told: Mapping[str, Property]) -> dict[str, Property]:
    """Returns the metadata of Examples: what is known of them from their rows, and what was told of their data."""
    rows = written.rows
    own = {"file_format": "tfrecords_gzip", "num_examples": json.dumps(dict(rows))}
    return artifacts.metadata(split_names=rows, **own, **written.facts.metadata(output), **told)


def _write[P: Piece](
    root: Path, opened: Opened[P], request: Request, output: OutputSplits
) -> tuple[Written, OutputSplits]:
    """Writes the splits' folders, all of them or none. Returns also how the rows were divided in the end."""
    names = output.names or tuple(dict.fromkeys(split.name for split in request.splits))
    with contextlib.ExitStack() as stack:
        folders = {name: stack.enter_context(atomic.replacing(artifacts.Examples(root).split(name))) for name in names}
        written, opened = _divide(opened, request, output, folders)
        total = written.rows.total()
        if output.by == "auto":
            few = not output.partition_feature_name and written.facts.few_differ(total)
            output = replace(output, by="row" if few else "content")
            if few:
                logger.warning(
                    "%s rows, and %s different ones: by their contents, equal rows would all be in one split; so they "
                    "are divided by their place in the data (splits: {by: row})",
                    f"{total:,}",
                    f"{written.facts.distinct.count:,}",
                )
                written, _ = _divide(opened, request, output, folders)
        _check_rows(written.rows, output)
        written.facts.warn(output, total)
        written.notes.warn(request.label)
        _warn_of_infinities(written.infinite, request.label)
        if request.label:
            labels.check(request.label, written.values, output)
    return written, output


def _divide[P: Piece](
    opened: Opened[P], request: Request, output: OutputSplits, folders: Mapping[str, Path]
) -> tuple[Written, Opened[P]]:
    """Writes all rows into the splits' folders. Returns also the source, as far as it knows the columns' types now."""

    def write(source: Source[P]) -> Written | None:
        splitter = positions.splitter(output) if output.names else None
        places = {}
        if splitter is not None and splitter.needs_places:
            places = positions.places(opened, source, request.engine, output.stratify)
        writer = _ShardWriter(source, folders, splitter, places, request.label)
        return request.engine.fold(writer, _merging(len(opened.shards)), opened.shards)

    source = opened.source
    try:
        of_shards = write(source)
    except TypesGrew:
        logger.info("columns change their type within the data: every row is looked at first")
        source = source.with_all_types(opened.shards, request.engine)
        of_shards = write(source)
    written = Written.nothing(list(folders))
    return written if of_shards is None else written.merge(of_shards), replace(opened, source=source)


def _merging(count: int) -> Callable[[Written, Written], Written]:
    """Returns the merge of what was written of `count` shards, which says how far it is."""
    done = itertools.count(2)  # the first one is merged with the second

    def merge(total: Written, other: Written) -> Written:
        progress.say(f"{next(done):,} of {count:,} parts read")
        return total.merge(other)

    progress.say(f"reading {count:,} part{'s' if count > 1 else ''}")
    return merge


@dataclass(frozen=True)
class _ShardWriter[P: Piece]:
    """Writes a shard's rows to a file in each split's folder; without a splitter to that of the input split.

    Picklable: it travels to the engine's workers.
    """

    source: Source[P]
    folders: Mapping[str, Path]
    splitter: Splitter | None
    places: Mapping[tuple[str, int], tuple[Place, ...]]  # of the pieces of each shard, where the splitter needs them
    label: str

    def __call__(self, shard: Shard[P]) -> Written:
        names = self.splitter.splits.names if self.splitter else (shard.split,)
        written = Written.nothing(names)
        file_name = artifacts.Examples.file_name(shard.index, shard.count)
        with contextlib.ExitStack() as files:
            writers = {name: files.enter_context(records.writer(self.folders[name] / file_name)) for name in names}
            for piece, place in zip(shard.pieces, self._places(shard), strict=True):
                record = 1
                for block in self.source.read(piece):
                    if self.source.typed_by_record:
                        written.kinds.add(block.columns, piece.name, record)
                        record += block.columns.num_rows
                    written.infinite.update(_infinities(block.columns))
                    written.notes.merge(block.notes)
                    assigned = self.splitter.assign(block, place) if self.splitter else None
                    place = self.splitter.after(block, place) if self.splitter else place
                    written.facts.add(block.columns, assigned, names)
                    for name, chosen in _chosen(names, assigned and assigned.indices):
                        examples = (
                            block.examples
                            if chosen is None
                            else list(itertools.compress(block.examples, chosen.tolist()))
                        )
                        writers[name](examples)
                        written.rows[name] += len(examples)
                        if self.label:
                            written.values[name].add(self.label, block.columns, chosen)
        return written

    def _places(self, shard: Shard[P]) -> Sequence[Place]:
        return self.places.get((shard.split, shard.index)) or [Place(piece.name) for piece in shard.pieces]


def _infinities(columns: pa.RecordBatch) -> dict[str, int]:
    """Returns how many numbers are infinite, of the columns that have some."""
    counts = {
        name: int(np.isinf(column.flatten().to_numpy(zero_copy_only=False)).sum())
        for name, column in zip(columns.schema.names, columns.columns, strict=True)
        if not pa.types.is_null(column.type) and pa.types.is_floating(column.type.value_type)
    }
    return {name: count for name, count in counts.items() if count}


def _chosen(names: Sequence[str], assigned: Indices | None) -> Iterator[tuple[str, np.ndarray | None]]:
    """Yields each split's name and which rows are in it, None for all."""
    if assigned is None:
        yield names[0], None
        return
    for index, name in enumerate(names):
        yield name, assigned == index


def _warn_of_infinities(infinite: Counter[str], label: str) -> None:
    if len(infinite) > _NAMED:
        logger.warning("%s columns have infinite numbers: of the first %d it is told", f"{len(infinite):,}", _NAMED)
    for name, count in sorted(infinite.items(), key=lambda item: (item[0] != label, item[0]))[:_NAMED]:
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
        raise DataError("the data holds no row: expected at least one")
    empty = [name for name, count in rows.items() if not count]
    if empty:
        chance = (
            "" if output.by == "random" or not output.names else "; splits: {by: random} gives each split its share"
        )
        raise DataError(f"split {empty[0]!r} got none of the {rows.total()} rows: {configs.more_rows(output)}{chance}")


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
