"""Sources in a configuration: what tasks are told of them, and what is refused by its key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ConfigError
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.training import data_parameters

Load = Callable[..., Config]


@pytest.fixture
def told(load: Load, values: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """Returns a function that gives a section's `input_base` as tasks have it."""

    def told(data: dict[str, Any], module: bool = True) -> dict[str, Any]:
        values["data"] = data
        if not module:
            for key in ("module_file", "training", "evaluation"):
                values.pop(key)
        base: dict[str, Any] = json.loads(data_parameters(load())["input_base"])
        return base

    return told


def test_bigquery(told: Callable[..., dict[str, Any]]) -> None:
    table = {"table": "team.shop.trips", "columns": ["a", "label"], "maximum_bytes_billed": 1000}
    assert told({"bigquery": table}) == {"bigquery": table}
    assert told({"bigquery": {}, "splits": {"train": "SELECT 1", "eval": "team.shop.trips"}}) == {"bigquery": {}}


def test_dvc_as_a_url_and_as_a_section(told: Callable[..., dict[str, Any]], project: Path) -> None:
    (project / ".dvc").mkdir()
    here = {"repo": str(project), "path": "data/trips"}
    assert told({"path": "dvc://data/trips?rev=v1.2"}) == {"dvc": here | {"rev": "v1.2"}}
    assert told({"dvc": {"path": "data/trips", "rev": "v1.2"}}) == {"dvc": here | {"rev": "v1.2"}}
    url = "https://git.example.com/team/data.git"
    elsewhere = {"repo": url, "path": "a b.csv", "remote": "store", "csv": {"delimiter": ";"}}
    assert told({"path": f"dvc://a%20b.csv?repo={url}&remote=store", "csv": {"delimiter": ";"}}) == {"dvc": elsewhere}
    assert told({"path": "dvc://a.csv"}, module=False)["dvc"]["csv"] == {"null_values": "auto"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"bigquery": {"table": "trips"}}, r"data.bigquery.table: expected a table such as project.dataset.table"),
        ({"bigquery": {"table": "a.b.c", "query": "SELECT 1"}}, r"bigquery.query: expected either a table or a query"),
        (
            {"bigquery": {"query": "SELECT 1", "row_restriction": "a"}},
            r"row_restriction: it is of tables: expected a W",
        ),
        ({"bigquery": {"tabel": "a.b.c"}}, r"unknown key 'data.bigquery.tabel'; did you mean 'table'"),
        (
            {"splits": {"train": {"sql": {"url": "sqlite:///a.db", "colums": ["a"]}}, "eval": {"path": "b.csv"}}},
            r"unknown key 'data.splits.train.sql.colums'; did you mean 'columns'\?",
        ),
        (
            {"bigquery": {"table": "a.b.c"}, "path": "data.csv"},
            r"expected one place of the data, received path and big",
        ),
        ({"bigquery": {"table": "a.b.c"}, "csv": {"delimiter": ";"}}, r"csv: it is of files: expected a path"),
        ({"path": "dvc://trips?ref=v1"}, r"expected dvc://PATH with repo, rev, remote after \?, received 'ref'"),
        (
            {"dvc": {"path": "a", "repo": "nowhere"}},
            r"data.dvc.repo: .*nowhere does not exist: expected a Git repository",
        ),
        ({"dvc": {"path": "a", "repo": "https://me:secret@git.example.com/a"}}, r"data.dvc.repo: expected no password"),
        ({"dvc": {}}, r"data.dvc.path is missing: expected a file or a folder"),
    ],
)
def test_what_does_not_fit_is_told_by_its_key(
    data: dict[str, Any], message: str, told: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        told(data)
    assert "secret" not in str(raised.value)
