"""The artifacts of data: examples, what is known of them, and how they are transformed."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from penstock.core.artifacts.artifact import Artifact, SplitArtifact
from penstock.core.errors import DataError, SchemaError
from penstock.core.files import atomic, patterns

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

# What decides a row's split: its content, as in TFX; its number in its file; chance. With "auto" the content, or the
# number where few rows differ.
By = Literal["auto", "content", "row", "random"]

MOST_BUCKETS = (1 << 31) - 1  # of all splits together, as TFX's messages and ExampleGen's arithmetic hold


@dataclass(frozen=True)
class Examples(SplitArtifact):
    """Examples of a data set, or transformed ones.

    Split-train/data_tfrecord-00000-of-00008.gz          gzip TFRecord of tf.Example
    Split-train/transformed_examples-00000-of-00008.gz   (Transform)
    Split-train/examples-00000-of-00008.gz               (BulkInferrer: with predictions)
    """

    DATA: ClassVar[str] = "data_tfrecord"
    TRANSFORMED: ClassVar[str] = "transformed_examples"
    PREDICTED: ClassVar[str] = "examples"
    # Keys of ExampleGen's metadata: how rows were divided into splits, and the columns' types, both JSON.
    DIVISION: ClassVar[str] = "division"
    COLUMN_TYPES: ClassVar[str] = "column_types"
    # Of ExampleCleaner: which rules were applied, by the digest of their file; and the rows that each split lost, JSON.
    CLEANED: ClassVar[str] = "cleaning"
    DROPPED: ClassVar[str] = "dropped_rows"

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
class DataCleaning(Artifact):
    """`cleaning.json`, the only file in the folder: rules of cleaning, with all that was learned for them."""

    FILE: ClassVar[str] = "cleaning.json"

    @property
    def path(self) -> Path:
        return self.root / self.FILE


@dataclass(frozen=True)
class Quarantine(Artifact):
    """What cleaning changed and dropped: Parquet files, a row for each value, in the order of the examples.

    changes-00000-of-00012.parquet

    split, file, record            where it was: the file of the examples, and the record's number in it, from 1 on
    rule, column, action           the rule's name; dropped, missing, clipped, flagged, filled, mapped, …
    old_value, new_value           as text, null for none
    example                        the whole row as a tf.Example, as it was; null unless it was dropped
    """

    CHANGES: ClassVar[str] = "changes"

    def shard(self, index: int, count: int) -> Path:
        """Returns the path of file `index` (from 0) of `count`; those without a row are left out, but for the first."""
        return self.root / f"{self.CHANGES}-{index:05d}-of-{count:05d}.parquet"

    def files(self) -> list[Path]:
        """Returns the files, sorted."""
        return sorted(self.root.glob(f"{self.CHANGES}-*.parquet"))


@dataclass(frozen=True)
class ExampleStatistics(SplitArtifact):
    """Statistics of each split: `Split-<name>/FeatureStats.pb`, a binary DatasetFeatureStatisticsList.

    Besides TFDV's statistics, an integer feature has custom ones: its number of distinct values, the share of these
    that occur more than once (of a sample, where they are many) and, from 2**53 on, where doubles are rounded, its
    least and greatest as text. Of strings that are numbers, of which TFDV lists the most
    frequent thousand, one lists strings that are none.
    """

    FILE: ClassVar[str] = "FeatureStats.pb"
    DISTINCT_INTEGERS: ClassVar[str] = "distinct_integers"
    REPEATED_INTEGERS: ClassVar[str] = "repeated_integers"
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
