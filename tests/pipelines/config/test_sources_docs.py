"""The configurations in the pages about sources are ones that tasks are told something of."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from penstock.pipelines.config import training_pipeline as configs
from penstock.pipelines.training import data_parameters

ROOT = Path(__file__).resolve().parents[3]
BLOCKS = [
    pytest.param(block, id=f"{page}-{number}")
    for page in ("sources_own", "sources_bigquery", "sources_dvc")
    for number, block in enumerate(
        re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs" / f"{page}.md").read_text(), re.M | re.S)
    )
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_configuration_of_a_page_about_a_source(block: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "own_source", tmp_path, dirs_exist_ok=True)
    (tmp_path / "eval.csv").write_text("payment\nCash\nCredit Card\n")
    (tmp_path / "pipeline.yaml").write_text(block)
    told = data_parameters(configs.load(tmp_path / "pipeline.yaml"))
    ((name, options),) = json.loads(told["input_base"]).items()
    assert re.search(r"^(bigquery|dvc|splits|.*my_source\.py:Trips)$", name)
    splits = yaml.safe_load(block)["data"].get("splits", {})
    assert options or splits
    assert set(splits) == {
        split["name"] for split in json.loads(told["input_config"] or '{"splits": []}')["splits"]
    } or (set(splits) == set(options))
