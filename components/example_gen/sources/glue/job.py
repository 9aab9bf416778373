"""A Glue job that is run before its table is read: once for each run of the pipeline, however often the task is tried.

The state folder knows which run of the job was started, until what it wrote has been found. So a task that is tried
again waits for that run, or takes what it has done, and starts no other.
"""

import json
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.components.example_gen.sources.glue import memory
from penstock.components.example_gen.sources.glue.catalogue import Glue
from penstock.components.example_gen.sources.glue.options import Job
from penstock.core import progress
from penstock.core.errors import DataError, ServerError
from penstock.core.files import documents, object_stores
from penstock.core.services import retries, waiting
from penstock.core.services.retries import Interrupted, NotFound

logger = logging.getLogger(__name__)
_STARTED = "glue_job_run"  # the record of the run that was started
_GOING_ON = ("STARTING", "RUNNING", "STOPPING", "WAITING")
_LONGEST = 14 * 86_400.0  # Glue ends every run long before, after the timeout of its own
_CLOCKS = timedelta(minutes=5)  # by which ours may differ from Glue's


def finished(glue: Glue, job: Job, state: str) -> str:
    """Runs a job, or waits for its run that was started before; returns the run's id once it has succeeded.

    A DataError if there is no such job or it fails, an Interrupted on Ctrl-C that says what goes on.
    """
    run = _remembered(job, state)
    if run is None:
        run = _start(glue, job)
        if state:
            record = {"job": job.name, "arguments": dict(job.arguments), "run": run}
            memory.write(state, _STARTED, documents.json_text(record).encode())
    logger.info("Glue job %s: waiting for its run %s", job.name, run)
    progress.say(f"waiting for the Glue job {job.name}")
    begin = time.monotonic()
    try:
        waiting.until(lambda: _ended(glue, job, run, state), _LONGEST, f"Glue job {job.name}: run {run} never ends")
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: run {run} of the Glue job {job.name} goes on, and the next run here waits for it; to stop "
            f"it: aws glue batch-stop-job-run --job-name {job.name} --job-run-ids {run}"
        ) from None
    logger.info("Glue job %s: run %s succeeded after %.0f s", job.name, run, time.monotonic() - begin)
    return run


def used(state: str) -> None:
    """Forgets the run: what it wrote was found, so that the next run of the pipeline starts the job anew."""
    if state:
        memory.remove(state, _STARTED)


def _remembered(job: Job, state: str) -> str | None:
    content = memory.read(object_stores.join(state, _STARTED)) if state else None
    if content is None:
        return None
    record = json.loads(content)
    same = record.get("job") == job.name and record.get("arguments") == dict(job.arguments)
    return str(record["run"]) if same else None


def _start(glue: Glue, job: Job) -> str:
    asked: dict[str, Any] = {"JobName": job.name, "Arguments": dict(job.arguments)}
    if job.timeout:
        asked["Timeout"] = job.timeout
    begin = datetime.now(UTC) - _CLOCKS
    try:
        return retries.make_once(
            lambda: str(glue.request(glue.client.start_job_run, **asked)["JobRunId"]),
            lambda: _lost(glue, job, begin),
            f"Glue job {job.name}: whether it was started is not known: look at its runs before you run again",
        )
    except NotFound:
        raise DataError(f"Glue in {glue.region} has no job {job.name!r}: correct data.glue.job.name") from None
    except ServerError as error:
        if "ConcurrentRunsExceeded" not in error.message:
            raise
        raise DataError(
            f"Glue job {job.name} runs already, as often at once as it may: wait for it, or let it run more often"
        ) from None


def _lost(glue: Glue, job: Job, begin: datetime) -> str | None:
    """Returns the run that a request started whose answer was lost."""
    runs = glue.repeat(glue.client.get_job_runs, JobName=job.name)["JobRuns"]
    ours = [run for run in runs if run["StartedOn"] >= begin and _has(run.get("Arguments", {}), job.arguments)]
    return str(max(ours, key=lambda run: run["StartedOn"])["Id"]) if ours else None


def _has(given: Mapping[str, str], arguments: Mapping[str, str]) -> bool:
    return all(given.get(key) == value for key, value in arguments.items())


def _ended(glue: Glue, job: Job, run: str, state: str) -> bool | None:
    """Whether the run has succeeded; None while it goes on."""
    found = glue.repeat(glue.client.get_job_run, JobName=job.name, RunId=run)["JobRun"]
    status = found["JobRunState"]
    if status in _GOING_ON:
        return None
    if status == "SUCCEEDED":
        return True
    used(state)  # the next try starts another one
    said = " ".join(str(found.get("ErrorMessage", "")).split())[:300]
    raise DataError(
        f"Glue job {job.name}: run {run} ended as {status}" + (f": {said}" if said else ": see its log in CloudWatch")
    )
