"""What an instance looks like in the requests that other servers have kept."""

from typing import Annotated

from pydantic import Field

from penstock.pipelines.config.section import Section, json_text, matching

_Feature = Annotated[str, Field(min_length=1)]
_Path = Annotated[str, matching(r"^[^.]+(\.[^.]+)*$", "keys, from the outermost, such as data.features")]


class Instances(Section):
    """What an instance looks like in requests that KServe or SageMaker has kept as they came."""

    columns: list[_Feature] = Field(
        default=[],
        description="The features of an instance that is a list, of a line of CSV without a header, or of a tensor "
        "with a row for each instance; by default the schema's in its order, without the label.",
    )
    path: _Path | None = Field(
        default=None, description="The keys that lead to the features in an instance, such as data.features."
    )
    names: dict[_Feature, _Feature] = Field(
        default={}, description="The names that requests have for features, each with the schema's."
    )

    @property
    def settings(self) -> str:
        """The settings as the component takes them; "" for the defaults."""
        settings = self.model_dump(exclude_defaults=True)
        return json_text(settings) if settings else ""
