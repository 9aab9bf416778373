"""Data in BigQuery, as the configuration says it."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.section import Whole, matching

_Table = Annotated[
    str, matching(r"^[A-Za-z0-9_.:-]+\.[A-Za-z0-9_-]+\.[^\s.`]+$", "a table such as project.dataset.table")
]
_Project = Annotated[str, matching(r"^[a-z0-9.:-]+$", "a project's id, such as team-analytics")]
_Label = Annotated[str, matching(r"^[a-z0-9_-]{0,63}$", "small letters, digits, _ and -, 63 at most")]


class BigQuery(SourceSection):
    """A table or a query of BigQuery. With splits that are queries or tables, neither."""

    extra: ClassVar[str] = "bigquery"

    table: _Table | None = Field(default=None, description="The table, project.dataset.table, also a view.")
    query: str | None = Field(
        default=None,
        min_length=1,
        description="A query in GoogleSQL, also with TFX's @span_begin_timestamp, @span_end_timestamp and "
        "@span_yyyymmdd_utc.",
    )
    columns: list[str] = Field(default=[], description="The columns to read, by default all.")
    row_restriction: str | None = Field(
        default=None,
        description="Which rows of tables are read: a condition in GoogleSQL, such as day >= '2026-01-01'.",
    )
    project: _Project | None = Field(
        default=None, description="The project that is billed, by default that of the credentials."
    )
    location: str | None = Field(
        default=None, description="Where queries run, such as EU; by default where their tables are."
    )
    maximum_bytes_billed: Whole | None = Field(
        default=None, description="What would read more bytes than this is refused, before anything is read."
    )
    labels: dict[_Label, _Label] = Field(default={}, description="Labels of the queries' jobs, to divide a bill by.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.table and self.query:
            raise ValueError("query: expected either a table or a query, received both")
        if self.query and self.row_restriction:
            raise ValueError("row_restriction: it is of tables: expected a WHERE in the query")
        return self

    def options(self) -> dict[str, object]:
        return {key: value for key, value in super().options().items() if value not in ([], {})}
