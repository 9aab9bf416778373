"""Submitting to Kubeflow: what is sent, by the real client to the loopback server, and that it is sent once."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kfp
import pytest
import yaml

from penstock.core.errors import ServerError
from penstock.core.services import retries
from penstock.pipelines.cli import main
from penstock.pipelines.config.servers import Kubeflow
from penstock.pipelines.servers import submission
from penstock.pipelines.servers.kubeflow.service import KubeflowService
from tests.servers.kubeflow_pipelines import CtrlC, Cut, Hang, KubeflowPipelines, Status

NOWHERE = "http://127.0.0.1:9"
Run = Callable[..., int]


def test_a_configuration_is_compiled_and_submitted(
    config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["submit", str(config), "--target", "kubeflow", "--host", server.url, "--label", "a"]) == 0
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
    values["kubeflow"] = {"host": f"{server.url}/", "namespace": "team", "experiment": "trials", **values["kubeflow"]}
    config.write_text(yaml.safe_dump(values))
    assert main.main(["submit", str(config)]) == 0
    assert main.main(["submit", str(config), "--experiment", "trials"]) == 0
    (experiment,) = server.sent("POST", "/experiments")
    assert experiment == {"display_name": "trials", "namespace": "team"}
    assert len(set(server.names("runs"))) == 2
    assert {one.query["namespace"] for one in server.requests if one.route == "/experiments" and one.query} == {"team"}


@pytest.mark.parametrize("settings", [[], ["--set", "kubernetes.default={volumes: [{claim: data, mount: /data}]}"]])
def test_what_is_sent_is_what_kfps_own_client_sends(
    config: Path, server: KubeflowPipelines, settings: list[str]
) -> None:
    file = config.parent / "compiled.yaml"
    assert main.main(["compile", str(config), "--target", "kubeflow", "-o", str(file), *settings]) == 0
    assert main.main(["submit", str(file), "--host", server.url, "--param", "train_steps=3"]) == 0
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
    assert main.main(["submit", str(file), "--host", server.url, *arguments]) == 0
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
    assert main.main(["submit", str(compiled), "--host", NOWHERE]) == 2
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
    monkeypatch.setattr(retries, "PAUSE", 0.5)
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


def test_ctrl_c_does_not_hide_a_run_that_starts(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fail("POST", "/runs", CtrlC())
    assert submit("--name", "my run") == 130
    told = capsys.readouterr().err
    assert f"penstock: interrupted: {server.url}: it is not known whether the run my run was started" in told
    assert "submit again with --name 'my run', which starts no second one" in told
    assert server.names("runs") == ["my run"]
    assert submit("--name", "my run") == 2
    assert len(server.sent("POST", "/runs")) == 1


def test_ctrl_c_before_anything_is_sent_is_no_more_than_that(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fail("GET", "/experiments", CtrlC())
    assert submit("--name", "mine") == 130
    assert capsys.readouterr().err.endswith("\npenstock: interrupted\n")


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


def test_a_name_has_no_spaces_around_it(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit("--name", " my run ") == 0
    assert server.names("runs") == ["my run"]
    assert submit("--name", " ") == 2
    assert "penstock: --name: expected a name, received ' '\n" in capsys.readouterr().err


def test_a_servers_retry_after_is_waited_for(submit: Run, server: KubeflowPipelines) -> None:
    server.fail("POST", "/runs", Status(429, "slow down", headers={"Retry-After": "1"}))
    started = time.monotonic()
    assert submit() == 0
    assert time.monotonic() - started >= 1
    assert len(server.stored["runs"]) == 1


def test_a_long_pause_is_told(
    submit: Run, server: KubeflowPipelines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(retries, "time", SimpleNamespace(sleep=slept.append, time=time.time))
    server.fail("POST", "/runs", Status(429, "slow down", headers={"Retry-After": "30"}))
    server.fail("POST", "/runs", Status(503, headers={"Retry-After": "3600"}))
    assert submit() == 0
    told = capsys.readouterr().err.splitlines()[1:]  # after the warning of local paths
    assert told == [
        f"{server.url} has too many requests (429: slow down): trying again in 30 s",
        f"{server.url} failed (503): trying again in 60 s (it asks for 3600 s)",
    ]
    assert slept == [30, 60]


def test_an_experiment_that_somebody_else_makes_meanwhile(submit: Run, server: KubeflowPipelines) -> None:
    assert submit() == 0
    server.fail("GET", "/experiments", Status(200, headers={}))  # an answer that has none of it yet
    server.fail("POST", "/experiments", Status(409, "already exists"))
    assert submit() == 0
    assert server.names("experiments") == ["small"]


@pytest.mark.parametrize("command", [["submit"], ["schedule", "create", "--every", "60"]], ids=" ".join)
def test_local_paths_are_refused(
    command: list[str],
    config: Path,
    values: dict[str, Any],
    server: KubeflowPipelines,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever names them, unless a volume or, by the user's word, the cluster has them at the same path."""
    (config.parent / "my.pbtxt").write_text("")
    config.write_text(yaml.safe_dump({**values, "kubeflow": {}, "schema": {"file": "my.pbtxt"}}))
    arguments, root = [*command, str(config), "--host", server.url], f"{config.parent}/runs/small"
    assert main.main(arguments) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        rf"penstock: input_base \(data.path\) is {config.parent}, "
        rf"module_file \(copied below pipeline_root\) is {root}/modules/\w+/module.py, "
        rf"schema_file \(schema.file, copied below pipeline_root\) is {root}/files/\w+/schema.pbtxt, "
        rf"push_destination \(push.directory\) is {config.parent}/serving and pipeline_root is {root}: "
        r"the cluster's pods do not see this machine's files: name folders in a bucket, such as s3://BUCKET/FOLDER, .*",
        told,
    )
    assert server.requests == []
    for key in (f"kubernetes.default={{volumes: [{{claim: data, mount: {config.parent}}}]}}", shared(config.parent)):
        assert main.main([*arguments, "--set", key, "--name", key[:10]]) == 0
        assert "do not see" not in capsys.readouterr().err
    assert main.main([*arguments, "--set", shared(root), "--set", "kubernetes.default={object_store: kfp}"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"penstock: input_base (data.path) is {config.parent} and push_destination (push.dir")


@pytest.mark.parametrize("given", ["data/penguins.csv", "./data", "~/data", "s3:/bucket/x", "file:///data"])
def test_a_path_that_is_given_for_the_run_is_refused_too(
    config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    """Relative ones as well: there is no folder that a pod would find them in."""
    assert main.main(["submit", str(config), "--host", server.url, "--param", f"input_base={given}"]) == 2
    assert capsys.readouterr().err.startswith("penstock: input_base (data.path) is ")


def test_an_artifact_that_is_imported_lies_in_a_bucket(
    config: Path, values: dict[str, Any], server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """KFP's importer takes no path, also where every pod has it."""
    (config.parent / "model").mkdir()
    values["training"] = {**values["training"], "base_model": "model"}
    config.write_text(yaml.safe_dump(values))
    arguments = ["submit", str(config), "--host", server.url]
    assert main.main(arguments) == 2
    assert capsys.readouterr().err == (
        f"penstock: base_model is {config.parent}/model: an artifact that exists already is taken from a bucket: "
        "copy it there, and give its gs:// or s3:// URI\n"
    )
    assert main.main([*arguments, "--set", "training.base_model=s3://bucket/model"]) == 0


def shared(folder: Path | str) -> str:
    return f"kubeflow.shared_folders=[{folder}]"


def test_a_volume_that_only_other_tasks_have(
    config: Path, values: dict[str, Any], server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(yaml.safe_dump({**values, "kubeflow": {}}))
    volumes = f"{{volumes: [{{claim: data, mount: {config.parent}}}]}}"
    keys = [f"kubernetes={{default: {volumes}, pusher: {{volumes: []}}}}", f"kubernetes={{trainer: {volumes}}}"]
    options = ["submit", str(config), "--host", server.url, "--set"]
    assert main.main([*options, keys[0]]) == 2
    assert f"penstock: push_destination (push.directory) is {config.parent}/serving: the" in capsys.readouterr().err
    assert main.main([*options, keys[1]]) == 2
    assert "penstock: input_base (data.path) is" in capsys.readouterr().err


def test_what_a_run_is_given_decides(
    config: Path, values: dict[str, Any], server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """A compiled pipeline tells of a path, and of a bucket without credentials, by the run's own parameters."""
    file = config.parent / "compiled.yaml"
    values["data"], values["kubeflow"] = {"path": "package:tfx/examples/chicago_taxi_pipeline/data/simple"}, {}
    values["label"], values["push"] = "tips", {"directory": "/mnt/team/serving"}
    values["kubernetes"] = {"default": {"volumes": [{"claim": "data", "mount": "/mnt/team"}]}}
    config.write_text(yaml.safe_dump(values))
    assert main.main(["compile", str(config), "--target", "kubeflow", "-o", str(file)]) == 0
    told = capsys.readouterr().err
    assert told.startswith("warning: module_file (copied below pipeline_root) is ")
    assert main.main(["lint", str(file)]) == 0
    assert capsys.readouterr().err == told
    arguments = ["submit", str(file), "--host", server.url, "--param", "module_file=/mnt/team/m.py"]
    assert main.main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"penstock: pipeline_root is {config.parent}/runs/small: the")
    arguments += ["--param", "pipeline_root=/mnt/team/runs"]
    assert main.main(arguments) == 0
    capsys.readouterr()
    assert main.main([*arguments, "--param", "input_base=file:///data"]) == 2
    assert capsys.readouterr().err.startswith("penstock: input_base (data.path) is /data: ")
    assert main.main([*arguments, "--param", "input_base=/data", "--set", shared("/data")]) == 0
    capsys.readouterr()
    data = ["--param", "input_base=s3://bucket/data"]
    assert main.main([*arguments, *data]) == 2
    told = capsys.readouterr().err
    assert told.startswith("penstock: s3://bucket: nothing gives credentials to the pods that read or write there")
    assert "(csv-example-gen, input-resolver)" in told
    for known in ("kubeflow.service_account=runs", "lint.allow=['store-credentials:s3']"):
        assert main.main([*arguments, *data, "--set", known]) == 0


def test_outputs_go_to_the_pipeline_root_in_a_bucket(
    config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """LatestBlessedModel looks for earlier models there."""
    file = config.parent / "compiled.yaml"
    assert main.main(["compile", str(config), "--target", "kubeflow", "-o", str(file)]) == 0
    options = ["--host", server.url, "--param", "pipeline_root=minio://mlpipeline/v2/artifacts"]
    assert main.main(["submit", str(file), *options]) == 2
    assert "[store-credentials:minio]" in capsys.readouterr().err
    store = ["--set", "kubernetes.default={object_store: kfp}"]
    assert main.main(["compile", str(config), "--target", "kubeflow", "-o", str(file), *store]) == 0
    assert main.main(["submit", str(file), *options]) == 0
    assert main.main(["schedule", "create", str(file), "--every", "60", *options]) == 0
    (run,), (recurring,) = server.sent("POST", "/runs"), server.sent("POST", "/recurringruns")
    assert run["runtime_config"]["pipeline_root"] == "minio://mlpipeline/v2/artifacts"
    assert recurring["runtime_config"] == run["runtime_config"]
    client = kfp.Client(host=server.url, namespace="team")
    root = "minio://mlpipeline/v2/artifacts"
    client.create_run_from_pipeline_package(str(file), {"pipeline_root": root}, pipeline_root=root, run_name="theirs")
    assert server.sent("POST", "/runs")[1]["runtime_config"] == run["runtime_config"]


def test_what_lint_lets_pass_in_a_compiled_pipeline_too(
    config: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    file = config.parent / "compiled.yaml"
    allow = ["--set", "lint.allow=['plain-secret:custom_config.token']"]
    secret = ["--set", "training.custom_config={token: abc}"]
    assert main.main(["compile", str(config), "--target", "kubeflow", "-o", str(file), *secret, *allow]) == 0
    assert main.main(["submit", str(file), "--host", server.url]) == 2
    assert "a secret in plain text" in capsys.readouterr().err
    assert not server.requests
    assert main.main(["submit", str(file), "--host", server.url, *allow]) == 0


def test_tasks_run_as_the_service_account(config: Path, server: KubeflowPipelines) -> None:
    options = ["--host", server.url, "--set", "kubeflow.service_account=runs"]
    assert main.main(["submit", str(config), *options]) == 0
    assert main.main(["schedule", "create", str(config), "--every", "60", *options]) == 0
    (run,), (recurring,) = server.sent("POST", "/runs"), server.sent("POST", "/recurringruns")
    assert run["service_account"] == recurring["service_account"] == "runs"


@pytest.mark.parametrize("evaluated", [True, False])
def test_a_pipeline_root_on_a_volume_has_no_baselines(
    evaluated: bool,
    config: Path,
    values: dict[str, Any],
    server: KubeflowPipelines,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """KFP's launcher writes to buckets only."""
    values["kubernetes"] = {"default": {"volumes": [{"claim": "data", "mount": str(config.parent)}]}}
    if not evaluated:
        del values["evaluation"]
    config.write_text(yaml.safe_dump(values))
    assert main.main(["submit", str(config), "--host", server.url]) == 0
    told = capsys.readouterr().err
    assert told.startswith(f"warning: pipeline_root ({config.parent}/runs/small): Kubeflow puts") == evaluated
    assert (told == "") != evaluated
    assert "pipeline_root" not in server.sent("POST", "/runs")[0]["runtime_config"]


def test_a_compiled_pipeline_is_known_by_its_content(compiled: Path, config: Path, tmp_path: Path) -> None:
    assert submission.is_compiled(compiled)
    assert not submission.is_compiled(config)
    (tmp_path / "text.yaml").write_text("pipelineInfo")
    assert not submission.is_compiled(tmp_path / "text.yaml")
    assert not submission.is_compiled(tmp_path / "nix.yaml")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["--name", "fast 😀"],
            "run 'fast 😀': expected a name without '😀': Kubeflow's database has no place for emoji",
        ),
        (["--experiment", "😀"], "experiment '😀': expected a name without '😀'"),
        (["--name", "n" * 129], "expected at most 128 characters, received 129"),
    ],
)
def test_names_that_the_server_cannot_store(
    options: list[str], told: str, submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit(*options) == 2
    assert told in capsys.readouterr().err
    assert not server.requests


def test_the_longest_name(submit: Run, server: KubeflowPipelines) -> None:
    assert submit("--name", "größer" + "n" * 122) == 0
    assert len(submission.unique_name("p" * 128)) == 128


@pytest.mark.parametrize("name", ["😀", "n" * 129])
def test_what_the_database_refuses_is_told_so(name: str, server: KubeflowPipelines) -> None:
    """Where a name comes there nevertheless, as by another version's rules."""
    service = KubeflowService(Kubeflow(host=server.url))
    with pytest.raises(
        ServerError, match=r"cannot store this name \(500: Failed .*\): its database takes at most 128 ch"
    ):
        service._runs.ensure_experiment(name)
    assert len(server.sent("POST", "/experiments")) == 1


@pytest.mark.parametrize("listed", [True, False], ids=["its filter finds it", "its filter is exact"])
def test_an_experiment_whose_name_differs_in_case(
    listed: bool, submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit("--experiment", "Trials") == 0
    if not listed:
        server.fail("GET", "/experiments", *[Status(200)] * 2)
    assert submit("--experiment", "trials") == 2
    told = capsys.readouterr().err
    assert "has an experiment whose name differs in case only: 'Trials': choose that one, or another name" in told
    assert server.names("experiments") == ["Trials"]
    assert len(server.stored["runs"]) == 1
    assert len(server.sent("POST", "/experiments")) == (1 if listed else 2)
