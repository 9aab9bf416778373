"""The first rows of a table or a query: the database is asked for no more."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.sampling.look import ROWS, Look
from penstock.components.example_gen.sources.source import Opened
from penstock.components.example_gen.sources.sql import databases, statements
from penstock.components.example_gen.sources.sql.options import SqlOptions
from penstock.components.example_gen.sources.sql.source import SqlPiece, SqlSource


@contextlib.contextmanager
def opened(look: Look) -> Iterator[Opened[SqlPiece]]:
    """Copies the rows. Neither the newest change nor ranges are asked for: that would look at all rows."""
    options = look.without("changed_by")
    resolved = SqlSource.resolve(replace(look.asked, options=options))
    quote = databases.named(SqlOptions.parse(options).address).quote
    splits = [
        InputSplit(split.name, f"{statements.of(split.pattern, '*', quote)} LIMIT {ROWS}") for split in resolved.splits
    ]
    with SqlSource.open(look.request(splits, look.without("changed_by", "partition_by"))) as found:
        yield found
