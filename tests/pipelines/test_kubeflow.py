"""Submitting to Kubeflow: the real client against the loopback server, and what a person reads of it."""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kfp
import pytest
import yaml

from penstock.pipelines import cli, kubeflow, kubeflow_server, submission
from penstock.pipelines.deployment import Kubeflow
from tests.servers.kubeflow_pipelines import Cut, Hang, KubeflowPipelines, Status

NOWHERE = "http://127.0.0.1:9"
Run = Callable[..., int]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeflow_server, "PAUSE", 0.01)
    monkeypatch.delenv(kubeflow_server.HOST_VARIABLE, raising=False)


@pytest.fixture
def server() -> Iterator[KubeflowPipelines]:
    with KubeflowPipelines() as running:
        yield running


@pytest.fixture
def config(project: Path, values: dict[str, Any]) -> Path:
    path = project / "pipeline.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.fixture
def compiled(config: Path) -> Path:
    path = config.parent / "compiled.yaml"
    assert cli.main(["compile", str(config), "--target", "kubeflow", "-o", str(path)]) == 0
    return path


@pytest.fixture
def submit(compiled: Path, server: KubeflowPipelines) -> Run:
    """Returns a function that submits the compiled pipeline with more arguments."""

    def submit(*arguments: str) -> int:
        return cli.main(["submit", str(compiled), "--host", server.url, *arguments])

    return submit


def test_a_configuration_is_compiled_and_submitted(
    config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["submit", str(config), "--target", "kubeflow", "--host", server.url, "--label", "a"]) == 0
    (run,) = server.sent("POST", "/runs")
    (run_id,) = server.stored["runs"]
    assert re.fullmatch(r"small-\d{8}-\d{6}-[0-9a-f]{6}", run["display_name"])
    assert run["pipeline_spec"]["pipelineInfo"]["name"] == "small"
    reader = run["pipeline_spec"]["root"]["dag"]["tasks"]["csv-example-gen"]["inputs"]["parameters"]
    assert reader["label"]["runtimeValue"]["constant"] == "a"
    assert run["runtime_config"] == {"parameters": {}}
    assert server.names("experiments") == ["small"]
    assert capsys.readouterr().out == f"run   {run_id}\nlink  {server.url}/#/runs/details/{run_id}\n"


def test_settings_of_the_file(config: Path, server: KubeflowPipelines, values: dict[str, Any]) -> None:
    values["kubeflow"] = {"host": f"{server.url}/", "namespace": "team", "experiment": "trials"}
    config.write_text(yaml.safe_dump(values))
    assert cli.main(["submit", str(config)]) == 0
    assert cli.main(["submit", str(config), "--experiment", "trials"]) == 0
    (experiment,) = server.sent("POST", "/experiments")
    assert experiment == {"display_name": "trials", "namespace": "team"}
    assert len(set(server.names("runs"))) == 2
    assert {one.query["namespace"] for one in server.requests if one.route == "/experiments" and one.query} == {"team"}


@pytest.mark.parametrize("settings", [[], ["--set", "kubernetes.default={volumes: [{claim: data, mount: /data}]}"]])
def test_what_is_sent_is_what_kfps_own_client_sends(
    config: Path, server: KubeflowPipelines, settings: list[str]
) -> None:
    file = config.parent / "compiled.yaml"
    assert cli.main(["compile", str(config), "--target", "kubeflow", "-o", str(file), *settings]) == 0
    assert cli.main(["submit", str(file), "--host", server.url, "--param", "train_steps=3"]) == 0
    client = kfp.Client(host=server.url, namespace="team")
    client.create_run_from_pipeline_package(str(file), {"train_steps": 3}, experiment_name="small", run_name="theirs")
    ours, theirs = server.sent("POST", "/runs")
    assert ("platform_spec" in ours["pipeline_spec"]) == bool(settings)
    assert {**ours, "display_name": "theirs"} == theirs
    assert {one.run_id for one in client.list_runs(page_size=1).runs} < set(server.stored["runs"])


def test_parameters_have_their_declared_types(tmp_path: Path, server: KubeflowPipelines) -> None:
    @kfp.dsl.component
    def show(text: str, number: int, share: float, on: bool, names: list, more: dict) -> None:
        pass

    @kfp.dsl.pipeline(name="typed")
    def pipeline(text: str, number: int, share: float, on: bool, names: list, more: dict, rest: str = "") -> None:
        show(text=text, number=number, share=share, on=on, names=names, more=more)

    file = tmp_path / "typed.yaml"
    kfp.compiler.Compiler().compile(pipeline, str(file))
    given = ["text=5", "number=5", "share=0.5", "on=True", 'names=["a"]', 'more={"a": 1}']
    arguments = [part for one in given for part in ("--param", one)]
    assert cli.main(["submit", str(file), "--host", server.url, *arguments]) == 0
    parameters = server.sent("POST", "/runs")[0]["runtime_config"]["parameters"]
    assert parameters == {"text": "5", "number": 5, "share": 0.5, "on": True, "names": ["a"], "more": {"a": 1}}


@pytest.mark.parametrize(
    ("param", "told"),
    [
        ("train_step=3", "--param train_step: unknown; did you mean 'train_steps'?"),
        ("zzz=3", "--param zzz: unknown; expected one of eval_steps, input_base"),
        ("train_steps=3.5", "--param train_steps: expected a whole number, received '3.5'"),
        ("train_steps", "--param train_steps: expected key=value"),
    ],
)
def test_wrong_parameter(
    param: str, told: str, submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit("--param", param) == 2
    assert told in capsys.readouterr().err
    assert server.requests == []


def test_missing_parameter(compiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = yaml.safe_load(compiled.read_text())
    spec["root"]["inputDefinitions"]["parameters"]["train_steps"] = {"parameterType": "NUMBER_INTEGER"}
    compiled.write_text(yaml.safe_dump(spec))
    assert cli.main(["submit", str(compiled), "--host", NOWHERE]) == 2
    assert "no value for train_steps: expected --param train_steps=VALUE" in capsys.readouterr().err


def test_no_cache_holds_in_conditions_too(submit: Run, server: KubeflowPipelines) -> None:
    assert submit() == 0
    assert submit("--no-cache") == 0
    cached, uncached = (yaml.safe_dump(body["pipeline_spec"]) for body in server.sent("POST", "/runs"))
    assert "enableCache: true" in cached
    assert "enableCache: true" not in uncached
    assert uncached.count("cachingOptions") == cached.count("cachingOptions")


@pytest.mark.parametrize(
    ("failures", "posts"),
    [
        ([Cut(after=True)], 1),
        ([Cut(after=False)], 2),
        ([Status(500, "database is locked")], 2),
        ([Status(503, html="<html>busy</html>"), Cut(after=False)], 3),
        ([Cut(after=False), Cut(after=False), Cut(after=True)], 3),
    ],
)
def test_a_lost_answer_never_starts_a_second_run(
    failures: list[Any], posts: int, submit: Run, server: KubeflowPipelines
) -> None:
    server.fail("POST", "/runs", *failures)
    assert submit() == 0
    assert len(server.stored["runs"]) == 1
    assert len(server.sent("POST", "/runs")) == posts


def test_a_run_that_starts_after_the_timeout_is_found(
    submit: Run, server: KubeflowPipelines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kubeflow_server, "PAUSE", 0.5)
    server.fail("POST", "/runs", Hang(1.3, effect=True))
    assert submit("--set", "kubeflow.timeout=1") == 0
    (run_id,) = server.stored["runs"]
    assert f"run   {run_id}" in capsys.readouterr().out
    assert len(server.sent("POST", "/runs")) == 1


def test_after_a_timeout_nothing_is_sent_again(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server may still be at it: the run that would be started now could be the second."""
    server.fail("POST", "/runs", Hang(1.5))
    assert submit("--set", "kubeflow.timeout=1", "--name", "mine") == 1
    told = capsys.readouterr().err
    assert len(server.sent("POST", "/runs")) == 1
    assert "it is not known whether the run mine was started" in told
    assert "submit again with --name mine, which starts no second one" in told


def test_what_cannot_be_looked_up_is_not_sent_again(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fail("POST", "/runs", Cut(after=True))
    server.fail("GET", "/runs", *[Cut(after=False)] * 9)
    assert submit() == 1
    assert len(server.stored["runs"]) == 1
    assert "it is not known whether the run small-" in capsys.readouterr().err


def test_a_name_is_used_once(submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit("--name", "mine") == 0
    assert submit("--name", "mine") == 2
    assert server.names("runs") == ["mine"]
    assert "has a run 'mine' already" in capsys.readouterr().err


def test_a_servers_retry_after_is_waited_for(submit: Run, server: KubeflowPipelines) -> None:
    server.fail("POST", "/runs", Status(429, "slow down", headers={"Retry-After": "1"}))
    started = time.monotonic()
    assert submit() == 0
    assert time.monotonic() - started >= 1
    assert len(server.stored["runs"]) == 1


def test_an_experiment_that_somebody_else_makes_meanwhile(submit: Run, server: KubeflowPipelines) -> None:
    assert submit() == 0
    server.fail("GET", "/experiments", Status(200, headers={}))  # an answer that has none of it yet
    server.fail("POST", "/experiments", Status(409, "already exists"))
    assert submit() == 0
    assert server.names("experiments") == ["small"]


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        (Status(401, "Unauthenticated"), 2, "wants a sign-in (401): set kubeflow.token_env"),
        (Status(302, html="<html>", headers={"Location": "/dex/auth"}), 2, "wants a sign-in (302)"),
        (Status(403, "not authorized"), 2, "does not let this account do that (403: not authorized): check kubeflow.n"),
        (Status(404, html="<html>"), 2, "has no KFP API (404): check kubeflow.host"),
        (Status(404, "experiment x not found"), 2, "does not know that (404: experiment x not found): check the name"),
        (Status(409, "exists"), 2, "has that already (409: exists): choose another name"),
        (Status(400, "bad spec\nstack"), 2, "refuses the request (400: bad spec)"),
        (Status(429, "slow"), 1, "has too many requests (429: slow): try again later"),
        (Status(500, html="<html>oops</html>"), 1, "failed (500): try again"),
        (Cut(after=False), 1, "was cut: try again"),
        (Status(200, html="<html>Sign in</html>"), 2, "answered with a page, not as a KFP API"),
        (Status(200, "another API"), 2, "does not answer as a KFP API does: check kubeflow.host"),
    ],
)
def test_each_failure_is_one_sentence(
    failure: Any, code: int, told: str, submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fail("POST", "/runs", *[failure] * 3)
    assert submit() == code
    _, sentence = capsys.readouterr().err.splitlines()  # after the warning of local paths
    assert sentence.startswith("penstock: ")
    assert server.url in sentence
    assert told in sentence
    assert "<" not in sentence
    assert server.stored["runs"] == {}


def test_a_redirect_to_tls(submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]) -> None:
    server.fail("GET", "/experiments", Status(308, headers={"Location": f"{server.url.replace('http', 'https')}/apis"}))
    assert submit() == 2
    assert f"{server.url} is only there with TLS: write https:// in kubeflow.host" in capsys.readouterr().err


def test_a_hanging_server_ends_in_one_sentence(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fail("GET", "/experiments", *[Hang(1.3)] * 3)
    assert submit("--set", "kubeflow.timeout=1") == 1
    assert f"penstock: {server.url} did not answer in 1 s: try again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "told"),
    [
        (NOWHERE, "no server answers at http://127.0.0.1:9: check kubeflow.host"),
        ("http://nowhere.invalid", "http://nowhere.invalid: there is no server of that name"),
        ("http://127.0.0.1:x", "is no address: check kubeflow.host"),
        ("kubeflow.example.com", "--host: kubeflow.host: string should match pattern"),
    ],
)
def test_wrong_host(host: str, told: str, compiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["submit", str(compiled), "--host", host]) == 2
    assert told in capsys.readouterr().err


def test_tls_where_there_is_none(compiled: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]) -> None:
    host = server.url.replace("http:", "https:")
    assert cli.main(["submit", str(compiled), "--host", host]) == 2
    assert f"{host} does not speak TLS: write http:// in kubeflow.host" in capsys.readouterr().err


def test_the_variable_stands_in_for_an_absent_host(
    compiled: Path, server: KubeflowPipelines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["submit", str(compiled)]) == 2
    assert "kubeflow.host is missing" in capsys.readouterr().err
    monkeypatch.setenv(kubeflow_server.HOST_VARIABLE, NOWHERE)
    assert cli.main(["submit", str(compiled), "--host", server.url]) == 0
    monkeypatch.setenv(kubeflow_server.HOST_VARIABLE, server.url)
    assert cli.main(["submit", str(compiled)]) == 0
    monkeypatch.setenv(kubeflow_server.HOST_VARIABLE, "127.0.0.1")
    assert cli.main(["submit", str(compiled)]) == 2


@pytest.mark.parametrize("way", ["token_env", "token_file", "service_account_token"])
def test_a_token_signs_in(
    way: str, compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    value = {"token_env": "MY_TOKEN", "token_file": str(file), "service_account_token": "true"}[way]
    with KubeflowPipelines(required={"authorization": "Bearer s3cret"}) as server:
        arguments = ["submit", str(compiled), "--host", server.url, "--set", f"kubeflow.{way}={value}"]
        assert cli.main(arguments) == 2
        assert f"kubeflow.{way}: " in capsys.readouterr().err
        file.write_text("s3cret\n")
        monkeypatch.setenv("MY_TOKEN", "s3cret")
        assert cli.main(arguments) == 0
        assert cli.main(arguments[:4]) == 2
        assert "wants a sign-in (401)" in capsys.readouterr().err


def test_cookies_sign_in(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEX", "authservice_session=abc")
    with KubeflowPipelines(required={"Cookie": "authservice_session=abc"}) as server:
        assert cli.main(["submit", str(compiled), "--host", server.url, "--set", "kubeflow.cookies_env=DEX"]) == 0


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("kubeflow={token_env: A, cookies_env: B}", "expected one way to sign in, received token_env, cookies_env"),
        ("kubeflow.token=x", "unknown key 'kubeflow.token'; did you mean 'token_env'?"),
        ("kubeflow.ssl_ca_cert=/nix.pem", "kubeflow.ssl_ca_cert: /nix.pem: No such file"),
        ("training.train_steps=1", "unknown key 'training'"),
    ],
)
def test_wrong_setting(setting: str, told: str, compiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["submit", str(compiled), "--set", setting, "--host", NOWHERE]) == 2
    assert told in capsys.readouterr().err


def test_other_targets(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["submit", str(config), "--target", "vertex", "--host", NOWHERE]) == 2
    assert "--target vertex: expected kubeflow" in capsys.readouterr().err
    assert cli.main(["submit", str(config), "--target", "kubflow", "--host", NOWHERE]) == 2
    assert "did you mean 'kubeflow'?" in capsys.readouterr().err


def test_local_paths_are_warned_of(config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["submit", str(config), "--host", server.url]
    assert cli.main(arguments) == 0
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"warning: input_base ({config.parent}), module_file (")
    assert "pipeline_root (" in warning
    assert cli.main([*arguments, "--param", "input_base=gs://bucket/data"]) == 0
    assert "input_base" not in capsys.readouterr().err
    volume = f"kubernetes.default={{volumes: [{{claim: data, mount: {config.parent}}}]}}"
    assert cli.main([*arguments, "--set", volume]) == 0
    assert capsys.readouterr().err == ""


def _node(identity: str, name: str, state: str, *children: str, error: str = "") -> dict[str, Any]:
    node: dict[str, Any] = {"task_id": identity, "display_name": name, "state": state}
    if state in ("SUCCEEDED", "FAILED"):
        node |= {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:00:02Z"}
    return node | ({"error": {"message": error}} if error else {}) | {"child_tasks": [{"task_id": c} for c in children]}


def _run(state: str, *nodes: dict[str, Any]) -> dict[str, Any]:
    return {"state": state, "run_details": {"task_details": list(nodes)}}


def test_wait_tells_each_change_once(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    root, driver = _node("0", "small-x7k2p", "RUNNING", "1", "2", "3"), _node("1", "root-driver", "SUCCEEDED")
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
            _node("0", "small-x7k2p", "FAILED", "1"),
            _node("1", "condition-1", "FAILED", "2"),
            _node("2", "trainer", "FAILED", "3"),
            _node("3", "executor", "FAILED", error="main: Error\n (exit code 1)"),
        )
    ]
    assert submit("--wait", "--interval", "0.01") == 1
    told = capsys.readouterr()
    assert told.err.splitlines()[-1] == "penstock: the run ended failed: trainer: main: Error (exit code 1)"
    assert "executor" not in told.out


def test_wait_says_why_a_run_without_tasks_failed(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    server.states = [{"state": "FAILED", "error": {"message": "no such service account"}}]
    assert submit("--wait", "--interval", "0.01") == 1
    assert capsys.readouterr().err.endswith("penstock: the run ended failed: no such service account\n")


def test_ctrl_c_while_waiting(
    submit: Run, server: KubeflowPipelines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kubeflow, "snapshot", interrupt)
    assert submit("--wait") == 130
    (run_id,) = server.stored["runs"]
    assert f"the run goes on; to cancel it: penstock cancel {run_id} --host {server.url}" in capsys.readouterr().err
    assert server.stored["runs"][run_id]["state"] == "PENDING"


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
    assert server.stored["runs"][run_id]["state"] == "CANCELED"
    capsys.readouterr()
    monkeypatch.chdir(config.parent.parent)  # where there is no pipeline.yaml
    assert cli.main(["cancel", "nix", "--host", server.url]) == 2
    assert capsys.readouterr().err.endswith("404: run nix not found): check the name or id\n")


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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--cron", "0 6 * * *"], "Kubeflow's cron has six fields, seconds first: write '0 0 6 * * *'"),
        (["--cron", "6 *"], "expected six fields (second minute hour day month weekday), not 2"),
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


def test_a_compiled_pipeline_is_known_by_its_content(compiled: Path, config: Path, tmp_path: Path) -> None:
    assert submission.is_compiled(compiled)
    assert not submission.is_compiled(config)
    (tmp_path / "text.yaml").write_text("pipelineInfo")
    assert not submission.is_compiled(tmp_path / "text.yaml")
    assert not submission.is_compiled(tmp_path / "nix.yaml")


def test_a_real_server(compiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Starts a run on the server of PENSTOCK_KFP_HOST and cancels it."""
    host = _REAL_HOST
    if not host:
        pytest.skip(f"{kubeflow_server.HOST_VARIABLE} names no Kubeflow Pipelines server")
    assert cli.main(["submit", str(compiled), "--host", host, "--experiment", "penstock-tests"]) == 0
    run_id = capsys.readouterr().out.split()[1]
    server = kubeflow_server.Server(Kubeflow(host=host))
    assert kubeflow.snapshot(server, run_id).state in ("PENDING", "RUNNING")
    assert cli.main(["cancel", run_id, "--host", host]) == 0


_REAL_HOST = os.environ.get(kubeflow_server.HOST_VARIABLE)
