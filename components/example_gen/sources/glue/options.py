"""What the source of Glue's tables is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from penstock.core.arguments import check_object, check_string, check_strings, check_whole_number
from penstock.core.errors import ConfigError

_KEYS = ("database", "table", "catalog_id", "region", "push_down_predicate", "columns", "job")


@dataclass(frozen=True)
class Job:
    """A Glue job that is run before the table is read. `timeout` is in minutes, 0 for the job's own."""

    name: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    timeout: int = 0

    @classmethod
    def of(cls, value: Any) -> Self:
        given = check_object("glue.job", value, ("name", "arguments", "timeout"))
        arguments = check_object("glue.job.arguments", given.get("arguments", {}))
        for key, text in arguments.items():
            if not key.startswith("--"):
                raise ConfigError(f"glue.job.arguments: expected names that begin with --, received {key!r}")
            check_string(f"glue.job.arguments.{key}", text, "a text")
        return cls(
            check_string("glue.job.name", given.get("name"), "the name of a job"),
            arguments,
            check_whole_number("glue.job.timeout", given.get("timeout"), of="minutes"),
        )


@dataclass(frozen=True)
class GlueOptions:
    """Which table, and of it which partitions and columns."""

    database: str
    table: str
    catalog_id: str = ""
    region: str = ""
    push_down_predicate: str = ""
    columns: tuple[str, ...] = ()
    job: Job | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Reads the options; a ConfigError for what does not fit."""
        given = check_object("glue", dict(options), _KEYS)
        texts = {
            key: check_string(f"glue.{key}", given.get(key), "a text")
            for key in ("database", "table", "catalog_id", "region", "push_down_predicate")
            if key in given or key in ("database", "table")
        }
        return cls(
            **texts,
            columns=tuple(check_strings("glue.columns", given.get("columns", []))),
            job=Job.of(given["job"]) if "job" in given else None,
        )

    @property
    def name(self) -> str:
        """What a person knows the table by."""
        return f"{self.database}.{self.table}"
