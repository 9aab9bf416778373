"""A Kubeflow Pipelines server whose runs truly run, in a cluster."""

from collections.abc import Mapping
from typing import Any

from tests.servers.cluster.cluster import KubeflowCluster
from tests.servers.kubeflow_pipelines import KubeflowPipelines
from tests.servers.loopback import Request


class RunningKubeflowPipelines(KubeflowPipelines):
    """The server of a cluster: it shows what the cluster's agent has reported, and pods' logs while there are pods."""

    def __init__(self, cluster: KubeflowCluster) -> None:
        super().__init__()
        self.cluster = cluster
        self.logs = cluster.logs

    def _make(self, kind: str, body: dict[str, Any], *created: str) -> dict[str, Any]:
        made = super()._make(kind, body, *created)
        if kind == "runs":
            self.cluster.start(self.stored["runs"][made["run_id"]])
        elif kind == "recurringruns":
            self.cluster.schedule(self.stored["recurringruns"][made["recurring_run_id"]], self._fire)
        return made

    def _fire(self, recurring: Mapping[str, Any]) -> None:
        """Creates a run of a schedule, as the cluster's clock asks for."""
        body = {key: recurring[key] for key in ("experiment_id", "pipeline_spec", "runtime_config") if key in recurring}
        with self.lock:
            made = self._make("runs", {**body, "display_name": f"Run of {recurring['display_name']}"})
            self.stored["runs"][made["run_id"]]["recurring_run_id"] = recurring["recurring_run_id"]

    def _go_on(self, run: dict[str, Any]) -> dict[str, Any]:
        self.cluster.report(run)
        return run

    def _list(self, kind: str, request: Request) -> dict[str, Any]:
        if kind == "runs":
            for run in self.stored["runs"].values():
                self.cluster.report(run)
        return super()._list(kind, request)

    def _terminate(self, run: dict[str, Any]) -> None:
        super()._terminate(run)
        self.cluster.stop(run)

    def _change(self, kind: str, one: str, verb: str) -> None:
        super()._change(kind, one, verb)
        if kind == "recurringruns" and verb == "delete":
            self.cluster.unschedule(one)
