"""An HTTP API, as the configuration names it. Secrets are named by where they are, never written.

data: {http: {url: "https://api.example.com/trips", records: data.items, paging: {by: link}, auth: {token_env: TOKEN}}}
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from penstock.pipelines.config.data.csv import Csv
from penstock.pipelines.config.data.sources.source_section import SourceSection
from penstock.pipelines.config.section import AnyPath, PositiveWhole, Section, Variable, Whole, matching

Url = Annotated[str, matching(r"^https?://[^/\s@]+(/\S*|\?\S*)?$", "an address that begins with http:// or https://")]


class Paging(Section):
    """How a page of the API leads to the next one."""

    by: Literal["link", "next_url", "cursor", "offset", "page"] = Field(
        description="link: the answer's header Link with rel=next. next_url: an address in the answer. cursor: a value "
        "in the answer that the next request has as a parameter. offset: how many rows came so far. page: its number. "
        "The last page is the one without a next one; by offset and page an empty one."
    )
    parameter: str | None = Field(
        default=None,
        min_length=1,
        description="The request's parameter for a cursor, offset or number, by default called so.",
    )
    at: str | list[str] | None = Field(
        default=None,
        description="The keys down to the cursor in the answer, such as meta.next_cursor, or to the next address, by "
        "default next.",
    )
    first: Whole | None = Field(default=None, description="The first offset, by default 0; the first page's number, 1.")
    size: PositiveWhole | None = Field(default=None, description="How many rows a page is to have, where one can ask.")
    size_parameter: str | None = Field(
        default=None, min_length=1, description="The request's parameter that says so, by default limit."
    )
    max_pages: PositiveWhole | None = Field(default=None, description="More are an error, by default 10,000.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.by == "cursor" and not self.at:
            raise ValueError(
                "at: it is missing: expected the keys down to the cursor in the answer, as meta.next_cursor"
            )
        if self.at and self.by not in ("cursor", "next_url"):
            raise ValueError(f"at: expected none with by: {self.by}, which does not look into the answer")
        if self.parameter and self.by in ("link", "next_url"):
            raise ValueError(f"parameter: expected none with by: {self.by}, which gives the whole address")
        return self


class Auth(Section):
    """How requests sign in: with a token, a user and a password, or as a client of OAuth 2.0."""

    token_env: Variable | None = Field(default=None, description="The environment variable that holds the token.")
    token_file: AnyPath | None = Field(default=None, description="The file that holds the token.")
    header: str | None = Field(
        default=None, min_length=1, description="The header that the token is in, by default Authorization."
    )
    scheme: str | None = Field(
        default=None, description="The word before the token, in Authorization by default Bearer, else none."
    )
    user: str | None = Field(default=None, min_length=1, description="Who signs in, with a password.")
    password_env: Variable | None = Field(default=None, description="The environment variable that holds the password.")
    password_file: AnyPath | None = Field(default=None, description="The file that holds the password.")
    token_url: Url | None = Field(
        default=None, description="Where a client gets a token for its own credentials (OAuth 2.0)."
    )
    client_id: str | None = Field(default=None, min_length=1, description="The client's id.")
    client_id_env: Variable | None = Field(default=None, description="The environment variable that holds the id.")
    client_secret_env: Variable | None = Field(default=None, description="The variable that holds the client's secret.")
    client_secret_file: AnyPath | None = Field(default=None, description="The file that holds the client's secret.")
    scope: str | None = Field(default=None, min_length=1, description="What the token is to be good for.")
    audience: str | None = Field(default=None, min_length=1, description="Whom the token is for, where that is asked.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = {"token_env": self.token_env or self.token_file, "user": self.user, "token_url": self.token_url}
        given = [way for way, value in ways.items() if value]
        if len(given) != 1:
            raise ValueError(
                "expected one of token_env (or token_file), user with password_env, token_url with client_id and "
                f"client_secret_env, received {' and '.join(given) or 'none'}"
            )
        return self


class Http(SourceSection):
    """An HTTP API that answers with rows."""

    url: Url = Field(
        description="The first page's address; {YYYY}, {MM} and {DD} stand for a span's day in UTC, TFX's macros "
        "@span_begin_timestamp and @span_end_timestamp for its seconds. A split's pattern is relative to it: ?x=1."
    )
    format: Literal["json", "json_lines", "csv"] | None = Field(
        default=None, description="How the answers are written, by default json."
    )
    records: str | list[str] | None = Field(
        default=None,
        description="The keys down to the rows in an answer of JSON, such as data.items; by default it is "
        "the list of rows.",
    )
    columns: list[str] | None = Field(default=None, min_length=1, description="The columns to read, by default all.")
    csv: Csv | None = Field(default=None, description="How tables of CSV are written.")
    headers: dict[str, str] | None = Field(default=None, description="More headers of each request; no secrets.")
    paging: Paging | None = Field(
        default=None, description="How a page leads to the next one; by default there is one."
    )
    auth: Auth | None = Field(default=None, description="How requests sign in; by default they do not.")
    max_page_mb: PositiveWhole | None = Field(
        default=None, description="More MiB in one answer are an error, by default 64; of json_lines and csv 16,384."
    )
    timeout: PositiveWhole | None = Field(
        default=None, description="The seconds that the server may say nothing for, by default 60."
    )
    ca_cert: AnyPath | None = Field(
        default=None, description="The certificates that the server's is checked against, by default the public ones."
    )
    keep: PositiveWhole | None = Field(
        default=None, description="How many different readings are kept below the pipeline's root, by default 10."
    )

    may_be_looked_at: bool | None = Field(
        default=None,
        description="Whether `penstock validate --data` may ask for a page, by default true; false where a request "
        "costs or counts.",
    )

    def options(self) -> dict[str, Any]:
        return {key: value for key, value in super().options().items() if key != "may_be_looked_at"}

    @property
    def is_private(self) -> bool:
        return self.may_be_looked_at is False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.format in ("json_lines", "csv"):
            if self.records:
                raise ValueError(f"records: expected none for {self.format}, whose lines are the rows")
            if self.paging and self.paging.by in ("next_url", "cursor"):
                raise ValueError(f"paging.by: expected link, offset or page for {self.format}")
        if self.csv and self.format != "csv":
            raise ValueError("csv: expected format: csv with it")
        if self.format == "csv" and self.columns:
            raise ValueError("columns: expected none for csv, of which all columns are read")
        return self
