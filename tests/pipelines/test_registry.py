"""The registry of components against the components themselves, the configuration, and a run whose tasks KFP named."""

import importlib
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from penstock.core import page
from penstock.core.artifacts import ModelValidation, PushedVersion, Verdict
from penstock.pipelines import registry
from penstock.pipelines.compiling import catalog
from penstock.pipelines.config.kubernetes import Kubernetes
from penstock.pipelines.config.resources import ByComponent, Resources
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local import runs
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.record import Output, RunRecord, TaskRecord, read
from penstock.pipelines.local.report import run_page

FUNCTIONS = {made.python_func.__name__: made for folder in catalog.folders() for made in catalog.components(folder)}


def test_every_component_is_entered_once() -> None:
    for function in FUNCTIONS:
        assert len([entry for entry in registry.COMPONENTS if entry.executes(function)]) == 1, function
    for entry in registry.COMPONENTS:
        assert any(map(entry.executes, FUNCTIONS)), entry.name


@pytest.mark.parametrize("component", registry.COMPONENTS, ids=lambda component: component.name)
def test_what_an_entry_says_is_there(component: registry.Component) -> None:
    for function in filter(component.executes, FUNCTIONS):
        assert set(component.outputs) <= FUNCTIONS[function].component_spec.outputs.keys()
    section = next(
        (field for name, field in Config.model_fields.items() if (field.alias or name) == component.section), None
    )
    assert (section is not None) == bool(component.section)
    if component.workers:
        kinds = [kind for kind in get_args(section.annotation) if kind is not type(None)] if section else []
        assert ["workers" in kind.model_fields for kind in kinds] == [True]
        work = importlib.import_module(f"penstock.components.{component.name}.launcher").WORK
        assert (work.component, work.verb) == (component.name, component.workers.verb)


@pytest.mark.parametrize("settings", [Resources, Kubernetes])
def test_settings_are_for_every_component(settings: Any) -> None:
    names = ["default", *(component.name for component in registry.COMPONENTS)]
    assert list(ByComponent[settings].model_fields) == names


@pytest.fixture
def run(tmp_path: Path) -> RunRecord:
    """A run of two evaluators and two pushers, some of them in loops; one has pushed nothing."""
    folder = tmp_path / "taxi-2026-01-02"
    tasks = []
    for name, blessed in (("evaluator", True), ("loop-1/evaluator-2", False)):
        verdict = Verdict(blessed=blessed, model="m", baseline_model=None, created="", reasons=[])
        ModelValidation(folder / name / "validation").write(verdict)
        tasks.append(_task(folder, name, "evaluator", "validation"))
    for name, metadata in (
        ("pusher", {"pushed": 1, "pushed_destination": "/serving/7", "pushed_version": "7"}),
        ("pusher-2", {"pushed": 0}),
    ):
        (folder / name / "pushed_model").mkdir(parents=True)
        tasks.append(_task(folder, name, "pusher", "pushed_model", metadata))
    record = RunRecord("taxi", folder, {}, "done", seconds=1.0, tasks=tasks)
    record.write()
    return record


def _task(folder: Path, name: str, function: str, output: str, metadata: dict[str, Any] | None = None) -> TaskRecord:
    outputs = {output: Output(uri=str(folder / name / output), metadata=metadata or {})}
    return TaskRecord(name, "done", key=Key(function, "", "", {}, {}), outputs=outputs)


def test_a_run_is_asked_for_what_was_made_and_not_for_tasks(run: RunRecord) -> None:
    assert [verdict["blessed"] for verdict in run.verdicts()] == [True, False]
    assert list(run.pushed()) == [PushedVersion("/serving/7", "7")]
    text = runs.summary_text(run)
    assert text.index("model: BLESSED") < text.index("model: NOT BLESSED") < text.index("pushed to  /serving/7")
    run_page.write(run)
    html = (run.folder / page.FILE).read_text()
    assert html.count("<h2>The model is ") == 2


def test_a_verdict_that_was_deleted_is_passed_over(run: RunRecord) -> None:
    ModelValidation(run.folder / "evaluator" / "validation").path.unlink()
    assert [verdict["blessed"] for verdict in run.verdicts()] == [False]


def test_a_run_whose_folder_was_moved_still_has_its_artifacts(run: RunRecord) -> None:
    moved = run.folder.rename(run.folder.with_name("taxi-moved"))
    assert [verdict["blessed"] for verdict in read(moved).verdicts()] == [True, False]


def test_what_another_component_calls_the_same_is_not_taken_for_it(run: RunRecord) -> None:
    """The baseline that LatestBlessedModel hands on is an output `model` as well."""
    (run.folder / "latest-blessed-model" / "model").mkdir(parents=True)
    run.tasks.append(_task(run.folder, "latest-blessed-model", "latest_blessed_model", "model"))
    run.tasks[0].status = "failed"
    assert list(run.made("model")) == []
    assert [verdict["blessed"] for verdict in run.verdicts()] == [False]


def test_the_function_of_a_command_line() -> None:
    command = ["--executor_input", json.dumps({}), "--function_to_execute", "pusher"]
    assert registry.executed_function(command) == "pusher"
    assert registry.executed_function(command[:-1]) == registry.executed_function([]) == ""
