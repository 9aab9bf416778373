"""Jobs of Glue that are run before their table is read."""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.components.example_gen.sources.glue import job
from penstock.core.errors import DataError
from penstock.core.services.retries import Interrupted
from tests.components.example_gen.sources.glue.conftest import Lake, Read, parquet, trips


@pytest.fixture
def glue_job(lake: Lake) -> Iterator[str]:
    lake.glue.create_job(Name="nightly", Role="glue", Command={"Name": "glueetl"}, DefaultArguments={"--x": "y"})
    yield "nightly"
    lake.glue.delete_job(JobName="nightly")


def runs(lake: Lake) -> list[dict[str, Any]]:
    return list(lake.glue.get_job_runs(JobName="nightly")["JobRuns"])


def test_a_job_is_run_once_for_each_run(lake: Lake, read: Read, glue_job: str) -> None:
    """A try that failed after the job has ended takes what it has done; the next run starts it anew."""
    own = {"name": glue_job, "arguments": {"--day": "2026-01-01"}, "timeout": 10}
    with pytest.raises(DataError, match=r"sales\.trips does not exist"):
        read("trips", job=own)
    lake.table("trips", "parquet", {"part-0": parquet(trips())})
    assert len(read("trips", job=own)) == 60
    assert len(runs(lake)) == 1
    assert runs(lake)[0]["Arguments"] == {"--x": "y", "--day": "2026-01-01"}
    read("trips", job=own)
    assert len(runs(lake)) == 2
    with pytest.raises(DataError, match=r"Glue in us-east-1 has no job 'nighty': correct"):
        read("trips", job={"name": "nighty"})


def test_a_job_that_fails_says_why_and_is_started_anew(
    lake: Lake, read: Read, glue_job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.glue.models import FakeJobRun

    lake.table("trips", "parquet", {"part-0": parquet(trips())})
    told = FakeJobRun.as_dict
    failed = {"JobRunState": "FAILED", "ErrorMessage": "AnalysisException: no such path"}
    with monkeypatch.context() as patch:
        patch.setattr(FakeJobRun, "as_dict", lambda run: {**told(run), **failed})
        with pytest.raises(DataError, match=r"job nightly: run jr_\w+ ended as FAILED: AnalysisException: no"):
            read("trips", job={"name": glue_job})
    assert len(read("trips", job={"name": glue_job})) == 60
    assert len(runs(lake)) == 2


def test_ctrl_c_says_what_goes_on_and_the_next_run_waits_for_it(
    lake: Lake, read: Read, glue_job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.table("trips", "parquet", {"part-0": parquet(trips())})
    ended: Callable[..., Any] = job._ended
    with monkeypatch.context() as patch:
        patch.setattr(job, "_ended", lambda *_: signal.raise_signal(signal.SIGINT))
        with pytest.raises(Interrupted, match=r"run jr_\w+ of the Glue job nightly goes on, .* batch-stop-job-run"):
            read("trips", job={"name": glue_job})
    assert job._ended is ended
    assert len(read("trips", job={"name": glue_job})) == 60
    assert len(runs(lake)) == 1
