"""How CSV files are written, as the configuration says it."""

from typing import Literal, Self

from pydantic import Field, model_validator

from penstock.core import csv_format
from penstock.pipelines.config.section import Section


class Csv(Section):
    """How CSV files are written."""

    delimiter: str | None = Field(default=None, description="The character between cells, by default a comma.")
    quote_char: str | None = Field(default=None, description='The character around quoted cells, by default ".')
    encoding: str | None = Field(default=None, description="The files' encoding, by default utf-8.")
    decimal_point: str | None = Field(
        default=None, description='What stands before the decimals of a number: "," or, by default, ".".'
    )
    null_values: list[str] | Literal["auto"] | None = Field(
        default=None,
        description="Cells that mean a missing value, beside the empty one, as they are written. auto: NA, N/A, null, "
        "NaN, ? and the like, blanks, and, among numbers, none and - as well. By default auto without a module, and "
        "with one none, as in TFX.",
    )
    column_names: list[str] | None = Field(
        default=None, description="Names of the columns, for files without a header."
    )

    @model_validator(mode="after")
    def _readable(self) -> Self:
        csv_format.check(
            **self.model_dump(include={"delimiter", "quote_char", "encoding", "decimal_point"}, exclude_none=True)
        )
        return self
