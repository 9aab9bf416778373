"""A source of a person's own, as the configuration names it."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.section import ExistingPath, is_remote, matching

_Class = Annotated[str, matching(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$", "a dotted path, such as my_package.sources.Trips")]


class Custom(SourceSection):
    """A source of one's own: a class that extends penstock.components.example_gen.sources.source.Source."""

    class_: _Class = Field(
        alias="class",
        description="The class by its dotted path: its module is beside this file and travels with the pipeline, or is "
        "of a package that is installed where the tasks run.",
    )
    options_: dict[str, Any] = Field(
        default={}, alias="options", description="What the class is given, as JSON has it."
    )
    paths: dict[str, ExistingPath] = Field(
        default={},
        description="Options that are files or folders, relative to this file; the class is given them as absolute "
        "paths, and they are mounted where tasks run in Docker. A URI stays as it is.",
    )

    @model_validator(mode="after")
    def _once(self) -> Self:
        for name in self.paths:
            if name in self.options_:
                raise ValueError(f"paths.{name}: expected an option once, received it in options as well")
        return self

    @property
    def source(self) -> str:
        return self.class_

    def options(self) -> dict[str, Any]:
        return self.options_ | self.paths

    def local_paths(self) -> Mapping[str, str]:
        return {f"paths.{name}": path for name, path in self.paths.items() if not is_remote(path)}
