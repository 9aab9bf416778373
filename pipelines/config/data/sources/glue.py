"""A table of AWS Glue's Data Catalog, as the configuration names it.

data: {glue: {database: sales, table: trips, push_down_predicate: "year = '2026'"}}
"""

from typing import Annotated, ClassVar

from pydantic import Field

from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.section import PositiveWhole, Section, matching

_Argument = Annotated[str, matching(r"^--", "a name that begins with --")]


class GlueJob(Section):
    """A Glue job that is run and awaited before the table is read, once for each run of the pipeline."""

    name: str = Field(min_length=1, description="The job.")
    arguments: dict[_Argument, str] = Field(
        default={}, description="What it is given: --name to text; no secrets, which Glue would show."
    )
    timeout: PositiveWhole | None = Field(
        default=None, description="Minutes after which Glue ends it, by default as the job itself says."
    )


class Glue(SourceSection):
    """A table of AWS Glue's Data Catalog; its files are in S3."""

    extra: ClassVar[str] = "glue"

    database: str = Field(min_length=1, description="The database.")
    table: str = Field(min_length=1, description="The table.")
    catalog_id: str | None = Field(default=None, description="The catalogue, by default that of the account.")
    region: str | None = Field(
        default=None, description="The region; by default as AWS_REGION or the profile of the task says."
    )
    push_down_predicate: str | None = Field(
        default=None,
        description="Which partitions are read, as the catalogue understands it: year = '2026' AND month > 3. Of an "
        "Iceberg table which rows.",
    )
    columns: list[str] | None = Field(
        default=None, min_length=1, description="The columns to read, by default all of them."
    )
    job: GlueJob | None = Field(default=None, description="A job that is run first.")
