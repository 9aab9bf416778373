"""The cluster: runs in threads of their own, what the API shows of them, and schedules that fire."""

import secrets
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.servers.cluster import nodes
from tests.servers.cluster.metadata import Metadata
from tests.servers.cluster.pods import Container, Namespace, Pod
from tests.servers.cluster.storage import Store
from tests.servers.cluster.workflow import Place, Workflow

# Where KFP puts the outputs of runs that name no root, and the bucket that it has.
DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"


class KubeflowCluster:
    """Runs what is created on its RunningKubeflowPipelines server.

    Args:
        folder: Where pods have their disks.
        endpoint: The address of the S3 server that minio:// and s3:// stand for.
        make_pod: Makes a pod of a name, with a folder of its own, for a container.
        namespace: The Secrets and claims that pods may name.
        attempts: Whether Argo has the retryStrategy that KFP 2.17.0 ships; without it, it is as with 2.16.
        pods: How many pods there is room for at a time.
    """

    def __init__(
        self,
        folder: Path,
        endpoint: str,
        make_pod: Callable[[str, Path, Container], Pod],
        namespace: Namespace | None = None,
        *,
        attempts: bool = True,
        pods: int = 2,
    ) -> None:
        self.store = Store(endpoint)
        self.logs: dict[str, str] = {}
        self.workflows: dict[str, Workflow] = {}
        self.attempts = attempts
        self._place = Place(
            folder,
            self.store,
            Metadata(),
            namespace or Namespace(),
            make_pod,
            threading.Semaphore(pods),
            attempts,
        )
        self._threads: list[threading.Thread] = []
        self._ends: dict[str, tuple[str, str]] = {}
        self._timers: dict[str, threading.Timer] = {}
        self._broken: list[BaseException] = []

    def __enter__(self) -> Self:
        self._place.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for timer in self._timers.values():
            timer.cancel()
        for workflow in self.workflows.values():
            workflow.stop()
        for thread in self._threads:
            thread.join()
        shutil.rmtree(self._place.folder, ignore_errors=True)
        if self._broken:  # the stand-in's own: a task's failure is none
            raise self._broken[0]

    def start(self, run: Mapping[str, Any]) -> None:
        """Starts a run, which has the shape of the API's."""
        given = run["pipeline_spec"]
        spec, platform = given.get("pipeline_spec", given), given.get("platform_spec", {})
        config = run.get("runtime_config", {})
        root = config.get("pipeline_root") or spec.get("defaultPipelineRoot") or DEFAULT_ROOT
        name = f"{spec['pipelineInfo']['name']}-{secrets.token_hex(3)[:5]}"
        workflow = Workflow(self._place, name, run["run_id"], (spec, platform), self.logs)
        self.workflows[run["run_id"]] = workflow

        def work() -> None:
            state = "FAILED"
            try:
                state = workflow.run(config.get("parameters", {}), root, run["display_name"])
            except Exception as error:
                self._broken.append(error)
            finally:
                self._ends[run["run_id"]] = (state, nodes.now())

        thread = threading.Thread(target=work, name=name)
        self._threads.append(thread)
        thread.start()

    def stop(self, run: dict[str, Any]) -> None:
        """Ends a run's pods, as terminating it does."""
        self._note(run, "CANCELING")
        self.workflows[run["run_id"]].stop()

    def report(self, run: dict[str, Any]) -> None:
        """Brings a run's record up to date with what the agent has reported; until then it has no state."""
        workflow, end = self.workflows[run["run_id"]], self._ends.get(run["run_id"])
        if end:
            run |= {"state": end[0], "finished_at": end[1]}
            self._note(run, end[0])
        elif run.get("state") != "CANCELING" and workflow.reported.is_set():
            run["state"] = "RUNNING"
            self._note(run, "RUNNING")
        run["run_details"] = {"task_details": workflow.tree.records()}

    @staticmethod
    def _note(run: dict[str, Any], state: str) -> None:
        history = run.setdefault("state_history", [])
        if not history or history[-1].get("state") != state:
            run["state_history"] = [*history, {"update_time": nodes.now(), "state": state}]

    def schedule(self, recurring: Mapping[str, Any], fire: Callable[[Mapping[str, Any]], None]) -> None:
        """Calls `fire` every interval of a recurring run, while it is enabled. It knows no cron."""
        seconds = float(recurring.get("trigger", {}).get("periodic_schedule", {}).get("interval_second", 0))
        if not seconds:
            return

        def tick() -> None:
            if recurring.get("status") == "ENABLED":
                fire(recurring)
            self.schedule(recurring, fire)

        timer = threading.Timer(seconds, tick)
        timer.daemon = True
        self._timers[recurring["recurring_run_id"]] = timer
        timer.start()

    def unschedule(self, recurring_run_id: str) -> None:
        timer = self._timers.pop(recurring_run_id, None)
        if timer:
            timer.cancel()
