"""What the SQL source asks of a kind of database, and no more."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from penstock.components.example_gen.sources.sql import address
from penstock.core.credentials import masks
from penstock.core.errors import DataError, PenstockError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL
    from sqlalchemy.engine.default import DefaultDialect

LOCK_SECONDS = 60  # how long a reader waits for what others have locked
CONNECT_SECONDS = 10
BATCH_ROWS = 8192


class NoTable(DataError):
    """The database has no table of this name."""


class NoColumn(DataError):
    """A query names a column that there is not."""

    def __init__(self, message: str, column: str) -> None:
        super().__init__(message)
        self.column = column


class Connection(ABC):
    """A transaction that can only read: all that is read through it is of one moment.

    Every method raises a PenstockError: an Unanswered for what may pass soon, else a sentence with the database's own.
    """

    @abstractmethod
    def names(self, query: str) -> list[str]:
        """Returns the columns of a query, of whose rows none is read."""

    @abstractmethod
    def casts(self, query: str) -> dict[str, str]:
        """Returns the expressions that stand for those columns of a query that are not read as they are."""

    @abstractmethod
    def schema(self, query: str, where: str) -> pa.Schema:
        """Returns the types of a query's columns. A DataError, that says `where`, for one that holds several."""

    @abstractmethod
    def batches(self, query: str, schema: pa.Schema, where: str) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a query, of the types that `schema` gave."""

    @abstractmethod
    def values(self, query: str) -> list[Sequence[Any]]:
        """Returns the rows of a query that has few of them."""

    @abstractmethod
    def tables(self) -> list[str]:
        """Returns the names of the tables and views, after whatever failed before."""

    def parts(self, query: str, table: str) -> list[str]:
        """Returns conditions that divide a query of a table, of all its columns or some, into parts that are read side
        by side: one after the other they are the query's rows in their order. None where that would not be quicker.
        """
        return []

    def share(self) -> dict[str, str] | None:
        """Returns what other connections need to read in this one's moment; None where they cannot."""
        return None


class Database(ABC):
    """A database by its URL. It is not sent to workers, as it holds the password: its address is."""

    dialect: "type[DefaultDialect]"

    def __init__(self, url: "URL") -> None:
        self.url = url
        self.shown = address.shown(url)
        # Some drivers, none of ours, want each % of a name twice.
        self._preparer = self.dialect(paramstyle="named").identifier_preparer

    @abstractmethod
    def connected(self, moment: str = "") -> AbstractContextManager[Connection]:
        """Opens a transaction; in the moment of another one, which `share` told of."""

    @abstractmethod
    def check(self) -> None:
        """Raises a ConfigError or a DataError for a URL that names nothing that can be connected to."""

    def fingerprint(self) -> str:
        """Returns what changes with the data, where that can be known without asking; "" where it cannot."""
        return ""

    def quote(self, name: str) -> str:
        """Returns a name as this database's SQL has it, whatever characters are in it."""
        return self._preparer.quote_identifier(name)

    def literal(self, value: Any) -> str:
        """Returns a value that the database gave as its SQL has it."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return repr(value)
        return "'" + str(value).replace("'", "''") + "'"

    def as_text(self, expression: str) -> str:
        """Returns an expression whose value `literal` can write without loss."""
        return expression

    def said(self, error: BaseException) -> str:
        """Returns the first line of what the database says, without secrets."""
        text = str(error).strip().partition("\n")[0].rstrip(". ")
        if self.url.password:
            text = text.replace(str(self.url.password), masks.MASK)
        return masks.masked(text)

    @abstractmethod
    def explained(self, error: Exception) -> PenstockError | None:
        """Returns an error of the client library as one of ours; None for any other error."""

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """Raises errors of the client library as ours."""
        try:
            yield
        except PenstockError:
            raise
        except Exception as error:
            known = self.explained(error)
            if known is None:
                raise
            raise known from None
