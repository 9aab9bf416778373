"""Experiments and runs on a Kubeflow Pipelines server, found by their names.

Nothing is made twice. The server gives the same request made twice two runs, so whatever is made has a name of its
own, and where the answer to a request is lost it is looked up by that name before the request is made again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import kfp_server_api
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from penstock.core.errors import ConfigError, ServerError, UserError
from penstock.core.services.kubeflow import Server
from penstock.core.services.retries import AlreadyExists, make_once

STORES = ("gs://", "s3://", "minio://")  # where KFP's launcher can put outputs
_EQUALS = 1  # V2beta1PredicateOperation, by its number as KFP's own client sends it
_PAGE = 100


class Runs:
    """The experiments and runs of a server, in a namespace where it has several users."""

    def __init__(self, server: Server, namespace: str | None = None) -> None:
        self.server = server
        self.namespace = {"namespace": namespace} if namespace else {}

    def make(self, name: str, experiment_id: str, unknown: str, **fields: Any) -> str:
        """Starts a run of a name that none of the experiment has; returns its id.

        `fields` are those of `run_fields`, and a description. The error says `unknown` where nobody knows whether it
        was started.
        """
        body = kfp_server_api.V2beta1Run(display_name=name, experiment_id=experiment_id, **fields)
        run = make_once(
            lambda: self.server.request(self.server.runs.run_service_create_run, run=body),
            lambda: self.named(name, experiment_id=experiment_id),
            unknown,
        )
        return self.require_id(run.run_id)

    def named(self, name: str, **options: str) -> Any:
        """Returns a run of that name; None if there is none."""
        return next(self.all_named(name, **options), None)

    def all_named(self, name: str, **options: str) -> Iterator[Any]:
        runs = self.listed(self.server.runs.run_service_list_runs, "runs", name, **options)
        return (run for run in runs if run.display_name == name)

    def ensure_experiment(self, name: str) -> str:
        """Returns the id of an experiment, which is made if there is none of that name."""
        experiment = self.experiment(name)
        if not experiment:
            experiment = make_once(
                lambda: self._make_experiment(name),
                lambda: self.experiment(name),
                f"{self.server.host}: it is not known whether the experiment {name} was made: submit again",
            )
        return self.require_id(experiment.experiment_id)

    def experiment(self, name: str) -> Any:
        """Returns an experiment. One whose name the server takes for the same is a UserError: there can be no
        second."""
        alike = list(self._experiments(name))
        exact = next((experiment for experiment in alike if experiment.display_name == name), None)
        if exact is None:
            self._refuse_alike(name, alike)
        return exact

    def listed(self, operation: Callable[..., Any], key: str, name: str | None, **options: str) -> Iterator[Any]:
        """Yields what the server lists, page after page: all, or what its database takes for one name, whatever its
        case."""
        if name is not None:
            predicate = {"operation": _EQUALS, "key": "display_name", "stringValue": name}
            options["filter"] = _twice_decoded(json.dumps({"predicates": [predicate]}))
        token = ""
        while True:
            page = self.server.repeat(operation, page_token=token, page_size=_PAGE, **options)
            yield from getattr(page, key) or []
            token = page.next_page_token
            if not token:
                return

    def require_id(self, answered: str | None) -> str:
        if not answered:  # JSON, but not KFP's
            raise ServerError(f"{self.server.host} does not answer as a KFP API does: check kubeflow.host")
        return answered

    def _make_experiment(self, name: str) -> Any:
        body = kfp_server_api.V2beta1Experiment(display_name=name, **self.namespace)
        try:
            return self.server.request(self.server.experiments.experiment_service_create_experiment, experiment=body)
        except AlreadyExists:  # somebody made it just now: the server keeps their names unique
            if made := self.experiment(name):
                return made
            self._refuse_alike(name, self._experiments())
            raise

    def _experiments(self, name: str | None = None) -> Iterator[Any]:
        operation = self.server.experiments.experiment_service_list_experiments
        return self.listed(operation, "experiments", name, **self.namespace)

    def _refuse_alike(self, name: str, experiments: Iterable[Any]) -> None:
        """Names are unique whatever their case."""
        for experiment in experiments:
            if experiment.display_name.casefold() == name.casefold():
                raise UserError(
                    f"{self.server.host} has an experiment whose name differs in case only: "
                    f"{experiment.display_name!r}: choose that one, or another name (--experiment)"
                )


def run_fields(
    pipeline: str,
    documents: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
    root: str | None,
    service_account: str | None,
) -> dict[str, Any]:
    """Returns what the requests for a run and for a recurring run of a pipeline have in common.

    `root` is where outputs go, None for the server's own place.
    """
    return {
        "pipeline_spec": _pipeline_spec(pipeline, documents),
        "runtime_config": kfp_server_api.V2beta1RuntimeConfig(parameters=dict(parameters), pipeline_root=root),
        "service_account": service_account,
    }


def _pipeline_spec(pipeline: str, documents: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Returns the spec as KFP's client sends it: checked against the protocol's messages, the platform beside it."""
    checked: list[Mapping[str, Any]] = []
    messages = (pipeline_spec_pb2.PipelineSpec, pipeline_spec_pb2.PlatformSpec)
    for document, message in zip(documents, messages, strict=False):
        try:
            checked.append(json_format.MessageToDict(json_format.ParseDict(dict(document), message())))
        except json_format.ParseError as error:
            raise ConfigError(f"{pipeline}: this is no compiled pipeline of KFP v2: {error}") from None
    if len(checked) == 1:
        return checked[0]
    return {"pipeline_spec": checked[0], "platform_spec": checked[1]}


def _twice_decoded(text: str) -> str:
    """Returns JSON that a URL's decoding does not change: a KFP server decodes a filter once more than it was encoded.

    Without it a name with a plus sign would not be found, and a run of that name be started twice.
    """
    return text.replace("%", r"\u0025").replace("+", r"\u002b")
