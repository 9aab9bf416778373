"""The options of a topic, as JSON has them, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self, get_args

from penstock.core.arguments import check_object, check_string, check_strings, check_whole_number
from penstock.core.credentials import names, secrets
from penstock.core.errors import ConfigError
from penstock.core.text import printable

type ValueFormat = Literal["json", "avro", "protobuf", "csv", "tf_example"]
type Window = Literal["day", "hour"]
type Metadata = Literal["key", "timestamp", "partition", "offset", "headers"]
type Edge = str | int | Mapping[int, int]
"""Where reading begins or ends: earliest, latest, a time in milliseconds, or an offset for each partition."""

FORMATS: tuple[ValueFormat, ...] = get_args(ValueFormat.__value__)
METADATA: tuple[Metadata, ...] = get_args(Metadata.__value__)
WINDOWS: Mapping[str, int] = {"day": 24 * 60 * 60 * 1000, "hour": 60 * 60 * 1000}  # milliseconds
# What librdkafka knows of a connection, by the name that the option has here.
CONNECTION = {
    "security_protocol": "security.protocol",
    "sasl_mechanism": "sasl.mechanism",
    "sasl_username": "sasl.username",
    "ssl_ca_location": "ssl.ca.location",
    "ssl_certificate_location": "ssl.certificate.location",
    "ssl_key_location": "ssl.key.location",
}
CONNECTION_ENV = {
    "sasl_username_env": "sasl.username",
    "sasl_password_env": "sasl.password",
    "ssl_key_password_env": "ssl.key.password",
}
# What the reading itself depends on: another value would lose records, or read some twice.
_OURS = (
    *("bootstrap.servers", "group.id", "group.instance.id", "group.protocol", "isolation.level", "auto.offset.reset"),
    *("enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof", "check.crcs", "error_cb", "logger"),
)
_SECRETS = ("ssl.key.pem", "ssl_key", "sasl.oauthbearer.config", "ssl.keystore.password")
_TEXTS = ("bootstrap_servers", "topic", "group_id", "schema_subject", "schema_file", "message_type", "quarantine")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "value_format": FORMATS,
    "isolation_level": ("read_committed", "read_uncommitted"),
    "lost_records": ("fail", "skip"),
    "window": tuple(WINDOWS),
}
_NUMBERS = ("max_records", "max_bad_messages", "records_per_shard", "timeout")
_KEYS = (
    *_TEXTS,
    *_CHOICES,
    *_NUMBERS,
    *CONNECTION,
    *CONNECTION_ENV,
    *("columns", "metadata", "start", "end", "schema_registry", "csv", "config", "config_env"),
)


@dataclass(frozen=True)
class RegistryOptions:
    """Where schemas are: `url`, and by whom and with which certificates it is asked."""

    url: str
    user: str = ""
    password_env: str = ""
    token_env: str = ""
    ca_cert: str = ""

    @classmethod
    def parse(cls, value: Any) -> Self:
        where = "kafka.schema_registry"
        given = check_object(where, value, tuple(cls.__dataclass_fields__))
        texts = {key: check_string(f"{where}.{key}", text, "a text") for key, text in given.items()}
        if not texts.get("url", "").startswith(("http://", "https://")):
            raise ConfigError(f"{where}.url: expected an address that begins with http:// or https://")
        return cls(**texts)


@dataclass(frozen=True)
class CsvOptions:
    """How values of CSV are written: which columns they have, what is between them, and which are text in any case."""

    column_names: tuple[str, ...]
    delimiter: str = ","
    text_columns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: Any) -> Self:
        where = "kafka.csv"
        given = check_object(where, value, tuple(cls.__dataclass_fields__))
        columns = check_strings(f"{where}.column_names", given.get("column_names"))
        texts = check_strings(f"{where}.text_columns", given.get("text_columns", []))
        delimiter = check_string(f"{where}.delimiter", given.get("delimiter", ","), "one character")
        if len(delimiter) != 1:
            raise ConfigError(f"{where}.delimiter: expected one character, received {printable.value(delimiter)}")
        if not columns or len(set(columns)) < len(columns):
            raise ConfigError(f"{where}.column_names: expected different names, received {printable.value(columns)}")
        return cls(tuple(columns), delimiter, tuple(texts))


@dataclass(frozen=True)
class KafkaOptions:
    """What is read of a topic, and how; pipelines/config/data/sources/kafka.py says what each option means."""

    bootstrap_servers: str
    topic: str
    value_format: ValueFormat = "json"
    columns: tuple[str, ...] = ()
    metadata: tuple[Metadata, ...] = ()
    start: Edge = "earliest"
    end: Edge = "latest"
    window: Window | None = None
    max_records: int = 0
    isolation_level: str = "read_committed"
    lost_records: Literal["fail", "skip"] = "fail"
    group_id: str = ""
    schema_registry: RegistryOptions | None = None
    schema_subject: str = ""
    schema_file: str = ""
    message_type: str = ""
    csv: CsvOptions | None = None
    max_bad_messages: int = 0
    quarantine: str = ""
    records_per_shard: int = 0
    timeout: int = 30
    connection: Mapping[str, str] = field(default_factory=dict)
    connection_env: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """Reads the options; a ConfigError for what does not fit."""
        given = check_object("kafka", dict(options), _KEYS)
        for key in ("bootstrap_servers", "topic"):
            if key not in given:
                raise ConfigError(f"kafka.{key}: it is missing: expected {_WHAT[key]}")
        values: dict[str, Any] = {key: check_string(f"kafka.{key}", given[key], "a text") for key in _of(given, _TEXTS)}
        for key in _of(given, _CHOICES):
            if given[key] not in _CHOICES[key]:
                received = printable.value(given[key])
                raise ConfigError(f"kafka.{key}: expected {', '.join(_CHOICES[key])}, received {received}")
            values[key] = given[key]
        for key in _of(given, _NUMBERS):
            values[key] = check_whole_number(f"kafka.{key}", given[key], least=key == "timeout")
        for key in _of(given, ("start", "end")):
            values[key] = _edge(f"kafka.{key}", given[key])
        if "columns" in given:
            values["columns"] = tuple(check_strings("kafka.columns", given["columns"]))
        values["metadata"] = _metadata(given.get("metadata", []))
        if "schema_registry" in given:
            values["schema_registry"] = RegistryOptions.parse(given["schema_registry"])
        if "csv" in given:
            values["csv"] = CsvOptions.parse(given["csv"])
        result = cls(**values, connection=_connection(given), connection_env=_connection_env(given))
        result._check()
        return result

    def _check(self) -> None:
        """Raises a ConfigError for options that do not go with each other."""
        kind = self.value_format
        if kind == "csv" and self.csv is None:
            raise ConfigError("kafka.csv.column_names: it is missing: expected the names of the values' columns")
        if kind != "csv" and self.csv is not None:
            raise ConfigError(f"kafka.csv: expected value_format: csv with it, received {kind}")
        if kind in ("avro", "protobuf") and (self.schema_registry is None) == (not self.schema_file):
            raise ConfigError(f"kafka: expected either schema_registry or schema_file for {kind} values")
        if kind == "protobuf" and self.schema_file and not self.message_type:
            raise ConfigError("kafka.message_type: it is missing: expected the name of the message in schema_file")
        if self.window and self.max_records:
            raise ConfigError("kafka.max_records: expected none with kafka.window, which says where windows end")
        if kind == "tf_example" and (self.columns or self.metadata):
            raise ConfigError("kafka.columns, kafka.metadata: expected none for tf.Examples, which stay as they are")

    def client(self) -> dict[str, Any]:
        """Returns librdkafka's options of a connection, secrets included; a ConfigError for a variable that is not
        set."""
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": "penstock",
            **self.connection,
            **{key: secrets.of_variable(f"kafka, {key}", name) for key, name in self.connection_env.items()},
        }


_WHAT = {"bootstrap_servers": "brokers, such as broker:9092", "topic": "the name of a topic"}


def _of(given: Mapping[str, Any], keys: Any) -> list[str]:
    return [key for key in keys if key in given]


def _metadata(value: Any) -> tuple[Metadata, ...]:
    wanted = check_strings("kafka.metadata", value)
    for name in wanted:
        if name not in METADATA:
            raise ConfigError(f"kafka.metadata: expected {', '.join(METADATA)}, received {printable.value(name)}")
    return tuple(name for name in METADATA if name in wanted)


def _edge(where: str, value: Any) -> Edge:
    """Reads earliest, latest, a time, or an offset by partition, whose numbers JSON has as text."""
    if isinstance(value, str) and value in ("earliest", "latest"):
        return value
    if isinstance(value, dict) and value:
        return {
            check_whole_number(f"{where}: partition", key): check_whole_number(f"{where}.{key}", offset)
            for key, offset in value.items()
        }
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{where}: expected earliest, latest, a time such as 2026-01-31T00:00:00Z, or an offset for each "
            f"partition, received {printable.value(value)}"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _connection(given: Mapping[str, Any]) -> dict[str, str]:
    known = {CONNECTION[key]: check_string(f"kafka.{key}", given[key], "a text") for key in _of(given, CONNECTION)}
    more = check_object("kafka.config", given.get("config", {}))
    for key, value in more.items():
        where = f"kafka.config.{key}"
        if key in _OURS:
            raise ConfigError(f"{where}: expected none, for what is read, and that it is read once, depends on it")
        if key in _SECRETS or names.is_secret(key, value) or names.is_password(key):
            raise ConfigError(f"{where}: expected no secret: name an environment variable that holds it in config_env")
        if isinstance(value, dict | list) or value is None:
            raise ConfigError(f"{where}: expected a text, a number, true or false, received {printable.value(value)}")
    return known | {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in more.items()}


def _connection_env(given: Mapping[str, Any]) -> dict[str, str]:
    known = {CONNECTION_ENV[key]: given[key] for key in _of(given, CONNECTION_ENV)}
    more = check_object("kafka.config_env", given.get("config_env", {}))
    for key in _of(more, _OURS):
        raise ConfigError(f"kafka.config_env.{key}: expected none, for what is read depends on it")
    return {
        key: check_string(f"kafka, {key}", name, "an environment variable's name")
        for key, name in {**known, **more}.items()
    }
