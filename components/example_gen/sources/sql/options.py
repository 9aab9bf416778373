"""What the SQL source is told: where the database is, and which rows of it are read."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from penstock.components.example_gen.sources.sql.address import Address
from penstock.core.arguments import check_object, check_string, check_strings, check_whole_number
from penstock.core.errors import ConfigError

ROWS_PER_SHARD = 65_536  # of columns as most tables have them a few megabytes, which a core reads in a second
_ADDRESS = tuple(field.name for field in dataclasses.fields(Address))
_TEXTS = (*_ADDRESS, "table", "query", "where", "partition_by", "changed_by")
_KEYS = (*_TEXTS, "columns", "rows_per_shard")


@dataclass(frozen=True)
class SqlOptions:
    """Options of the source. Picklable, and without a secret: those are named by where they are.

    Args:
        address: The database.
        table: The table, with its schema before a dot where it needs one; "" for a query.
        query: The query; "" for a table, and where the input splits are queries.
        columns: The columns that become features; none for all.
        where: A condition of the database's own SQL, "" for none.
        partition_by: The column by whose values the rows are ordered and cut, "" for none.
        rows_per_shard: How many rows a shard has.
        changed_by: The column that grows with every change of a row, "" for none.
    """

    address: Address
    table: str = ""
    query: str = ""
    columns: tuple[str, ...] = ()
    where: str = ""
    partition_by: str = ""
    rows_per_shard: int = ROWS_PER_SHARD
    changed_by: str = ""

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """Reads the options as JSON has them; a ConfigError for those that do not fit."""
        given = {key: value for key, value in check_object("sql", dict(options), _KEYS).items() if value is not None}
        texts = {key: check_string(f"sql.{key}", given[key], "a text") for key in _TEXTS if key in given}
        if "table" in texts and "query" in texts:
            raise ConfigError("sql: expected either table or query, received both")
        rows = ROWS_PER_SHARD
        if "rows_per_shard" in given:
            rows = check_whole_number("sql.rows_per_shard", given["rows_per_shard"], least=1)
        return cls(
            Address(**{key: texts.pop(key) for key in _ADDRESS if key in texts}),
            columns=tuple(check_strings("sql.columns", given.get("columns", []))),
            rows_per_shard=rows,
            **texts,
        )
