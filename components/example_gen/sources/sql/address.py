"""Where a database is. Secrets are named by where they are, and looked up by whoever connects."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.core.credentials import secrets
from penstock.core.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_EXAMPLES = "postgresql://USER@HOST/DATABASE, mysql://…, sqlite:////FOLDER/FILE or duckdb:////FOLDER/FILE"


@dataclass(frozen=True)
class Address:
    """A database's URL, or the environment variable that holds it; and what holds the password, if there is one."""

    url: str = ""
    url_env: str = ""
    password_env: str = ""
    password_file: str = ""

    def resolve(self) -> "URL":
        """Returns the URL with its password; a ConfigError where one of the two is not to be had."""
        try:
            from sqlalchemy.engine import make_url
            from sqlalchemy.exc import ArgumentError
        except ImportError:
            raise ConfigError("sql: SQLAlchemy is not installed: pip install 'penstock[sql]'") from None
        if bool(self.url) == bool(self.url_env):
            raise ConfigError(f"sql: expected either url or url_env, received {'both' if self.url else 'none'}")
        key = "sql.url" if self.url else "sql.url_env"
        try:
            url = make_url(self.url or secrets.of_variable("sql.url_env", self.url_env))
        except (ArgumentError, ValueError):  # neither text says what it was given, which may hold a password
            raise ConfigError(f"{key}: expected a URL such as {_EXAMPLES}") from None
        if self.url and (url.password is not None or "password" in url.query):
            raise ConfigError("sql.url: expected no password in it: name the variable that holds it, password_env")
        if self.password_env and self.password_file:
            raise ConfigError("sql: expected either password_env or password_file, received both")
        password = secrets.held("sql.password", self.password_env, self.password_file)
        return url.set(password=password) if password else url


def shown(url: "URL") -> str:
    """Returns a URL as people may read it: where the database is, and no more."""
    place = type(url).create(url.get_backend_name(), host=url.host, port=url.port, database=url.database)
    return place.render_as_string()
