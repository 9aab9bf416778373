"""The options of the source `nifi`, as a pipeline gives them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import urlsplit, urlunsplit

from penstock.core.arguments import check_object, check_string, check_strings, check_whole_number
from penstock.core.credentials.secrets import secret
from penstock.core.errors import ConfigError
from penstock.core.services import http

type Format = Literal["json_lines", "json", "csv", "avro", "parquet", "tfrecord"]
FORMATS: tuple[Format, ...] = get_args(Format.__value__)
_MIB = 1 << 20
_KEYS = ("landing", "site_to_site", "format", "records", "columns", "csv")
_PORT_KEYS = (
    *("url", "port", "client_cert", "client_key", "token_env", "token_file", "ca_cert"),
    *("batch_count", "batch_mb", "max_mb", "timeout", "keep", "skip"),
)


@dataclass(frozen=True)
class SiteToSite:
    """An output port of NiFi's.

    Args:
        url: NiFi's address as a browser has it, or that of its API.
        port: The port's name or id.
        batch_count: How many FlowFiles a transaction has at most; `batch_bytes` about how many bytes.
        max_bytes: About how many bytes one run pulls.
        timeout: The seconds that NiFi may say nothing for.
        keep: How many spans are kept after they were read.
        skip: FlowFiles by their ids that are left out: their content is not of the format.
    """

    url: str
    port: str
    client_cert: str = ""
    client_key: str = ""
    token_env: str = ""
    token_file: str = ""
    ca_cert: str = ""
    batch_count: int = 10_000
    batch_bytes: int = 64 * _MIB
    max_bytes: int = 10_240 * _MIB
    timeout: int = 60
    keep: int = 30
    skip: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Any) -> "SiteToSite":
        where = "nifi.site_to_site"
        given = check_object(where, value, _PORT_KEYS)
        found = cls(
            check_string(f"{where}.url", given.get("url"), "NiFi's address"),
            check_string(f"{where}.port", given.get("port"), "the name of an output port"),
            client_cert=str(given.get("client_cert", "")),
            client_key=str(given.get("client_key", "")),
            token_env=str(given.get("token_env", "")),
            token_file=str(given.get("token_file", "")),
            ca_cert=str(given.get("ca_cert", "")),
            batch_count=check_whole_number(f"{where}.batch_count", given.get("batch_count", 10_000), least=1),
            batch_bytes=check_whole_number(f"{where}.batch_mb", given.get("batch_mb", 64), least=1) * _MIB,
            max_bytes=check_whole_number(f"{where}.max_mb", given.get("max_mb", 10_240), least=1) * _MIB,
            timeout=check_whole_number(f"{where}.timeout", given.get("timeout", 60), least=1, of="seconds"),
            keep=check_whole_number(f"{where}.keep", given.get("keep", 30), least=1),
            skip=tuple(check_strings(f"{where}.skip", given.get("skip", []), of="ids")),
        )
        try:
            http.origin(found.url)
        except ValueError as error:
            raise ConfigError(f"{where}.url: {error}") from None
        return found

    @property
    def api(self) -> str:
        """The address of NiFi's API, which is beside what a browser opens: /nifi-api beside /nifi."""
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/") or "/nifi"
        if not path.endswith("/nifi-api"):
            path = f"{path}-api" if path.endswith("/nifi") else f"{path}/nifi-api"
        return urlunsplit((parts.scheme, parts.netloc, path, "", ""))

    def token(self) -> str:
        """Returns the token to sign in with, "" for none."""
        return secret("nifi.site_to_site.token", self.token_env, self.token_file)


@dataclass(frozen=True)
class NifiOptions:
    """What is read of a flow.

    Args:
        landing: The folder of files and manifests, "" where FlowFiles are pulled.
        site_to_site: The port that they are pulled from.
        records: The keys down to the rows in a document of JSON.
        columns: Those to read; without any, all.
        csv: How tables are written, as CsvOptions has it.
    """

    landing: str = ""
    site_to_site: SiteToSite | None = None
    format: Format = "json_lines"
    records: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    csv: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "NifiOptions":
        """Reads the options as JSON has them; a ConfigError for what does not fit."""
        given = check_object("nifi", dict(options), _KEYS)
        if ("landing" in given) == ("site_to_site" in given):
            raise ConfigError("nifi: expected either landing or site_to_site")
        format = next((known for known in FORMATS if known == given.get("format", "json_lines")), None)
        if format is None:
            raise ConfigError(f"nifi.format: expected {', '.join(FORMATS)}, received {given['format']!r}")
        records = given.get("records", "")
        if records and format != "json":
            raise ConfigError(f"nifi.records: expected none for {format}: they are of json")
        if given.get("columns") and format in ("csv", "parquet", "tfrecord"):
            raise ConfigError(f"nifi.columns: expected none for {format}, of which all columns are read")
        csv = check_object("nifi.csv", given.get("csv") or {})
        if csv and format != "csv":
            raise ConfigError(f"nifi.csv: expected none for {format}")
        keys = records.split(".") if isinstance(records, str) and records else records or []
        return cls(
            check_string("nifi.landing", given["landing"], "a folder") if "landing" in given else "",
            SiteToSite.of(given["site_to_site"]) if "site_to_site" in given else None,
            format,
            tuple(check_strings("nifi.records", keys, of="keys")),
            tuple(check_strings("nifi.columns", given.get("columns", []))),
            csv,
        )
