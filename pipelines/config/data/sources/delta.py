"""A Delta Lake table, as the configuration names it.

data: {delta: {path: s3://team-data/trips, version: 12, filters: [[year, "=", 2026]]}}
"""

import datetime
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.section import AnyPath, Whole, is_remote

_Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "not in"]
_Value = str | bool | int | float | datetime.datetime | datetime.date


class Delta(SourceSection):
    """A Delta Lake table, by version."""

    extra: ClassVar[str] = "delta"

    path: AnyPath = Field(
        description="The folder of the table, relative to this file, or s3://, minio:// or gs:// by the task's own "
        "credentials."
    )
    version: Whole | None = Field(default=None, description="The version to read, by default the newest one.")
    timestamp: str | None = Field(
        default=None, description="Or the one that was the newest at a time, such as 2026-01-31T12:00:00Z."
    )
    filters: list[tuple[str, _Operator, _Value | list[_Value]]] | None = Field(
        default=None,
        description='Which rows are read: columns, operators and values, such as [[year, "=", 2026]]; all must hold.',
    )
    columns: list[str] | None = Field(
        default=None, min_length=1, description="The columns to read, by default all of them."
    )

    @model_validator(mode="after")
    def _one_version(self) -> Self:
        if self.version is not None and self.timestamp is not None:
            raise ValueError("timestamp: expected either version or timestamp, received both")
        return self

    def local_paths(self) -> Mapping[str, str]:
        return {} if is_remote(self.path) else {"path": self.path}
