"""What the sections of all sources share."""

from collections.abc import Mapping
from typing import Any, ClassVar

from penstock.pipelines.config.section import Section


class SourceSection(Section):
    """Data that is no file. Its key in the configuration is the source's name, and its options are what is given."""

    extra: ClassVar[str] = ""  # of the package, which has what reads it; "" if the runtime does

    @property
    def source(self) -> str:
        """The source's name; of a person's own, its dotted path. By default the name of the section's module."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def is_private(self) -> bool:
        """Whether `penstock validate --data` is not to ask what the section names."""
        return False

    def options(self) -> dict[str, Any]:
        """Returns the source's options as JSON has them; what is left out has the source's own default."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def check_splits(self, given: bool) -> None:
        """Raises a ValueError where what the section says does not fit to whether there are input splits beside it."""

    def local_paths(self) -> Mapping[str, str]:
        """Returns the paths of this machine that tasks read, by their keys in the section."""
        return {}
