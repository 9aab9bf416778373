"""`penstock predict`: what a model says of rows of its run, or of files of new rows."""

import contextlib
import csv
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.core import progress
from penstock.core.errors import ConfigError, UserError
from penstock.core.files import formats, kinds, temporary
from penstock.core.legacy import keras_version
from penstock.pipelines.cli.options import DEFAULT_CONFIG, is_config, load
from penstock.pipelines.cli.output.answer import Answer, as_json_option
from penstock.pipelines.cli.output.records import PredictedRow, Scored, ShownPredictions
from penstock.pipelines.cli.predictions import subjects
from penstock.pipelines.cli.terminal import note, output_stream, tell, warn

if TYPE_CHECKING:
    from penstock.components.scoring.inputs.rows import Format
    from penstock.components.scoring.job import Summary

_OF_RUN = "--rows, --split and --examples ask about rows of a run: expected no file of rows with them"


@click.command()
@click.argument("places", nargs=-1, metavar="[CONFIG|MODEL] [DATA]...")
@click.option(
    "-o", "--output", metavar="FILE", help="With DATA: the file to write, or -, standard output, the default."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    help="Of the output; by default as its name ends, else CSV.",
)
@click.option("--columns", metavar="A,B", multiple=True, help="The columns of DATA to write beside predictions.")
@click.option("--model", "chosen", metavar="PATH", help="A model's folder, a run's, or a configuration.")
@click.option("--rejects", metavar="FILE", type=click.Path(path_type=Path), help="Leaves out rows that cannot be read.")
@click.option(
    "--csv",
    "csv_options",
    metavar="KEY=VALUE",
    multiple=True,
    help="How DATA is written where it is not as the training data, such as delimiter=';'.",
)
@click.option("--rows", type=click.IntRange(min=1), help="Without DATA: how many rows to show, 3 by default.")
@click.option("--split", help="Without DATA: the split that the rows are from, eval by default.")
@click.option("--examples", type=click.Path(path_type=Path), help="A TFRecord file of tf.Examples to show instead.")
@click.option("--label", default="", metavar="NAME", help="With MODEL: the feature to predict.")
@as_json_option
def predict(
    places: Sequence[str],
    output: str | None,
    form: "Format | None",
    columns: Sequence[str],
    chosen: str | None,
    rejects: Path | None,
    csv_options: Sequence[str],
    rows: int | None,
    split: str | None,
    examples: Path | None,
    label: str,
    as_json: bool,
) -> Answer:
    """Scores files of new rows, or shows what a model predicts for some rows of its run.

    DATA are CSV, Parquet, JSON lines or TFRecord: files, folders, patterns, or - for standard input. The model is that
    of MODEL, else the newest of CONFIG.
    """
    subject, data = subjects.roles(places)
    if chosen is not None:
        if subject is not None:
            raise ConfigError(f"--model: expected no configuration and no model beside it, received {subject}")
        subject = Path(chosen)
    if not data:
        for name, value in (("-o", output), ("--format", form), ("--columns", columns), ("--rejects", rejects)):
            if value:
                raise ConfigError(f"{name}: expected a file of rows with it: penstock predict new.csv {name} …")
        return _show(subject or Path(DEFAULT_CONFIG), rows or 3, split or "eval", examples, label)
    if rows or split or examples:
        raise ConfigError(_OF_RUN)
    place = Path(output) if output and output != subjects.STANDARD else None
    if as_json and place is None:
        raise ConfigError("--json: standard output is for its document: expected -o FILE for the predictions")
    return _score(
        _Asked(
            subjects.or_default(subject),
            data,
            place,
            _format(place, form),
            _names(columns),
            rejects,
            csv_options,
            label,
        )
    )


def _names(columns: Sequence[str]) -> tuple[str, ...] | None:
    if not columns:
        return None
    try:  # a name with a comma stands in quotes
        read = [next(csv.reader([option], skipinitialspace=True, strict=True), []) for option in columns]
    except csv.Error as error:
        raise ConfigError(f"--columns: expected names with commas between them: {error}") from None
    return tuple(dict.fromkeys(name.strip() for names in read for name in names if name.strip()))


def _format(output: Path | None, form: "Format | None") -> "Format":
    if form:
        return form
    if output is None:
        return "csv"
    named = formats.of_rows(output.name)
    if named is None or named == "tfrecord" or formats.is_compressed(output.name):
        raise ConfigError(f"-o {output}: expected a name that ends in .csv, .jsonl or .parquet, or --format")
    return named


def _show(subject: Path, rows: int, split: str, examples: Path | None, label: str) -> Answer:
    from penstock.pipelines.cli.predictions import show_predictions

    if examples and (special := kinds.special(examples)):
        raise ConfigError(f"--examples: {examples} is {special}: expected a TFRecord file of tf.Examples")
    if is_config(subject):
        config = load(subject)
        model = show_predictions.newest_model(config)
        examples = examples or show_predictions.newest_examples(config, split)
        label = label or config.label or ""
    else:
        model = subjects.model(subject)
        examples = examples or show_predictions.examples_beside(model, split)
    tell(f"model {model}\nrows  {examples}\n")
    answers, known = show_predictions.ask(model, examples, rows, label)
    result = ShownPredictions(
        model=str(model),
        examples=str(examples),
        label=known.name if known else label,
        classes=list(known.classes) if known else [],
        rows=[PredictedRow(**answer) for answer in answers],
    )
    return Answer(result, lambda: show_predictions.text(answers, known, label))


@dataclass(frozen=True)
class _Asked:
    """What the command line asks to be scored."""

    subject: Path  # a configuration, a model's folder or a run's
    data: Sequence[str]
    output: Path | None  # None: standard output
    form: "Format"
    columns: tuple[str, ...] | None
    rejects: Path | None
    csv_options: Sequence[str]
    label: str


def _score(asked: _Asked) -> Answer:
    from penstock.pipelines import local
    from penstock.pipelines.cli.predictions import show_predictions

    model, options, label = _model(asked)
    for written in filter(None, (asked.output, asked.rejects)):
        if any(written.resolve() == Path(place).resolve() for place in asked.data):
            raise ConfigError(f"{written}: it is a file of rows: expected another to write")
    if asked.output and asked.rejects and asked.output.resolve() == asked.rejects.resolve():
        raise ConfigError(f"--rejects {asked.rejects}: expected another file than -o, which has the predictions")
    local.require_runtime()
    keras_version.leave_out()
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(temporary.folder())
        path = asked.output or scratch / f"output.{asked.form}"
        with show_predictions.silent():
            data = [_spooled(scratch) if place == subjects.STANDARD else place for place in asked.data]
            from penstock.components.engines import open_engine
            from penstock.components.scoring import job as jobs
            from penstock.core.models import predict as models

            request = jobs.Request(
                models.saved_model_folder(model), data, path, asked.form, options, asked.columns, asked.rejects, label
            )
            engine = stack.enter_context(open_engine())
            job = stack.enter_context(jobs.opened(request, engine, scratch))
        for sentence in job.notes:
            note(sentence)
        with show_predictions.silent():
            summary = job.run()
        if asked.output is None:
            with open(path, "rb") as file:
                shutil.copyfileobj(file, output_stream())
    seconds = time.monotonic() - started
    _tell_summary(summary, model, asked, seconds)
    return Answer(
        Scored(
            model=str(model),
            output=str(asked.output) if asked.output else None,
            rows=summary.rows,
            rejected=summary.rejected,
            seconds=round(seconds, 3),
        )
    )


def _tell_summary(summary: "Summary", model: Path, asked: _Asked, seconds: float) -> None:
    where = f" to {asked.output}" if asked.output else ""
    note(f"{progress.text({'rows': summary.rows})}{where} in {seconds:.1f} s, by the model {model}")
    if summary.rejected:
        are = "is" if summary.rejected == 1 else "are"
        note(f"{progress.text({'rows': summary.rejected})} that cannot be read {are} in {asked.rejects}")
    if not summary.rows:
        warn("there is no row in the data")


def _model(asked: _Asked) -> tuple[Path, str, str]:
    """Returns the model, how CSV files are written (JSON), and the label's name."""
    from penstock.pipelines.cli.predictions import show_predictions

    if is_config(asked.subject):
        config = load(asked.subject)
        options: dict[str, Any] = config.data.csv_options(config.without_code)
        model, label = show_predictions.newest_model(config), config.label or ""
    else:
        model, label = subjects.model(asked.subject), ""
        beside = show_predictions.csv_options_beside(asked.subject)
        options = _csv_options_of_pusher(model) if beside is None else beside
    return model, json.dumps(options | _pairs(asked.csv_options)), asked.label or label


def _csv_options_of_pusher(model: Path) -> dict[str, Any]:
    """Returns how the training data was written, if this folder's configuration has pushed the model; else {}."""
    if not Path(DEFAULT_CONFIG).is_file():
        return {}
    config = load(Path(DEFAULT_CONFIG))
    folder = config.push.directory if config.push else None
    if folder and model.absolute().is_relative_to(Path(folder).absolute()):
        return config.data.csv_options(config.without_code)
    return {}


def _pairs(assignments: Sequence[str]) -> dict[str, Any]:
    """Reads --csv: a delimiter and the like are text, null_values and column_names lists in JSON or with commas."""
    pairs: dict[str, Any] = {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator:
            raise ConfigError(f"--csv {assignment}: expected KEY=VALUE, such as delimiter=';'")
        value = "\t" if value == r"\t" else value
        is_list = key in ("null_values", "column_names") and value != "auto"
        pairs[key] = [one for one in value.split(",") if one] if is_list else value
    return pairs


def _spooled(scratch: Path) -> str:
    """Writes standard input to a file, which can be read in parts; returns its path."""
    from penstock.components.scoring.inputs.files import STANDARD_INPUT

    path = scratch / STANDARD_INPUT
    if path.exists():
        raise UserError("expected standard input (-) once, received it twice")
    with open(path, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return str(path)
