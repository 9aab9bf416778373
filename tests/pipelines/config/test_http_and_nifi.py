"""The sections of data out of an HTTP API and out of a NiFi flow, and the pages about them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.pipelines.cli import main
from penstock.pipelines.config.data.data import Data

ROOT = Path(__file__).parents[3]


def blocks(kind: str) -> list[Any]:
    found = []
    for page in ("sources_http", "sources_nifi"):
        text = (ROOT / "docs" / f"{page}.md").read_text()
        for number, block in enumerate(re.findall(rf"^```{kind}\n(.*?)^```$", text, re.M | re.S)):
            found.append(pytest.param(block, id=f"{page}-{number}"))
    return found


@pytest.mark.parametrize("block", blocks("yaml"))
def test_a_configuration_of_the_pages_compiles(block: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pipeline.yaml").write_text(block)
    compiled = tmp_path / "compiled.yaml"
    assert main.main(["compile", str(tmp_path / "pipeline.yaml"), "-o", str(compiled)]) == 0, capsys.readouterr().err
    values = yaml.safe_load(block)["data"]
    (ir,) = [document for document in yaml.safe_load_all(compiled.read_text()) if "pipelineInfo" in document]
    parameters = ir["root"]["inputDefinitions"]["parameters"]
    told = json.loads(parameters["input_base"]["defaultValue"])
    assert told == {name: values[name] for name in ("http", "nifi") if name in values}


@pytest.mark.parametrize("block", blocks("json"))
def test_the_manifest_of_the_page_is_json(block: str) -> None:
    (file,) = json.loads(block)["files"]
    assert set(file) == {"name", "size", "sha256"}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"http": {"url": "api.example.com"}}, "String should match pattern"),
        ({"http": {"url": "https://me:secret@api.example.com"}}, "String should match pattern"),
        ({"http": {"url": "https://x", "format": "csv", "records": "a"}}, "records: expected none for csv"),
        ({"http": {"url": "https://x", "format": "csv", "columns": ["a"]}}, "columns: expected none for csv"),
        (
            {"http": {"url": "https://x", "format": "csv", "paging": {"by": "cursor", "at": "x"}}},
            "paging.by: expected link",
        ),
        ({"http": {"url": "https://x", "auth": {}}}, "expected one of token_env .* received none"),
        (
            {"http": {"url": "https://x", "auth": {"user": "a", "token_url": "https://y"}}},
            "received user and token_url",
        ),
        ({"nifi": {}}, "expected either landing or site_to_site"),
        ({"nifi": {"landing": "s3://a/b", "records": "a"}}, "records: expected none for json_lines"),
        (
            {"nifi": {"landing": "s3://a/b", "format": "parquet", "columns": ["a"]}},
            "columns: expected none for parquet",
        ),
        ({"nifi": {"landing": "s3://a/b"}, "http": {"url": "https://x"}}, "expected one place of the data"),
    ],
)
def test_a_section_that_does_not_fit(data: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        Data.model_validate(data)
