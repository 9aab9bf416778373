"""Which arguments of `penstock predict` name a model, and which of them rows."""

from collections.abc import Sequence
from pathlib import Path

from penstock.core.artifacts import Model, SavedModel
from penstock.core.errors import ConfigError, UserError
from penstock.core.files import formats, patterns
from penstock.pipelines.cli.options import DEFAULT_CONFIG, is_config

STANDARD = "-"  # standard input or output


def roles(places: Sequence[str]) -> tuple[Path | None, list[str]]:
    """Tells the configuration or model from the data. A single name that is nothing is one of a model."""
    subjects = [place for place in places if place != STANDARD and _is_subject(Path(place))]
    data = [place for place in places if place not in subjects]
    if len(places) == 1 and data and not _may_be_data(data[0]):
        return Path(data[0]), []
    if len(subjects) > 1:
        raise ConfigError(f"expected one configuration or model, received {subjects[0]} and {subjects[1]}")
    return (Path(subjects[0]) if subjects else None), data


def or_default(subject: Path | None) -> Path:
    """Returns the subject, else this folder's configuration; a ConfigError if there is none."""
    if subject is not None:
        return subject
    if not Path(DEFAULT_CONFIG).is_file():
        raise ConfigError(
            f"which model? There is no {DEFAULT_CONFIG} in this folder: expected --model, with a model's folder, a "
            "run's folder or a configuration"
        )
    return Path(DEFAULT_CONFIG)


def model(subject: Path) -> Path:
    """Returns a folder that holds a model, or the model of a run; a UserError says what it is expected to be."""
    from penstock.pipelines.local.records import record

    if _is_run(subject):
        for made in record.require(subject).made("model"):
            if Model(made.path).serving_model() is not None:
                return made.path
        raise UserError(f"{subject}: this run has no model: expected one that has trained")
    if _holds_model(subject):
        return subject
    what = "holds no model" if subject.exists() else "does not exist"
    raise UserError(
        f"{subject} {what}: expected a configuration (a YAML file, or a folder with pipeline.yaml in it) or a model's "
        "folder (a pushed version, or a run's trainer/model)"
    )


def _is_subject(path: Path) -> bool:
    return is_config(path) or _is_run(path) or _holds_model(path)


def _is_run(folder: Path) -> bool:
    from penstock.pipelines.local.records import record

    return (folder / record.FILE).is_file()


def _holds_model(folder: Path) -> bool:
    return SavedModel.within(folder) is not None or Model(folder).serving_model() is not None


def _may_be_data(place: str) -> bool:
    path = Path(place)
    named = path.is_file() or place == STANDARD or "://" in place or patterns.is_wild(place)
    return named or _has_suffix(path) or (path.is_dir() and any(map(_has_suffix, path.iterdir())))


def _has_suffix(path: Path) -> bool:
    return formats.is_compressed(path.name) or formats.of_rows(path.name) is not None
