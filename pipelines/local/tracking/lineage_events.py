"""A run's OpenLineage events. This module needs openlineage-python, so only what has looked for it imports this one."""

import datetime
import os
from collections.abc import Iterator, Mapping
from importlib import metadata

from openlineage.client import facet_v2 as facets
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState, set_producer
from openlineage.client.transport.http import HttpConfig, HttpTransport
from openlineage.client.uuid import generate_new_uuid

from penstock.components.example_gen.inputs import references
from penstock.core import packages
from penstock.core.artifacts import pushed_versions
from penstock.core.credentials import masks
from penstock.core.files import documents
from penstock.pipelines import registry
from penstock.pipelines.local import results
from penstock.pipelines.local.comparison.comparison import column_types
from penstock.pipelines.local.records.record import RunRecord, Status, TaskRecord

_TIMEOUT = 5.0  # seconds without an answer
_STATES: dict[Status, RunState] = {
    "running": RunState.START,
    "done": RunState.COMPLETE,
    "cached": RunState.COMPLETE,
    "failed": RunState.FAIL,
    "interrupted": RunState.ABORT,
}
_VERSION = metadata.version("penstock")


def transport(url: str) -> HttpTransport:
    """Returns what sends events to a server, by the variables of OpenLineage's own client; a ValueError for no URL."""
    values = {"url": url, "timeout": _TIMEOUT, "retry": {"total": 1, "read": 1, "connect": 1}}
    if endpoint := os.environ.get("OPENLINEAGE_ENDPOINT"):
        values["endpoint"] = endpoint
    if key := os.environ.get("OPENLINEAGE_API_KEY"):
        values["auth"] = {"type": "api_key", "apiKey": key}
    return HttpTransport(HttpConfig.from_dict(values))


class Events:
    """The events of one run: a job and a run for the pipeline, and for each task one within it."""

    def __init__(self, run: RunRecord) -> None:
        set_producer(f"pkg:pypi/penstock@{_VERSION}")
        self._run = run
        self._namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or "penstock"
        self._run_id = str(generate_new_uuid())
        self._task_ids: dict[str, str] = {}
        self._columns: dict[str, str] = {}  # and their types

    def of_run(self) -> RunEvent:
        """Returns the event of the run's status: its start, or its end."""
        failed = [task for task in self._run.tasks if task.status == "failed"]
        tags = {"commit": self._run.origin.commit}
        if self._run.tasks:
            tags |= {"run": self._run.folder.name, "verdict": results.verdict(self._run)}
        run_facets = {**_run_facets(tags), **_error(failed[0] if failed else None)}
        job = Job(self._namespace, self._run.name, _job_facets("PIPELINE"))
        return RunEvent(
            eventType=_STATES[self._run.status], eventTime=_now(), run=Run(self._run_id, run_facets), job=job
        )

    def of_task(self, task: TaskRecord) -> RunEvent:
        """Returns the event of a task's status: its start, with a new run, or its end."""
        if task.status == "running":
            self._task_ids[task.name] = str(generate_new_uuid())
        tags = {"run": self._run.folder.name, "cached": str(task.status == "cached").lower()}
        parent = facets.parent_run.ParentRunFacet(
            run=facets.parent_run.Run(self._run_id),
            job=facets.parent_run.Job(self._namespace, self._run.name),
        )
        return RunEvent(
            eventType=_STATES[task.status],
            eventTime=_now(),
            run=Run(self._task_ids[task.name], {**_run_facets(tags), **_error(task), "parent": parent}),
            job=Job(self._namespace, f"{self._run.name}.{task.name}", _job_facets("TASK")),
            inputs=list(self._inputs(task)),
            outputs=list(self._outputs(task)) if task.finished else [],
        )

    def _inputs(self, task: TaskRecord) -> Iterator[InputDataset]:
        for name, uris in task.inputs.items():
            for uri in uris:
                yield InputDataset(*_place(uri), facets=self._schema(name))
        source = self._run.arguments.get("input_base")
        if source and "examples" in _known_outputs(task):
            yield InputDataset(*_place(str(source)))

    def _outputs(self, task: TaskRecord) -> Iterator[OutputDataset]:
        for name, output in sorted(task.outputs.items()):
            counted: dict[str, facets.OutputDatasetFacet] = {}
            if name == "examples" and "rows" in task.counts:
                rows = facets.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                    rowCount=int(task.counts["rows"])
                )
                counted["outputStatistics"] = rows
            yield OutputDataset(*_place(output["uri"]), facets=self._schema(name), outputFacets=counted)
            if name == "pushed_model" and name in _known_outputs(task):
                for pushed in pushed_versions(output["metadata"]):
                    yield OutputDataset(*_place(pushed.place))

    def _schema(self, name: str) -> dict[str, facets.DatasetFacet]:
        """Returns the columns of Examples, once the run has a schema."""
        if name != "examples":
            return {}
        self._columns = self._columns or column_types(self._run) or {}
        if not self._columns:
            return {}
        fields = [
            facets.schema_dataset.SchemaDatasetFacetFields(column, kind) for column, kind in self._columns.items()
        ]
        return {"schema": facets.schema_dataset.SchemaDatasetFacet(fields)}


def _known_outputs(task: TaskRecord) -> tuple[registry.Output, ...]:
    component = registry.component(task.key.component) if task.key else None
    return component.outputs if component else ()


def _run_facets(tags: Mapping[str, str]) -> dict[str, facets.RunFacet]:
    fields = [facets.tags_run.TagsRunFacetFields(key, value, "PENSTOCK") for key, value in tags.items() if value]
    return {
        "processing_engine": facets.processing_engine_run.ProcessingEngineRunFacet(_VERSION, "Penstock"),
        "tags": facets.tags_run.TagsRunFacet(fields),
    }


def _job_facets(kind: str) -> dict[str, facets.JobFacet]:
    return {"jobType": facets.job_type_job.JobTypeJobFacet("BATCH", "PENSTOCK", kind)}


def _error(task: TaskRecord | None) -> dict[str, facets.RunFacet]:
    if task is None or task.failure is None:
        return {}
    message = masks.masked(task.failure["message"])
    return {"errorMessage": facets.error_message_run.ErrorMessageRunFacet(message, "PYTHON")}


def _place(uri: str) -> tuple[str, str]:
    """Returns a dataset's namespace and name, as OpenLineage writes those of files and object stores.

    A source's are its name and its options.
    """
    if reference := references.parse(uri):
        return reference.name, masks.masked(documents.json_text(dict(reference.options)))
    if packages.is_inside(uri):
        return "package", uri.partition(":")[2]
    scheme, separator, rest = masks.masked(uri).partition("://")
    if not separator:
        return "file", scheme
    host, _, path = rest.partition("/")
    host = host.rpartition("@")[2]  # a name and a password are no part of a place
    return ("file", f"/{path}") if scheme == "file" else (f"{scheme}://{host}", path or "/")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()
