"""A table or a query of a database, as the configuration names it.

data: {sql: {url: "sqlite:///trips.db", table: trips}}
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from penstock.pipelines.config import section
from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.section import AnyPath, PositiveWhole, Variable

_OF_FILES = ("sqlite", "duckdb")
_SERVERS = ("postgresql", "postgres", "mysql", "mariadb")
_URL = re.compile(r"(?P<kind>[a-z]+)(\+[a-z0-9_]+)?://(?P<rest>.*)", re.DOTALL)


def _resolved(url: str, info: ValidationInfo) -> str:
    """Returns a URL whose file, if it has one, is an absolute path: sqlite:///trips.db is beside the configuration."""
    match = _URL.fullmatch(url)
    if match is None or match["kind"] not in (*_OF_FILES, *_SERVERS):
        raise ValueError(f"expected a URL that begins with one of {'://, '.join((*_SERVERS, *_OF_FILES))}://")
    if match["kind"] in _SERVERS:
        user = match["rest"].partition("/")[0].rpartition("@")[0]
        if ":" in user or "password=" in match["rest"]:
            raise ValueError("expected no password in it: name the variable that holds it, password_env")
        return url
    path = match["rest"].removeprefix("/")
    if not match["rest"].startswith("/") or not path or path == ":memory:":
        raise ValueError(
            f"expected a file, {match['kind']}:///FILE beside this one, or {match['kind']}:////FOLDER/FILE"
        )
    return f"{match['kind']}:///{section.resolve(path, (info.context or {}).get('folder', Path()))}"


class Sql(SourceSection):
    """A table or a query of PostgreSQL, MySQL, MariaDB, SQLite or DuckDB. In place of both, splits may be queries."""

    extra: ClassVar[str] = "sql"

    url: Annotated[str, AfterValidator(_resolved)] | None = Field(
        default=None,
        description="The database: postgresql://USER@HOST:PORT/DATABASE, mysql://…, mariadb://…, sqlite:///FILE or "
        "duckdb:///FILE, a file relative to this one. Without a password.",
    )
    url_env: Variable | None = Field(
        default=None, description="The environment variable of the tasks that holds the URL, with its password."
    )
    password_env: Variable | None = Field(
        default=None, description="The environment variable of the tasks that holds the password."
    )
    password_file: AnyPath | None = Field(default=None, description="The file that holds the password.")
    table: str | None = Field(
        default=None, min_length=1, description="The table or view, with its schema before a dot where it needs one."
    )
    query: str | None = Field(
        default=None,
        min_length=1,
        description="A query, in the database's own SQL. With TFX's @span_begin_timestamp, @span_end_timestamp and "
        "@span_yyyymmdd_utc it is one for each span of range_config.",
    )
    columns: list[str] | None = Field(
        default=None, min_length=1, description="The columns to read, by default all of them."
    )
    where: str | None = Field(
        default=None, min_length=1, description="Which rows are read: a condition in the database's own SQL."
    )
    partition_by: str | None = Field(
        default=None,
        min_length=1,
        description="The column that the rows are ordered by, best one whose values differ. PostgreSQL is read in "
        "parallel by ranges of it.",
    )
    rows_per_shard: PositiveWhole | None = Field(
        default=None, description="How many rows are in a shard, by default 65,536."
    )
    changed_by: str | None = Field(
        default=None,
        min_length=1,
        description="A column that grows whenever a row is added or changed. By it a rerun is answered from the cache; "
        "without, only that of a file that is as it was.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError(f"url: expected either url or url_env, received {'both' if self.url else 'none'}")
        if self.table and self.query:
            raise ValueError("query: expected either table or query, received both")
        if self.password_env and self.password_file:
            raise ValueError("password_file: expected either password_env or password_file, received both")
        if self._file and (self.password_env or self.password_file):
            raise ValueError("url: expected no password for a file")
        return self

    def check_splits(self, given: bool) -> None:
        if given and (self.table or self.query):
            raise ValueError(f"{'table' if self.table else 'query'}: expected none beside splits, which are queries")
        if not given and not (self.table or self.query):
            raise ValueError("table: expected a table, a query, or splits that are queries, received none")

    def local_paths(self) -> Mapping[str, str]:
        """Returns the file of a database, and that of the password."""
        paths = {"url": self._file, "password_file": self.password_file or ""}
        return {key: path for key, path in paths.items() if path}

    @property
    def _file(self) -> str:
        """The database's file, "" of a server."""
        kind, _, rest = (self.url or "").partition(":///")
        return rest if kind in _OF_FILES else ""
