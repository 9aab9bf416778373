"""A source of a person's own, as the configuration names it."""

from typing import Annotated, Any

from pydantic import Field

from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.section import matching

_Class = Annotated[str, matching(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$", "a dotted path, such as my_package.sources.Trips")]


class Custom(SourceSection):
    """A source of one's own: a class that extends penstock.components.example_gen.sources.source.Source."""

    class_: _Class = Field(
        alias="class", description="The class by its dotted path; its package is installed where the tasks run."
    )
    options_: dict[str, Any] = Field(
        default={}, alias="options", description="What the class is given, as JSON has it."
    )

    @property
    def source(self) -> str:
        return self.class_

    def options(self) -> dict[str, Any]:
        return self.options_
