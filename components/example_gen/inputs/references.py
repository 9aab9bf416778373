"""What `input_base` names: a folder of files, or a source of another kind, as a JSON object of its name and options.

    {"sql": {"url": "sqlite:////data/trips.db", "table": "trips"}}
    {"splits": {"train": {"kafka": {...}}, "eval": {"files": {"input_base": "/data/eval.csv"}}}}

Standard library only: this runs on every run of a pipeline, before anything is answered from a cache.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.arguments import check_object, parse_object
from penstock.core.errors import ConfigError
from penstock.core.files import documents

# The options that name a file or a folder of the machine that a task runs on, by their sources.
PATHS = {"files": ("input_base",), "sql": ("url", "password_file")}
_DATABASE_FILES = ("sqlite:///", "duckdb:///")


@dataclass(frozen=True)
class Reference:
    """A source by its name, and its options as JSON has them."""

    name: str
    options: Mapping[str, Any]

    def text(self) -> str:
        """Returns it as `input_base` names it."""
        return documents.json_text({self.name: dict(self.options)})


def is_reference(input_base: str) -> bool:
    """Whether `input_base` names a source, and no folder or file."""
    return input_base.lstrip().startswith("{")


def parse(input_base: str) -> Reference | None:
    """Returns the source that `input_base` names; None where it is a folder of files or one file."""
    if not is_reference(input_base):
        return None
    return named("input_base", parse_object("input_base", input_base))


def paths(reference: Reference) -> Iterator[tuple[str, str]]:
    """Yields the files and folders that a source's options name, of all splits: `("sql.url", "/data/trips.db")`."""
    if reference.name == "splits":
        for split, part in reference.options.items():
            yield from paths(named(f"splits.{split}", part))
    for key in PATHS.get(reference.name, ()):
        value = str(reference.options.get(key, ""))
        if key == "url":
            value = next((value.removeprefix(kind) for kind in _DATABASE_FILES if value.startswith(kind)), "")
        if value:
            yield f"{reference.name}.{key}", value


def named(where: str, value: Any) -> Reference:
    """Returns the source that an object with one key names; a ConfigError for any other object."""
    items = check_object(where, value)
    if len(items) != 1:
        raise ConfigError(f"{where}: expected one source and its options, received {len(items)}: {', '.join(items)}")
    ((name, options),) = items.items()
    return Reference(name, check_object(f"{where}.{name}", options))
