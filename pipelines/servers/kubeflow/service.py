"""Kubeflow Pipelines as the commands see it."""

from typing import Any, Literal

from penstock.pipelines.config.resources import Kubeflow
from penstock.pipelines.servers.kubeflow import causes, runs
from penstock.pipelines.servers.kubeflow.client import Server
from penstock.pipelines.servers.service import Scheduled
from penstock.pipelines.servers.submission import Submission, unique_name
from penstock.pipelines.servers.watch import Snapshot
from penstock.pipelines.targets.target import images_without_registry


class KubeflowService:
    def __init__(self, settings: Kubeflow) -> None:
        self._settings = settings
        self._server = Server(settings)
        self.place = self._server.host

    @staticmethod
    def check_trigger(cron: str | None, every: int | None) -> None:
        runs.trigger(cron, every)

    def check(self, submission: Submission) -> list[str]:
        """Kubeflow takes what the compiler makes, but puts outputs into buckets only, and pulls images."""
        warnings = [
            f"image {image}: it has no registry, so only nodes that have it already can run it: push it, and name it "
            "in `image`"
            for image in images_without_registry(submission.spec)
        ]
        root = submission.parameter("pipeline_root")
        searched = "comp-latest-blessed-model" in submission.spec.get("components", {})
        if searched and runs.output_root(submission) != root:
            warnings.append(
                f"pipeline_root ({root}): Kubeflow puts outputs into a bucket, by default its own, so no earlier model "
                "is found here as a baseline: give gs://, s3:// or minio://"
            )
        return warnings

    def submit(self, submission: Submission, name: str | None) -> str:
        experiment, namespace = self._experiment(submission), self._settings.namespace
        runs.check_names(run=name, experiment=experiment)
        if name:
            runs.require_new(self._server, name, experiment, namespace)
        name = name or unique_name(submission.pipeline)
        return runs.submit(self._server, submission, name=name, experiment=experiment, namespace=namespace)

    def identity(self, name: str) -> str | None:
        return None

    def link(self, run_id: str) -> str:
        return runs.run_link(self._server, run_id)

    def again(self) -> list[str]:
        namespace = self._settings.namespace
        return ["--host", self._server.host, *(["--namespace", namespace] if namespace else [])]

    def find(self, run: str) -> str:
        return runs.find_run(self._server, run, self._settings.namespace)

    def snapshot(self, run_id: str) -> Snapshot:
        return runs.snapshot(self._server, run_id)

    def explained(self, run_id: str, ended: Snapshot) -> Snapshot:
        return causes.explained(self._server, self._settings, run_id, ended)

    def cancel(self, run_id: str) -> None:
        runs.cancel(self._server, run_id)

    def schedule(self, submission: Submission, name: str, cron: str | None, every: int | None, *, replace: bool) -> str:
        experiment = self._experiment(submission)
        runs.check_names(schedule=name, experiment=experiment)
        return runs.schedule(
            self._server,
            submission,
            name=name,
            trigger=runs.trigger(cron, every),
            experiment=experiment,
            namespace=self._settings.namespace,
            replace=replace,
        )

    def schedules(self) -> list[Scheduled]:
        found = runs.schedules(self._server, self._settings.namespace)
        return [Scheduled(one.display_name, (one.status or "").lower(), _when(one.trigger)) for one in found]

    def change_schedule(self, name: str, change: Literal["disable", "enable", "delete"]) -> int:
        return runs.change_schedule(self._server, self._settings.namespace, name, change)

    def _experiment(self, submission: Submission) -> str:
        return self._settings.experiment or submission.pipeline


def _when(trigger: Any) -> str:
    if trigger and trigger.cron_schedule:
        return f"cron {trigger.cron_schedule.cron}"
    if trigger and trigger.periodic_schedule:
        return f"every {trigger.periodic_schedule.interval_second} s"
    return ""
