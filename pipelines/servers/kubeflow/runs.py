"""Runs and recurring runs on a Kubeflow Pipelines server.

Nothing is made twice. The server gives the same request made twice two runs, so whatever is made has a name of its
own, and where the answer to a request is lost it is looked up by that name before the request is made again.
"""

import contextlib
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Literal

import kfp_server_api
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from penstock.core.errors import ConfigError, ServerError, UserError
from penstock.core.services.retries import AlreadyExists, NotFound, make_once, put_away
from penstock.pipelines.servers import cron
from penstock.pipelines.servers.kubeflow import nodes
from penstock.pipelines.servers.kubeflow.client import Server
from penstock.pipelines.servers.submission import Submission, pipeline_roots
from penstock.pipelines.servers.watch import ENDED, Snapshot

_EQUALS = 1  # V2beta1PredicateOperation, by its number as KFP's own client sends it
_PAGE = 100
# Where KFP's launcher can put outputs.
_STORES = ("gs://", "s3://", "minio://")
# What the server's database holds: its columns are of MySQL's utf8, with three bytes a character at most.
_LONGEST_NAME = 128
_LAST_CHARACTER = "\uffff"
_ID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def submit(server: Server, submission: Submission, *, name: str, experiment: str, namespace: str | None) -> str:
    """Starts a run; returns its id. `name` is unique, or was checked with `require_new`."""
    experiment_id = ensure_experiment(server, experiment, namespace)
    body = kfp_server_api.V2beta1Run(
        display_name=name,
        experiment_id=experiment_id,
        pipeline_spec=_body(submission),
        runtime_config=_runtime_config(submission),
        service_account=server.service_account,
    )
    run = make_once(
        lambda: server.request(server.runs.run_service_create_run, run=body),
        lambda: _run_named(server, name, experiment_id),
        f"{server.host}: it is not known whether the run {name} was started: look for it there, or submit again with "
        f"--name {shlex.quote(name)}, which starts no second one",
    )
    return _identity(server, run.run_id)


def require_new(server: Server, name: str, experiment: str, namespace: str | None) -> None:
    """Refuses the name of a run that the experiment has, so that a repeated command starts no second run."""
    found = _experiment_named(server, experiment, namespace)
    run = found and _run_named(server, name, found.experiment_id)
    if run:
        raise UserError(f"{server.host} has a run {name!r} already, {run.run_id}: choose another --name")


def check_names(**names: str | None) -> None:
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


def run_link(server: Server, run_id: str) -> str:
    return f"{server.host}/#/runs/details/{run_id}"


def find_run(server: Server, run: str, namespace: str | None) -> str:
    """Returns the id of a run that is given by its id, a UUID, or by a name that no other run has."""
    if _ID.match(run):
        return run
    found = list(_listed(server, server.runs.run_service_list_runs, "runs", run, **_given(namespace=namespace)))
    if not found:
        raise UserError(f"{server.host} has no run {run!r}: expected its id, or its whole name")
    if len(found) > 1:
        ids = ", ".join(sorted(one.run_id for one in found))
        raise UserError(f"{server.host} has {len(found)} runs {run!r}: expected the id of one of them: {ids}")
    return _identity(server, found[0].run_id)


def cancel(server: Server, run_id: str) -> None:
    """Asks a run to end; a UserError if it has ended otherwise."""
    try:
        server.repeat(server.runs.run_service_terminate_run, run_id)
    except NotFound:
        raise
    except ServerError:
        # The server refuses (400) to end what it is ending: after an answer that was lost, or somebody else's request.
        state = snapshot(server, run_id).state
        if state in ENDED - {"CANCELED"}:
            raise UserError(f"{server.host}: the run {run_id} has ended already: {state.lower()}") from None
        if state not in ("CANCELING", "CANCELED"):
            raise


def snapshot(server: Server, run_id: str) -> Snapshot:
    """Returns how a run stands."""
    run = server.request(server.runs.run_service_get_run, run_id)
    return Snapshot(_run_state(run), nodes.tasks(run), nodes.message(run), late=nodes.is_late(run))


def output_root(submission: Submission) -> str | None:
    """Returns where a run's outputs go, if that is a place where KFP can put them; else the server has its own."""
    return next((root for root in pipeline_roots(submission) if root.startswith(_STORES)), None)


def ensure_experiment(server: Server, name: str, namespace: str | None) -> str:
    """Returns the id of an experiment, which is made if there is none of that name."""
    found = _experiment_named(server, name, namespace)
    if not found:
        body = kfp_server_api.V2beta1Experiment(display_name=name, namespace=namespace)

        def make() -> Any:
            try:
                return server.request(server.experiments.experiment_service_create_experiment, experiment=body)
            except AlreadyExists:  # somebody made it just now: the server keeps their names unique
                made = _experiment_named(server, name, namespace)
                if made:
                    return made
                operation = server.experiments.experiment_service_list_experiments
                _refuse_alike(
                    server, name, _alike(server, operation, "experiments", None, **_given(namespace=namespace))
                )
                raise

        found = make_once(
            make,
            lambda: _experiment_named(server, name, namespace),
            f"{server.host}: it is not known whether the experiment {name} was made: submit again",
        )
    return _identity(server, found.experiment_id)


def schedule(
    server: Server,
    submission: Submission,
    *,
    name: str,
    trigger: kfp_server_api.V2beta1Trigger,
    experiment: str,
    namespace: str | None,
    replace: bool,
) -> str:
    """Makes a recurring run; returns its id. One of the same name is replaced, or a UserError.

    The new one is made before the old one is deleted, so that a failure leaves one of them.
    """
    old = schedules(server, namespace, name)
    if old and not replace:
        raise UserError(f"{server.host} has a schedule {name!r} already: choose another --name, or --replace it")
    known = {one.recurring_run_id for one in old}
    body = kfp_server_api.V2beta1RecurringRun(
        display_name=name,
        experiment_id=ensure_experiment(server, experiment, namespace),
        mode=kfp_server_api.RecurringRunMode.ENABLE,
        max_concurrency="1",
        no_catchup=True,
        trigger=trigger,
        pipeline_spec=_body(submission),
        runtime_config=_runtime_config(submission),
        service_account=server.service_account,
    )
    service = server.recurring_runs
    made = make_once(
        lambda: server.request(service.recurring_run_service_create_recurring_run, recurring_run=body),
        lambda: next((one for one in schedules(server, namespace, name) if one.recurring_run_id not in known), None),
        f"{server.host}: it is not known whether the schedule {name} was made: see `penstock schedule list`",
    )
    made_id = _identity(server, made.recurring_run_id)
    put_away(
        [one.recurring_run_id for one in old], lambda one: _delete_schedule(server, one), server.host, name, made_id
    )
    return made_id


def schedules(server: Server, namespace: str | None, name: str | None = None) -> list[Any]:
    """Returns the recurring runs, of one name or all, sorted by name."""
    operation = server.recurring_runs.recurring_run_service_list_recurring_runs
    found = list(_listed(server, operation, "recurring_runs", name, **_given(namespace=namespace)))
    return sorted(found, key=lambda one: (one.display_name, one.recurring_run_id))


def change_schedule(
    server: Server, namespace: str | None, name: str, change: Literal["disable", "enable", "delete"]
) -> int:
    """Pauses, resumes or deletes the recurring runs of a name; returns how many there are."""
    found = schedules(server, namespace, name)
    if not found:
        raise UserError(f"{server.host} has no schedule {name!r}: `penstock schedule list` tells their names")
    operations: dict[str, Callable[[str], None]] = {
        "disable": partial(server.repeat, server.recurring_runs.recurring_run_service_disable_recurring_run),
        "enable": partial(server.repeat, server.recurring_runs.recurring_run_service_enable_recurring_run),
        "delete": partial(_delete_schedule, server),
    }
    for one in found:
        operations[change](one.recurring_run_id)
    return len(found)


def trigger(expression: str | None, every: int | None) -> kfp_server_api.V2beta1Trigger:
    """Returns when a schedule fires: a cron expression of six fields, or a number of seconds."""
    if (expression is None) == (every is None):
        raise ConfigError("expected either --cron, such as --cron '0 0 6 * * *', or --every SECONDS")
    if expression is None:
        return kfp_server_api.V2beta1Trigger(
            periodic_schedule=kfp_server_api.V2beta1PeriodicSchedule(interval_second=str(every))
        )
    _check_cron(expression)
    return kfp_server_api.V2beta1Trigger(cron_schedule=kfp_server_api.V2beta1CronSchedule(cron=expression))


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


def _delete_schedule(server: Server, schedule_id: str) -> None:
    with contextlib.suppress(NotFound):  # deleted by a request whose answer was lost
        server.repeat(server.recurring_runs.recurring_run_service_delete_recurring_run, schedule_id)


def _identity(server: Server, given: str | None) -> str:
    if not given:  # JSON, but not KFP's
        raise ServerError(f"{server.host} does not answer as a KFP API does: check kubeflow.host")
    return given


def _body(submission: Submission) -> dict[str, Any]:
    """Returns the spec as KFP's client sends it: checked against the protocol's messages, the platform beside it."""
    documents: list[dict[str, Any]] = []
    messages = (pipeline_spec_pb2.PipelineSpec, pipeline_spec_pb2.PlatformSpec)
    for document, message in zip(submission.documents, messages, strict=False):
        try:
            documents.append(json_format.MessageToDict(json_format.ParseDict(dict(document), message())))
        except json_format.ParseError as error:
            raise ConfigError(f"{submission.pipeline}: this is no compiled pipeline of KFP v2: {error}") from None
    if len(documents) == 1:
        return documents[0]
    return {"pipeline_spec": documents[0], "platform_spec": documents[1]}


def _runtime_config(submission: Submission) -> kfp_server_api.V2beta1RuntimeConfig:
    return kfp_server_api.V2beta1RuntimeConfig(
        parameters=dict(submission.parameters), pipeline_root=output_root(submission)
    )


def _experiment_named(server: Server, name: str, namespace: str | None) -> Any:
    """Returns an experiment. One whose name the server takes for the same is a UserError: there can be no second."""
    operation = server.experiments.experiment_service_list_experiments
    found = list(_alike(server, operation, "experiments", name, **_given(namespace=namespace)))
    exact = next((one for one in found if one.display_name == name), None)
    if exact is None:
        _refuse_alike(server, name, found)
    return exact


def _refuse_alike(server: Server, name: str, experiments: Iterable[Any]) -> None:
    """Names are unique whatever their case."""
    for one in experiments:
        if one.display_name.casefold() == name.casefold():
            raise UserError(
                f"{server.host} has an experiment whose name differs in case only: {one.display_name!r}: choose that "
                "one, or another name (--experiment)"
            )


def _run_named(server: Server, name: str, experiment_id: str) -> Any:
    return next(_listed(server, server.runs.run_service_list_runs, "runs", name, experiment_id=experiment_id), None)


def _listed(server: Server, operation: Callable[..., Any], key: str, name: str | None, **options: Any) -> Iterator[Any]:
    """Yields what a server lists, of one name or all."""
    found = _alike(server, operation, key, name, **options)
    return (one for one in found if name in (None, one.display_name))


def _alike(server: Server, operation: Callable[..., Any], key: str, name: str | None, **options: Any) -> Iterator[Any]:
    """Yields what a server lists, page after page: all, or what its database takes for one name, whatever its case."""
    if name is not None:
        predicate = {"operation": _EQUALS, "key": "display_name", "stringValue": name}
        options["filter"] = _twice_decoded(json.dumps({"predicates": [predicate]}))
    token = ""
    while True:
        page = server.repeat(operation, page_token=token, page_size=_PAGE, **options)
        yield from getattr(page, key) or []
        token = page.next_page_token
        if not token:
            return


def _twice_decoded(text: str) -> str:
    """Returns JSON that a URL's decoding does not change: a KFP server decodes a filter once more than it was encoded.

    Without it a name with a plus sign would not be found, and a run of that name be started twice.
    """
    return text.replace("%", r"\u0025").replace("+", r"\u002b")


def _given(**options: str | None) -> dict[str, str]:
    return {key: value for key, value in options.items() if value}


def _run_state(run: Any) -> str:
    """Returns a run's state. Servers of KFP 2 end a cancelled run as FAILED; only its history knows better."""
    state = nodes.state(run)
    if state == "FAILED" and any(past.state == "CANCELING" for past in run.state_history or []):
        return "CANCELED"
    return state or "PENDING"
