"""What holds on any Kubeflow Pipelines server: here on the loopback one, and on the one that PENSTOCK_KFP_HOST names.

Runs are cancelled as soon as they are there, so no image is needed, and schedules are deleted. A server with many users
wants PENSTOCK_KFP_NAMESPACE as well, one with a sign-in PENSTOCK_KFP_TOKEN, a bearer token.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import kfp
import kfp_server_api
import pytest
import yaml
from google.protobuf import json_format
from kfp import dsl
from kfp.pipeline_spec import pipeline_spec_pb2

from penstock.core.errors import PenstockError, ServerError
from penstock.core.services import kubeflow as client
from penstock.pipelines.cli import main
from penstock.pipelines.config.servers import Kubeflow
from penstock.pipelines.servers.kubeflow.service import KubeflowService
from tests.servers.kubeflow_pipelines import KubeflowPipelines

EXPERIMENT = "penstock-tests"
_GIVEN = {name: os.environ.get(f"PENSTOCK_KFP_{name}", "") for name in ("HOST", "NAMESPACE", "TOKEN")}


@dataclass(frozen=True)
class Place:
    """A server, and the options that name it to a command."""

    settings: Kubeflow
    options: list[str]

    @cached_property
    def server(self) -> client.Server:
        return client.Server(self.settings)

    @cached_property
    def service(self) -> KubeflowService:
        return KubeflowService(self.settings)

    def run(self, *arguments: str) -> int:
        return main.main([*arguments, *self.options])


@pytest.fixture(params=["loopback", client.HOST_VARIABLE])
def place(request: pytest.FixtureRequest, server: KubeflowPipelines, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "loopback":
        return Place(Kubeflow(host=server.url), ["--host", server.url])
    if not _GIVEN["HOST"]:
        pytest.skip(f"{client.HOST_VARIABLE} names no Kubeflow Pipelines server")
    settings, options = {"host": _GIVEN["HOST"]}, ["--host", _GIVEN["HOST"]]
    if _GIVEN["NAMESPACE"]:
        settings["namespace"] = _GIVEN["NAMESPACE"]
        options += ["--namespace", _GIVEN["NAMESPACE"]]
    if _GIVEN["TOKEN"]:
        monkeypatch.setenv("PENSTOCK_KFP_TOKEN", _GIVEN["TOKEN"])
        settings["token_env"] = "PENSTOCK_KFP_TOKEN"
        options += ["--set", "kubeflow.token_env=PENSTOCK_KFP_TOKEN"]
    return Place(Kubeflow.model_validate(settings), options)


@pytest.fixture
def submitted(place: Place, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Returns a function that submits a file and returns the run's id; every run of it is cancelled in the end."""
    runs = []

    def submit(file: Path, *arguments: str) -> str:
        assert place.run("submit", str(file), "--experiment", EXPERIMENT, *arguments) == 0
        run_id = capsys.readouterr().out.split()[1]
        runs.append(run_id)
        return run_id

    yield submit
    for run_id in runs:
        place.run("cancel", run_id)


def message(document: dict[str, Any]) -> pipeline_spec_pb2.PipelineSpec:
    return json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())


def test_a_run_is_what_was_compiled(place: Place, compiled: Path, submitted: Callable[..., str]) -> None:
    given = ["--param", "train_steps=7", "--param", "pipeline_root=s3://bucket/runs"]
    run_id = submitted(compiled, *given, "--set", "lint.allow=[store-credentials]")  # no pod will ask for any
    run = place.server.request(place.server.runs.run_service_get_run, run_id)
    assert message(run.pipeline_spec) == message(yaml.safe_load(compiled.read_text()))
    assert run.runtime_config.parameters["train_steps"] == 7
    assert run.runtime_config.pipeline_root == "s3://bucket/runs"


def test_conditions_loops_retries_and_exit_handlers_are_taken(
    place: Place, tmp_path: Path, submitted: Callable[..., str]
) -> None:
    @dsl.component
    def check() -> bool:
        return True

    @dsl.component
    def work(number: int = 0) -> None:
        pass

    @dsl.component
    def tell(status: dsl.PipelineTaskFinalStatus) -> None:
        pass

    @dsl.pipeline(name="shapes")
    def pipeline() -> None:
        with dsl.ExitHandler(tell()):
            with dsl.If(check().output == True):  # noqa: E712  (KFP's condition)
                work().set_retry(num_retries=2)
            with dsl.Else():
                work()
            with dsl.ParallelFor([1, 2]) as number:
                work(number=number)

    file = tmp_path / "shapes.yaml"
    kfp.compiler.Compiler().compile(pipeline, str(file))
    run_id = submitted(file)
    assert place.service.snapshot(run_id).state in ("PENDING", "RUNNING")


@pytest.mark.parametrize("name", ["plain", "a+b", "100% & more", 'say "x"', "größer"])
def test_a_name_is_found_again(
    name: str, place: Place, compiled: Path, submitted: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{name} {secrets.token_hex(4)}"
    submitted(compiled, "--name", name)
    assert place.run("submit", str(compiled), "--experiment", EXPERIMENT, "--name", name) == 2
    assert f"has a run {name!r} already" in capsys.readouterr().err
    assert place.run("cancel", name) == 0


def test_an_experiment_whose_name_differs_in_case(
    place: Place, compiled: Path, submitted: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    submitted(compiled)
    assert place.run("submit", str(compiled), "--experiment", EXPERIMENT.upper()) == 2
    assert f"whose name differs in case only: {EXPERIMENT!r}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["😀", "n" * 129])
def test_a_name_that_the_server_cannot_store(name: str, place: Place, compiled: Path) -> None:
    """Penstock refuses it before that; where it does not, the answer is known."""
    run = kfp_server_api.V2beta1Run(
        display_name=name,
        experiment_id=place.service._runs.ensure_experiment(EXPERIMENT),
        pipeline_spec=json_format.MessageToDict(message(yaml.safe_load(compiled.read_text()))),
    )
    with pytest.raises(ServerError, match="cannot store this name"):
        place.server.request(place.server.runs.run_service_create_run, run=run)


def test_a_log_that_is_not_there(place: Place, compiled: Path, submitted: Callable[..., str]) -> None:
    run_id = submitted(compiled)
    with pytest.raises(PenstockError):
        place.server.log(run_id, "no-such-pod")


def test_a_run_is_cancelled_once_and_again(
    place: Place, compiled: Path, submitted: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = submitted(compiled)
    assert place.service.snapshot(run_id).state in ("PENDING", "RUNNING")
    assert place.run("cancel", run_id) == 0
    assert place.service.snapshot(run_id).state in ("CANCELING", "CANCELED")
    assert place.run("cancel", run_id) == 0
    assert f"{run_id}: asked to stop" in capsys.readouterr().out


def test_what_is_not_there(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run("cancel", "00000000-0000-4000-8000-000000000000") == 2
    assert "does not know that (404: " in capsys.readouterr().err


def test_a_pipeline_that_cannot_be_read_is_refused(place: Place) -> None:
    experiment = place.service._runs.ensure_experiment(EXPERIMENT)
    run = kfp_server_api.V2beta1Run(
        display_name=f"unreadable {secrets.token_hex(4)}",
        experiment_id=experiment,
        pipeline_spec={"pipelineInfo": {"name": "unreadable"}, "root": {"nonsense": 1}},
    )
    with pytest.raises(ServerError, match="refuses the request"):
        place.server.request(place.server.runs.run_service_create_run, run=run)


def test_a_schedule_from_its_making_to_its_end(
    place: Place, compiled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"penstock-{secrets.token_hex(4)}"
    create = ["schedule", "create", str(compiled), "--experiment", EXPERIMENT, "--name", name]

    def listed() -> list[list[str]]:
        capsys.readouterr()
        assert place.run("schedule", "list") == 0
        return [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(name)]

    assert place.run(*create, "--cron", "0 0 6 1 1 *") == 0
    try:
        assert listed() == [[name, "enabled", "cron", "0", "0", "6", "1", "1", "*"]]
        assert place.run(*create, "--every", "31536000") == 2
        assert place.run("schedule", "pause", name) == 0
        assert listed()[0][1] == "disabled"
        assert place.run("schedule", "resume", name) == 0
        assert listed()[0][1] == "enabled"
        assert place.run(*create, "--every", "31536000", "--replace") == 0
        assert listed() == [[name, "enabled", "every", "31536000", "s"]]
    finally:
        assert place.run("schedule", "delete", name) == 0
    assert listed() == []
