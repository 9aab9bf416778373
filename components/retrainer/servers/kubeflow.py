"""Retrainings on a Kubeflow Pipelines server: runs of the retrainings' names, in the pipeline's experiment."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from pydantic import ConfigDict

from penstock.components.retrainer.package import Package
from penstock.components.retrainer.runs import Run, Runs
from penstock.core.artifacts.retraining import Retraining, sentence
from penstock.core.services import kubeflow, kubeflow_runs
from penstock.core.services.kubeflow import Server
from penstock.core.services.retries import NotFound

IN_CLUSTER = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"  # KFP's own address in its cluster
_TOKEN_VARIABLE, _TOKEN = "KF_PIPELINES_SA_TOKEN_PATH", "/var/run/secrets/kubeflow/pipelines/token"  # as KFP's client
_FAILED = ("FAILED", "CANCELED", "SKIPPED")


@dataclass(frozen=True)
class KubeflowServer:
    """A server as a task reaches it: by default the one of its own cluster, with the token that its pod may have.

    The keys are those of the section `kubeflow` of a configuration, as far as they are of the server and its runs.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    host: str | None = IN_CLUSTER
    namespace: str | None = None
    experiment: str | None = None
    service_account: str | None = None
    token_env: str | None = None
    token_file: str | None = None
    cookies_env: str | None = None
    iap_client_id: str | None = None
    ssl_ca_cert: str | None = None
    verify_ssl: bool = True
    timeout: int = 30

    @property
    def service_account_token(self) -> bool:
        """Whether to sign in with the token that Kubernetes has mounted."""
        named = self.token_env or self.token_file or self.cookies_env or self.iap_client_id
        return not named and Path(os.environ.get(_TOKEN_VARIABLE, _TOKEN)).is_file()


class Settings(kubeflow.Settings, Protocol):
    """What is to be known of a server and of the runs there: a KubeflowServer, or the section of a configuration."""

    @property
    def namespace(self) -> str | None: ...
    @property
    def experiment(self) -> str | None: ...
    @property
    def service_account(self) -> str | None: ...


class KubeflowRuns(Runs):
    """Runs of a pipeline on a server."""

    name = "kubeflow"

    def __init__(self, settings: Settings, package: Package) -> None:
        self._settings, self._package = settings, package
        self._runs = kubeflow_runs.Runs(Server(settings), settings.namespace)
        self._experiment = settings.experiment or package.name

    def find(self, retraining: Retraining) -> Run | None:
        server = self._runs.server
        if retraining["run"]:
            try:
                return self._run(server.repeat(server.runs.run_service_get_run, retraining["run"]))
            except NotFound:
                return None
        experiment = self._runs.experiment(self._experiment)
        run = experiment and self._runs.named(retraining["id"], experiment_id=experiment.experiment_id)
        return self._run(run) if run else None

    def start(self, retraining: Retraining) -> Run:
        package, name = self._package, retraining["id"]
        root = next((root for root in package.roots if root.startswith(kubeflow_runs.STORES)), None)
        fields = kubeflow_runs.run_fields(package.name, package.documents, {}, root, self._settings.service_account)
        unknown = f"{self._runs.server.host}: it is not known whether the run {name} was started: the next run looks"
        run_id = self._runs.make(
            name,
            self._runs.ensure_experiment(self._experiment),
            unknown,
            description=f"Retraining: {sentence(retraining['signals'])}",
            **fields,
        )
        return Run(run_id, self._link(run_id), "running")

    def _run(self, run: Any) -> Run:
        state = run.state or ""
        has_ended = state == "SUCCEEDED" or state in _FAILED
        end = run.finished_at if has_ended and run.finished_at else datetime.now(UTC)
        seconds = max(0.0, (end - run.created_at).total_seconds()) if run.created_at else 0.0
        link = self._link(run.run_id)
        if state in _FAILED:
            return Run(run.run_id, link, "failed", seconds, f"the run ended as {state.lower()}")
        return Run(run.run_id, link, "done" if has_ended else "running", seconds)

    def _link(self, run_id: str) -> str:
        return f"{self._runs.server.host}/#/runs/details/{run_id}"
