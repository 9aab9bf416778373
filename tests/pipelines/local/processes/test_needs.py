"""What tasks need imported, and the order in which a worker imports it."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from penstock.components import wrapper
from penstock.core.errors import ConfigError
from penstock.pipelines.compiling import catalog
from penstock.pipelines.local.processes import needs, warm_pool
from penstock.pipelines.local.task_order import ContainerTask, container_tasks

COMPONENTS = [component for folder in catalog.folders() for component in catalog.components(folder)]


def source(component: Any) -> str:
    return str(component.component_spec.implementation.container.command[-1])


def spec(**dependencies: list[str]) -> dict[str, Any]:
    """A pipeline whose tasks have the sources `import <name>`, and depend on each other so."""
    return {
        "root": {
            "dag": {
                "tasks": {
                    name: {"componentRef": {"name": f"comp-{name}"}, "dependentTasks": others}
                    for name, others in dependencies.items()
                }
            }
        },
        "components": {f"comp-{name}": {"executorLabel": name} for name in dependencies},
        "deploymentSpec": {
            "executors": {name: {"container": {"command": ["python3", f"import {name}"]}} for name in dependencies}
        },
    }


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: str(component.name))
def test_each_of_our_components_declares_modules_that_exist(component: Any) -> None:
    declared = wrapper.declared(source(component))
    assert declared is not None, "@component(imports=[...])"
    assert all(importlib.util.find_spec(name) for name in declared)
    needed = needs.of_component(source(component))
    assert needed.slow == bool(declared)
    assert set(declared) < set(needed.modules)


def test_a_component_that_declares_nothing_may_need_anything() -> None:
    needed = needs.of_component("def f() -> None:\n    import json\n    from collections import abc\n")
    assert needed == needs.Needs(("json", "collections"), slow=True)


def test_parameters_lead_to_functions_of_ours_and_to_what_module_files_import(tmp_path: Path) -> None:
    (tmp_path / "sibling.py").touch()
    (tmp_path / "module.py").write_text("import sibling\nimport tfx.v1\nfrom keras import layers\n")
    module = str(tmp_path / "module.py")
    values = ["penstock.trainer.default.run_fn", module, str(tmp_path / "none.py"), "a.b", 3, None]
    parameters = dict(zip("abcdef", values, strict=True))
    assert needs.of_parameters(parameters) == ("penstock.trainer.default", "tfx.v1", "keras")


def test_the_users_packages_are_the_tasks_to_import(tmp_path: Path) -> None:
    """Those of a published project: `models` may be in the environment as well, and is not what is meant."""
    module = tmp_path / "0123456789abcdef" / "models" / "model.py"
    module.parent.mkdir(parents=True)
    module.write_text("import wave\nfrom models import features\nimport common\n")
    (module.parent.parent / "common.py").touch()
    assert needs.of_parameters({"module_file": str(module)}) == ("wave",)


def test_what_may_ask_for_tf_keras_is_imported_by_the_task_that_chooses_it(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("import tfx.v1, json, somebodys_layers\nfrom tensorflow.keras import layers\n")
    parameters = {"module_file": str(tmp_path / "module.py")}
    assert needs.of_parameters(parameters) == ("tfx.v1", "json", "somebodys_layers", "tensorflow.keras")
    assert needs.of_parameters(parameters | {"keras": 2}) == ("tfx.v1", "json", "tensorflow.keras")


def test_what_is_needed_next_is_imported_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the tasks, each with what its own parameters lead to."""
    started: list[list[str]] = []
    monkeypatch.setattr(warm_pool, "Worker", lambda modules, _: started.append(list(modules)))
    (tmp_path / "module.py").write_text("import wave\n")
    given = {"module_file": {"componentInputParameter": "pipelinechannel--module_file"}}
    first = ContainerTask("first", "import json", {}, cacheable=True)
    second = ContainerTask("second", "import csv", given, cacheable=True)
    third = ContainerTask("third", "import ast, json", {}, cacheable=True)
    warm_pool.Workers([first, second, third], {"module_file": str(tmp_path / "module.py")}, tmp_path, eager=True)
    assert started == [["kfp.dsl.executor"], ["kfp.dsl.executor", "json", "csv", "wave", "ast"]]


def test_tasks_come_after_those_that_they_depend_on() -> None:
    tasks = list(container_tasks(spec(a=["c"], b=["a", "c"], c=[])))
    assert [task.name for task in tasks] == ["c", "a", "b"]
    assert [task.source for task in tasks] == ["import c", "import a", "import b"]


@pytest.mark.parametrize(
    ("dependencies", "sentence"),
    [
        (
            {"a": [], "b": ["a", "z"]},
            r"task 'b' of root: expected dependentTasks to name tasks beside it \(a, b\), received 'z'",
        ),
        ({"a": [], "b": ["c"], "c": ["b"]}, r"tasks of root: .* but b, c wait for each other"),
    ],
)
def test_tasks_without_an_order_are_told(dependencies: dict[str, list[str]], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        list(container_tasks(spec(**dependencies)))
