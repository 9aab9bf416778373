"""A topic of Apache Kafka, as the configuration names it. Secrets are named by where they are, never written.

kafka: {bootstrap_servers: "broker:9092", topic: trips, sasl_password_env: KAFKA_PASSWORD}
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from penstock.core import packages
from penstock.core.credentials import names
from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.section import (
    AnyPath,
    PositiveWhole,
    Section,
    Variable,
    Whole,
    is_remote,
    matching,
)

_Url = Annotated[str, matching(r"^https?://[^/\s]+", "an address that begins with http:// or https://")]
_Topic = Annotated[str, matching(r"^[A-Za-z0-9._-]{1,249}$", "letters, digits, ., _ and -")]
_EDGE = "earliest, latest, a time such as 2026-01-31T00:00:00Z, or an offset for each partition ({0: 1200, 1: 1180})"


def _text(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value  # YAML reads a time as such


_Edge = Annotated[str | dict[int, Whole], BeforeValidator(_text)]


class SchemaRegistry(Section):
    """A registry of schemas that speaks Confluent's protocol, which tells of each value what wrote it."""

    url: _Url = Field(description="Its address, such as http://registry:8081.")
    user: str | None = Field(default=None, description="Who signs in, where the registry wants that.")
    password_env: Variable | None = Field(
        default=None, description="The environment variable of the task that holds the password."
    )
    token_env: Variable | None = Field(
        default=None, description="The environment variable of the task that holds the token to sign in with."
    )
    ca_cert: AnyPath | None = Field(
        default=None, description="The certificates that the registry's is checked against, by default the public ones."
    )


class KafkaCsv(Section):
    """How values of CSV are written, a row each."""

    column_names: list[str] = Field(min_length=1, description="The names of the columns, in their order.")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="What is between two cells.")
    text_columns: list[str] = Field(
        default=[], description="Columns that are text although some rows have numbers there, such as postal codes."
    )


class Kafka(SourceSection):
    """A topic of Apache Kafka. Each run reads a window of offsets, which begins where that of the last one ended."""

    extra: ClassVar[str] = "kafka"

    bootstrap_servers: str = Field(
        min_length=1, description="Brokers to ask first, such as broker-1:9092,broker-2:9092."
    )
    topic: _Topic = Field(description="The topic.")
    value_format: Literal["json", "avro", "protobuf", "csv", "tf_example"] = Field(
        default="json", description="What values are. JSON: an object each, whose keys are the columns."
    )
    columns: list[str] = Field(default=[], description="Which columns of the values are read, by default all.")
    metadata: list[Literal["key", "timestamp", "partition", "offset", "headers"]] = Field(
        default=[], description="What is read beside the values, as columns kafka_key, kafka_timestamp and so on."
    )
    start: _Edge = Field(default="earliest", description=f"Where the first window begins: {_EDGE}.")
    end: _Edge = Field(default="latest", description=f"Where the last window ends at the latest: {_EDGE}.")
    window: Literal["day", "hour"] | None = Field(
        default=None,
        description="Windows end with a whole day or hour (UTC), by the records' timestamps, and that is their span; "
        "range_config may name others. By default they end where the topic does, and are numbered.",
    )
    max_records: PositiveWhole | None = Field(default=None, description="How many offsets a window has at most.")
    isolation_level: Literal["read_committed", "read_uncommitted"] = Field(
        default="read_committed",
        description="Whether records of transactions that are open, or were aborted, are left out.",
    )
    lost_records: Literal["fail", "skip"] = Field(
        default="fail",
        description="What happens where records were removed before they were read, or the topic was made anew.",
    )
    group_id: str | None = Field(
        default=None,
        min_length=1,
        description="A consumer group whose offsets are set to a window's end once it is done.",
    )
    schema_registry: SchemaRegistry | None = Field(default=None, description="Where the schemas of values are.")
    schema_subject: str | None = Field(
        default=None, description="The registry's name for the values' schema, by default the topic's with -value."
    )
    schema_file: AnyPath | None = Field(
        default=None,
        description="Without a registry: an Avro schema (.avsc), or descriptors of Protobuf, as protoc "
        "--include_imports --descriptor_set_out writes them.",
    )
    message_type: str | None = Field(
        default=None, description="Which message of Protobuf the values are, such as trips.Trip; by default the first."
    )
    csv: KafkaCsv | None = Field(default=None, description="How values of CSV are written.")
    max_bad_messages: Whole = Field(
        default=0, description="How many messages of a window may have values that cannot be read."
    )
    quarantine: AnyPath | None = Field(
        default=None, description="The folder that such go to, by default one below the pipeline's root."
    )
    records_per_shard: PositiveWhole | None = Field(
        default=None, description="How many offsets a worker reads at a time; by default by how many there are."
    )
    timeout: PositiveWhole = Field(
        default=30, description="Seconds that brokers have for an answer, each of three times."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] | None = Field(
        default=None, description="How the connection is secured."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER"] | None = Field(
        default=None, description="How the client signs in."
    )
    sasl_username: str | None = Field(default=None, description="Who signs in, where that is no secret.")
    sasl_username_env: Variable | None = Field(
        default=None, description="The environment variable of the task that holds the user's name."
    )
    sasl_password_env: Variable | None = Field(
        default=None, description="The environment variable of the task that holds the password."
    )
    ssl_ca_location: AnyPath | None = Field(
        default=None, description="The certificates that the brokers' are checked against."
    )
    ssl_certificate_location: AnyPath | None = Field(default=None, description="The client's certificate.")
    ssl_key_location: AnyPath | None = Field(default=None, description="The file that holds its key.")
    ssl_key_password_env: Variable | None = Field(
        default=None, description="The environment variable of the task that holds the key's password."
    )
    config: dict[str, str | int | float | bool] = Field(
        default={}, description="More options of librdkafka, such as client.rack; no secrets."
    )
    config_env: dict[str, Variable] = Field(
        default={}, description="Options of librdkafka that are secrets, by the variables of the task that hold them."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        kind = self.value_format
        if (kind == "csv") != (self.csv is not None):
            raise ValueError("csv: expected column_names there with value_format: csv, and only with it")
        if kind in ("avro", "protobuf") and (self.schema_registry is None) == (self.schema_file is None):
            raise ValueError(f"schema_registry: expected either that or schema_file for {kind} values")
        if kind == "protobuf" and self.schema_file and not self.message_type:
            raise ValueError("message_type: it is missing: expected the name of the message in schema_file")
        if self.window and self.max_records:
            raise ValueError("max_records: expected none with window, which says where windows end")
        if kind == "tf_example" and (self.columns or self.metadata):
            raise ValueError("columns, metadata: expected none for tf.Examples, which stay as they are")
        for key, value in self.config.items():
            if names.is_secret(key, str(value)) or names.is_password(key) or key == "ssl.key.pem":
                raise ValueError(f"config.{key}: expected no secret: name a variable that holds it in config_env")
        return self

    def options(self) -> dict[str, Any]:
        """Returns what differs from the defaults, as JSON has it."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def local_paths(self) -> Mapping[str, str]:
        """Returns the files of this machine that tasks read."""
        files = {
            "schema_file": self.schema_file,
            "ssl_ca_location": self.ssl_ca_location,
            "ssl_certificate_location": self.ssl_certificate_location,
            "ssl_key_location": self.ssl_key_location,
        }
        return {
            key: path for key, path in files.items() if path and not is_remote(path) and not packages.is_inside(path)
        }
