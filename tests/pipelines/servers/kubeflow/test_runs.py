"""After submitting: following a run, ending it, and schedules."""

from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core.services import kubeflow_runs
from penstock.pipelines.cli import main
from tests.servers import argo_nodes
from tests.servers.argo_nodes import task
from tests.servers.kubeflow_pipelines import CtrlC, Cut, KubeflowPipelines, Status

NOWHERE = "http://127.0.0.1:9"
Run = Callable[..., int]


LINE = "the run ended failed: "


def run_of(server: KubeflowPipelines) -> str:
    (run_id,) = server.stored["runs"]
    return run_id


def lines(told: str) -> list[list[str]]:
    """Returns the words of what is told of tasks: after the run and its link, before how it ended."""
    return [line.split() for line in told.splitlines()[2:]]


@pytest.mark.parametrize("attempts", [True, False], ids=["2.17", "2.16"])
def test_wait_tells_each_change_once(
    attempts: bool, submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    first, done = task("csv-example-gen", "RUNNING"), task("csv-example-gen", "SUCCEEDED")
    server.states = [
        {"state": "PENDING"},
        argo_nodes.run(first, state="RUNNING", attempts=attempts),
        argo_nodes.run(first, state="RUNNING", attempts=attempts),
        argo_nodes.run({**done, **task("trainer", "RUNNING", at=3)}, state="RUNNING", attempts=attempts),
        argo_nodes.run({**done, **task("trainer", "RUNNING", tries=2, at=3)}, state="RUNNING", attempts=attempts),
        argo_nodes.run({**done, **task("trainer", "SUCCEEDED", tries=2, at=3)}, state="SUCCEEDED", attempts=attempts),
    ]
    server.fail("GET", "/runs/{id}", Status(503), Cut(after=False))
    assert submit("--wait", "--interval", "0.01") == 0
    *tasks, end = lines(capsys.readouterr().out)
    assert tasks[:5] == [
        ["csv-example-gen", "running"],
        ["csv-example-gen", "succeeded", "2.0", "s"],
        ["trainer", "running"],
        ["trainer", "running", "try", "2"],
        ["trainer", "succeeded", "2.0", "s", "try", "2"],
    ]
    assert end == ["succeeded"]
    left = {name for name, state in tasks[5:] if state == "skipped"}
    assert left == {"input-resolver", "statistics-gen", "schema-gen", "example-validator", "transform", "pusher"} | {
        "latest-blessed-model",
        "evaluator",
        "infra-validator",
    }


def test_wait_tells_the_last_states_where_they_are_late(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server writes a run's state before those of its tasks."""
    before = argo_nodes.run(task("csv-example-gen", "RUNNING"), state="RUNNING", attempts=True)
    after = task("csv-example-gen", "SUCCEEDED") | task("statistics-gen", "SUCCEEDED", at=3)
    server.states = [
        before,
        *[before | {"state": "SUCCEEDED"}] * 2,
        argo_nodes.run(after, state="SUCCEEDED", attempts=True),
    ]
    assert submit("--wait", "--interval", "0.01") == 0
    told = lines(capsys.readouterr().out)
    assert told[:3] == [
        ["csv-example-gen", "running"],
        ["csv-example-gen", "succeeded", "2.0", "s"],
        ["statistics-gen", "succeeded", "2.0", "s"],
    ]
    assert ["statistics-gen", "skipped"] not in told


def test_wait_does_not_wait_for_ever_for_the_last_states(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    server.states = [argo_nodes.run(task("trainer", "RUNNING"), state="RUNNING", attempts=True), {"state": "SUCCEEDED"}]
    assert submit("--wait", "--interval", "0.01") == 0
    assert lines(capsys.readouterr().out)[-1] == ["succeeded"]


@pytest.mark.parametrize("attempts", [True, False], ids=["2.17", "2.16"])
def test_wait_ends_with_the_sentence_of_the_task_that_failed(
    attempts: bool, submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = task("csv-example-gen", "SUCCEEDED") | task("trainer", "FAILED", at=3) | task("evaluator", None)
    server.states = [argo_nodes.run(inside, state="FAILED", attempts=attempts)]
    node = "small-x7k2p(0).root(0).trainer(0).executor(0)" if attempts else "small-x7k2p.root.trainer.executor"
    server.logs = {
        argo_nodes.pod_name("system-container-impl", node): "2026-01-01 training\npenstock: module.py has no run_fn\n"
        "  line 3\nF1129 11:28:26.019 1 main.go:49] failed to execute component: exit status 2\n"
    }
    assert submit("--wait", "--interval", "0.01") == 1
    told = capsys.readouterr()
    assert told.err.endswith(f"penstock: {LINE}trainer: module.py has no run_fn\n  line 3\n")
    shown = lines(told.out)
    assert shown[:2] == [["csv-example-gen", "succeeded", "2.0", "s"], ["trainer", "failed", "2.0", "s"]]
    assert {words[1] for words in shown[2:]} == {"skipped"}
    assert ["evaluator", "skipped"] in shown
    assert len(shown) == len({words[0] for words in shown})


def test_wait_says_why_a_run_without_tasks_failed(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    server.states = [{"state": "FAILED", "error": {"message": "no such service account"}}]
    assert submit("--wait", "--interval", "0.01") == 1
    assert capsys.readouterr().err.endswith("penstock: the run ended failed: no such service account\n")


def test_wait_tells_what_the_server_says_itself(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """KFP 2.17 gives no errors of tasks, but its API has a place for them."""
    answer = argo_nodes.run(task("trainer", "FAILED"), state="FAILED", attempts=True)
    for one in answer["run_details"]["task_details"]:
        if one.get("display_name") == "trainer":
            one["error"] = {"code": 2, "message": "main: Error\n (exit code 1)"}
    server.states = [answer]
    assert submit("--wait", "--interval", "0.01") == 1
    assert capsys.readouterr().err.endswith(f"penstock: {LINE}trainer: main: Error (exit code 1)\n")


def test_cancel(
    config: Path,
    submit: Run,
    server: KubeflowPipelines,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert submit() == 0
    (run_id,) = server.stored["runs"]
    server.fail("POST", "/runs/{id}:terminate", Status(503))
    assert main.main(["cancel", run_id, str(config), "--host", server.url]) == 0
    assert server.stored["runs"][run_id]["state"] == "CANCELING"
    capsys.readouterr()
    monkeypatch.chdir(config.parent.parent)  # where there is no pipeline.yaml
    nobody = "00000000-0000-4000-8000-000000000000"
    assert main.main(["cancel", nobody, "--host", server.url]) == 2
    assert capsys.readouterr().err.endswith(f"ResourceNotFoundError: Run {nobody} not found): check the name or id\n")


def test_a_lost_answer_to_cancel(
    submit: Run, server: KubeflowPipelines, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server refuses to end what it is ending."""
    assert submit() == 0
    (run_id,) = server.stored["runs"]
    server.fail("POST", "/runs/{id}:terminate", Cut(after=True))
    assert main.main(["cancel", run_id, str(config), "--host", server.url]) == 0
    assert len(server.sent("POST", "/runs/{id}:terminate")) == 2
    assert f"{run_id}: asked to stop" in capsys.readouterr().out


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED"])
def test_a_run_that_has_ended_is_not_cancelled(
    state: str, submit: Run, server: KubeflowPipelines, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit() == 0
    (run_id,) = server.stored["runs"]
    server.stored["runs"][run_id]["state"] = state
    assert main.main(["cancel", run_id, str(config), "--host", server.url]) == 2
    assert capsys.readouterr().err.endswith(f"the run {run_id} has ended already: {state.lower()}\n")


def test_a_refusal_to_cancel_is_told(
    submit: Run, server: KubeflowPipelines, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit() == 0
    (run_id,) = server.stored["runs"]
    server.fail("POST", "/runs/{id}:terminate", Status(403, "not yours"))
    assert main.main(["cancel", run_id, str(config), "--host", server.url]) == 2
    assert "does not let this account do that (403: not yours)" in capsys.readouterr().err


def test_wait_knows_a_run_that_was_cancelled(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends as FAILED, and so do the tasks that were ended."""
    running = argo_nodes.run(task("trainer", "RUNNING"), state="RUNNING", attempts=True)
    ended = argo_nodes.run(task("trainer", "FAILED"), state="FAILED", attempts=True)
    server.states = [running, running | {"state": "CANCELING"}, ended]
    assert submit("--wait", "--interval", "0.01") == 1
    assert capsys.readouterr().err.endswith("penstock: the run ended canceled\n")
    assert not [one for one in server.requests if one.route.endswith("/log")]


def test_schedules(config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]) -> None:
    def schedule(command: str, *arguments: str) -> int:
        return main.main(["schedule", command, *arguments, "--host", server.url])

    assert schedule("list", str(config)) == 0
    assert "no schedule on" in capsys.readouterr().out
    assert schedule("create", str(config), "--cron", "0 0 6 * * *", "--param", "train_steps=7") == 0
    assert schedule("create", str(config), "--every", "3600", "--name", "hourly", "--experiment", "trials") == 0
    daily, hourly = server.sent("POST", "/recurringruns")
    assert daily["trigger"] == {"cron_schedule": {"cron": "0 0 6 * * *"}}
    assert hourly["trigger"] == {"periodic_schedule": {"interval_second": "3600"}}
    assert daily["runtime_config"] == {"parameters": {"train_steps": 7}}
    assert daily["mode"] == "ENABLE"
    assert server.names("experiments") == ["small", "trials"]
    assert schedule("pause", "hourly", str(config)) == 0
    capsys.readouterr()
    assert schedule("list", str(config)) == 0
    listed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert listed == [
        ["hourly", "disabled", "every", "3600", "s"],
        ["small", "enabled", "cron", "0", "0", "6", "*", "*", "*"],
    ]
    assert schedule("resume", "hourly", str(config)) == 0
    assert {one["status"] for one in server.stored["recurringruns"].values()} == {"ENABLED"}
    server.fail("DELETE", "/recurringruns/{id}", Cut(after=True))
    assert schedule("delete", "hourly", str(config)) == 0
    assert server.names("recurringruns") == ["small"]
    assert schedule("delete", "hourly", str(config)) == 2
    assert "has no schedule 'hourly'" in capsys.readouterr().err


@pytest.mark.parametrize("failure", [Cut(after=True), Cut(after=False)])
def test_a_schedule_is_replaced_only_when_asked(
    failure: Cut, config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["schedule", "create", str(config), "--host", server.url, "--every"]
    assert main.main([*arguments, "60"]) == 0
    assert main.main([*arguments, "90"]) == 2
    assert "has a schedule 'small' already: choose another --name, or --replace it" in capsys.readouterr().err
    server.fail("POST", "/recurringruns", failure)
    assert main.main([*arguments, "90", "--replace"]) == 0
    (one,) = server.stored["recurringruns"].values()
    assert one["trigger"] == {"periodic_schedule": {"interval_second": "90"}}


@pytest.mark.parametrize("failure", [Status(403, "not yours"), CtrlC()], ids=["refused", "interrupted"])
def test_a_schedule_that_could_not_be_replaced_is_told(
    failure: Status | CtrlC, config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both fire then. The same command mends it."""
    arguments = ["schedule", "create", str(config), "--host", server.url, "--every"]
    assert main.main([*arguments, "60"]) == 0
    server.stored["recurringruns"] |= {"there": {**next(iter(server.stored["recurringruns"].values()))}}
    server.stored["recurringruns"]["there"]["recurring_run_id"] = "there"
    capsys.readouterr()
    server.fail("DELETE", "/recurringruns/{id}", failure)
    assert main.main([*arguments, "90", "--replace"]) == (1 if isinstance(failure, Status) else 130)
    told = capsys.readouterr().err
    assert "the old one may not be deleted, and then both start runs: repeat this command" in told
    assert ("(403: not yours)" in told) == isinstance(failure, Status)
    assert server.names("recurringruns").count("small") > 1
    assert main.main([*arguments, "90", "--replace"]) == 0
    (one,) = server.stored["recurringruns"].values()
    assert one["trigger"] == {"periodic_schedule": {"interval_second": "90"}}


def test_a_schedules_name_that_the_server_cannot_store(
    config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["schedule", "create", str(config), "--host", server.url, "--every", "60", "--name", "😀"]) == 2
    assert "schedule '😀': expected a name without '😀'" in capsys.readouterr().err
    assert not server.requests


def test_schedules_of_one_name_are_changed_and_told(
    config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    for identity in "ab":
        server.stored["recurringruns"][identity] = {"recurring_run_id": identity, "display_name": "daily"}
    for command in ("pause", "resume", "delete"):
        assert main.main(["schedule", command, "daily", str(config), "--host", server.url]) == 0
        assert capsys.readouterr().out == f"daily: {command}d, all 2 schedules of this name\n"
    assert server.stored["recurringruns"] == {}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--cron", "0 6 * * *"], "Kubeflow's cron has six fields, seconds first: write '0 0 6 * * *'"),
        (["--cron", "6 *"], "expected six fields (second minute hour day month weekday), not 2"),
        (["--cron", "@daily"], "six fields (second minute hour day month weekday): write '0 0 0 * * *'"),
        (["--cron", "@every 1h"], "six fields (second minute hour day month weekday), or --every SECONDS"),
        (["--cron", "TZ=Europe/Berlin 0 0 6 * * *"], "without a time zone: they are read in UTC, unless the server's"),
        (["--cron", "99 0 6 * * *"], "--cron '99 0 6 * * *': second: expected 0 to 59, *, a range"),
        ([], "expected either --cron, such as --cron '0 0 6 * * *', or --every SECONDS"),
        (["--cron", "0 0 6 * * *", "--every", "3"], "expected either --cron"),
    ],
)
def test_wrong_trigger(arguments: list[str], told: str, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["schedule", "create", str(config), "--host", NOWHERE, *arguments]) == 2
    assert told in capsys.readouterr().err


def test_more_schedules_than_a_page(
    config: Path, server: KubeflowPipelines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kubeflow_runs, "_PAGE", 2)
    for name in "abc":
        server.stored["recurringruns"][name] = {"recurring_run_id": name, "display_name": name}
    assert main.main(["schedule", "list", str(config), "--host", server.url]) == 0
    assert capsys.readouterr().out.split() == ["a", "b", "c"]
