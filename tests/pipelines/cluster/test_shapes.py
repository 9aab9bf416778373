"""Small pipelines on a cluster: every shape of a graph, what a pod is given, failures, retries, schedules, cancelling.

They run on the stand-in with the settings of KFP 2.17.0 and of 2.16, and on the cluster that PENSTOCK_KFP_HOST names.
"""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl, kubernetes

from penstock.components.wrapper import component
from tests.pipelines.cluster.conftest import Place, stand_in

PLACES = ["2.17", "2.16", "PENSTOCK_KFP_HOST"]


@pytest.fixture(scope="module", params=PLACES)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, python: str, real: Place | None
) -> Iterator[Place]:
    if request.param == "PENSTOCK_KFP_HOST":
        if real is None:
            pytest.skip("PENSTOCK_KFP_HOST names no Kubeflow Pipelines server")
        yield real
        return
    endpoint = request.getfixturevalue("endpoint")
    with stand_in(tmp_path_factory.mktemp("cluster"), endpoint, python, attempts=request.param == "2.17") as made:
        yield made


@component
def check() -> bool:
    return True


@component
def count() -> list:
    return [{"a": 1}, {"a": 2}]


@component
def tell(told: dsl.Output[dsl.Artifact], number: int = 3) -> int:
    with open(told.path, "w") as file:
        file.write(str(number))
    told.metadata["number"] = number
    return number


@component
def gather(told: dsl.Output[dsl.Artifact], numbers: list, one: dsl.Input[dsl.Artifact], other: dsl.Input[dsl.Dataset]):
    with open(one.path) as first, open(other.path) as second, open(told.path, "w") as file:
        file.write(f"{sum(numbers)} {first.read()} {one.metadata['number']} {second.read()} {other.metadata['of']}")


@component
def end(told: dsl.Output[dsl.Artifact], status: dsl.PipelineTaskFinalStatus):
    with open(told.path, "w") as file:
        file.write(f"{status.pipeline_task_name} {status.state}")


@dsl.pipeline
def inner(number: int) -> int:
    return tell(number=number).outputs["Output"]


@dsl.pipeline(name="shapes")
def shapes(uri: str, limit: float = 0.5):
    with dsl.ExitHandler(end()):
        with dsl.If(check().output == True):  # noqa: E712
            yes = tell(number=10)
        with dsl.Else():
            no = tell(number=20)
        chosen = dsl.OneOf(yes.outputs["Output"], no.outputs["Output"])
        with dsl.If(limit > 0.6):
            tell(number=30)
        with dsl.ParallelFor(count().output) as item:
            looped = tell(number=item.a)
        imported = dsl.importer(artifact_uri=uri, artifact_class=dsl.Dataset, metadata={"of": "old"})
        nested = inner(number=chosen)
        first = tell(number=nested.output)
        gather(
            numbers=dsl.Collected(looped.outputs["Output"]),
            one=first.outputs["told"],
            other=imported.output,
        )


def test_graphs_run_and_are_answered_from_the_cache(place: Place, tmp_path: Path) -> None:
    place.store.write(f"{place.folder}/old", b"imported")
    file = place.compiled(shapes, tmp_path / "shapes.yaml")
    done = place.submit(file, "--param", f"uri={place.folder}/old")
    assert done.code == 0, done.err
    told = place.told(done.run_id, "shapes")
    # One 10 of three: the sub-pipeline's task and the one after it are answered from the cache by the first branch's.
    assert Counter(told.values()) == {
        "10": 1,
        "1": 1,
        "2": 1,
        "3 10 10 imported old": 1,
        "exit-handler-1 COMPLETE": 1,
    }
    again = place.submit(file, "--param", f"uri={place.folder}/old")
    assert again.code == 0, again.err
    # The exit task's status names the run, so that only it runs anew.
    assert list(place.told(again.run_id, "shapes").values()) == ["exit-handler-1 COMPLETE"]


@component
def look(told: dsl.Output[dsl.Artifact]):
    import json
    import os

    with open("/proc/self/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    with open("/proc/self/mountinfo") as file:
        kinds = {line.split()[4]: line.split(" - ")[1].split()[0] for line in file}
    with open("/dev/termination-log", "w") as file:
        file.write("the last word")
    seen = {
        "uid": os.getuid(),
        "capabilities": [lines[name].strip() for name in ("CapEff", "CapPrm", "CapBnd")],
        "new privileges": lines["NoNewPrivs"].strip(),
        "secrets": [name for name in os.environ if name.startswith(("AWS_", "PENSTOCK_"))],
        "scratch": {name: [os.listdir(name), os.access(name, os.W_OK)] for name in ("/gcs", "/s3/..", "/minio")},
        "fuse": [kinds[name] for name in ("/gcs", "/s3", "/minio") if kinds.get(name, "").startswith("fuse")],
        "root": os.access("/", os.W_OK) or os.access("/usr", os.W_OK),
        "pod": os.environ.get("KFP_POD_NAME", ""),
        "checkout": os.path.exists("/tmp/pytest-of-root"),
    }
    with open(told.path, "w") as file:
        json.dump(seen, file)


def test_a_pod_has_no_more_than_it_has_on_a_cluster(place: Place, tmp_path: Path) -> None:
    import json

    done = place.submit(place.compiled(dsl.pipeline(look_alone), tmp_path / "look.yaml"))
    assert done.code == 0, done.err
    (told,) = place.told(done.run_id, "look-alone").values()
    seen = json.loads(told)
    assert seen["uid"] == 65532
    assert set(seen["capabilities"]) == {"0" * 16}
    assert seen["new privileges"] == "1"
    assert seen["secrets"] == []
    assert seen["scratch"]["/gcs"] == [[], True]
    assert seen["scratch"]["/minio"] == [[], True]
    assert seen["fuse"] == []
    assert not seen["root"]
    assert not seen["checkout"]
    assert "system-container-impl" in seen["pod"]
    if place.cluster:
        (pod,) = place.cluster.workflows[done.run_id].pods.values()
        assert pod.terminated is not None
        assert pod.terminated.message == "the last word"


def look_alone():
    look().set_caching_options(False)


@component
def fail():
    from penstock.core import failures

    failures.tell_uncaught()  # as all our components do
    raise ValueError("this task says no")


@dsl.pipeline(name="failing")
def failing():
    with dsl.ExitHandler(end()):
        fail().set_retry(num_retries=2)
        tell(number=1)


def attempts(place: Place, run_id: str) -> list[str]:
    """Returns the states of the attempts of a run's executors, as far as KFP counts them."""
    tasks = place.get(f"/runs/{run_id}")["run_details"]["task_details"]
    return [one["state"] for one in tasks if one.get("display_name", "").startswith("executor(")]


def test_a_failure_is_tried_again_and_told_to_the_exit_task(place: Place, tmp_path: Path) -> None:
    done = place.submit(place.compiled(failing, tmp_path / "failing.yaml"))
    assert done.code == 1
    assert done.last_line.startswith("penstock: the run ended failed: fail:")
    assert "this task says no" in done.last_line
    assert "exit-handler-1 FAILED" in place.told(done.run_id, "failing").values()
    if place.cluster:
        failed = attempts(place, done.run_id).count("FAILED")
        # The settings that KFP 2.17.0 ships for Argo try nothing again that failed by itself.
        assert failed == (1 if place.cluster.attempts else 3)


@component
def fail_once(uri: str):
    from penstock.core.files import object_stores

    with object_stores.open_store(uri) as store:
        if not store.is_file(uri):
            store.write(uri, b"was here")
            raise ValueError("not yet")


def test_a_retry_succeeds(place: Place, tmp_path: Path) -> None:
    if place.cluster is None or place.cluster.attempts:
        pytest.skip("needs Argo without the retryStrategy that KFP 2.17.0 ships")

    @dsl.pipeline(name="retried")
    def retried(uri: str):
        task = fail_once(uri=uri)
        task.set_retry(num_retries=1)
        names = {"accesskey": "AWS_ACCESS_KEY_ID", "secretkey": "AWS_SECRET_ACCESS_KEY"}
        kubernetes.use_secret_as_env(task, place.secret, {**names, "endpoint": "AWS_ENDPOINT_URL_S3"})

    file = place.compiled(retried, tmp_path / "retried.yaml")
    done = place.submit(file, "--param", f"uri={place.folder}/mark")
    assert done.code == 0, done.err
    assert sorted(attempts(place, done.run_id)) == ["FAILED", "SUCCEEDED"]


@component
def elsewhere(told: dsl.Output[dsl.Artifact]):
    told.uri = "s3://team/elsewhere"


def test_an_output_that_names_a_place_outside_of_its_run_fails_the_task(place: Place, tmp_path: Path) -> None:
    done = place.submit(place.compiled(dsl.pipeline(elsewhere_alone), tmp_path / "elsewhere.yaml"))
    assert done.code == 1
    if place.cluster:
        (log,) = (log for name, log in place.cluster.logs.items() if name in place.cluster.workflows[done.run_id].pods)
        assert 'failed to upload output artifact "told": URI "s3://team/elsewhere" does not have expected' in log


def elsewhere_alone():
    elsewhere()


@component
def sleep():
    import time

    time.sleep(600)


def test_a_cancelled_run_ends(place: Place, tmp_path: Path) -> None:
    file = place.compiled(dsl.pipeline(sleep_alone), tmp_path / "sleep.yaml")
    done = place.penstock("submit", file)
    assert done.code == 0, done.err
    assert place.penstock("cancel", done.run_id).code == 0
    watched = place.penstock("watch", done.run_id, "--interval", place.interval)
    assert watched.code == 1
    assert watched.last_line == "penstock: the run ended canceled"


def sleep_alone():
    sleep()


def test_a_schedule_fires(place: Place, tmp_path: Path) -> None:
    every = "2" if place.cluster else "60"
    name = f"tell-{place.folder.rpartition('/')[2]}"
    file = place.compiled(dsl.pipeline(tell_alone), tmp_path / "tell.yaml")
    made = place.penstock("schedule", "create", file, "--every", every, "--name", name)
    assert made.code == 0, made.err
    try:
        fired: list[Any] = []
        until = time.monotonic() + 300
        while not any(run.get("state") == "SUCCEEDED" for run in fired):
            assert time.monotonic() < until, fired
            time.sleep(0.5)
            runs = place.get("/runs?page_size=100&sort_by=created_at%20desc").get("runs", [])
            fired = [run for run in runs if name in run["display_name"]]
    finally:
        assert place.penstock("schedule", "delete", name).code == 0
    (ended, *_) = [run["run_id"] for run in fired if run.get("state") == "SUCCEEDED"]
    assert set(place.told(ended, "tell-alone").values()) == {"3"}


def tell_alone():
    tell().set_caching_options(False)
