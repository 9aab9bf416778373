"""After submitting: following a run, ending it, and schedules."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.pipelines import cli, kubeflow
from tests.servers.kubeflow_pipelines import CtrlC, Cut, KubeflowPipelines, Status

NOWHERE = "http://127.0.0.1:9"
Run = Callable[..., int]


def _node(identity: str, name: str, state: str, *children: str, error: str = "") -> dict[str, Any]:
    node: dict[str, Any] = {"task_id": identity, "display_name": name, "state": state}
    if state in ("SUCCEEDED", "FAILED"):
        node |= {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:00:02Z"}
    child_tasks = [{"pod_name": child} if child.startswith("small-") else {"task_id": child} for child in children]
    return node | ({"error": {"message": error}} if error else {}) | {"child_tasks": child_tasks}


def _run(state: str, *nodes: dict[str, Any]) -> dict[str, Any]:
    return {"state": state, "run_details": {"task_details": list(nodes)}}


def test_wait_tells_each_change_once(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    root, driver = _node("0", "small-x7k2p", "RUNNING", "small-x7k2p-17"), _node("1", "root-driver", "SUCCEEDED")
    first, second = _node("2", "example-gen", "RUNNING"), _node("3", "trainer", "PENDING")
    server.states = [
        _run("PENDING"),
        _run("RUNNING", root, driver, first, second),
        _run("RUNNING", root, driver, first, second),
        _run("SUCCEEDED", root, driver, _node("2", "example-gen", "SUCCEEDED"), _node("3", "trainer", "SUCCEEDED")),
    ]
    server.fail("GET", "/runs/{id}", Status(503), Cut(after=False))
    assert submit("--wait", "--interval", "0.01") == 0
    _, _, *lines = (line.split() for line in capsys.readouterr().out.splitlines())
    assert lines == [
        ["example-gen", "running"],
        ["trainer", "pending"],
        ["example-gen", "succeeded", "2.0", "s"],
        ["trainer", "succeeded", "2.0", "s"],
        ["succeeded"],
    ]


def test_wait_names_the_task_that_failed(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    server.states = [
        _run(
            "FAILED",
            _node("0", "small-x7k2p", "FAILED", "small-x7k2p-17"),
            _node("1", "condition-1", "FAILED", "2"),
            _node("2", "trainer", "FAILED", "3"),
            _node("3", "executor", "FAILED", error="main: Error\n (exit code 1)"),
        )
    ]
    assert submit("--wait", "--interval", "0.01") == 1
    told = capsys.readouterr()
    assert told.err.splitlines()[-1] == "penstock: the run ended failed: trainer: main: Error (exit code 1)"
    assert "executor" not in told.out


def test_wait_names_the_task_where_the_server_gives_no_reason(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """As servers of KFP 2 answer: no errors, and children by their pods."""
    states = dict.fromkeys(("root", "condition-1", "trainer", "executor"), "FAILED")
    states |= dict.fromkeys(("root-driver", "condition-1-driver", "trainer-driver"), "SUCCEEDED")
    nodes = [_node(name, name, state) for name, state in states.items()]
    server.states = [_run("FAILED", _node("0", "small-x7k2p", "FAILED", "small-x7k2p-17"), *nodes)]
    assert submit("--wait", "--interval", "0.01") == 1
    told = capsys.readouterr().err
    assert told.endswith("penstock: the run ended failed: trainer: no reason given, see its log\n")


def test_wait_names_a_driver_that_failed(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    server.states = [_run("FAILED", _node("1", "trainer-driver", "FAILED"), _node("2", "trainer", "SKIPPED"))]
    assert submit("--wait", "--interval", "0.01") == 1
    assert "the run ended failed: trainer-driver: no reason given" in capsys.readouterr().err


def test_wait_says_why_a_run_without_tasks_failed(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    server.states = [{"state": "FAILED", "error": {"message": "no such service account"}}]
    assert submit("--wait", "--interval", "0.01") == 1
    assert capsys.readouterr().err.endswith("penstock: the run ended failed: no such service account\n")


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
    assert cli.main(["cancel", run_id, str(config), "--host", server.url]) == 0
    assert server.stored["runs"][run_id]["state"] == "CANCELING"
    capsys.readouterr()
    monkeypatch.chdir(config.parent.parent)  # where there is no pipeline.yaml
    nobody = "00000000-0000-4000-8000-000000000000"
    assert cli.main(["cancel", nobody, "--host", server.url]) == 2
    assert capsys.readouterr().err.endswith(f"ResourceNotFoundError: Run {nobody} not found): check the name or id\n")


def test_a_lost_answer_to_cancel(
    submit: Run, server: KubeflowPipelines, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server refuses to end what it is ending."""
    assert submit() == 0
    (run_id,) = server.stored["runs"]
    server.fail("POST", "/runs/{id}:terminate", Cut(after=True))
    assert cli.main(["cancel", run_id, str(config), "--host", server.url]) == 0
    assert len(server.sent("POST", "/runs/{id}:terminate")) == 2
    assert f"{run_id}: asked to stop" in capsys.readouterr().out


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED"])
def test_a_run_that_has_ended_is_not_cancelled(
    state: str, submit: Run, server: KubeflowPipelines, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit() == 0
    (run_id,) = server.stored["runs"]
    server.stored["runs"][run_id]["state"] = state
    assert cli.main(["cancel", run_id, str(config), "--host", server.url]) == 2
    assert capsys.readouterr().err.endswith(f"the run {run_id} has ended already: {state.lower()}\n")


def test_a_refusal_to_cancel_is_told(
    submit: Run, server: KubeflowPipelines, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit() == 0
    (run_id,) = server.stored["runs"]
    server.fail("POST", "/runs/{id}:terminate", Status(403, "not yours"))
    assert cli.main(["cancel", run_id, str(config), "--host", server.url]) == 2
    assert "does not let this account do that (403: not yours)" in capsys.readouterr().err


def test_wait_knows_a_run_that_was_cancelled(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends as FAILED, and so do the tasks that were ended."""
    trainer = _node("2", "trainer", "RUNNING")
    server.states = [
        _run("RUNNING", trainer),
        _run("CANCELING", trainer),
        _run("FAILED", {**trainer, "state": "FAILED"}),
    ]
    assert submit("--wait", "--interval", "0.01") == 1
    assert capsys.readouterr().err.endswith("penstock: the run ended canceled\n")


def test_wait_tells_tasks_not_argos_nodes(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a server of KFP 2 has them: an exit handler, in it a task that worked the second time, and a loop."""
    names = ["root-driver", "root", "exit-handler-1-driver", "exit-handler-1", "trainer-driver", "trainer"]
    loop = ["iteration-driver", "iteration-iterations", "iteration-iterations(0:0)", "iteration-item-driver"]
    names += ["executor", "executor(0)", "executor(1)", "for-loop-2", *loop, "iteration-item", "pusher-driver"]
    names += ["exit-handler-1.onExit", "tell-driver", "tell", "executor"]
    states = {"executor(0)": "FAILED", **dict.fromkeys(("exit-handler-1", "for-loop-2", "pusher-driver"), "FAILED")}
    nodes = [_node(str(number), name, states.get(name, "SUCCEEDED")) for number, name in enumerate(names)]
    server.states = [_run("FAILED", _node("w", "small-x7k2p", "FAILED", "small-x7k2p-17"), *nodes)]
    assert submit("--wait", "--interval", "0.01") == 1
    told = capsys.readouterr()
    shown = [line.split()[0] for line in told.out.splitlines()[2:]]
    assert shown == ["exit-handler-1", "trainer", "for-loop-2", "pusher-driver", "tell"]
    assert told.err.endswith("penstock: the run ended failed: pusher-driver: no reason given, see its log\n")


@pytest.mark.parametrize("state", [{}, {"state": "RUNTIME_STATE_UNSPECIFIED"}])
def test_wait_tells_what_was_left_out(
    state: dict[str, str], submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """A task after one that failed: Argo calls it Omitted, which is none of KFP's states."""
    omitted = {"task_id": "2", "display_name": "pusher", "end_time": "0001-01-01T00:00:00Z", **state}
    server.states = [_run("FAILED", _node("1", "trainer", "FAILED"), omitted)]
    assert submit("--wait", "--interval", "0.01") == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[-1].split() == ["pusher", "skipped"]
    assert told.err.endswith("the run ended failed: trainer: no reason given, see its log\n")


def test_schedules(config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]) -> None:
    def schedule(command: str, *arguments: str) -> int:
        return cli.main(["schedule", command, *arguments, "--host", server.url])

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
    assert cli.main([*arguments, "60"]) == 0
    assert cli.main([*arguments, "90"]) == 2
    assert "has a schedule 'small' already: choose another --name, or --replace it" in capsys.readouterr().err
    server.fail("POST", "/recurringruns", failure)
    assert cli.main([*arguments, "90", "--replace"]) == 0
    (one,) = server.stored["recurringruns"].values()
    assert one["trigger"] == {"periodic_schedule": {"interval_second": "90"}}


@pytest.mark.parametrize("failure", [Status(403, "not yours"), CtrlC()], ids=["refused", "interrupted"])
def test_a_schedule_that_could_not_be_replaced_is_told(
    failure: Status | CtrlC, config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both fire then. The same command mends it."""
    arguments = ["schedule", "create", str(config), "--host", server.url, "--every"]
    assert cli.main([*arguments, "60"]) == 0
    server.stored["recurringruns"] |= {"there": {**next(iter(server.stored["recurringruns"].values()))}}
    server.stored["recurringruns"]["there"]["recurring_run_id"] = "there"
    capsys.readouterr()
    server.fail("DELETE", "/recurringruns/{id}", failure)
    assert cli.main([*arguments, "90", "--replace"]) == (1 if isinstance(failure, Status) else 130)
    told = capsys.readouterr().err
    assert "the old one may not be deleted, and then both start runs: repeat this command" in told
    assert ("(403: not yours)" in told) == isinstance(failure, Status)
    assert server.names("recurringruns").count("small") > 1
    assert cli.main([*arguments, "90", "--replace"]) == 0
    (one,) = server.stored["recurringruns"].values()
    assert one["trigger"] == {"periodic_schedule": {"interval_second": "90"}}


def test_schedules_of_one_name_are_changed_and_told(
    config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    for identity in "ab":
        server.stored["recurringruns"][identity] = {"recurring_run_id": identity, "display_name": "daily"}
    for command in ("pause", "resume", "delete"):
        assert cli.main(["schedule", command, "daily", str(config), "--host", server.url]) == 0
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
    assert cli.main(["schedule", "create", str(config), "--host", NOWHERE, *arguments]) == 2
    assert told in capsys.readouterr().err


def test_more_schedules_than_a_page(
    config: Path, server: KubeflowPipelines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kubeflow, "_PAGE", 2)
    for name in "abc":
        server.stored["recurringruns"][name] = {"recurring_run_id": name, "display_name": name}
    assert cli.main(["schedule", "list", str(config), "--host", server.url]) == 0
    assert capsys.readouterr().out.split() == ["a", "b", "c"]
