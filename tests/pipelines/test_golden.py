"""The compiled pipelines of the examples and of a new project, as they were committed.

`python tests/pipelines/test_golden.py` writes them anew. Paths, the image and what each component's own file says (its
source and its docstring) are masked: what is compared is the graph, its parameters, and the components' interfaces.
"""

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.pipelines import config as configs
from penstock.pipelines import init, targets
from penstock.pipelines.compile import compile_config

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"
CONFIGS = {
    "taxi": ROOT / "examples" / "taxi" / "pipeline.yaml",
    "flights": ROOT / "examples" / "flights" / "pipeline.yaml",
    "template": init.TEMPLATE / "pipeline.yaml",
}


def masked(name: str, folder: Path) -> str:
    """Returns the IR of a configuration without what differs between machines and versions."""
    config_file = CONFIGS[name]
    data = folder / "flights.csv"  # the flights are written by prepare.py, only their path matters here
    data.touch()
    assignments = [f"pipeline_root={folder}", *([f"data.path={data}"] if name == "flights" else [])]
    compiled = compile_config(configs.load(config_file, assignments), targets.LOCAL, folder / "ir.yaml")
    spec = yaml.safe_load(compiled.path.read_text())
    for label, executor in spec["deploymentSpec"]["executors"].items():
        assert executor["container"]["image"] == targets.LOCAL.image
        executor["container"]["image"] = "{image}"
        executor["container"]["command"] = [f"{{source of {label}}}"]
    _drop_descriptions(spec["components"])
    text = yaml.safe_dump(spec, sort_keys=True, width=1000)
    tfx = importlib.util.find_spec("tfx")
    assert tfx is not None
    assert tfx.origin is not None
    places = {
        str(folder): "{pipeline_root}",
        str(config_file.parent): "{project}",
        str(Path(tfx.origin).parent): "{tfx}",
    }
    for place, mask in places.items():
        text = text.replace(place, mask)
    return text


def _drop_descriptions(value: Any) -> None:
    if isinstance(value, dict):
        if isinstance(value.get("description"), str):
            del value["description"]
        for part in value.values():
            _drop_descriptions(part)


@pytest.mark.parametrize("name", CONFIGS)
def test_compiled_pipeline_is_the_committed_one(name: str, tmp_path: Path) -> None:
    committed = (GOLDEN / f"{name}.yaml").read_text()
    assert masked(name, tmp_path) == committed, "if that is meant: python tests/pipelines/test_golden.py"


if __name__ == "__main__":
    for name in CONFIGS:
        with tempfile.TemporaryDirectory() as temporary:
            (GOLDEN / f"{name}.yaml").write_text(masked(name, Path(temporary)))
        sys.stdout.write(f"tests/golden/{name}.yaml\n")
