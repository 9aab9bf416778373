"""Runs and recurring runs on a Kubeflow Pipelines server, of which nothing is made twice (core/services)."""

import re
import shlex
from collections.abc import Callable
from typing import Any

import kfp_server_api

from penstock.core.errors import ConfigError, ServerError, UserError
from penstock.core.services.kubeflow import Server
from penstock.core.services.kubeflow_runs import STORES, Runs, run_fields
from penstock.core.services.retries import NotFound
from penstock.pipelines.config.servers import Kubeflow
from penstock.pipelines.servers import cron
from penstock.pipelines.servers.kubeflow import causes, nodes
from penstock.pipelines.servers.service import Change, Schedule, Service, Trigger
from penstock.pipelines.servers.submission import Submission, pipeline_roots, unique_name
from penstock.pipelines.servers.watch import ENDED, Snapshot
from penstock.pipelines.targets.target import images_without_registry

# What the server's database holds: its columns are of MySQL's utf8, with three bytes a character at most.
_LONGEST_NAME = 128
_LAST_CHARACTER = "\uffff"
_ID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class KubeflowService(Service):
    """A Kubeflow Pipelines server, in the namespace of the settings."""

    def __init__(self, settings: Kubeflow) -> None:
        self._settings = settings
        self._server = Server(settings)
        self._runs = Runs(self._server, settings.namespace)
        self.place = self._server.host

    @staticmethod
    def check_trigger(trigger: Trigger) -> None:
        """Takes a cron expression of six fields, or a number of seconds."""
        if (trigger.cron is None) == (trigger.every is None):
            raise ConfigError("expected either --cron, such as --cron '0 0 6 * * *', or --every SECONDS")
        if trigger.cron is not None:
            _check_cron(trigger.cron)

    def check(self, submission: Submission) -> list[str]:
        """Kubeflow takes what the compiler makes, but puts outputs into buckets only, and pulls images."""
        warnings = [
            f"image {image}: it has no registry, so only nodes that have it already can run it: push it, and name it "
            "in `image`"
            for image in images_without_registry(submission.spec)
        ]
        root = submission.parameter("pipeline_root")
        searched = "comp-latest-blessed-model" in submission.spec.get("components", {})
        if searched and _output_root(submission) != root:
            warnings.append(
                f"pipeline_root ({root}): Kubeflow puts outputs into a bucket, by default its own, so no earlier model "
                "is found here as a baseline: give gs://, s3:// or minio://"
            )
        return warnings

    def submit(self, submission: Submission, name: str | None) -> str:
        experiment = self._experiment_name(submission)
        _check_names(run=name, experiment=experiment)
        if name:
            self._require_new(name, experiment)
        name = name or unique_name(submission.pipeline)
        experiment_id, fields = self._runs.ensure_experiment(experiment), self._run_fields(submission)
        submission.publish()
        return self._runs.make(
            name,
            experiment_id,
            f"{self.place}: it is not known whether the run {name} was started: look for it there, or submit again "
            f"with --name {shlex.quote(name)}, which starts no second one",
            **fields,
        )

    def id_of_name(self, name: str) -> str | None:
        return None

    def link(self, run_id: str) -> str:
        return f"{self.place}/#/runs/details/{run_id}"

    def options(self) -> list[str]:
        namespace = self._settings.namespace
        return ["--host", self.place, *(["--namespace", namespace] if namespace else [])]

    def find(self, run: str) -> str:
        """Returns the id of a run that is given by its id, a UUID, or by a name that no other run has."""
        if _ID.match(run):
            return run
        ids = sorted(one.run_id for one in self._runs.all_named(run, **self._runs.namespace))
        if not ids:
            raise UserError(f"{self.place} has no run {run!r}: expected its id, or its whole name")
        if len(ids) > 1:
            raise UserError(
                f"{self.place} has {len(ids)} runs {run!r}: expected the id of one of them: {', '.join(ids)}"
            )
        return self._runs.require_id(ids[0])

    def snapshot(self, run_id: str) -> Snapshot:
        run = self._server.request(self._server.runs.run_service_get_run, run_id)
        return Snapshot(_run_state(run), nodes.tasks(run), nodes.message(run), late=nodes.is_late(run))

    def explained(self, run_id: str, ended: Snapshot) -> Snapshot:
        return causes.explained(self._server, self._settings, run_id, ended)

    def cancel(self, run_id: str) -> None:
        """Asks a run to end; a UserError if it has ended otherwise."""
        try:
            self._server.repeat(self._server.runs.run_service_terminate_run, run_id)
        except NotFound:
            raise
        except ServerError:
            # It refuses (400) to end what it is ending: after an answer that was lost, or somebody else's request.
            state = self.snapshot(run_id).state
            if state in ENDED - {"CANCELED"}:
                raise UserError(f"{self.place}: the run {run_id} has ended already: {state.lower()}") from None
            if state not in ("CANCELING", "CANCELED"):
                raise

    def schedule(self, submission: Submission, name: str, trigger: Trigger, *, replace: bool) -> str:
        _check_names(schedule=name, experiment=self._experiment_name(submission))
        return super().schedule(submission, name, trigger, replace=replace)

    def schedules(self, name: str | None = None) -> list[Schedule]:
        operation = self._server.recurring_runs.recurring_run_service_list_recurring_runs
        listed = (
            Schedule(run.recurring_run_id, run.display_name, (run.status or "").lower(), _trigger_of(run.trigger))
            for run in self._runs.listed(operation, "recurring_runs", name, **self._runs.namespace)
            if name in (None, run.display_name)
        )
        return sorted(listed, key=lambda schedule: (schedule.name, schedule.id))

    def _schedule_maker(self, submission: Submission, name: str, trigger: Trigger) -> Callable[[], str]:
        body = kfp_server_api.V2beta1RecurringRun(
            display_name=name,
            experiment_id=self._runs.ensure_experiment(self._experiment_name(submission)),
            mode=kfp_server_api.RecurringRunMode.ENABLE,
            max_concurrency="1",
            no_catchup=True,
            trigger=_trigger_message(trigger),
            **self._run_fields(submission),
        )
        create = self._server.recurring_runs.recurring_run_service_create_recurring_run
        return lambda: self._runs.require_id(self._server.request(create, recurring_run=body).recurring_run_id)

    def _change_schedule(self, schedule_id: str, change: Change) -> None:
        service = self._server.recurring_runs
        operations = {
            "disable": service.recurring_run_service_disable_recurring_run,
            "enable": service.recurring_run_service_enable_recurring_run,
            "delete": service.recurring_run_service_delete_recurring_run,
        }
        self._server.repeat(operations[change], schedule_id)

    def _experiment_name(self, submission: Submission) -> str:
        return self._settings.experiment or submission.pipeline

    def _require_new(self, name: str, experiment: str) -> None:
        """Refuses the name of a run that the experiment has, so that a repeated command starts no second run."""
        existing = self._runs.experiment(experiment)
        run = existing and self._runs.named(name, experiment_id=existing.experiment_id)
        if run:
            raise UserError(f"{self.place} has a run {name!r} already, {run.run_id}: choose another --name")

    def _run_fields(self, submission: Submission) -> dict[str, Any]:
        """Returns what the requests for a run and for a recurring run have in common."""
        return run_fields(
            submission.pipeline,
            submission.documents,
            submission.parameters,
            _output_root(submission),
            self._settings.service_account,
        )


def _check_names(**names: str | None) -> None:
    """Refuses the names, by what has them, that no server of KFP can store."""
    for what, name in names.items():
        wide = next((letter for letter in name or "" if letter > _LAST_CHARACTER), None)
        if wide:
            raise ConfigError(
                f"{what} {name!r}: expected a name without {wide!r}: Kubeflow's database has no place for emoji"
            )
        if len(name or "") > _LONGEST_NAME:
            raise ConfigError(
                f"{what} {name!r}: expected at most {_LONGEST_NAME} characters, received {len(name or '')}"
            )


def _check_cron(expression: str) -> None:
    fields = expression.split()
    six = f"six fields ({cron.names(cron.SIX_FIELDS)})"
    if expression.startswith(("TZ=", "CRON_TZ=")):
        raise ConfigError(
            f"--cron {expression!r}: expected {six}, without a time zone: they are read in UTC, unless the server's "
            "CRON_SCHEDULE_TIMEZONE names another"
        )
    if expression.startswith("@"):
        known = cron.SHORTHANDS.get(expression)
        advice = f": write '0 {known}'" if known else ", or --every SECONDS"
        raise ConfigError(f"--cron {expression!r}: expected {six}{advice}")
    if len(fields) == 5:
        raise ConfigError(
            f"--cron {expression!r}: Kubeflow's cron has six fields, seconds first: write '0 {expression}'"
        )
    if len(fields) != 6:
        raise ConfigError(f"--cron {expression!r}: expected {six}, not {len(fields)}")
    cron.check(expression, cron.SIX_FIELDS)


def _trigger_message(trigger: Trigger) -> kfp_server_api.V2beta1Trigger:
    if trigger.cron is None:
        periodic = kfp_server_api.V2beta1PeriodicSchedule(interval_second=str(trigger.every))
        return kfp_server_api.V2beta1Trigger(periodic_schedule=periodic)
    return kfp_server_api.V2beta1Trigger(cron_schedule=kfp_server_api.V2beta1CronSchedule(cron=trigger.cron))


def _trigger_of(message: kfp_server_api.V2beta1Trigger | None) -> Trigger:
    if message and message.cron_schedule:
        return Trigger(cron=message.cron_schedule.cron)
    if message and message.periodic_schedule:
        return Trigger(every=int(message.periodic_schedule.interval_second))
    return Trigger()


def _output_root(submission: Submission) -> str | None:
    """Returns where a run's outputs go, if that is a place where KFP can put them; else the server has its own."""
    return next((root for root in pipeline_roots(submission) if root.startswith(STORES)), None)


def _run_state(run: Any) -> str:
    """Returns a run's state. Servers of KFP 2 end a cancelled run as FAILED; only its history knows better."""
    state = nodes.state(run)
    if state == "FAILED" and any(past.state == "CANCELING" for past in run.state_history or []):
        return "CANCELED"
    return state or "PENDING"
