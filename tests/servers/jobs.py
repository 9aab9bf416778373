"""Services of workers, with the same words for both: Vertex AI and Kubeflow on loopback, as tasks are told of them.

`component` is whose executor the workers run. RunningVertexAI runs the workers.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from penstock.components.jobs import follow
from penstock.core.files import atomic
from tests.servers import ports
from tests.servers.loopback import Request
from tests.servers.train_jobs import TrainJobsAPI
from tests.servers.vertex import VertexAI

IMAGE = "registry.example.com/penstock:1"
_COMMAND = ["python3", "-m", "penstock.components.jobs.worker"]


class Place(Protocol):
    """A service. `chiefs_end_early` says whether the chief of a job that succeeds has done nothing."""

    routes: dict[str, tuple[str, str]]
    server: Any
    described: dict[str, Any]
    chiefs_end_early: bool

    def states(self, *states: str) -> None: ...

    def jobs(self) -> list[tuple[str, str]]:
        """Returns the arguments of all jobs that there are, and their states."""


class OnVertex:
    routes = {"start": ("POST", "/customJobs"), "look": ("GET", "/customJobs/{id}")}  # noqa: RUF012
    chiefs_end_early = False

    def __init__(self, server: VertexAI, _: Path, component: str) -> None:
        self.server = server
        pool = {
            "machineSpec": {"machineType": "e2-standard-4"},
            "containerSpec": {"imageUri": IMAGE, "command": [*_COMMAND, component]},
            "replicaCount": "1",
        }
        self.described = {
            "target": "vertex",
            "connection": {"project": "p", "location": "us-central1", "timeout": 5, "api_endpoint": server.url},
            "job": {"jobSpec": {"workerPoolSpecs": [pool, pool]}, "labels": {}},
        }

    def states(self, *states: str) -> None:
        self.server.states += [{"state": f"JOB_STATE_{state.upper()}"} for state in states]

    def jobs(self) -> list[tuple[str, str]]:
        found = self.server.stored["customJobs"].values()
        states = [job.state.name.removeprefix("JOB_STATE_").lower() for job in found]
        arguments = [job.job_spec.worker_pool_specs[1].container_spec.args[0] for job in found]
        return list(zip(arguments, states, strict=True))


class OnKubeflow:
    routes = {"start": ("POST", "/trainjobs"), "look": ("GET", "/trainjobs/{name}")}  # noqa: RUF012
    chiefs_end_early = False

    def __init__(self, server: TrainJobsAPI, folder: Path, component: str) -> None:
        self.server = server
        os.environ["KUBECONFIG"] = str(server.kubeconfig(folder / "kubeconfig"))
        (folder / "shared").mkdir()
        spec = {
            "runtimeRef": {"name": "penstock"},
            "trainer": {"image": IMAGE, "command": [*_COMMAND, component], "numNodes": 2, "env": []},
        }
        job = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "spec": spec}
        self.described = {"target": "kubeflow", "shared": str(folder / "shared"), "job": job}

    def states(self, *states: str) -> None:
        self.server.states += states

    def jobs(self) -> list[tuple[str, str]]:
        found = self.server.stored.values()
        return [(_expanded(job["spec"]["trainer"]["args"][0]), _kubernetes_state(job)) for job in found]


def _expanded(argument: str) -> str:
    """Returns an argument as a container gets it: Kubernetes puts in variables, $(NAME), and makes $ of $$."""
    return re.sub(r"\$\$|\$\(\w+\)", lambda found: "$" if found[0] == "$$" else "a variable", argument)


def _kubernetes_state(job: Any) -> str:
    conditions = job.get("status", {}).get("conditions", [])
    return {"Complete": "succeeded", "Failed": "failed"}[conditions[0]["type"]] if conditions else "pending"


def with_chiefs(place: Place) -> Callable[[Request], Any]:
    """Returns how the service answers if the chief of each job that it says has succeeded left its word before."""
    answer, ended = place.server.answer, set[str]()

    def answered(request: Request) -> Any:
        reply = answer(request)
        if (request.method, request.route) == place.routes["look"] and not place.chiefs_end_early:
            for argument in {argument for argument, state in place.jobs() if state == "succeeded"} - ended:
                result = Path(json.loads(argument)[follow.TOLD]) / follow.RESULT
                if not result.exists():
                    atomic.write_text(result, "{}")
                ended.add(argument)
        return reply

    return answered


PLACES = {"vertex": (VertexAI, OnVertex), "kubeflow": (TrainJobsAPI, OnKubeflow)}


class RunningVertexAI(VertexAI):
    """Vertex AI that runs the workers, as processes of this machine, with the TF_CONFIG that it gives them."""

    processes: Sequence[subprocess.Popen[bytes]] = ()

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def answer(self, request: Request) -> Any:
        if (request.method, request.route) == ("GET", "/customJobs/{id}"):
            codes = [process.poll() for process in self.processes]
            state = "FAILED" if any(codes) else "RUNNING" if None in codes else "SUCCEEDED"
            self.states = [{"state": f"JOB_STATE_{state}"}]
            if any(codes):  # one worker's end is that of all
                self.end()
        made = super().answer(request)
        if (request.method, request.route) == ("POST", "/customJobs"):
            self.processes = list(_workers(made["jobSpec"]["workerPoolSpecs"]))
        return made


def _workers(pools: Sequence[Any]) -> Iterator[subprocess.Popen[bytes]]:
    addresses = [f"127.0.0.1:{ports.reserve()}" for _ in pools]
    cluster = {"chief": addresses[:1], "worker": addresses[1:]}
    for kind, pool in zip(cluster, pools, strict=True):
        container = pool["containerSpec"]
        config = {"cluster": cluster, "task": {"type": kind, "index": 0}}
        command = [sys.executable, *container["command"][1:], *container["args"]]
        yield subprocess.Popen(command, env={**os.environ, "TF_CONFIG": json.dumps(config)})
