"""What the configuration says of the data: where it is, which spans are read, which splits it comes in."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from penstock.core.files import patterns
from penstock.pipelines.config.data.place import Place
from penstock.pipelines.config.data.spans import RangeConfig
from penstock.pipelines.config.data.splits import SplitName
from penstock.pipelines.config.section import json_text

_Patterns = Annotated[list[str], Field(min_length=1)]


class Data(Place):
    """Where the data is and how it is written."""

    splits: dict[SplitName, str | _Patterns | Place] = Field(
        default={},
        description="Splits that the data comes in: name to pattern, or to several, relative to path; of a source, "
        "to what it takes for one, such as a query. Without a path each may be a place of its own: files or a source.",
    )
    range_config: RangeConfig | None = Field(
        default=None, description="Which spans are read, by default the newest one."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        parts = self.parts
        if parts and (self.path or self.section):
            raise ValueError(
                f"splits.{next(iter(parts))}: expected no place of its own beside {self.source_key or 'path'}"
            )
        if parts and len(parts) < len(self.splits):
            pattern = next(name for name in self.splits if name not in parts)
            raise ValueError(
                f"splits.{pattern}: expected a place of its own, as of the others: {{path: …}} or a source"
            )
        if not (self.path or self.section or parts):
            raise ValueError("path: it is missing: expected a file, a folder or a pattern, or a source in its place")
        if parts and self.range_config:
            raise ValueError("range_config: expected none beside splits that are places of their own")
        for place in self.places:
            if place.section:
                try:
                    place.section.check_splits(given=place is self and bool(self.splits))
                except ValueError as error:
                    raise ValueError(f"{place.source_key}.{error}") from None
        self._check_patterns()
        return self

    def _check_patterns(self) -> None:
        if self.path is None:
            return
        here, several = self.here, not isinstance(self.path, str)
        is_pattern = several or (patterns.is_wild(self.paths[0]) and not (here and here.exists()))
        if self.splits and (is_pattern or (here and here.is_file())):
            raise ValueError("splits: expected path to be the folder that the splits' patterns are relative to")
        dates = self.range_config.dates if self.range_config else []
        if dates and not any("{YYYY}" in pattern for _, pattern in self.patterns):
            raise ValueError(
                f"range_config: {dates[0]}: expected numbers of spans: no pattern has {{YYYY}}, {{MM}} and {{DD}}"
            )

    @property
    def parts(self) -> Mapping[str, Place]:
        """The splits that are places of their own."""
        return {name: part for name, part in self.splits.items() if isinstance(part, Place)}

    @property
    def places(self) -> list[Place]:
        """Every place that data is read from."""
        return list(self.parts.values()) or [self]

    @property
    def patterns(self) -> list[tuple[str, str]]:
        """The input splits and their patterns, relative to `input_base`; empty for TFX's default, all files there."""
        given = []
        for name, one in self.splits.items():
            if not isinstance(one, Place):
                given += [(name, pattern) for pattern in ([one] if isinstance(one, str) else one)]
        return given or super().patterns

    @property
    def lists_folder(self) -> bool:
        return not self.splits

    @property
    def of_files(self) -> bool:
        """Whether the data is files in one place, which the readers of files read."""
        return self.path is not None

    def input_base_text(self, without_code: bool, classes: Mapping[str, str] | None = None) -> str:
        """Returns what the pipeline is told of the place: the folder of files, or a source and its options as JSON.

        `classes` are what tasks know a person's own sources by, of their dotted paths.
        """
        if self.of_files:
            return self.input_base
        if self.parts:
            return json_text(
                {"splits": {name: part.reference(without_code, classes) for name, part in self.parts.items()}}
            )
        return json_text(self.reference(without_code, classes))

    @property
    def input_config_text(self) -> str:
        """TFX's Input message as JSON; "" for its default."""
        patterns = [{"name": name, "pattern": pattern} for name, pattern in self.patterns]
        return json_text({"splits": patterns} if patterns else None)

    @property
    def range_config_text(self) -> str:
        """TFX's RangeConfig message as JSON; "" for its default."""
        return json_text(self.range_config.model_dump(exclude_none=True) if self.range_config else None)

    def local_paths(self) -> dict[str, str]:
        """Returns the paths of this machine that tasks read, by their keys in the section."""
        own = {
            f"splits.{name}.{key}": path
            for name, part in self.parts.items()
            for key, path in part.local_paths().items()
        }
        return own or super().local_paths()
