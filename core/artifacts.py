"""The layout of every artifact on disk: the one module that owns their file names.

The trees are TFX 1.21's, so TFDV, TFT, TFMA and TFX open them, and these classes open theirs. Each class wraps the
artifact's folder. Marks that readers trust (BLESSED, saved_model.pb) are written last.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict

from penstock.core.errors import ConfigError, DataError, ModelError, SchemaError, UserError
from penstock.core.files import atomic, patterns

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

# Written into the metadata of every artifact: TFX takes one without it for older than 0.29, with another layout.
TFX_VERSION = "1.21.0"
_LISTED = 3
_SPLIT_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")

# What decides a row's split: its content, as in TFX; its number in its file; chance. With "auto" the content, or the
# number where few rows differ.
By = Literal["auto", "content", "row", "random"]
MOST_BUCKETS = (1 << 31) - 1  # of all splits together, as TFX's messages and ExampleGen's arithmetic hold

type Property = str | int | float
type Metadata = dict[str, Property]  # of an artifact, by name: what ML Metadata can hold


def metadata(*, split_names: Iterable[str] | None = None, **properties: Property) -> Metadata:
    """Returns the metadata of an artifact as TFX writes it: with its version, and `split_names` as a JSON list."""
    splits: Metadata = {} if split_names is None else {"split_names": json.dumps(list(split_names))}
    return {"tfx_version": TFX_VERSION, **splits, **properties}


@dataclass(frozen=True)
class TaskResult:
    """What an executor returns: the metadata of each of its task's outputs, by the output's name."""

    metadata: dict[str, Metadata]


@dataclass(frozen=True)
class GateResult(TaskResult):
    """What the executor of a gate returns: also whether the pipeline may go on."""

    blessed: bool


def check_split_name(name: str) -> str:
    """Returns the name; a UserError if it does not consist of letters, digits, `-` and `_`."""
    if not _SPLIT_NAME.match(name):
        raise UserError(f"split name: expected letters, digits, '-' and '_', received {name!r}")
    return name


@dataclass(frozen=True)
class Artifact:
    """An artifact's folder."""

    root: Path


@dataclass(frozen=True)
class SplitArtifact(Artifact):
    """An artifact with one folder for each split: `Split-<name>/`."""

    SPLIT: ClassVar[str] = "Split-"

    def splits(self) -> list[str]:
        """Returns the names of the splits, sorted."""
        folders = (path.name for path in self.root.glob(f"{self.SPLIT}*") if path.is_dir())
        return sorted(name.removeprefix(self.SPLIT) for name in folders)

    def split(self, name: str) -> Path:
        """Returns the split's folder, whether it exists or not."""
        return self.root / f"{self.SPLIT}{name}"

    def included(
        self, properties: Mapping[str, Property], exclude: Iterable[str] = (), strict: bool = False
    ) -> list[str]:
        """Returns the splits without the excluded ones, in the order of `split_names` in the metadata, else by name.

        Raises a ConfigError if none is left and, if `strict`, if an excluded split does not exist.
        """
        names = split_names(properties) if properties.get("split_names") else self.splits()
        self.require_splits(names)
        existing = ", ".join(names) or "none"
        unknown = [name for name in exclude if name not in names]
        if unknown and strict:
            raise ConfigError(f"exclude_splits: split {unknown[0]!r} does not exist: expected some of {existing}")
        included = [name for name in names if name not in set(exclude)]
        if not included:
            raise ConfigError(f"exclude_splits: no split is left: there are {existing}")
        return included

    def require_splits(self, names: Iterable[str]) -> None:
        """Raises a DataError that lists the existing splits if one of `names` is missing."""
        missing = [name for name in names if name not in self.splits()]
        if missing:
            existing = ", ".join(self.splits()) or "none"
            raise DataError(f"split {missing[0]!r} does not exist: expected one of {existing}")


@dataclass(frozen=True)
class Examples(SplitArtifact):
    """Examples of a data set, or transformed ones.

    Split-train/data_tfrecord-00000-of-00008.gz          gzip TFRecord of tf.Example
    Split-train/transformed_examples-00000-of-00008.gz   (Transform)
    """

    DATA: ClassVar[str] = "data_tfrecord"
    TRANSFORMED: ClassVar[str] = "transformed_examples"
    # Keys of ExampleGen's metadata: how rows were divided into splits, and the columns' types, both JSON.
    DIVISION: ClassVar[str] = "division"
    COLUMN_TYPES: ClassVar[str] = "column_types"

    def files(self, split: str) -> list[Path]:
        """Returns the files of a split, sorted, which is the order of its records; a DataError without the split."""
        self.require_splits([split])
        return sorted(path for path in self.split(split).iterdir() if path.name.endswith(".gz"))

    def pattern(self, split: str) -> str:
        """Returns the glob pattern of a split's files: of these alone, whatever characters the folder's path has."""
        return f"{patterns.escape(str(self.split(split)))}/*"

    def shard(self, split: str, index: int, count: int, prefix: str = DATA) -> Path:
        """Returns the path of file `index` (from 0) of the `count` files of a split."""
        return self.split(split) / self.file_name(index, count, prefix)

    @staticmethod
    def file_name(index: int, count: int, prefix: str = DATA) -> str:
        """Returns the name of such a file: `file_name(0, 8)` is `data_tfrecord-00000-of-00008.gz`."""
        return f"{prefix}-{index:05d}-of-{count:05d}.gz"


@dataclass(frozen=True)
class ExampleStatistics(SplitArtifact):
    """Statistics of each split: `Split-<name>/FeatureStats.pb`, a binary DatasetFeatureStatisticsList.

    Besides TFDV's statistics, an integer feature has custom ones: its number of distinct values and, from 2**53 on,
    where doubles are rounded, its least and greatest as text. Of strings that are numbers, of which TFDV lists the most
    frequent thousand, one lists strings that are none.
    """

    FILE: ClassVar[str] = "FeatureStats.pb"
    DISTINCT_INTEGERS: ClassVar[str] = "distinct_integers"
    LEAST_INTEGER: ClassVar[str] = "least_integer"
    GREATEST_INTEGER: ClassVar[str] = "greatest_integer"
    NO_NUMBERS: ClassVar[str] = "no_numbers"

    def path(self, split: str) -> Path:
        return self.split(split) / self.FILE

    def require(self) -> None:
        """Raises a DataError that says what is there if this is no folder with statistics of each split."""
        names = self.splits()
        without = next((name for name in names if not self.path(name).is_file()), None)
        if not names or without:
            what = (
                "is a file" if self.root.is_file() else "has no such folder" if self.root.is_dir() else "does not exist"
            )
            raise DataError(
                f"expected a folder with statistics ({self.SPLIT}<name>/{self.FILE}), as StatisticsGen writes it: "
                f"{self.root} {f'has none in {self.SPLIT}{without}' if without else what}"
            )

    def read(self, split: str) -> "statistics_pb2.DatasetFeatureStatisticsList":
        """Returns the statistics of a split; a DataError if there is no such split."""
        self.require_splits([split])
        return read_statistics(self.path(split))

    def read_all(self, first: str) -> "statistics_pb2.DatasetFeatureStatisticsList":
        """Returns the statistics of a split, and after them a dataset of each other split, named `Split-<name>`.

        Raises a DataError if there is no split `first`.
        """
        statistics = self.read(first)
        for split in self.splits():
            if split != first and self.path(split).is_file():
                dataset = statistics.datasets.add()
                dataset.CopyFrom(read_statistics(self.path(split)).datasets[0])
                dataset.name = f"{self.SPLIT}{split}"
        return statistics

    def write(self, split: str, statistics: "statistics_pb2.DatasetFeatureStatisticsList") -> None:
        """Writes the statistics of a split; the same statistics are the same bytes."""
        atomic.write_bytes(self.path(split), statistics.SerializeToString(deterministic=True))


@dataclass(frozen=True)
class Schema(Artifact):
    """`schema.pbtxt`, the only file in the folder: TFX's readers take the only one they find."""

    FILE: ClassVar[str] = "schema.pbtxt"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def read(self) -> "schema_pb2.Schema":
        """Returns the schema; a SchemaError if the file is missing or does not parse."""
        return read_schema(self.path)

    def write(self, schema: "schema_pb2.Schema") -> None:
        """Writes the schema in protobuf's text form."""
        from google.protobuf import text_format

        atomic.write_text(self.path, text_format.MessageToString(schema))


@dataclass(frozen=True)
class ExampleAnomalies(SplitArtifact):
    """Anomalies of each split: `Split-<name>/SchemaDiff.pb`, a binary Anomalies."""

    FILE: ClassVar[str] = "SchemaDiff.pb"

    def path(self, split: str) -> Path:
        return self.split(split) / self.FILE

    def read(self, split: str) -> "anomalies_pb2.Anomalies":
        """Returns the anomalies of a split; a DataError if there is no such split."""
        from tensorflow_metadata.proto.v0 import anomalies_pb2

        self.require_splits([split])
        return anomalies_pb2.Anomalies.FromString(self.path(split).read_bytes())

    def write(self, split: str, anomalies: "anomalies_pb2.Anomalies") -> None:
        """Writes the anomalies of a split; the same anomalies are the same bytes."""
        atomic.write_bytes(self.path(split), anomalies.SerializeToString(deterministic=True))


@dataclass(frozen=True)
class TransformGraph(Artifact):
    """What Transform learned; read it with `tft.TFTransformOutput(root)`.

    transform_fn/            SavedModel, with the vocabularies in assets/
    transformed_metadata/    schema.pbtxt and asset_map
    metadata/                schema.pbtxt of the raw data
    """

    @property
    def transform_fn(self) -> Path:
        return self.root / "transform_fn"

    @property
    def transformed_metadata(self) -> Path:
        return self.root / "transformed_metadata"

    @property
    def raw_metadata(self) -> Path:
        return self.root / "metadata"


@dataclass(frozen=True)
class HyperParameters(Artifact):
    """`best_hyperparameters.txt`, the only file in the folder: KerasTuner's `get_config()`, or any other, as JSON."""

    FILE: ClassVar[str] = "best_hyperparameters.txt"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def read(self) -> Any:
        """Returns what the JSON holds; a ValueError if the file is not JSON."""
        return json.loads(self.path.read_text())

    def write(self, hyperparameters: Mapping[str, object]) -> None:
        """Writes the values, which must be JSON's."""
        atomic.write_text(self.path, json.dumps(hyperparameters))


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
        atomic.write_text(self.path, json.dumps(list(rows)))


@dataclass(frozen=True)
class SavedModel(Artifact):
    """A model in TensorFlow's format, within an artifact or in a place where models are pushed to.

    `run_fn` may write a model of another kind, such as model.pkl, in its place: then there is no saved_model.pb, and
    `digest`, `sizes` and `listed` are of what there is.

    saved_model.pb            the graph; a folder without it is no SavedModel, so it is written last
    fingerprint.pb            checksums of the others and a random number, new at every save
    variables/ assets/
    assets.extra/label.json   what a model without code predicts; TensorFlow and its servers ignore this file
    """

    FILE: ClassVar[str] = "saved_model.pb"
    FINGERPRINT: ClassVar[str] = "fingerprint.pb"

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
        return self.root / "assets.extra" / "label.json"

    def digest(self) -> str:
        """Returns the SHA-256, in hexadecimal, of all files except the fingerprint: of what the model computes."""
        return atomic.digest(self._files(), self.root)

    def sizes(self) -> dict[str, int]:
        """Returns the size in bytes of each file except the fingerprint, by its path below the folder.

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
        return (path for path in files if path != self.root / self.FINGERPRINT)


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
class ModelEvaluation(Artifact):
    """TFMA's results: a record for each slice in `metrics`, `plots` and `attributions`, and one in `validations`.

    The files are TFRecords without compression; `config` is an EvalRun as JSON.
    """

    @property
    def metrics(self) -> Path:
        return self.root / "metrics-00000-of-00001.tfrecord"

    @property
    def plots(self) -> Path:
        return self.root / "plots-00000-of-00001.tfrecord"

    @property
    def attributions(self) -> Path:
        return self.root / "attributions-00000-of-00001.tfrecord"

    @property
    def validations(self) -> Path:
        return self.root / "validations.tfrecord"

    @property
    def config(self) -> Path:
        return self.root / "eval_config.json"


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


class Reason(TypedDict):
    """One threshold of an evaluation in one slice: the value that was measured, and whether it passes.

    `value` is None if the metric was not computed, is not defined or not finite. `metric` is TFMA's name of the metric;
    only `sentence` says which output or class it is about. `threshold` is in words, such as "at least 0.8".
    """

    metric: str
    slice: str
    value: float | None
    threshold: str
    passed: bool
    sentence: str


class Verdict(TypedDict):
    """Whether a model is blessed, which models were compared (URIs), when (ISO 8601), and why."""

    blessed: bool
    model: str
    baseline_model: str | None
    created: str
    reasons: list[Reason]


@dataclass(frozen=True)
class ModelValidation(Artifact):
    """`validation.json`: a Verdict."""

    FILE: ClassVar[str] = "validation.json"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def read(self) -> Verdict:
        """Returns the verdict; an OSError if there is no file, a ValueError if its content is no Verdict."""
        from pydantic import TypeAdapter

        return TypeAdapter(Verdict).validate_json(self.path.read_bytes())

    def write(self, verdict: Verdict) -> None:
        """Writes the verdict; a ValueError if a value is not finite, because JSON has no such numbers."""
        atomic.write_text(self.path, json.dumps(verdict, indent=1, allow_nan=False))


@dataclass(frozen=True)
class ModelBlessing(Artifact):
    """An empty file `BLESSED` or `NOT_BLESSED`."""

    BLESSED: ClassVar[str] = "BLESSED"
    NOT_BLESSED: ClassVar[str] = "NOT_BLESSED"

    def write(self, blessed: bool) -> None:
        """Writes the mark. Readers trust it, so it is the last output to write."""
        atomic.write_bytes(self.root / (self.BLESSED if blessed else self.NOT_BLESSED), b"")

    def read(self) -> bool:
        """Returns whether the model is blessed; a ModelError if the folder holds both marks or none."""
        return _read_mark(self.root, self.BLESSED, self.NOT_BLESSED)


@dataclass(frozen=True)
class InfraBlessing(Artifact):
    """An empty file `INFRA_BLESSED` or `INFRA_NOT_BLESSED`."""

    BLESSED: ClassVar[str] = "INFRA_BLESSED"
    NOT_BLESSED: ClassVar[str] = "INFRA_NOT_BLESSED"

    def read(self) -> bool:
        """Returns whether the model could be served; a ModelError if the folder holds both marks or none."""
        return _read_mark(self.root, self.BLESSED, self.NOT_BLESSED)


def _read_mark(folder: Path, blessed: str, not_blessed: str) -> bool:
    marks = {name for name in (blessed, not_blessed) if (folder / name).is_file()}
    if len(marks) != 1:
        present = " and ".join(sorted(marks)) or "neither"
        raise ModelError(f"blessing at {folder}: expected one of {blessed} and {not_blessed}, found {present}")
    return marks == {blessed}


def read_statistics(path: Path) -> "statistics_pb2.DatasetFeatureStatisticsList":
    """Returns the statistics in a binary file; a DataError if the file is missing or holds something else."""
    from google.protobuf.message import DecodeError
    from tensorflow_metadata.proto.v0 import statistics_pb2

    try:
        return statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"statistics file {path} does not exist") from None
    except DecodeError as error:
        raise DataError(f"statistics file {path}: expected a DatasetFeatureStatisticsList: {error}") from None


def read_schema(path: Path) -> "schema_pb2.Schema":
    """Returns a schema in protobuf's text form; a SchemaError names the file and the line that does not parse."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    try:
        return text_format.Parse(path.read_text(), schema_pb2.Schema())
    except FileNotFoundError:
        raise SchemaError(f"schema file {path} does not exist") from None
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise SchemaError(f"schema file {path}: expected a Schema in protobuf's text form: {error}") from None


def split_names(properties: Mapping[str, Property]) -> list[str]:
    """Returns the split names in the metadata of an artifact; a KeyError if it has none."""
    return list(json.loads(str(properties["split_names"])))
