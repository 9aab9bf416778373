"""A source of a person's own in a configuration: its module travels with the pipeline, named by its content."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.core import artifacts
from penstock.core.errors import ConfigError, ModuleError
from penstock.pipelines.compiling import compile
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local.docker import mounts
from penstock.pipelines.modules import published as publishing
from penstock.pipelines.targets import target

Load = Callable[..., Config]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_source"


@pytest.fixture
def values(project: Path) -> dict[str, Any]:
    """The example's data, in a project with a module of functions."""
    shutil.copytree(EXAMPLE, project, dirs_exist_ok=True)
    data = yaml.safe_load((EXAMPLE / "pipeline.yaml").read_text())["data"]
    return {"name": "small", "data": data, "label": "payment", "module_file": "module.py"}


def _input_base(load: Load, tmp_path: Path, *assignments: str) -> dict[str, Any]:
    compiled = compile.compile_config(load(assignments), target.LOCAL, tmp_path / "compiled.yaml")
    base: dict[str, Any] = json.loads(compiled.arguments["input_base"])
    return base


def test_its_module_is_published_by_its_content(load: Load, project: Path, tmp_path: Path) -> None:
    ((name, options),) = _input_base(load, tmp_path).items()
    module, _, class_name = name.rpartition(":")
    assert class_name == "Trips"
    assert Path(module).read_bytes() == (EXAMPLE / "my_source.py").read_bytes()
    assert Path(module).is_relative_to(project / "runs" / "small" / "modules")
    assert options == {"folder": str(project / "meters")}
    (project / "my_source.py").write_text((EXAMPLE / "my_source.py").read_text() + "\n# changed\n")
    assert list(_input_base(load, tmp_path)) != [name]
    assert Path(module).is_file()


def test_the_functions_module_is_still_the_pipelines(load: Load, project: Path) -> None:
    published = publishing.publish(load())
    assert published.module_file.endswith("/module.py")
    without = publishing.publish(load(["module_file=null"]))
    assert without.module_file == ""
    assert [Path(copy.path).name for copy in without.copies] == ["my_source.py"]


def test_a_split_may_be_of_ones_own(load: Load, project: Path, tmp_path: Path, values: dict[str, Any]) -> None:
    (project / "eval.csv").write_text("payment\nCash\n")
    values["data"] = {"splits": {"train": values["data"], "eval": {"path": "eval.csv"}}}
    splits = _input_base(load, tmp_path)["splits"]
    assert [name.rpartition("/")[2] for name in splits["train"]] == ["my_source.py:Trips"]
    assert splits["eval"]["files"]["pattern"] == "eval.csv"


def test_one_of_an_installed_package_is_pinned(load: Load, tmp_path: Path) -> None:
    name = "penstock.components.example_gen.sources.joined.JoinedSource"
    (reference,) = _input_base(load, tmp_path, f"data.custom.class={name}")
    module, _, class_name = reference.rpartition(":")
    assert (module.partition("@")[0], class_name) == tuple(name.rsplit(".", 1))
    assert len(module.partition("@")[2]) == 16


def test_docker_has_its_paths_and_its_package(load: Load, project: Path) -> None:
    needed = {mount.source: mount.target for mount in mounts.needed(load())}
    assert needed == {str(project / "meters"): str(project / "meters")}
    packaged = load(["data.custom.class=penstock.components.example_gen.sources.joined.JoinedSource"])
    assert "/opt/penstock-modules/penstock" in {mount.target for mount in mounts.needed(packaged)}


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("data.custom.class=my_sources.Trips", r"data.custom.class: no module 'my_sources'; did you mean 'my_source'?"),
        ("data.custom.class=my_source.Trip", r"data.custom.class: .*my_source.py: expected a class 'Trip'; did you"),
        ("data.custom.class=elsewhere.Trips", r"data.custom.class: no module 'elsewhere': .*elsewhere.py"),
        ("data.custom.class=Trips", r"data.custom.class: expected a dotted path, .*, received 'Trips'"),
        ("data.custom.paths.folder=nowhere", r"data.custom.paths.folder: .*nowhere does not exist"),
        ("data.custom.options.folder=meters", r"data.custom.paths.folder: expected an option once"),
    ],
)
def test_what_is_wrong_is_told_by_its_key(assignment: str, told: str, load: Load, project: Path) -> None:
    with pytest.raises((ConfigError, ModuleError), match=told):
        publishing.publish(load([assignment]))
    assert not (project / "runs").exists()


def test_what_it_imports_and_is_not_installed_is_told(load: Load, project: Path) -> None:
    (project / "my_source.py").write_text("import no_such_client\n\n\nclass Trips: ...\n")
    assert "no_such_client (my_source.py, line 1)" in publishing.check(load()).not_installed


@pytest.mark.usefixtures("forks")
def test_the_example_runs(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "own")
    command = [sys.executable, "-m", "penstock.pipelines.cli.main", "run", "--set", "training=null"]
    command += ["--set", "transform=null", "--set", "evaluation=null"]
    done = subprocess.run(command, cwd=tmp_path / "own", capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "827 rows, 4 cabs" in done.stdout + done.stderr
    (examples,) = tmp_path.glob("own/runs/*/*/source-example-gen/examples")
    assert set(artifacts.Examples(examples).splits()) == {"train", "eval"}
