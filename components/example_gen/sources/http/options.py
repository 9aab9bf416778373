"""The options of the source `http`, as a pipeline gives them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from penstock.core.arguments import check_object, check_string, check_strings, check_whole_number
from penstock.core.credentials.secrets import secret
from penstock.core.errors import ConfigError
from penstock.core.services import http

type Format = Literal["json", "json_lines", "csv"]
type By = Literal["link", "next_url", "cursor", "offset", "page"]
FORMATS: tuple[Format, ...] = get_args(Format.__value__)
PAGES: tuple[By, ...] = get_args(By.__value__)
_MIB = 1 << 20
_KEYS = (
    "url",
    "format",
    "records",
    "columns",
    "csv",
    "headers",
    "paging",
    "auth",
    "max_page_mb",
    "timeout",
    "ca_cert",
    "keep",
)
_PAGING = ("by", "parameter", "at", "first", "size_parameter", "size", "max_pages")
_AUTH = (
    "token",
    "header",
    "scheme",
    "user",
    "password",
    "token_url",
    "client_id",
    "client_secret",
    "scope",
    "audience",
)
_SECRETS = ("token", "password", "client_id", "client_secret")


@dataclass(frozen=True)
class Paging:
    """How a page leads to the next one.

    Args:
        by: link (the header Link, rel="next"), next_url (an address in the answer), cursor (a value in the answer that
            is the next request's parameter), offset (rows so far) or page (its number).
        parameter: The parameter of the request that a cursor, an offset or a number goes into.
        at: The keys down to the next address or the cursor in the answer.
        first: The number of the first page, or the first offset.
        size_parameter: The parameter that says how many rows a page is to have, `size`.
        max_pages: More are an error: an API that never ends.
    """

    by: By
    parameter: str = ""
    at: tuple[str, ...] = ()
    first: int = 0
    size_parameter: str = ""
    size: int = 0
    max_pages: int = 10_000

    @classmethod
    def of(cls, value: Any) -> "Paging":
        given = check_object("http.paging", value, _PAGING, '{"by": "link"}')
        by = next((known for known in PAGES if known == given.get("by")), None)
        if by is None:
            raise ConfigError(f"http.paging.by: expected one of {', '.join(PAGES)}, received {given.get('by')!r}")
        if by == "cursor" and not given.get("at"):
            raise ConfigError(
                "http.paging.at: expected the keys down to the cursor in the answer, such as meta.next, received none"
            )
        parameter = {"cursor": "cursor", "offset": "offset", "page": "page"}.get(by, "")
        return cls(
            by,
            check_string("http.paging.parameter", given.get("parameter", parameter) or "none", "a parameter's name"),
            _path("http.paging.at", given.get("at", "next") if by in ("next_url", "cursor") else ""),
            check_whole_number("http.paging.first", given.get("first", 1 if by == "page" else 0)),
            str(given.get("size_parameter", "limit" if given.get("size") else "")),
            check_whole_number("http.paging.size", given.get("size", 0)),
            check_whole_number("http.paging.max_pages", given.get("max_pages", 10_000), least=1),
        )


@dataclass(frozen=True)
class Auth:
    """How requests to the API sign in: with a token in a header, a user and a password, or a client of OAuth 2.0.

    Secrets are named by where they are: `<name>_env` or `<name>_file`.
    """

    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any) -> "Auth":
        places = [f"{name}_{ending}" for name in _SECRETS for ending in ("env", "file")]
        keys = [key for key in _AUTH if key not in ("token", "password", "client_secret")] + places
        given = check_object("http.auth", value, keys, '{"token_env": "API_TOKEN"}')
        names = {key: check_string(f"http.auth.{key}", item, "a text") for key, item in given.items()}
        kinds = [
            name
            for name, keys in (
                ("token", ("token_env", "token_file")),
                ("user", ("user",)),
                ("token_url", ("token_url",)),
            )
            if any(key in names for key in keys)
        ]
        if len(kinds) != 1:
            raise ConfigError(
                "http.auth: expected one of token_env (or token_file), user with password_env, token_url with "
                f"client_id and client_secret_env, received {', '.join(kinds) or 'none'}"
            )
        return cls(names)

    def secret(self, name: str) -> str:
        """Returns a secret by the name that says where it is; "" where nothing does."""
        return secret(f"http.auth.{name}", self.names.get(f"{name}_env", ""), self.names.get(f"{name}_file", ""))

    def get(self, name: str, default: str = "") -> str:
        return self.names.get(name, default)


@dataclass(frozen=True)
class HttpOptions:
    """What is read of which API, and how.

    Args:
        url: The first page's address; {YYYY}, {MM} and {DD} stand for a span's day in UTC.
        records: The keys down to the rows in the answer, where it is JSON.
        columns: Those to read; without any, all.
        csv: How tables are written, as CsvOptions has it.
        headers: More headers of each request; no secrets.
        max_page_bytes: More in one answer is an error.
        timeout: The seconds that the server may say nothing for.
        keep: How many different readings are kept.
    """

    url: str
    format: Format = "json"
    records: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    csv: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    paging: Paging | None = None
    auth: Auth | None = None
    max_page_bytes: int = 64 * _MIB
    timeout: int = 60
    ca_cert: str = ""
    keep: int = 10

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "HttpOptions":
        """Reads the options as JSON has them; a ConfigError for what does not fit."""
        given = check_object("http", dict(options), _KEYS)
        url = check_string("http.url", given.get("url"), "the address of the first page")
        _check_url(url)
        format = next((known for known in FORMATS if known == given.get("format", "json")), None)
        if format is None:
            raise ConfigError(f"http.format: expected {', '.join(FORMATS)}, received {given['format']!r}")
        if format != "json" and given.get("records"):
            raise ConfigError(f"http.records: expected none for {format}, whose lines are the rows")
        if format == "csv" and given.get("columns"):
            raise ConfigError("http.columns: expected none for csv, of which all columns are read")
        paging = Paging.of(given["paging"]) if given.get("paging") else None
        if paging and paging.at and format != "json":
            raise ConfigError(f"http.paging.by: expected link, offset or page for {format}, received {paging.by}")
        csv = check_object("http.csv", given.get("csv") or {})
        if csv and format != "csv":
            raise ConfigError(f"http.csv: expected none for {format}")
        headers = check_object("http.headers", given.get("headers", {}))
        largest = 64 if format == "json" else 16_384
        return cls(
            url,
            format,
            _path("http.records", given.get("records", "")),
            tuple(check_strings("http.columns", given.get("columns", []))),
            csv,
            {name: check_string(f"http.headers.{name}", value, "a text") for name, value in headers.items()},
            paging,
            Auth.of(given["auth"]) if given.get("auth") else None,
            check_whole_number("http.max_page_mb", given.get("max_page_mb", largest), least=1) * _MIB,
            check_whole_number("http.timeout", given.get("timeout", 60), least=1, of="seconds"),
            str(given.get("ca_cert", "")),
            check_whole_number("http.keep", given.get("keep", 10), least=1),
        )


def _check_url(url: str) -> None:
    try:
        http.origin(url)
    except ValueError as error:
        raise ConfigError(f"http.url: {error}") from None
    if "@" in url.split("://", 1)[1].split("/", 1)[0]:
        raise ConfigError("http.url: expected an address without a user and a password: name them in http.auth")


def _path(key: str, value: Any) -> tuple[str, ...]:
    """Returns the keys of a path such as data.items; a list has keys that hold dots."""
    if isinstance(value, str):
        return tuple(value.split(".")) if value else ()
    return tuple(check_strings(key, value, of="keys"))
