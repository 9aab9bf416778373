"""A table of Apache Iceberg, as the configuration names it.

data: {iceberg: {catalog: {type: rest, uri: "https://catalog.example.com", properties_env: {token: ICEBERG_TOKEN}},
                 table: db.trips}}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from penstock.core.credentials import names
from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.section import NO_BOOL, Section, Variable, matching, resolve

_Table = Annotated[str, matching(r"^[^.\s]+(\.[^.\s]+)+$", "a table with its namespace, such as db.trips")]
_SQLITE = "sqlite:///"
_CHOICES = ("snapshot_id", "as_of", "branch", "tag")


class IcebergCatalog(Section):
    """The catalogue, by PyIceberg's properties. What its own variables say, PYICEBERG_CATALOG__NAME__URI, holds too."""

    name: str = Field(default="default", min_length=1, description="Its name, as PyIceberg's configuration has it.")
    type: Literal["sql", "rest", "glue", "hive"] | None = Field(
        default=None, description="Its kind; by default as uri says: http is rest, thrift is hive, a database is sql."
    )
    uri: str | None = Field(
        default=None,
        description="Its address; the file of sqlite:///catalog.db is relative to this file. One with a password goes "
        "into properties_env.",
    )
    warehouse: str | None = Field(default=None, description="The warehouse, where the catalogue wants to know it.")
    properties: dict[str, str] = Field(
        default={}, description="More of PyIceberg's properties, such as s3.endpoint; no secrets."
    )
    properties_env: dict[str, Variable] = Field(
        default={},
        description="Properties that are secret, such as token, credential or s3.secret-access-key, each with the "
        "environment variable of the task that holds it.",
    )

    @field_validator("uri")
    @classmethod
    def _absolute(cls, uri: str | None, info: ValidationInfo) -> str | None:
        if uri is None or not uri.startswith(_SQLITE):
            return uri
        folder: Path = (info.context or {}).get("folder", Path())
        return _SQLITE + resolve(uri.removeprefix(_SQLITE), folder)

    @model_validator(mode="after")
    def _no_secrets(self) -> Self:
        for key, value in self.properties.items():
            if names.is_secret(key, value):
                raise ValueError(
                    f"properties: {key} is a secret: expected properties_env: {{{key}: NAME_OF_A_VARIABLE}}"
                )
        if self.uri and urlsplit(self.uri).password:
            raise ValueError("uri: it holds a password: expected properties_env: {uri: NAME_OF_A_VARIABLE}")
        return self


class Iceberg(SourceSection):
    """A table of Apache Iceberg, by snapshot."""

    extra: ClassVar[str] = "iceberg"

    catalog: IcebergCatalog = Field(default=IcebergCatalog(), description="The catalogue that knows the table.")
    table: _Table = Field(description="The table with its namespace, such as db.trips.")
    snapshot_id: Annotated[int, Field(ge=0, lt=2**63), NO_BOOL] | None = Field(
        default=None, description="The snapshot to read, by default the newest one."
    )
    as_of: str | None = Field(
        default=None, description="Or the one that was the newest at a time, such as 2026-01-31T12:00:00Z."
    )
    branch: str | None = Field(default=None, description="Or the newest one of a branch.")
    tag: str | None = Field(default=None, description="Or the one with a tag.")
    filter: str | None = Field(
        default=None, description="Which rows are read, as PyIceberg writes it: fare > 3 AND city = 'Bonn'."
    )
    columns: list[str] | None = Field(
        default=None, min_length=1, description="The columns to read, by default all; address.city of a struct."
    )

    @model_validator(mode="after")
    def _one_snapshot(self) -> Self:
        given = [key for key in _CHOICES if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"{given[1]}: expected one of {', '.join(_CHOICES)}, received {' and '.join(given)}")
        return self

    def local_paths(self) -> Mapping[str, str]:
        uri, warehouse = self.catalog.uri or "", (self.catalog.warehouse or "").removeprefix("file://")
        found = {
            "catalog.uri": uri.removeprefix(_SQLITE) if uri.startswith(_SQLITE) else "",
            "catalog.warehouse": warehouse if warehouse.startswith("/") else "",
        }
        return {key: path for key, path in found.items() if path}
