"""A small compiled pipeline that is retrained, and what runs it: servers on loopback that speak the real protocols."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl

from penstock.components.retrainer import decisions, executor, package, servers
from penstock.components.retrainer.policy import Policy
from penstock.components.retrainer.state import RETRAININGS, State
from penstock.core.artifacts.retraining import Retraining, RetrainingDecision
from penstock.core.services import retries
from penstock.core.state import open_folder
from tests.components.retrainer.conftest import observed
from tests.servers.kubeflow_pipelines import KubeflowPipelines
from tests.servers.loopback import Loopback
from tests.servers.vertex import VertexAI


@dsl.component(base_image="registry.example.com/penstock-python:1", install_kfp_package=False)
def train(steps: int) -> None:
    pass


@dsl.pipeline(name="taxi")
def training(pipeline_root: str = "gs://runs/taxi", steps: int = 10) -> None:
    train(steps=steps)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compiled") / "taxi.yaml"
    compiler.Compiler().compile(training, str(path))
    return path


@dataclass
class Place:
    """What runs the pipeline, and the state of its retrainings."""

    name: str
    server: Loopback
    package: Path
    state: Path

    @property
    def settings(self) -> str:
        if self.name == "kubeflow":
            return json.dumps({"kubeflow": {"host": self.server.url, "namespace": "team", "service_account": "runner"}})
        vertex = {
            "project": "p",
            "location": "europe-west4",
            "api_endpoint": self.server.url,
            "labels": {"team": "taxi"},
        }
        return json.dumps({"vertex": vertex})

    @property
    def route(self) -> str:
        """What a run is created by."""
        return "/runs" if self.name == "kubeflow" else "/pipelineJobs"

    def decide(self, hour: int = 0) -> executor.Changed[RetrainingDecision]:
        training_ = package.read(str(self.package))

        def edit(state: State) -> RetrainingDecision:
            return decisions.decide(state, observed(hour), Policy(), datetime.now(UTC))

        runs = servers.open_runs(self.settings, training_)
        return executor.change(str(self.state), training_.name, runs, edit)

    def retrainings(self) -> list[Retraining]:
        return open_folder(str(self.state), RETRAININGS).read()["retrainings"]

    def started(self) -> list[str]:
        """Returns the names of the runs that there are."""
        if isinstance(self.server, KubeflowPipelines):
            return self.server.names("runs")
        assert isinstance(self.server, VertexAI)
        return [name.rpartition("/")[2] for name in self.server.stored["pipelineJobs"]]

    def created(self) -> list[Any]:
        """Returns the bodies of the requests for a run."""
        return self.server.sent("POST", self.route)


@pytest.fixture(params=["kubeflow", "vertex"])
def place(
    request: pytest.FixtureRequest, compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    with KubeflowPipelines() if request.param == "kubeflow" else VertexAI() as server:
        yield Place(request.param, server, compiled, tmp_path / "state")
