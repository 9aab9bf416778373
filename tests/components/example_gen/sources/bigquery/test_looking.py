"""`penstock validate --data` looks at tables, and asks of a query by a dry run which columns it has."""

from collections.abc import Callable

import pytest

from tests.servers.bigquery_emulator import PROJECT, Emulator

pytestmark = pytest.mark.slow
Look = Callable[..., str]


def test_a_table_is_looked_at_and_a_query_is_not_run(emulator: Emulator, look: Look) -> None:
    client = emulator.client()
    client.create_dataset("rides")
    for statement in (
        "CREATE TABLE rides.trips AS SELECT x / 10 AS miles, MOD(x, 2) AS x FROM UNNEST(GENERATE_ARRAY(1, 50)) AS x",
        "CREATE VIEW rides.short AS SELECT * FROM rides.trips WHERE miles < 3",
    ):
        client.query(statement).result()
    name = f"{PROJECT}.rides"
    told = look({"bigquery": {"table": f"{name}.trips"}})
    assert "data: 50 rows looked at; columns: miles (numbers with decimals), x (integers)\n" in told
    for data in ({"table": f"{name}.short"}, {"query": "SELECT miles, x FROM rides.trips"}):
        told = look({"bigquery": data}, features={"mile": {"ignore": True}})
        assert "data: not looked at, for a query is billed; its columns: miles, x\n" in told
        assert "features.mile: data has no such column, as far as it was looked at; did you mean 'miles'?" in told
        assert "label: the data has no column 'y'" in look({"bigquery": data}, label="y", code=2)
    assert not [job for job in client.list_jobs() if job.job_id.startswith("penstock-")]  # but dry runs
