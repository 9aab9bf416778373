"""`penstock validate --data` asks a database for some rows and no more."""

from collections.abc import Callable
from typing import Any

import pytest

from penstock.core.services import retries
from tests.components.example_gen.sources.sql.conftest import Options
from tests.servers import ports
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

Look = Callable[..., str]
COLUMNS = "id (integers), fare (numbers with decimals), city (text), x (integers)"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.0)


@pytest.fixture(params=["postgresql", "mariadb"])
def trips(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Options of a table of 3,000 rows."""
    if request.param == "postgresql":
        server: PostgreSQL | MariaDB = request.getfixturevalue("postgres")
        numbers = "generate_series(1, 3000) AS one(id)"
        options: Options = request.getfixturevalue("of_postgres")
    else:
        server, options = request.getfixturevalue("maria"), request.getfixturevalue("of_maria")
        numbers = "(SELECT seq AS id FROM seq_1_to_3000) AS one"
    city = "CASE MOD(id, 50) WHEN 0 THEN ' Bonn' ELSE 'Bonn' END"
    server.execute("DROP TABLE IF EXISTS looked_at")
    server.execute(
        f"CREATE TABLE looked_at AS SELECT id, MOD(id, 7) / 2.0 AS fare, {city} AS city, MOD(id, 2) AS x FROM {numbers}"
    )
    return options()


def test_a_table_and_a_query(trips: dict[str, Any], look: Look) -> None:
    """What reads the newest change or ranges of all rows in a run does not do so here."""
    table = {**trips, "table": "looked_at", "partition_by": "id", "changed_by": "id"}
    told = look({"sql": table}, cleaning={"rules": [{"rule": "range", "columns": ["fares"], "min": 0}]}, code=2)
    assert "the data has no column 'fares'; did you mean 'fare'?" in told
    told = look({"sql": table})
    assert f"data: 1,000 rows looked at; columns: {COLUMNS}\n" in told
    assert "cleaning.rules may have {rule: text, columns: [city], spaces: collapse}" in told
    query = {**trips, "query": "SELECT fare, x, x AS again FROM looked_at WHERE id < 90 -- all\n;"}
    told = look({"sql": query})
    assert "data: 89 rows looked at; columns: fare (numbers with decimals), x (integers), again (integers)" in told
    assert "column again alone gives the label x away" in told
    queries = {"train": "SELECT * FROM looked_at", "eval": "SELECT * FROM looked_at WHERE id > 9"}
    assert "rows looked at" in look({"sql": trips, "splits": queries})


def test_what_a_run_would_fail_with_is_told(trips: dict[str, Any], look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {**trips, "table": "looked_at"}
    assert "label 'y' does not exist" in look({"sql": table}, label="y", code=2)
    assert "there is no table 'looked_it'; did you mean 'looked_at'?" in look(
        {"sql": {**trips, "table": "looked_it"}}, code=2
    )
    assert "there is no column 'fares'" in look({"sql": {**table, "columns": ["fares"]}}, code=2)
    empty = {**table, "where": "id < 0"}
    assert "table looked_at: there is no row: expected at least one" in look({"sql": empty}, code=2)
    monkeypatch.setenv(trips["password_env"], "wrong")
    told = look({"sql": table}, code=2)
    assert told.count("\n") == 1
    assert "wrong" not in told


def test_a_server_that_is_away_is_one_sentence(trips: dict[str, Any], look: Look) -> None:
    url = f"{trips['url'].rpartition(':')[0]}:{ports.reserve()}/nowhere"
    told = look({"sql": {**trips, "url": url, "table": "looked_at"}}, code=2)
    assert told.count("\n") == 1
