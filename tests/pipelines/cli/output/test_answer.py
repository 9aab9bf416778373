"""Documents of commands: real ones, each by the documented form."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from penstock.pipelines.cli import main
from penstock.pipelines.cli.output import answer, schema
from penstock.pipelines.cli.output.answer import Answer, Failure
from penstock.pipelines.local.records.record import RunRecord
from tests.servers.kubeflow_pipelines import KubeflowPipelines

Told = pytest.CaptureFixture[str]
Document = dict[str, Any]


@pytest.fixture
def call(capsys: Told) -> Callable[..., Document]:
    """Returns a function that calls a command with --json; returns its document, which has the documented form."""

    def call(*words: str | Path) -> Document:
        capsys.readouterr()
        code = main.main([*map(str, words), "--json"])
        document: Document = json.loads(capsys.readouterr().out)
        jsonschema.Draft202012Validator(schema.schema()).validate(document)
        assert document["exit_code"] == code
        return document

    return call


def test_a_configuration(call: Callable[..., Document], config: Path) -> None:
    assert call("validate", config) == {
        "version": 1,
        "command": "validate",
        "exit_code": 0,
        "result": {
            "file": str(config),
            "pipeline": "small",
            "valid": True,
            "warnings": [],
            "looked_at": [],
            "not_looked_at": [],
            "proposals": [],
        },
        "error": None,
    }
    keys = {entry["key"]: entry for entry in call("validate", config, "--keys")["result"]["keys"]}
    assert keys["training.train_steps"]["default"] == 0
    assert keys["data"]["required"]
    assert not keys["data.path"]["required"]  # a source may stand in its place


def test_a_mistake_is_told_twice(config: Path, call: Callable[..., Document], capsys: Told) -> None:
    """As a sentence on standard error, and in the document."""
    assert main.main(["validate", str(config), "--set", "labell=x", "--set", "training.train_steps=x", "--json"]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("penstock: pipeline.yaml has 2 mistakes\n  ")
    document = call("validate", config, "--set", "labell=x", "--set", "training.train_steps=x")
    assert document["error"]["type"] == "ConfigError"
    assert document["error"]["message"] == "pipeline.yaml has 2 mistakes"
    assert len(document["error"]["details"]) == 2
    assert document["result"] is None


def test_a_command_line_that_cannot_be_read(call: Callable[..., Document]) -> None:
    document = call("schedule", "list", "--nix")
    assert (document["command"], document["exit_code"], document["error"]["type"]) == ("schedule list", 2, "UsageError")
    assert call("runn")["command"] == ""


def test_runs_of_this_machine(
    call: Callable[..., Document], config: Path, recorded: Callable[..., RunRecord], capsys: Told
) -> None:
    assert call("runs", config)["result"]["runs"] == []
    first, second = recorded(1, auc=0.91234), recorded(2, auc=None)
    listed = call("runs", config)["result"]["runs"]
    assert [(one["run"], one["status"], one["rows"], one["seconds"]) for one in listed] == [
        (second.folder.name, "done", 1002, 61.5),
        (first.folder.name, "done", 1001, 61.5),
    ]
    assert listed[1]["main_metric"] == "auc"
    assert listed[1]["metrics"] == {"auc": 0.91234, "example_count": 400.0, "loss": None}
    explained = call("explain", first.folder)["result"]
    assert explained["run"] == listed[1]
    assert [task["task"] for task in explained["tasks"]] == ["csv-example-gen", "schema-gen", "trainer", "evaluator"]
    assert main.main(["runs", str(config)]) == 0
    header, newest, oldest = capsys.readouterr().out.splitlines()
    assert header.split() == ["run", "started", "status", "seconds", "rows", "metrics", "model"]
    assert newest.endswith("done    61.5     1,002  auc -, loss -")
    assert oldest.endswith("done    61.5     1,001  auc 0.912, loss -")


def test_runs_on_a_server(
    call: Callable[..., Document], compiled: Path, server: KubeflowPipelines, config: Path
) -> None:
    server.states = [{"state": "RUNNING"}, {"state": "SUCCEEDED"}]
    at = ("--host", server.url)
    started = call("submit", compiled, *at)["result"]
    assert (started["run"], started["state"], started["tasks"]) == (*server.stored["runs"], None, [])
    assert call("cancel", started["run"], config, *at)["result"] == {"run": started["run"], "link": started["link"]}
    watched = call("watch", started["run"], config, *at, "--interval", "0.01")["result"]
    assert (watched["state"], watched["link"]) == ("SUCCEEDED", started["link"])
    server.states = [{"state": "FAILED", "error": {"message": "no quota"}}]
    failed = call("watch", started["run"], config, *at, "--interval", "0.01")
    assert (failed["exit_code"], failed["result"]["state"]) == (1, "FAILED")
    assert failed["error"]["message"] == "the run ended failed: no quota"


def test_what_is_written(call: Callable[..., Document], config: Path, tmp_path: Path) -> None:
    output = tmp_path / "ir.yaml"
    idle = ("--set", "resources={tuner: {cpu: 1}}")
    compiled = call("compile", config, "-o", output, "--target", "kubeflow", *idle)["result"]
    (warning,) = compiled.pop("warnings")
    assert warning.startswith("resources.tuner: the pipeline has no such task")
    assert compiled == {"file": str(output), "pipeline": "small", "target": "kubeflow"}
    assert call("compile", config, "-o", "ir.txt")["error"]["type"] == "ConfigError"
    files = call("init", tmp_path / "new")["result"]["files"]
    assert str(tmp_path / "new" / "pipeline.yaml") in files
    assert all(map(os.path.isfile, files))
    components = call("components", "-o", tmp_path / "components")["result"]["files"]
    assert str(tmp_path / "components" / "trainer" / "component.yaml") in components


def test_schedules(call: Callable[..., Document], compiled: Path, server: KubeflowPipelines, config: Path) -> None:
    at = ("--host", server.url)
    created = call("schedule", "create", compiled, "--name", "nightly", "--every", "3600", *at)["result"]
    assert {**created, "status": "enabled"} == call("schedule", "list", config, *at)["result"]["schedules"][0]
    assert call("schedule", "pause", "nightly", config, *at)["result"] == {
        "name": "nightly",
        "change": "paused",
        "count": 1,
    }
    assert call("schedule", "resume", "nightly", config, *at)["result"]["change"] == "resumed"
    assert call("schedule", "delete", "nightly", config, *at)["result"]["change"] == "deleted"


def test_help_is_no_document(capsys: Told) -> None:
    assert main.main(["runs", "--json", "--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: penstock runs")


def test_what_libraries_print_is_not_in_the_document(capsys: Told) -> None:
    with answer.standard_output_for(True):
        print("progress")
    code = answer.render(Answer({"value": float("nan"), "password": "s3cret-word"}), "x", True)
    told = capsys.readouterr()
    assert (code, told.err) == (0, "progress\n")
    assert json.loads(told.out)["result"] == {"value": None, "password": "***"}


def test_a_result_that_is_a_failure_as_well(capsys: Told) -> None:
    failed = Answer({"tasks": 1}, lambda: "a table", Failure("DataError", "no rows", ["give some"], 2))
    assert answer.render(failed, "run", False) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == ("a table\n", "penstock: no rows\n  give some\n")
    assert answer.render(failed, "run", True) == 2
    document = json.loads(capsys.readouterr().out)
    assert (document["result"], document["error"]["details"]) == ({"tasks": 1}, ["give some"])


@pytest.mark.parametrize(
    ("words", "as_json"),
    [
        ("monitor --version 17 --json", True),
        ("monitor --json --version 17", True),
        ("lint compiled.yaml --format json", True),
        ("monitor --version 17", False),
        ("monitor --json --help", False),
        ("--version --json", False),
        ("--json --version", False),
        ("monitor -- --json", False),
    ],
)
def test_which_command_lines_ask_for_json(words: str, as_json: bool) -> None:
    assert answer.wants_json(words.split()) is as_json
