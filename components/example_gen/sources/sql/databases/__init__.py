"""The kinds of databases: a module for each, by the beginning of its URL. database.py says what one offers."""

import importlib

from penstock.components.example_gen.sources.sql.address import Address
from penstock.components.example_gen.sources.sql.databases.database import Database
from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean

_MODULES = {
    "duckdb": "duckdb:DuckDB",
    "mariadb": "mysql:MySQL",
    "mysql": "mysql:MySQL",
    "postgres": "postgresql:PostgreSQL",
    "postgresql": "postgresql:PostgreSQL",
    "sqlite": "sqlite:SQLite",
}


def named(address: Address) -> Database:
    """Returns the database at an address; a ConfigError for one that cannot be, or whose library is not installed."""
    url = address.resolve()
    kind = url.get_backend_name()
    if kind not in _MODULES:
        raise ConfigError(f"sql.url: {kind}://: unknown database; {did_you_mean(kind, _MODULES)}")
    module, _, name = _MODULES[kind].partition(":")
    try:
        found: type[Database] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    except ImportError as error:
        extra = "duckdb" if kind == "duckdb" else "sql"
        raise ConfigError(f"{kind}://: {error.name} is not installed: pip install 'penstock[{extra}]'") from None
    database = found(url)
    database.check()
    return database
