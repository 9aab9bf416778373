"""The configurations in the pages about clusters compile as they stand; the README shows a real run."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler

from penstock.pipelines.cli import init, main
from tests.servers import object_stores

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# What a block that shows some keys is added to.
REST = {"data": {"path": "s3://team-data/birds"}, "label": "species", "pipeline_root": "/mnt/team/runs"}
STORE = {"kubernetes": {"default": {"object_store": "kfp"}}}


def blocks() -> list[Any]:
    found = []
    for page in ("kubeflow", "object_stores", "pushing", "monitoring_vertex", "monitoring_servers"):
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


@pytest.mark.parametrize(
    "block",
    [
        block
        for page in ("evaluation", "scoring", "alerts")
        for block in re.findall(r"^```yaml\n(.*?)^```$", (DOCS / f"{page}.md").read_text(), re.M | re.S)
    ],
)
def test_a_configuration_of_a_page_about_a_section_is_one_of_the_penguins(
    block: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(init.TEMPLATE / "data", tmp_path / "data")
    template = yaml.safe_load((init.TEMPLATE / "pipeline.yaml").read_text())
    penguins = {
        "data": template["data"],
        "label": "species",
        "splits": {"hash_buckets": {"train": 8, "eval": 1, "test": 1}},
    }
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(penguins | yaml.safe_load(block)))
    assert main.main(["compile", str(file), "-o", str(tmp_path / "compiled.yaml")]) == 0, capsys.readouterr().err


def test_the_pipeline_of_the_page_about_alerts_compiles_and_passes_lint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```$", (DOCS / "alerts.md").read_text(), re.M | re.S)
    names: dict[str, Any] = {}
    exec(source, names)
    package = tmp_path / "monitor.yaml"
    compiler.Compiler().compile(names["monitor_birds"], str(package))
    assert main.main(["lint", str(package), "--target", "local"]) == 0, capsys.readouterr().err


def test_the_configurations_of_vertex_ais_page_compile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first is a whole one, to which the others are added."""
    whole, *parts = re.findall(r"^```yaml\n(.*?)^```$", (DOCS / "vertex.md").read_text(), re.M | re.S)
    for number, part in enumerate(["{}", *parts]):
        file = tmp_path / f"pipeline-{number}.yaml"
        file.write_text(yaml.safe_dump(yaml.safe_load(whole) | yaml.safe_load(part)))
        assert main.main(["compile", str(file), "--target", "vertex", "-o", str(tmp_path / "compiled.yaml")]) == 0
        assert capsys.readouterr().err == ""


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


def test_the_demo_prints_what_the_readme_shows(python: str, tmp_path: Path) -> None:
    """But for numbers, for the width of columns that hold them, and for the path of the checkout."""
    (tmp_path / "examples" / "taxi").mkdir(parents=True)
    config, ask = "examples/taxi/pipeline.yaml", "examples/taxi/ask.py"
    for file in (config, ask):
        shutil.copyfile(ROOT / file, tmp_path / file)
    blocks = re.search(
        r"^## What the demo prints$.*?^```text$\n(.*?)…\n```$.*?^```text$\n(.*?)^```$",
        (ROOT / "README.md").read_text(),
        re.M | re.S,
    )
    assert blocks is not None
    printed = []
    program = ["-m", "penstock.pipelines.cli.main"]
    for arguments in ([*program, "run", config], [*program, "predict", config, "--rows", "3"], [ask]):
        done = subprocess.run(
            [python, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        printed.append(done.stdout.replace(f"{tmp_path}/", ""))
    shown = _without_numbers(blocks[1])
    assert _without_numbers(printed[0] + printed[1])[: len(shown)] == shown
    assert _without_numbers(printed[2].lstrip()) == _without_numbers(blocks[2])


def _without_numbers(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.startswith("… ")]  # what a slow machine is told of
    masked = [re.sub(r"\d[\d,.-]*", "0", line.removesuffix(" of them imports")) for line in lines]
    return [re.sub(r"--+|  +", " ", line).replace("0 s, 0", "0 s") for line in masked]
