"""The configurations in the pages about clusters: each compiles for Kubeflow as it stands."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.pipelines.cli import init, main
from tests.servers import object_stores

DOCS = Path(__file__).resolve().parent.parent / "docs"
# What a block that shows some keys is added to.
REST = {"data": {"path": "s3://team-data/birds"}, "label": "species", "pipeline_root": "/mnt/team/runs"}
STORE = {"kubernetes": {"default": {"object_store": "kfp"}}}


def blocks() -> list[Any]:
    found = []
    for page in ("kubeflow", "object_stores"):
        for number, block in enumerate(
            re.findall(r"^```yaml\n(.*?)^```$", (DOCS / f"{page}.md").read_text(), re.M | re.S)
        ):
            found.append(pytest.param(block, id=f"{page}-{number}"))
    return found


@pytest.mark.parametrize("block", blocks())
def test_a_configuration_of_the_pages_compiles(block: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A complete one names no path that the cluster does not have: nothing is warned of."""
    team = tmp_path / "team"
    shutil.copytree(init.TEMPLATE / "data", team / "birds" / "data")
    values = yaml.safe_load(block.replace("/mnt/team", str(team)))
    complete = "data" in values
    if not complete:
        values = {**REST, **values} if "kubernetes" in values else {**REST, **STORE, **values}
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(values))
    arguments = ["compile", str(file), "--target", "kubeflow", "-o", str(tmp_path / "compiled.yaml")]
    allowed = [] if complete else ["--set", "lint.allow=[store-credentials]"]
    assert main.main([*arguments, *allowed]) == 0, capsys.readouterr().err
    assert not complete or capsys.readouterr().err == ""


def test_taxi_runs_on_a_cluster_by_the_command_of_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module file is copied into the bucket; nothing else of this machine is named."""
    command = re.search(r"^penstock submit (examples/taxi.*?[^\\])$", (DOCS / "kubeflow.md").read_text(), re.M | re.S)
    assert command is not None
    with object_stores.s3() as store:
        store.remove_everything()  # makes the bucket
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        words = command[1].replace("\\\n", " ").replace("minio://mlpipeline", f"minio://{object_stores.BUCKET}").split()
        words[0] = str(DOCS.parent / words[0])
        compiled = tmp_path / "compiled.yaml"
        assert main.main(["compile", *words, "--target", "kubeflow", "-o", str(compiled)]) == 0
        assert capsys.readouterr().err == ""
    parameters = next(yaml.safe_load_all(compiled.read_text()))["root"]["inputDefinitions"]["parameters"]
    values = {name: entry["defaultValue"] for name, entry in parameters.items()}
    assert values["input_base"] == "package:tfx/examples/chicago_taxi_pipeline/data/simple"
    assert [
        name for name, value in values.items() if str(value).startswith(("/", '{"filesystem": {"base_directory": "/'))
    ] == []
    assert values["module_file"].startswith(f"minio://{object_stores.BUCKET}/taxi/runs/modules/")
