"""Tables of lakes as the configuration names them: the pages' own configurations, paths, secrets."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.components.example_gen.inputs import references
from penstock.components.example_gen.sources.delta.options import DeltaOptions
from penstock.components.example_gen.sources.glue.options import GlueOptions
from penstock.components.example_gen.sources.iceberg.options import IcebergOptions
from penstock.core.errors import ConfigError
from penstock.pipelines.config import training_pipeline as configs
from penstock.pipelines.config.training_pipeline import Config

Load = Callable[..., Config]
DOCS = Path(__file__).resolve().parents[3] / "docs"
OPTIONS: dict[str, Any] = {"delta": DeltaOptions, "glue": GlueOptions, "iceberg": IcebergOptions}


@pytest.mark.parametrize("name", OPTIONS)
def test_what_the_pages_show_is_what_the_source_reads(name: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (DOCS / f"sources_{name}.md").read_text(), re.M | re.S)
    assert len(blocks) > 2
    for block in blocks:
        file = tmp_path / "pipeline.yaml"
        file.write_text(yaml.safe_dump({"pipeline_root": "runs", **yaml.safe_load(block)}))
        reference = references.parse(configs.load(file, []).data.input_base_text(True))
        assert reference is not None
        assert reference.name == name
        OPTIONS[name].of(reference.options)


def test_paths_are_relative_to_the_file(load: Load, project: Path) -> None:
    data = load(['data={iceberg: {catalog: {uri: "sqlite:///catalog.db"}, table: db.t}}']).data
    assert json.loads(data.input_base_text(True))["iceberg"]["catalog"]["uri"] == f"sqlite:///{project}/catalog.db"
    assert data.local_paths() == {"iceberg.catalog.uri": f"{project}/catalog.db"}
    delta = load(["data={delta: {path: lake, filters: [[day, '=', 2026-01-31], [n, in, [1, 2.5]]]}}"]).data
    assert json.loads(delta.input_base_text(True))["delta"] == {
        "path": f"{project}/lake",
        "filters": [["day", "=", "2026-01-31"], ["n", "in", [1, 2.5]]],
    }
    assert delta.local_paths() == {"delta.path": f"{project}/lake"}
    assert load(["data={delta: {path: s3://bucket/lake}}"]).data.local_paths() == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "{iceberg: {catalog: {properties: {s3.secret-access-key: abc}}, table: db.t}}",
            r"properties_env: \{s3\.secret",
        ),
        ("{iceberg: {catalog: {uri: 'postgresql://u:p@h/d'}, table: db.t}}", r"uri: it holds a password"),
        ("{iceberg: {table: trips}}", r"a table with its namespace, such as db\.trips"),
        ("{iceberg: {table: db.t, tag: a, branch: b}}", r"expected one of snapshot_id, as_of, branch, tag"),
        ("{delta: {path: a, version: 1, timestamp: '2026-01-01'}}", r"expected either version or timestamp"),
        ("{delta: {path: a, filters: [[a, '~', 1]]}}", r"filters"),
        ("{glue: {database: a, table: b, job: {name: c, arguments: {day: x}}}}", r"begins with --"),
        (
            "{glue: {database: a, table: b}, delta: {path: c}}",
            r"expected one place of the data, received delta and glue",
        ),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_compiled(data: str, message: str, load: Load) -> None:
    with pytest.raises(ConfigError, match=message) as told:
        load([f"data={data}"])
    assert "abc" not in str(told.value).replace("database", "")
