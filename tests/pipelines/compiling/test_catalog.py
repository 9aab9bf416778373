"""The exported components: loaded by KFP alone, in an interpreter that never imports Penstock, and compiled."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from penstock.pipelines.cli import main
from penstock.pipelines.compiling import catalog

# A pipeline of exported components, by somebody who has KFP and nothing of ours.
PIPELINE = """
import sys
from kfp import compiler, components, dsl

load = lambda name: components.load_component_from_file(f"exported/{name}/component.yaml")
resolver, gen, statistics = load("input_resolver"), load("csv_example_gen"), load("statistics_gen")

@dsl.pipeline(name="by-hand")
def pipeline(data: str):
    resolved = resolver(input_base=data)
    found = gen(input_base=data, resolved_input=resolved.outputs["resolved_input"],
                   fingerprint=resolved.outputs["fingerprint"], span=resolved.outputs["span"],
                   version=resolved.outputs["version"])
    statistics(examples=found.outputs["examples"], stats_options='{"sample_rate": 0.5}')

compiler.Compiler().compile(pipeline, "pipeline.yaml")
assert not [name for name in sys.modules if name.startswith("penstock")], "needs no Python of ours"
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    assert main.main(["components", "-o", str(folder / "exported"), "--image", "registry.example/penstock:1"]) == 0
    return folder


def test_every_component_is_exported(exported: Path) -> None:
    names = {component.python_func.__name__ for folder in catalog.folders() for component in catalog.components(folder)}
    assert {path.parent.name for path in exported.glob("exported/*/component.yaml")} == names
    assert {path.name for path in exported.glob("exported/*/*")} == {"component.yaml"}, "nothing else is left"
    assert names > {"csv_example_gen", "transform", "trainer", "evaluator", "pusher"}


def test_nothing_is_found_in_them(exported: Path) -> None:
    for path in exported.glob("exported/*/component.yaml"):
        assert main.main(["lint", str(path)]) == 0, path


def test_a_folder_is_the_package_of_its_components() -> None:
    for folder in catalog.folders():
        package = importlib.import_module(f"penstock.components.{folder}")
        assert package.__all__ == sorted(component.python_func.__name__ for component in catalog.components(folder))
        assert [getattr(package, name) for name in package.__all__]


@pytest.mark.slow
def test_a_pipeline_of_exported_components_compiles_without_penstock(exported: Path) -> None:
    subprocess.run([sys.executable, "-c", PIPELINE], cwd=exported, check=True)
    spec = yaml.safe_load((exported / "pipeline.yaml").read_text())
    executors = spec["deploymentSpec"]["executors"]
    assert {executor["container"]["image"] for executor in executors.values()} == {"registry.example/penstock:1"}
    assert list(spec["root"]["dag"]["tasks"]["statistics-gen"]["inputs"]["artifacts"]) == ["examples"]
