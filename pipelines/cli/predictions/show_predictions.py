"""What a model of a run predicts: finding the newest model and rows to ask it about, and asking."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.artifacts import Examples, Model
from penstock.core.errors import UserError
from penstock.core.text import printable
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.record import RunRecord

if TYPE_CHECKING:
    from penstock.core.labels import Label
    from penstock.core.models.predict import Row

_LONGEST = 500  # characters of a value that are shown
_VALUES = 100  # of a list that are shown
_CLASSES = 5  # of a prediction that are shown


def newest_model(config: Config) -> Path:
    """Returns the newest version in the push directory, else the newest run's model."""
    if config.push and config.push.directory:
        pushed = Path(config.push.directory)
        versions = sorted((int(path.name) for path in pushed.glob("*") if path.name.isdecimal()), reverse=True)
        if versions:
            return pushed / str(versions[0])
    for run in record.earlier(Path(config.pipeline_root), config.name):
        for model in run.made("model"):
            if Model(model.path).serving_model() is not None:
                return model.path
    raise UserError(f"no model of {config.name} yet: `penstock run` trains one")


def csv_options_beside(place: Path) -> dict[str, Any] | None:
    """Returns how the CSV files of a run were written: of a run's folder, or of one in it; None of any other."""
    for folder in (place.absolute(), *place.absolute().parents):
        if (folder / record.FILE).is_file():
            for task in record.require(folder).tasks:
                text = task.key.parameters.get("csv_options", "") if task.key else ""
                if text:
                    options: dict[str, Any] = json.loads(json.loads(text) or "{}")
                    return options
            return {}
    return None


def examples_beside(model: Path, split: str) -> Path:
    """Returns examples of the run that a model is in."""
    for folder in model.absolute().parents:
        if (folder / record.FILE).is_file():
            run = record.require(folder)
            files = _examples(run)
            if files:
                return _split(files, split, run)
    raise UserError(
        f"{model} is in no run's folder, so it has no examples beside it: expected --examples FILE, a TFRecord file of "
        "tf.Examples; or the configuration in place of the model, which takes the newest run's"
    )


def newest_examples(config: Config, split: str) -> Path:
    """Returns a file of the split from the newest run that has examples."""
    for run in record.earlier(Path(config.pipeline_root), config.name):
        files = _examples(run)
        if files:
            return _split(files, split, run)
    raise UserError(f"no examples in the runs of {config.name}: `penstock run` reads the data")


def _examples(run: RunRecord) -> dict[str, Path]:
    """Returns the first file of each split of a run's examples."""
    first: dict[str, Path] = {}
    for made in run.made("examples"):
        examples = Examples(made.path)
        for split in examples.splits():
            for file in examples.files(split)[:1]:
                first.setdefault(split, file)
    return first


def _split(files: dict[str, Path], split: str, run: RunRecord) -> Path:
    if split not in files:
        raise UserError(
            f"no split {split!r} in {run.folder.name}: expected --split to be one of {', '.join(sorted(files))}"
        )
    return files[split]


def ask(model: Path, examples: Path, rows: int, label: str) -> "tuple[list[Row], Label | None]":
    """Asks a model about the first rows of an examples file; returns them with what it predicts, and its label."""
    with silent():
        from penstock.core.labels import Label
        from penstock.core.models import predict

        known = Label.read(predict.saved_model_folder(model))
        return predict.predict_rows(model, examples, rows, label or (known.name if known else "")), known


def text(answers: "Sequence[Row]", known: "Label | None", label: str) -> str:
    """Returns rows, what a model predicts, and what is true; `label` is named where the model does not name its own."""
    if known is None:
        return "\n\n".join(_row(number, answer, label) for number, answer in enumerate(answers, 1))
    shown = []
    for number, answer in enumerate(answers, 1):
        described = {known.name: _described(answer["prediction"], known.problem, known.classes)}
        shown.append(_row(number, {"features": answer["features"], "prediction": described, "label": answer["label"]}))
    return "\n\n".join(shown)


def _row(number: int, answer: "Row", label: str = "") -> str:
    """Returns a row's features, what is predicted and what is true; `label` is named where no prediction names it."""
    values = [(name, _shown(value)) for name, value in answer["features"].items()]
    values += [(f"-> {name}", _shown(value)) for name, value in answer["prediction"].items()]
    if answer["label"] is not None:
        values.append(("actual", _shown(answer["label"]) + (f" ({label})" if label else "")))
    named = [(printable.sentence(name), value) for name, value in values]
    width = max(len("actual"), *(len(name) for name, _ in named))
    return "\n".join([f"row {number}", *(f"  {name:{width}}  {value}" for name, value in named)])


def _described(prediction: dict[str, Any], problem: str, classes: Sequence[Any]) -> Any:
    """Returns what a model without code predicts: "yes: 0.794, no: 0.206", or the value of a regression."""
    if problem == "regression":
        return prediction["predictions"]
    if problem == "binary":
        of_greater = prediction["probabilities"]
        shares = [1 - of_greater, of_greater]
    else:
        shares = prediction["scores"]
    ranked = sorted(zip(shares, classes, strict=True), key=lambda pair: -pair[0])
    more = f" and {len(ranked) - _CLASSES:,} more" if len(ranked) > _CLASSES else ""
    return ", ".join(f"{of}: {share:.3f}" for share, of in ranked[:_CLASSES]) + more


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        more = [f"and {len(value) - _VALUES:,} more"] if len(value) > _VALUES else []
        return "[" + ", ".join([*map(_shown, value[:_VALUES]), *more]) + "]"
    return "(missing)" if value is None else printable.printable(printable.shortened(str(value), _LONGEST))


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keeps what TensorFlow's C++ writes to standard error while it loads out of sight; errors are still raised."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
