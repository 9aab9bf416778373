"""How a model without code reads dates: beside its SavedModel, for those who tell rows that it cannot read."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from penstock.core.artifacts import SavedModel
from penstock.core.files import atomic
from penstock.trainer.plan import dates
from penstock.trainer.plan.features import Date, Feature

_EXAMPLE = "2013-01-31"


@dataclass(frozen=True)
class DateCells:
    """What a column's dates look like: `missing` are values of the training data that are none, and mean no date."""

    format: str
    missing: tuple[str, ...] = ()

    def reader(self) -> Callable[[str], bool]:
        """Returns whether the model reads a value, or knows it for a missing one."""
        read = dates.reader(self.format)
        return lambda value: not value.strip() or value in self.missing or read(value) is not None

    def example(self) -> str:
        """Returns a date as the model reads it."""
        moment = dates.read(_EXAMPLE, "iso")
        assert moment is not None
        return _EXAMPLE if self.format == "iso" else moment.strftime(self.format)


def of(features: Iterable[Feature]) -> dict[str, DateCells]:
    """Returns the columns of dates by their names, without those of numbers, of which each is a moment."""
    of_dates = (feature for feature in features if isinstance(feature, Date) and feature.format not in dates.UNITS)
    return {feature.name: DateCells(feature.format, feature.missing) for feature in of_dates}


def write(saved_model: Path, columns: Mapping[str, DateCells]) -> None:
    """Puts them beside a SavedModel's graph, if there are any."""
    if columns:
        content = {name: asdict(cells) for name, cells in columns.items()}
        atomic.write_text(SavedModel(saved_model).dates, json.dumps(content, ensure_ascii=False))


def read(saved_model: Path) -> dict[str, DateCells]:
    """Returns the columns of dates of a model without code; none of any other."""
    path = SavedModel(saved_model).dates
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: DateCells(cells["format"], tuple(cells["missing"])) for name, cells in content.items()}
