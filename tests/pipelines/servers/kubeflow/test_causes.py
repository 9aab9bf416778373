"""Why a task on Kubeflow failed: by the server's log, the pipeline root, the cluster, or the command that shows it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.pipelines.cli import main
from penstock.pipelines.servers import causes
from penstock.pipelines.servers.kubeflow import causes as kubeflow_causes
from tests.servers import argo_nodes
from tests.servers.argo_nodes import loop, task
from tests.servers.kubeflow_pipelines import Hang, KubeflowPipelines, Status
from tests.servers.kubernetes_api import PodsAPI, pod
from tests.servers.object_stores import ObjectStore

Run = Callable[..., int]
LAUNCHER = "I1129 11:28:25.101       1 launcher_v2.go:193] publish success.\n"
EXIT = "F1129 11:28:26.019       1 main.go:49] failed to execute component: exit status 1\n"
TRACEBACK = """Traceback (most recent call last):
  File "/usr/lib/python3.13/runpy.py", line 198, in _run_module_as_main
    return _run_code(code, main_globals, None,
TypeError: Cannot instantiate typing.Union
"""
NODE = "small-x7k2p(0).root(0).trainer(0).executor(0)"
POD = argo_nodes.pod_name("system-container-impl", NODE)


@pytest.fixture
def fail(submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Returns a function that watches a run whose trainer fails; it returns how that ended.

    It is the run that was submitted last, else one of its own.
    """

    def fail(*arguments: str, inside: Any = None, **more: Any) -> str:
        if not server.stored["runs"]:
            assert submit() == 0
        *_, run_id = server.stored["runs"]
        server.states = [argo_nodes.run(inside or task("trainer", "FAILED"), state="FAILED", attempts=True) | more]
        capsys.readouterr()
        assert main.main(["watch", run_id, "--host", server.url, "--interval", "0.01", *arguments]) == 1
        return capsys.readouterr().err.removeprefix("penstock: the run ended failed:").lstrip()

    return fail


@pytest.fixture
def cluster(server: KubeflowPipelines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PodsAPI]:
    with PodsAPI("kubeflow") as running:
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig(tmp_path / "kubeconfig")))
        yield running


@pytest.mark.parametrize(
    ("log", "sentence", "details"),
    [
        (f"{LAUNCHER}penstock: no label\n  in data.csv\n  line 3\n{EXIT}", "no label", "in data.csv\nline 3"),
        (f"penstock: a warning\n{LAUNCHER}penstock: no label\nnot indented\n{EXIT}", "no label", ""),
        (f"{LAUNCHER}{TRACEBACK}{EXIT}", "TypeError: Cannot instantiate typing.Union", ""),
        (
            f"{TRACEBACK}\nDuring handling of it:\n\n{TRACEBACK.replace('TypeError', 'a.b.Other')}{EXIT}",
            "a.b.Other: C",
            "",
        ),
        (f"{TRACEBACK}penstock: no label\n{EXIT}", "no label", ""),
        (
            f"{LAUNCHER}{EXIT.replace('exit status 1', 'failed to upload output artifact x: URI y does not have')}",
            "failed to execute component: failed to upload output artifact x: URI y does not have",
            "",
        ),
        (f"{TRACEBACK}{EXIT.replace('exit status 1', 'signal: killed')}", "killed: out of memory: give it more in", ""),
        (f"{LAUNCHER}{EXIT.replace('exit status 1', 'exit status 137')}", "killed: out of memory: give it more in", ""),
    ],
    ids=[
        "sentence",
        "the last",
        "traceback",
        "the last one",
        "sentence below a traceback",
        "launcher",
        "killed",
        "killed in a shell",
    ],
)
def test_what_a_log_ends_with(log: str, sentence: str, details: str) -> None:
    cause = kubeflow_causes.in_log(log)
    assert cause is not None
    assert cause.sentence.startswith(sentence)
    assert cause.details == details


@pytest.mark.parametrize("log", ["", LAUNCHER + EXIT, "Error: exit status 1\n", "a: b\n" + EXIT])
def test_a_log_without_a_cause(log: str) -> None:
    assert kubeflow_causes.in_log(log) is None


@pytest.mark.parametrize("template", ["system-container-impl", "retry-system-container-impl"])
def test_the_servers_log(template: str, server: KubeflowPipelines, fail: Callable[..., str]) -> None:
    server.logs = {argo_nodes.pod_name(template, NODE): f"{LAUNCHER}{TRACEBACK}{EXIT}"}
    assert fail() == "trainer: TypeError: Cannot instantiate typing.Union\n"


def test_the_log_is_asked_for_with_the_sign_in(
    compiled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/kubeconfig")
    monkeypatch.setenv("MY_TOKEN", "s3cret")
    with KubeflowPipelines(required={"authorization": "Bearer s3cret"}) as server:
        server.states = [argo_nodes.run(task("trainer", "FAILED"), state="FAILED", attempts=True)]
        server.logs = {POD: "penstock: no label\n"}
        options = ["--host", server.url, "--set", "kubeflow.token_env=MY_TOKEN", "--wait"]
        assert main.main(["submit", str(compiled), *options]) == 1
    assert capsys.readouterr().err.endswith("failed: trainer: no label\n")


def test_a_long_log_is_read_from_its_end(server: KubeflowPipelines, fail: Callable[..., str]) -> None:
    server.logs = {
        POD: "penstock: an old sentence\n" + "a line of a long log\n" * 200_000 + "penstock: the last\n" + EXIT
    }
    assert fail() == "trainer: the last\n"


def test_the_log_of_the_last_try(server: KubeflowPipelines, fail: Callable[..., str]) -> None:
    node = "small-x7k2p(0).root(0).trainer(0).executor"
    server.logs = {
        argo_nodes.pod_name("system-container-impl", f"{node}({number})"): f"penstock: try {number + 1}\n"
        for number in range(3)
    }
    assert fail(inside=task("trainer", "FAILED", tries=3)) == "trainer: try 3\n"


def test_a_driver_says_why_itself(server: KubeflowPipelines, fail: Callable[..., str]) -> None:
    pod_name = argo_nodes.pod_name("system-container-driver", "small-x7k2p(0).root(0).trainer-driver(0)")
    server.logs = {pod_name: "F1129 11:28:26.019 1 main.go:76] KFP driver: resolving inputs: no artifact model\n"}
    assert (
        fail(inside=task("trainer", None, driver="FAILED"))
        == "trainer: KFP driver: resolving inputs: no artifact model\n"
    )


def test_each_cause_is_told_once(server: KubeflowPipelines, fail: Callable[..., str]) -> None:
    """Two passes of a loop fail alike, and another task by itself."""
    passes = [task("work", "FAILED", at=number) for number in range(2)]
    within = (
        "small-x7k2p(0).root(0).for-loop-1(0).iteration-iterations({0}:{0})(0).iteration-item(0).work(0).executor(0)"
    )
    server.logs = {
        argo_nodes.pod_name("system-container-impl", within.format(n)): "penstock: no label\n" for n in range(2)
    }
    server.logs[POD] = "penstock: module.py has no run_fn\n  line 3\n"
    inside = loop("for-loop-1", "FAILED", *passes) | task("trainer", "FAILED", at=5)
    told = fail(inside=inside, pipeline_spec=None)  # as of a run of an uploaded pipeline
    assert told == "work[0], work[1]: no label\ntrainer: module.py has no run_fn\n  line 3\n"


@pytest.mark.parametrize("running_store", ["s3"], indirect=True)
def test_the_file_in_the_pipeline_root(
    object_store: ObjectStore, submit: Run, server: KubeflowPipelines, fail: Callable[..., str]
) -> None:
    allowed = ["--set", "lint.allow=[store-credentials]"]  # no pod runs that would ask for any
    assert submit("--param", f"pipeline_root={object_store.uri('runs')}", *allowed) == 0
    (run_id,) = server.stored["runs"]
    written = {"type": "ModuleError", "message": "module.py has no run_fn", "details": "line 3", "exit_code": 2}
    folder = ("runs", "small", run_id, "trainer", "0c6a0bfe-15f9-4ef7-8b2c-4d3c1d4a5a5f")
    object_store.write({"failure.json": json.dumps(written), "executor-logs": "…"}, *folder)
    assert fail() == "trainer: module.py has no run_fn\n  line 3\n"


@pytest.mark.parametrize(
    ("terminated", "status", "told"),
    [
        ({"exitCode": 2, "reason": "Error", "message": "no label\n  in data.csv"}, {}, "no label\n  in data.csv"),
        (
            {"exitCode": 1, "reason": "Error", "message": TRACEBACK + EXIT},
            {},
            "TypeError: Cannot instantiate typing.Union",
        ),
        (
            {"exitCode": 137, "reason": "OOMKilled", "message": f"{TRACEBACK}Killed\n"},
            {},
            "killed: out of memory: give it more in resources, such as ",
        ),
        ({"exitCode": 137, "reason": "Error"}, {}, "killed: out of memory: give it more in resources, such as "),
        ({"exitCode": 1, "reason": "Error"}, {}, "what the log says"),
        ({"exitCode": 1, "reason": "Error", "message": EXIT}, {}, "what the log says"),
        (None, {"reason": "Evicted", "message": "The node was low on memory."}, "Evicted: The node was low on memory."),
    ],
    ids=["its message", "the end of its log", "OOMKilled", "137", "log", "log below its end", "evicted"],
)
def test_the_cluster(
    terminated: dict[str, Any] | None,
    status: dict[str, Any],
    told: str,
    cluster: PodsAPI,
    submit: Run,
    server: KubeflowPipelines,
    fail: Callable[..., str],
) -> None:
    """The server has no log any more; the user may ask the cluster."""
    assert submit() == 0
    (run_id,) = server.stored["runs"]
    others = pod("other", "another-run", NODE, {"exitCode": 1, "message": "another run's"})
    cluster.pods = [others, pod(POD, run_id, NODE, terminated, **status)]
    cluster.logs = {POD: "penstock: what the log says\n"}
    assert fail().startswith(f"trainer: {told}")


def test_the_namespace_is_that_of_the_settings(cluster: PodsAPI, fail: Callable[..., str]) -> None:
    told = fail("--namespace", "team")
    assert told == f"trainer: its log tells why: kubectl logs -n team {POD} -c main\n"
    assert [one.path for one in cluster.requests] == ["/api/v1/namespaces/team/pods"]


@pytest.mark.parametrize("failure", [Status(403, "forbidden"), Hang(3)], ids=["no access", "no answer"])
def test_what_does_not_answer_is_passed_over(
    failure: Any, cluster: PodsAPI, server: KubeflowPipelines, fail: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causes, "LIMIT", 1.0)
    server.fail("GET", "/runs/{id}/nodes/{id}/log", failure, failure)
    cluster.fail("GET", "/api/v1/namespaces/kubeflow/pods", failure)
    assert fail() == f"trainer: its log tells why: kubectl logs -n kubeflow {POD} -c main\n"
