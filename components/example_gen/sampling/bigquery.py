"""The first rows of stored tables, which cost nothing; of queries and views what a dry run tells, their columns."""

import contextlib
from collections.abc import Iterator

from penstock.components.example_gen.sampling.look import Look, OnlyColumns
from penstock.components.example_gen.sources.bigquery.options import BigQueryOptions, is_table
from penstock.components.example_gen.sources.bigquery.service import BigQuery
from penstock.components.example_gen.sources.bigquery.source import BigQueryPiece, BigQuerySource
from penstock.components.example_gen.sources.source import Opened


@contextlib.contextmanager
def opened(look: Look) -> Iterator[Opened[BigQueryPiece]]:
    """Raises OnlyColumns for a query and for a view: their rows are billed."""
    options = BigQueryOptions.parse(look.asked.options)
    splits = BigQuerySource.resolve(look.asked).splits
    queries = [split.pattern for split in splits if not split.pattern.startswith("{")]
    if queries:
        query = f"SELECT * FROM `{queries[0]}`" if is_table(queries[0]) else queries[0]
        names = BigQuery(options).dry_run(query, f"query {' '.join(query.split())[:60]!r}").columns
        raise OnlyColumns(list(options.columns) or names, "a query is billed")
    with BigQuerySource.open(look.request(splits)) as found:
        yield found
