"""The layout of every artifact on disk: the one module that owns their file names.

The trees are TFX 1.21's, so TFDV, TFT, TFMA and TFX open them, and these classes open theirs. Each class wraps the
artifact's folder. Marks that readers trust (BLESSED, saved_model.pb) are written last.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from penstock.core.errors import ConfigError, DataError, ModelError, SchemaError, UserError
from penstock.core.files import atomic

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

# Written into the metadata of every artifact: TFX takes one without it for older than 0.29, with another layout.
TFX_VERSION = "1.21.0"
_SPLIT_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")


def metadata(**properties: Any) -> dict[str, Any]:
    """Returns the metadata of an artifact as TFX writes it. `split_names` is given as a list, stored as JSON."""
    if "split_names" in properties:
        properties["split_names"] = json.dumps(list(properties["split_names"]))
    return {"tfx_version": TFX_VERSION, **properties}


@dataclass(frozen=True)
class TaskResult:
    """What an executor says of its task's outputs: the metadata of each, by the output's name."""

    metadata: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class GateResult(TaskResult):
    """The outputs of a gate, and whether it lets through what it looked at."""

    blessed: bool


def check_split_name(name: str) -> str:
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
        return self.root / f"{self.SPLIT}{name}"

    def included(self, properties: Mapping[str, Any], exclude: Iterable[str] = (), strict: bool = False) -> list[str]:
        """Returns the splits but for those to exclude, in the order of the metadata's `split_names` (else by name).

        Raises a ConfigError if none is left and, if `strict`, for a split to exclude that does not exist.
        """
        names = split_names(properties) if properties.get("split_names") else self.splits()
        self.require_splits(names)
        found = ", ".join(names) or "none"
        unknown = [name for name in exclude if name not in names]
        if unknown and strict:
            raise ConfigError(f"exclude_splits: split {unknown[0]!r} does not exist: expected some of {found}")
        left = [name for name in names if name not in set(exclude)]
        if not left:
            raise ConfigError(f"exclude_splits: no split is left: there are {found}")
        return left

    def require_splits(self, names: Iterable[str]) -> None:
        """Raises a DataError that lists the splits there are, if one of `names` is missing."""
        missing = [name for name in names if name not in self.splits()]
        if missing:
            found = ", ".join(self.splits()) or "none"
            raise DataError(f"split {missing[0]!r} does not exist: expected one of {found}")


@dataclass(frozen=True)
class Examples(SplitArtifact):
    """Examples of a data set, or transformed ones.

    Split-train/data_tfrecord-00000-of-00008.gz          gzip TFRecord of tf.Example
    Split-train/transformed_examples-00000-of-00008.gz   (Transform)
    """

    DATA: ClassVar[str] = "data_tfrecord"
    TRANSFORMED: ClassVar[str] = "transformed_examples"

    def files(self, split: str) -> list[Path]:
        """Returns the files of a split, sorted: their order is the order of the records."""
        self.require_splits([split])
        return sorted(path for path in self.split(split).iterdir() if path.name.endswith(".gz"))

    def shard(self, split: str, index: int, count: int, prefix: str = DATA) -> Path:
        return self.split(split) / self.file_name(index, count, prefix)

    @staticmethod
    def file_name(index: int, count: int, prefix: str = DATA) -> str:
        return f"{prefix}-{index:05d}-of-{count:05d}.gz"


@dataclass(frozen=True)
class ExampleStatistics(SplitArtifact):
    """Statistics of each split: `Split-<name>/FeatureStats.pb`, a binary DatasetFeatureStatisticsList.

    Beside TFDV's statistics an integer feature has a custom one: how many different values it has.
    """

    FILE: ClassVar[str] = "FeatureStats.pb"
    DISTINCT_INTEGERS: ClassVar[str] = "distinct_integers"

    def path(self, split: str) -> Path:
        return self.split(split) / self.FILE

    def read(self, split: str) -> "statistics_pb2.DatasetFeatureStatisticsList":
        self.require_splits([split])
        return read_statistics(self.path(split))

    def write(self, split: str, statistics: "statistics_pb2.DatasetFeatureStatisticsList") -> None:
        atomic.write_bytes(self.path(split), statistics.SerializeToString(deterministic=True))


@dataclass(frozen=True)
class Schema(Artifact):
    """`schema.pbtxt`, the only file in the folder: TFX's readers take the only one they find."""

    FILE: ClassVar[str] = "schema.pbtxt"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def read(self) -> "schema_pb2.Schema":
        return read_schema(self.path)

    def write(self, schema: "schema_pb2.Schema") -> None:
        from google.protobuf import text_format

        atomic.write_text(self.path, text_format.MessageToString(schema))


@dataclass(frozen=True)
class ExampleAnomalies(SplitArtifact):
    """Anomalies of each split: `Split-<name>/SchemaDiff.pb`, a binary Anomalies."""

    FILE: ClassVar[str] = "SchemaDiff.pb"

    def path(self, split: str) -> Path:
        return self.split(split) / self.FILE

    def read(self, split: str) -> "anomalies_pb2.Anomalies":
        from tensorflow_metadata.proto.v0 import anomalies_pb2

        self.require_splits([split])
        return anomalies_pb2.Anomalies.FromString(self.path(split).read_bytes())

    def write(self, split: str, anomalies: "anomalies_pb2.Anomalies") -> None:
        atomic.write_bytes(self.path(split), anomalies.SerializeToString(deterministic=True))


@dataclass(frozen=True)
class TransformGraph(Artifact):
    """What Transform learnt; read it with `tft.TFTransformOutput(root)`.

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
        return json.loads(self.path.read_text())

    def write(self, hyperparameters: Mapping[str, Any]) -> None:
        atomic.write_text(self.path, json.dumps(hyperparameters))


@dataclass(frozen=True)
class TunerResults(Artifact):
    """`tuner_results.json`: a list of `{"trial_id": …, "score": …, <hyperparameter>: <value>, …}`, best first."""

    FILE: ClassVar[str] = "tuner_results.json"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        atomic.write_text(self.path, json.dumps(list(rows)))


@dataclass(frozen=True)
class SavedModel(Artifact):
    """A model in TensorFlow's format, within an artifact or in a place where models are pushed to.

    saved_model.pb            the graph; what is without it is no SavedModel, so it is written last
    fingerprint.pb            checksums of the others and a random number, new at every save
    variables/ assets/
    assets.extra/label.json   what a model without code predicts; TensorFlow and its servers leave it alone
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
        """Returns the SHA-256, in hexadecimal, of what the model computes: of all files but the fingerprint."""
        return atomic.digest(self._files(), self.root)

    def sizes(self) -> dict[str, int]:
        """Returns the sizes of all files but the fingerprint, which tell most models apart without reading them."""
        return {path.relative_to(self.root).as_posix(): path.stat().st_size for path in self._files()}

    def _files(self) -> Iterator[Path]:
        files = (path for path in self.root.rglob("*") if path.is_file())
        return (path for path in files if path != self.root / self.FINGERPRINT)


def no_saved_model(place: Path | str) -> ModelError:
    return ModelError(f"no SavedModel at {place}: expected {SavedModel.FILE}, written by run_fn")


@dataclass(frozen=True)
class Model(Artifact):
    """`Format-Serving/`, a SavedModel, and `Format-TFMA/` where the trainer wrote one for evaluation."""

    FORMAT: ClassVar[str] = "Format-"
    SERVING: ClassVar[str] = "Format-Serving"

    @property
    def serving(self) -> Path:
        return self.root / self.SERVING

    @property
    def evaluation(self) -> Path:
        return self.root / "Format-TFMA"

    def require_serving(self) -> Path:
        """Returns the serving model's folder; a ModelError if it holds no SavedModel."""
        if not SavedModel(self.serving).exists:
            raise no_saved_model(self.serving)
        return self.serving


@dataclass(frozen=True)
class ModelRun(Artifact):
    """What a training writes while it goes on.

    plan.json               what the columns are taken for, and what was noticed in them (a model without code)
    history.json            a record for each epoch, and how the model is trained
    checkpoint/state.npz    what an interrupted training goes on from
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
    """One threshold in one slice: components/evaluator/verdict.py says more."""

    metric: str
    slice: str
    value: float | None
    threshold: str
    passed: bool
    sentence: str


class Verdict(TypedDict):
    """What the Evaluator says of a model, a URI, compared with a baseline or without. `created` is an ISO time."""

    blessed: bool
    model: str
    baseline_model: str | None
    created: str
    reasons: list[Reason]


@dataclass(frozen=True)
class ModelValidation(Artifact):
    """`validation.json`: a Verdict.

    {"blessed": true, "model": <URI>, "baseline_model": <URI> or null, "created": <ISO time>, "reasons": [{…}, …]}
    """

    FILE: ClassVar[str] = "validation.json"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def read(self) -> Verdict:
        verdict: Verdict = json.loads(self.path.read_text())
        return verdict

    def write(self, verdict: Verdict) -> None:
        atomic.write_text(self.path, json.dumps(verdict, indent=1, allow_nan=False))


@dataclass(frozen=True)
class ModelBlessing(Artifact):
    """An empty file `BLESSED` or `NOT_BLESSED`."""

    BLESSED: ClassVar[str] = "BLESSED"
    NOT_BLESSED: ClassVar[str] = "NOT_BLESSED"

    def write(self, blessed: bool) -> None:
        atomic.write_bytes(self.root / (self.BLESSED if blessed else self.NOT_BLESSED), b"")

    def read(self) -> bool:
        """Returns whether the model is blessed; a ModelError if the folder holds neither mark or both."""
        return _read_mark(self.root, self.BLESSED, self.NOT_BLESSED)


@dataclass(frozen=True)
class InfraBlessing(Artifact):
    """An empty file `INFRA_BLESSED` or `INFRA_NOT_BLESSED`."""

    BLESSED: ClassVar[str] = "INFRA_BLESSED"
    NOT_BLESSED: ClassVar[str] = "INFRA_NOT_BLESSED"

    def read(self) -> bool:
        """Returns whether the model could be served; a ModelError if the folder holds neither mark or both."""
        return _read_mark(self.root, self.BLESSED, self.NOT_BLESSED)


def _read_mark(folder: Path, blessed: str, not_blessed: str) -> bool:
    marks = {name for name in (blessed, not_blessed) if (folder / name).is_file()}
    if len(marks) != 1:
        found = " and ".join(sorted(marks)) or "neither"
        raise ModelError(f"blessing at {folder}: expected one of {blessed} and {not_blessed}, found {found}")
    return marks == {blessed}


def read_statistics(path: Path) -> "statistics_pb2.DatasetFeatureStatisticsList":
    from tensorflow_metadata.proto.v0 import statistics_pb2

    return statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes())


def read_schema(path: Path) -> "schema_pb2.Schema":
    """Reads a schema in text form; a SchemaError names the file and the line that does not parse."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    try:
        return text_format.Parse(path.read_text(), schema_pb2.Schema())
    except FileNotFoundError:
        raise SchemaError(f"schema file {path} does not exist") from None
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise SchemaError(f"schema file {path}: expected a Schema in protobuf's text form: {error}") from None


def split_names(properties: Mapping[str, Any]) -> list[str]:
    """Returns the split names that an artifact's metadata holds."""
    return list(json.loads(properties["split_names"]))
