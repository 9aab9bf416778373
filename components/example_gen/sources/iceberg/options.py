"""What the source of Iceberg tables is given, and what it fixes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from penstock.core.arguments import (
    check_object,
    check_string,
    check_strings,
    check_whole_number,
    parse_object,
)
from penstock.core.credentials import names, secrets
from penstock.core.errors import ConfigError
from penstock.core.files import documents

_CATALOG = ("name", "type", "uri", "warehouse", "properties", "properties_env")
_CHOICES = ("snapshot_id", "as_of", "branch", "tag")
_KEYS = ("catalog", "table", *_CHOICES, "filter", "columns")


@dataclass(frozen=True)
class Catalog:
    """A catalogue by PyIceberg's properties; `properties_env` names variables that hold those that are secret."""

    name: str = "default"
    properties: Mapping[str, str] = field(default_factory=dict)
    properties_env: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any) -> Self:
        given = check_object("iceberg.catalog", value, _CATALOG)
        own = {
            key: check_string(f"iceberg.catalog.{key}", given[key], "a text") for key in _CATALOG[:4] if key in given
        }
        name = own.pop("name", cls.name)
        properties = _texts("properties", given) | own
        for key, text in properties.items():
            if names.is_secret(key, text):
                raise ConfigError(
                    f"iceberg.catalog.properties: {key} is a secret: name the environment variable that holds it in "
                    f"properties_env: {{{key}: NAME}}"
                )
        return cls(name, properties, _texts("properties_env", given))

    def with_secrets(self) -> dict[str, str]:
        """Returns all properties, those of `properties_env` from this task's environment."""
        found = dict(self.properties)
        for key, variable in self.properties_env.items():
            found[key] = secrets.of_variable(f"iceberg.catalog.properties_env: {key}", variable).strip()
        return found


@dataclass(frozen=True)
class IcebergOptions:
    """Which table, and of it which snapshot, rows and columns; at most one of the four that name a snapshot."""

    catalog: Catalog
    table: str
    snapshot_id: int | None = None
    as_of: str = ""
    branch: str = ""
    tag: str = ""
    filter: str = ""
    columns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads the options as JSON."""
        return cls.of(parse_object("iceberg", text))

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Reads the options; a ConfigError for what does not fit."""
        given = check_object("iceberg", dict(options), _KEYS)
        chosen = [key for key in _CHOICES if key in given]
        if len(chosen) > 1:
            raise ConfigError(f"iceberg: expected one of {', '.join(_CHOICES)}, received {' and '.join(chosen)}")
        table = check_string("iceberg.table", given.get("table"), "a table with its namespace, such as db.trips")
        if "." not in table:
            raise ConfigError(
                f"iceberg.table: expected a table with its namespace, such as db.trips, received {table!r}"
            )
        texts = ("as_of", "branch", "tag", "filter")
        return cls(
            Catalog.of(given.get("catalog", {})),
            table,
            check_whole_number("iceberg.snapshot_id", given["snapshot_id"]) if "snapshot_id" in given else None,
            columns=tuple(check_strings("iceberg.columns", given.get("columns", []))),
            **{key: check_string(f"iceberg.{key}", given[key], "a text") for key in texts if key in given},
        )


@dataclass(frozen=True)
class Pinned:
    """What stands for the same rows again, as a split's pattern has it.

    Args:
        snapshot_id: The snapshot.
        schema_id: The schema that its rows are read with.
        filter: Which rows, as PyIceberg's expression; "" for all.
        appended: Whether only what was appended after the snapshot `after` (None: ever) is read.
    """

    snapshot_id: int
    schema_id: int
    filter: str = ""
    appended: bool = False
    after: int | None = None

    def text(self) -> str:
        """Returns it as a pattern."""
        return documents.json_text({key: value for key, value in vars(self).items() if value is not None})

    @classmethod
    def parse(cls, pattern: str) -> Self:
        keys = ("snapshot_id", "schema_id", "filter", "appended", "after")
        given = parse_object("resolved_input", pattern, keys)
        return cls(
            check_whole_number("resolved_input.snapshot_id", given.get("snapshot_id")),
            check_whole_number("resolved_input.schema_id", given.get("schema_id")),
            str(given.get("filter", "")),
            given.get("appended") is True,
            check_whole_number("resolved_input.after", given["after"]) if "after" in given else None,
        )


def _texts(key: str, given: Mapping[str, Any]) -> dict[str, str]:
    items = check_object(f"iceberg.catalog.{key}", given.get(key, {}))
    return {name: check_string(f"iceberg.catalog.{key}.{name}", value, "a text") for name, value in items.items()}
