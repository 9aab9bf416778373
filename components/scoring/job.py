"""Scoring: opens model and data, has the engine score the data piece by piece, and writes the rows in their order."""

import contextlib
import csv
import functools
import itertools
import os
import pickle
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from penstock.components.engines import Engine
from penstock.components.example_gen.sources.csv.options import CsvOptions
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.scoring import answers as answers_
from penstock.components.scoring import features, writing
from penstock.components.scoring.answers import Answers
from penstock.components.scoring.features import ModelInputs
from penstock.components.scoring.inputs import files
from penstock.components.scoring.inputs.rows import Format, Input, Problem, Reading, Rows, Style
from penstock.components.scoring.writing import Encoded
from penstock.core.errors import ConfigError, DataError, PenstockError
from penstock.core.files import atomic
from penstock.core.models import loaded, threads
from penstock.core.models.loaded import ExamplesSignature
from penstock.core.suggestions import did_you_mean

_BATCH = 8192  # examples that the model is asked about at once
_WORTH_WORKERS = 4 << 20  # bytes
_REJECTS = ("file", "line", "reason", "row")


@dataclass(frozen=True)
class Request:
    """What is scored, and how.

    Args:
        model: The folder of the SavedModel.
        data: Files, folders or patterns, or URIs of such in an object store.
        output: The file to write.
        format: Of the output.
        csv_options: How CSV files are written: JSON, as csv_example_gen's.
        columns: Those of the data that are written beside the predictions; None: all of them.
        rejects: The file for rows that cannot be read; None: such a row is an error.
        label: The label's name, where the model does not say it.
    """

    model: Path
    data: Sequence[str]
    output: Path
    format: Format = "csv"
    csv_options: str = ""
    columns: tuple[str, ...] | None = None
    rejects: Path | None = None
    label: str = ""


@dataclass(frozen=True)
class Summary:
    """How many rows were scored, and how many were rejected."""

    rows: int
    rejected: int


@dataclass(frozen=True)
class _Work:
    """What a worker needs, beside the piece. `scratch` is a folder for what is scored and not yet written."""

    model: Path
    input: Input
    reading: Reading
    style: Style
    answers: Answers
    scratch: Path
    process: int  # the calling one, which keeps its threads


@dataclass(frozen=True)
class _Scored:
    """What came of some rows of a piece, in their order."""

    encoded: Sequence[Encoded]
    rows: int
    problems: Sequence[Problem]
    lines: int


@dataclass
class Job:
    """Data that can be scored. `notes` are for the person who asked: what is ignored, and what is missing."""

    request: Request
    notes: list[str]
    header: list[str]
    _pieces: Sequence[FilePiece]
    _work: _Work
    _engine: Engine

    def run(self) -> Summary:
        """Writes the output, whole or not at all, and the rejects.

        Raises a DataError for a row that cannot be read, unless rejects are written; also if no row can be read.
        """
        rows = rejected = 0
        first = ""
        with contextlib.ExitStack() as stack:
            reject = self._rejects(stack)
            path = stack.enter_context(atomic.replacing(self.request.output))
            write = stack.enter_context(writing.writer(path, self.request.format, self.header, self._work.style))
            files = stack.enter_context(contextlib.closing(self._files()))
            for piece, line, scored in self._numbered(files):
                for problem in scored.problems:
                    place = f"{piece.name}, {self._work.input.unit} {line + problem.line:,}: {problem.reason}"
                    first = first or place
                    reject(place, (piece.name, str(line + problem.line), problem.reason, problem.row))
                for encoded in scored.encoded:
                    write(encoded)
                rows, rejected = rows + scored.rows, rejected + len(scored.problems)
            if rejected and not rows:
                raise DataError(f"no row can be read; the first is {first}")
        return Summary(rows, rejected)

    def _files(self) -> Generator[Path]:
        """Yields each piece's file of scored rows; few are scored here, since each worker has to load the model."""
        score = functools.partial(_score, self._work)
        if sum(piece.size for piece in self._pieces) < _WORTH_WORKERS:
            yield from map(score, self._pieces)
        else:
            yield from self._engine.results(score, self._pieces)

    def _numbered(self, files: Iterable[Path]) -> Iterator[tuple[FilePiece, int, _Scored]]:
        """Yields scored rows with their piece and the number of the first one's line in the file of data."""
        lines: dict[str, int] = {}
        for piece, file in zip(self._pieces, files, strict=True):
            line = lines.get(piece.name, self._work.input.first_lines.get(piece.name, 1))
            for scored in _parts(file):
                yield piece, line, scored
                line += scored.lines
            lines[piece.name] = line

    def _rejects(self, stack: contextlib.ExitStack) -> Callable[[str, tuple[str, ...]], None]:
        """Returns what is done with a row that cannot be read."""
        if self.request.rejects is None:

            def refuse(place: str, _: tuple[str, ...]) -> None:
                raise DataError(f"{place}; --rejects FILE leaves such rows out")

            return refuse
        temporary = stack.enter_context(atomic.replacing(self.request.rejects))
        file = stack.enter_context(temporary.open("w", encoding="utf-8", newline="", errors="replace"))
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(_REJECTS)
        return lambda _, row: rows.writerow(row)  # type: ignore[return-value]


@contextlib.contextmanager
def opened(request: Request, engine: Engine, scratch: Path) -> Iterator[Job]:
    """Gives a job that can be run, once all is known that can be known without reading every row.

    Open the engine before: it forks. Raises a ConfigError for columns that do not fit, a DataError for data that cannot
    be read or lacks a column, a ModelError for a model that takes no tf.Examples.
    """
    inputs = ModelInputs.of(request.model)
    options = CsvOptions.from_json(request.csv_options)
    label = inputs.label.name if inputs.label else request.label
    with files.opened(request.data, options, label, scratch, engine) as source:
        if source.unit != "record":
            inputs.require_features(request.model, "TFRecord files of tf.Examples")
        matched = features.match(inputs, source.names, source.first_file, source.hint(), source.has_more_names)
        columns = _columns(request.columns, source.names)
        made = answers_.of_model(inputs.label, inputs.signature.outputs)
        reading = Reading(matched.features, columns, request.format)
        shown = reading.written(source.names)
        if clash := answers_.clashes(made, shown):
            raise ConfigError(
                f"the data has a column {clash[0]!r} already, as the predictions have: leave it out: --columns with "
                "the names of those to keep"
            )
        style = replace(source.style, delimiter="\t") if request.output.suffix.lower() == ".tsv" else source.style
        of_workers = replace(source, pieces=())  # the input goes to every worker
        work = _Work(request.model, of_workers, reading, style, made, scratch, os.getpid())
        yield Job(request, [*source.notes, *matched.notes], [*shown, *made.schema.names], source.pieces, work, engine)


def _columns(wanted: tuple[str, ...] | None, names: Sequence[str]) -> tuple[str, ...] | None:
    for name in wanted or ():
        if name not in names:
            raise ConfigError(f"--columns: the data has no column {name!r}; {did_you_mean(name, names)}")
    return wanted


def _score(work: _Work, piece: FilePiece) -> Path:
    """Scores a piece; returns a file of what came of it, as a piece may be larger than memory."""
    if os.getpid() != work.process:
        threads.use_one()  # workers share the cores
    with tempfile.NamedTemporaryFile(dir=work.scratch, delete=False) as file:
        for rows in work.input.read(piece, work.reading):
            pickle.dump(_scored(work, piece, rows), file, pickle.HIGHEST_PROTOCOL)
    return Path(file.name)


def _parts(path: Path) -> Iterator[_Scored]:
    """Yields what is in a file of scored rows, and removes it."""
    with open(path, "rb") as file:
        while file.peek(1):
            yield pickle.load(file)
    path.unlink()


def _scored(work: _Work, piece: FilePiece, rows: Rows) -> _Scored:
    encoded: list[Encoded] = []
    start = 0
    for examples in itertools.batched(rows.examples, _BATCH):
        shown = rows.shown.slice(start, len(examples))
        start += len(examples)
        encoded.append(writing.encode(_answered(work, piece, shown, examples), work.reading.format, work.style))
    return _Scored(encoded, len(rows.examples), rows.problems, rows.lines)


def _answered(work: _Work, piece: FilePiece, shown: pa.RecordBatch, examples: Sequence[bytes]) -> pa.RecordBatch:
    try:
        answers = work.answers.arrays(_signature(work.model).predict(examples))
    except PenstockError as error:
        error.message = f"{piece.name}: {error.message}"
        raise
    return pa.RecordBatch.from_arrays(
        [*shown.columns, *answers], schema=pa.schema([*shown.schema, *work.answers.schema])
    )


@functools.lru_cache(maxsize=1)
def _signature(model: Path) -> ExamplesSignature:
    """Returns the model's signature; a process loads it once."""
    (signature,) = loaded.load(model, cleans=True)
    return signature
