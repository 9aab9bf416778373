"""Every place of the data, each with its first rows."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.core.errors import PenstockError, ServerError, SystemFailure
from penstock.pipelines.config.data import Place
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.preview.rows import data_files, sources
from penstock.pipelines.preview.table import Table, Unseen


def look(config: Config, asks: bool, notes: list[str]) -> dict[str, Table | Unseen]:
    """Returns the first rows of each place, or why they are not looked at, by the places' keys.

    With `asks` servers are asked as well; one that does not answer is a ServerError. What is seen beside rows is added
    to `notes`.
    """
    found: dict[str, Table | Unseen] = {}
    for key, place in _named(config).items():
        with _of_part(key, config):
            if place.section:
                found[key] = sources.first_rows(config, place, asks, notes)
            else:
                found[key] = data_files.first_rows(config, place, key, asks)
    return found


def csv_options(config: Config, key: str) -> Mapping[str, Any]:
    """Returns the options of csv_example_gen that the cells of a place are read with; of all else there are none."""
    place = _named(config)[key]
    return place.csv_options(config.without_code) if place.file_format == "csv" else {}


def _named(config: Config) -> dict[str, Place]:
    data = config.data
    if data.parts:
        return {f"data.splits.{name}": part for name, part in data.parts.items()}
    return {"data.path" if data.of_files else "data": data}


@contextlib.contextmanager
def _of_part(key: str, config: Config) -> Iterator[None]:
    """Says in errors of which split they are, where each is a place of its own.

    A server's silence is what a person can look after: nothing has been lost.
    """
    try:
        yield
    except PenstockError as error:
        if config.data.parts and not error.message.startswith(key):
            error.message = f"{key}: {error.message.removeprefix('data: ')}"
        if isinstance(error, SystemFailure) and error.exit_code == SystemFailure.exit_code:
            raise ServerError(error.message, error.details) from None
        raise
