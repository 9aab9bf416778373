"""What a catalogue that is away, refuses, or breaks off means: a server that speaks Iceberg's REST protocol."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.sources.iceberg.options import IcebergOptions
from penstock.core.errors import ConfigError, DataError, PenstockError, ServerError
from penstock.core.services import retries
from penstock.core.services.retries import Unanswered
from tests.components.example_gen.sources.iceberg.lake import Lake
from tests.servers import ports
from tests.servers.loopback import Cut, Loopback, Refusal, Request, Status

TOKEN = "k7Jq2mVx9LpT4wRz"


class Rest(Loopback):
    """Answers what a client asks that reads a table, from what a catalogue of SQL knows of it."""

    def __init__(self, lake: Lake):
        super().__init__()
        self.lake = lake

    def route(self, path: str) -> str:
        return path

    def error(self, failure: Status) -> Any:
        kinds = {401: "NotAuthorizedException", 403: "ForbiddenException", 404: "NoSuchTableException"}
        kind = kinds.get(failure.code, "ServiceUnavailableException")
        return {"error": {"message": failure.message, "type": kind, "code": failure.code}}

    def answer(self, request: Request) -> Any:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "no such token")
        table = self.lake.catalog.load_table("db.trips")
        answers = {
            "/v1/config": {"defaults": {}, "overrides": {}},
            "/v1/namespaces": {"namespaces": [["db"]]},
            "/v1/namespaces/db/tables": {"identifiers": [{"namespace": ["db"], "name": "trips"}]},
            "/v1/namespaces/db/tables/trips": {
                "metadata-location": table.metadata_location,
                "metadata": json.loads(table.metadata.model_dump_json()),
                "config": {},
            },
        }
        if request.route not in answers:
            raise Refusal(404, "no such thing")
        return answers[request.route]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rest]:
    monkeypatch.setattr(retries, "PAUSE", 0.0)
    monkeypatch.setenv("LAKE_TOKEN", TOKEN)
    lake = Lake(tmp_path)
    table = lake.catalog.create_table("db.trips", pa.schema([("id", pa.int64())]))
    table.append(pa.table({"id": range(10)}))
    with Rest(lake) as running:
        yield running


def base(uri: str, table: str = "db.trips") -> str:
    catalog = {"type": "rest", "uri": uri, "properties_env": {"token": "LAKE_TOKEN"}}
    return json.dumps({"iceberg": {"catalog": catalog, "table": table}})


def test_a_catalogue_that_breaks_off_is_asked_again(server: Rest) -> None:
    found = resolving.resolve(input_base=base(server.url))
    server.fail("GET", "/v1/namespaces/db/tables/trips", Status(503, "later"), Cut(after=False))
    assert resolving.resolve(input_base=base(server.url)) == found
    server.fail("GET", "/v1/namespaces/db/tables/trips", *[Status(503, "later")] * 3)
    with pytest.raises(Unanswered, match=r"Iceberg catalogue default does not answer \(.*\): check its address"):
        resolving.resolve(input_base=base(server.url))


def test_wrong_credentials_and_no_leave(server: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token stands in no error."""
    server.fail("GET", "/v1/namespaces/db/tables/trips", *[Status(403, "not yours")] * 2)
    with pytest.raises(ServerError, match=r"does not let this account do that .*: give it leave to read the table"):
        resolving.resolve(input_base=base(server.url))
    monkeypatch.setenv("LAKE_TOKEN", f"{TOKEN}-expired")
    with pytest.raises(ServerError, match=r"wants a sign-in .*properties_env") as told:
        resolving.resolve(input_base=base(server.url))
    assert TOKEN not in str(told.value)
    monkeypatch.delenv("LAKE_TOKEN")
    with pytest.raises(ConfigError, match="token: the environment variable LAKE_TOKEN is not set"):
        resolving.resolve(input_base=base(server.url))


def test_a_table_that_is_not_there(server: Rest) -> None:
    with pytest.raises(DataError, match=r"Iceberg table db\.trip does not exist; did you mean 'db\.trips'\?"):
        resolving.resolve(input_base=base(server.url, "db.trip"))


@pytest.mark.parametrize(
    ("uri", "error", "message"),
    [
        ("http://127.0.0.1:{port}", Unanswered, "does not answer .*: check its address and the network"),
        ("sqlite:///{folder}/no/catalog.db", ConfigError, "has no Iceberg tables or cannot be opened"),
        ("sqlite:///{folder}/empty.db", ConfigError, "has no Iceberg tables or cannot be opened"),
        ("ftp://somewhere", ConfigError, "Could not infer the catalog type"),
    ],
)
def test_no_catalogue_at_the_address(
    uri: str, error: type[PenstockError], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made where there is none, no database either."""
    monkeypatch.setattr(retries, "PAUSE", 0.0)
    place = uri.format(port=ports.reserve(), folder=tmp_path)
    with pytest.raises(error, match=message):
        resolving.resolve(input_base=json.dumps({"iceberg": {"catalog": {"uri": place}, "table": "db.trips"}}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "trips"}, r"with its namespace, such as db\.trips"),
        ({"table": "db.t", "tag": "a", "branch": "b"}, r"expected one of .*, received branch and tag"),
        ({"table": "db.t", "catalog": {"properties": {"token": "abc"}}}, r"token is a secret: name the environment"),
        ({"table": "db.t", "as_off": "x"}, r"unknown key 'as_off'; did you mean 'as_of'\?"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        IcebergOptions.of(options)
