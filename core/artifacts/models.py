"""The artifacts of models: what a search and a training write."""

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from penstock.core.artifacts.artifact import Artifact, Metadata, Property, metadata
from penstock.core.errors import ModelError
from penstock.core.files import atomic, documents

_LISTED = 3


@dataclass(frozen=True)
class HyperParameters(Artifact):
    """`best_hyperparameters.txt`, the only file in the folder: KerasTuner's `get_config()`, or any other, as JSON."""

    FILE: ClassVar[str] = "best_hyperparameters.txt"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def read(self) -> Any:
        """Returns what the JSON holds; a ValueError if the file is not JSON."""
        return json.loads(self.path.read_text(encoding="utf-8"))

    def write(self, hyperparameters: Mapping[str, object]) -> None:
        """Writes the values, which must be JSON's."""
        atomic.write_text(self.path, documents.json_text(hyperparameters))


@dataclass(frozen=True)
class TunerResults(Artifact):
    """`tuner_results.json`: a JSON list with a record for each trial, the best first.

    {"trial_id": …, "score": …, <hyperparameter>: <value>, …}
    """

    FILE: ClassVar[str] = "tuner_results.json"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def write(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Writes a row for each trial, in the given order."""
        atomic.write_text(self.path, documents.json_text(list(rows)))


@dataclass(frozen=True)
class SavedModel(Artifact):
    """A model in TensorFlow's format, within an artifact or in a place where models are pushed to.

    `run_fn` may write a model of another kind, such as model.pkl, in its place: then there is no saved_model.pb, and
    `digest`, `sizes` and `listed` are of what there is.

    saved_model.pb            the graph; a folder without it is no SavedModel, so it is written last
    fingerprint.pb            checksums of the others and a random number, new at every save
    variables/ assets/
    assets.extra/             what TensorFlow ignores:
      schema.pbtxt                  the schema of the examples that it was trained on, by which a server encodes rows
      label.json                    what a model without code predicts
      dates.json                    how it reads the columns of dates
      cleaning.json                 the rules by which a server cleans rows before it is asked
      tf_serving_warmup_requests    a TFRecord of PredictionLogs: what model servers ask it before it is ready
    """

    FILE: ClassVar[str] = "saved_model.pb"
    SIGNATURE: ClassVar[str] = "serving_default"  # which is asked where none is named
    FINGERPRINT: ClassVar[str] = "fingerprint.pb"
    EXTRA: ClassVar[str] = "assets.extra"
    WARM_UP_REQUESTS: ClassVar[str] = f"{EXTRA}/tf_serving_warmup_requests"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    @property
    def exists(self) -> bool:
        return self.path.is_file()

    @property
    def assets(self) -> Path:
        return self.root / "assets"

    @property
    def label(self) -> Path:
        return self.root / self.EXTRA / "label.json"

    @property
    def dates(self) -> Path:
        return self.root / self.EXTRA / "dates.json"

    @property
    def schema(self) -> Path:
        return self.root / self.EXTRA / "schema.pbtxt"

    @property
    def cleaning(self) -> Path:
        return self.root / self.EXTRA / "cleaning.json"

    @property
    def warm_up_requests(self) -> Path:
        return self.root / self.WARM_UP_REQUESTS

    @classmethod
    def within(cls, folder: Path) -> "SavedModel | None":
        """Returns the first of these that is one: the folder, its `Format-Serving`, its highest numbered folder."""
        serving = Model(folder).serving_model()
        versions = sorted((path for path in folder.glob("*") if path.name.isdecimal()), key=lambda path: int(path.name))
        candidates = [folder, *([serving] if serving else []), *reversed(versions)]
        return next((cls(path) for path in candidates if cls(path).exists), None)

    @classmethod
    def computes(cls, name: str) -> bool:
        """Whether a file, by its path below the folder, is a part of what the model computes.

        The fingerprint is not, nor are the warm-up requests: with other examples the model is the same.
        """
        return name not in (cls.FINGERPRINT, cls.WARM_UP_REQUESTS)

    def digest(self) -> str:
        """Returns the SHA-256, in hexadecimal, of what the model computes: of its files, and their paths."""
        return atomic.digest(self._files(), self.root)

    def sizes(self) -> dict[str, int]:
        """Returns the size in bytes of each file of what the model computes, by its path below the folder.

        Sizes alone tell most models apart, without reading them.
        """
        return {path.relative_to(self.root).as_posix(): path.stat().st_size for path in self._files()}

    @classmethod
    def is_model(cls, files: Collection[str]) -> bool:
        """Whether a folder with these files holds a model of any kind: what is left of a SavedModel holds none."""
        rest = (cls.FINGERPRINT, "variables/")
        return cls.FILE in files or (bool(files) and not any(name.startswith(rest) for name in files))

    def names(self) -> list[str]:
        """Returns the paths of all files below the folder, sorted."""
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())

    def listed(self) -> str:
        """Names some of the files in the folder, for a sentence about what it is."""
        names = sorted(self.sizes())
        return ", ".join(names[:_LISTED]) + (" and others" if len(names) > _LISTED else "")

    def _files(self) -> Iterator[Path]:
        files = (path for path in self.root.rglob("*") if path.is_file())
        return (path for path in files if self.computes(path.relative_to(self.root).as_posix()))


def no_model(place: Path | str) -> ModelError:
    """Returns the error for a folder or URI where a model was expected."""
    return ModelError(f"no model at {place}: expected {SavedModel.FILE}, or other files, written by run_fn")


@dataclass(frozen=True)
class Model(Artifact):
    """What run_fn wrote, most often a SavedModel, and `Format-TFMA/` where it wrote one for evaluation.

    Format-Serving/                            the model
    Format-Serving/export/<exporter>/<time>/   the model, as estimators export it
    """

    FORMAT: ClassVar[str] = "Format-"
    SERVING: ClassVar[str] = "Format-Serving"
    EXPORT: ClassVar[str] = "export"

    @property
    def serving(self) -> Path:
        return self.root / self.SERVING

    @property
    def evaluation(self) -> Path:
        return self.root / "Format-TFMA"

    def require_serving(self) -> Path:
        """Returns the model's own folder, as TFX's serving_model_path does; a ModelError if there is no file in it."""
        folder = self.serving_model()
        if folder is None:
            raise no_model(self.serving)
        return folder

    def serving_model(self) -> Path | None:
        """Returns the model's own folder; None if there is no model."""
        model = SavedModel(self.serving / self.below_serving(SavedModel(self.serving).names()))
        return model.root if SavedModel.is_model(model.names()) else None

    @classmethod
    def below_serving(cls, files: Iterable[str]) -> str:
        """Returns where in `Format-Serving` the model is, "" for there itself, by the paths of all files in it.

        Raises a ModelError if estimators have exported several.
        """
        parts = [path.split("/") for path in files]
        if [SavedModel.FILE] in parts:
            return ""
        exports = {"/".join(path[:3]) for path in parts if path[0] == cls.EXPORT and len(path) > 3}
        if len(exports) > 1:
            raise ModelError(f"{cls.SERVING}: expected one exported model, found {', '.join(sorted(exports))}")
        return exports.pop() if exports else ""


@dataclass(frozen=True)
class ModelRun(Artifact):
    """What a training writes while it runs.

    plan.json               how each column is treated, and what was noticed in it (a model without code)
    history.json            a record for each epoch, and how the model is trained
    checkpoint/state.npz    the state from which an interrupted training resumes
    train/ validation/      TensorBoard's event files
    """

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def history(self) -> Path:
        return self.root / "history.json"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint" / "state.npz"


@dataclass(frozen=True)
class PushedVersion:
    """A place that a model was pushed to, its version there, and what that has of the requests."""

    place: str
    version: str
    percent: int = 100


def pushed_metadata(pushed: Sequence[PushedVersion]) -> Metadata:
    """Returns the metadata of a pushed model: TFX's properties of one push, and JSON lists of pushes to several places.

    `pushed_percent` is there only while a version is a canary. Without a push `pushed` is 0, and alone.
    """
    if not pushed:
        return metadata(pushed=0)
    properties: dict[str, list[Property]] = {
        "pushed_destination": [one.place for one in pushed],
        "pushed_version": [one.version for one in pushed],
    }
    if any(one.percent < 100 for one in pushed):
        properties["pushed_percent"] = [one.percent for one in pushed]
    single = len(pushed) == 1
    lists = {name: values[0] if single else documents.json_text(values) for name, values in properties.items()}
    return metadata(pushed=1) | lists


def pushed_versions(properties: Mapping[str, Any]) -> list[PushedVersion]:
    """Returns what the metadata of a pushed model tells: the places that it was pushed to, none if to none."""
    if not properties.get("pushed"):
        return []
    places, versions, percents = (
        _values(properties.get(name, default))
        for name, default in (("pushed_destination", ""), ("pushed_version", ""), ("pushed_percent", 100))
    )
    percents = percents if len(percents) == len(places) else [100] * len(places)
    return [
        PushedVersion(str(place), str(version), int(percent))
        for place, version, percent in zip(places, versions, percents, strict=False)
    ]


def _values(value: Any) -> list[Any]:
    """Returns the values of a property that is one value, or a JSON list of several."""
    if isinstance(value, str) and value.startswith("["):
        with contextlib.suppress(ValueError):
            return list(json.loads(value))
    return [value]
