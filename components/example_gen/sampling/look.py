"""What is looked at of a source before a run, and why it may be less than some rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.components.engines import Engine
from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.sources.source import Asked, Request, Source
from penstock.core.files import documents

ROWS = 1000  # that are looked at of a source


class NotLookedAt(Exception):
    """Nothing is to be had without a bill or a trace; the text says why, after "for"."""


class OnlyColumns(Exception):
    """The columns are known, and rows would cost something."""

    def __init__(self, names: Sequence[str], why: str) -> None:
        super().__init__(why)
        self.names = names


@dataclass(frozen=True)
class Look:
    """A look at a source.

    Args:
        name: What `input_base` calls the source.
        asked: What a run would ask for. Its state is not used, and none is left.
        label: The label, "" for none.
        scratch: A folder that is removed afterwards.
        notes: Sentences on what is seen beside the rows, which a person may want to mend.
    """

    name: str
    source: type[Source[Any]]
    asked: Asked
    label: str
    scratch: Path
    engine: Engine
    notes: list[str] = field(default_factory=list)

    def without(self, *keys: str) -> dict[str, Any]:
        """Returns the source's options but for some."""
        return {key: value for key, value in self.asked.options.items() if key not in keys}

    def request(self, splits: Sequence[InputSplit], options: Mapping[str, Any] | None = None) -> Request:
        """Returns what the source is opened with, by default with all its options."""
        given = dict(self.asked.options if options is None else options)
        base = documents.json_text({self.name: given})
        return Request(base, splits, documents.json_text(given), self.label, self.scratch, self.engine)
