"""The SQL that is sent: names are quoted by the database's own rules, never pasted.

`where` and `query` are SQL that the person wrote; each runs in a transaction that can only read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock.components.example_gen.sources.sql.options import SqlOptions

ALIAS = "penstock_rows"
type Quote = Callable[[str], str]


@dataclass(frozen=True)
class Relation:
    """What rows are read from: a table, or a query of the person's own."""

    table: str = ""
    query: str = ""

    @property
    def plain_query(self) -> str:
        """The query without the semicolon at its end."""
        return self.query.strip().rstrip(";").rstrip()

    def after_from(self, quote: Quote) -> str:
        """Returns what stands behind FROM. A query stands on lines of its own: it may end in a comment."""
        if self.table:
            return ".".join(quote(part) for part in self.table.split("."))
        return f"(\n{self.plain_query}\n) AS {quote(ALIAS)}"


def rows(relation: Relation, options: SqlOptions, quote: Quote) -> str:
    """Returns the query of the rows that are read, with the columns that they are ordered and bound by.

    A query of which nothing more is asked stays as it is, with its ORDER BY.
    """
    if not (relation.table or options.columns or options.where):
        return relation.plain_query
    query = _everything(relation, options, quote)
    return _where(query, "WHERE", options.where) if options.where else query


def narrowed(query: str, relation: Relation, options: SqlOptions, quote: Quote, condition: str) -> str:
    """Returns what `rows` or this returned of a table, of those rows for which a condition holds too. It may name what
    is no column of the query, such as one that is not selected.
    """
    everything = _everything(relation, options, quote)
    assert query.startswith(everything)
    return _where(query, "WHERE" if query == everything else "AND", condition)


def _everything(relation: Relation, options: SqlOptions, quote: Quote) -> str:
    keys = [key for key in (options.partition_by, options.changed_by) if key and options.columns]
    names = dict.fromkeys([*options.columns, *keys])
    return f"SELECT {listed(list(names), quote)} FROM {relation.after_from(quote)}"


def _where(query: str, word: str, condition: str) -> str:
    """Adds a condition, on lines of its own: it may end in a comment."""
    return f"{query} {word} (\n{condition}\n)"


def of(query: str, what: str, quote: Quote, condition: str = "", order: str = "") -> str:
    """Returns a query of another's rows: `what` is between SELECT and FROM, `order` the column that they come by."""
    result = f"SELECT {what} FROM {Relation(query=query).after_from(quote)}"
    result += f" WHERE {condition}" if condition else ""
    return f"{result} ORDER BY {quote(order)}" if order else result


def listed(names: Sequence[str], quote: Quote) -> str:
    """Returns names for a SELECT; all columns where there are none."""
    return ", ".join(map(quote, names)) or "*"
