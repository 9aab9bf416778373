"""What the commands that talk to a server have in common: what they refuse, and what they tell to do next."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.components import wrapper
from penstock.pipelines.cli import main
from penstock.pipelines.servers import watch
from penstock.pipelines.servers.kubeflow.service import KubeflowService
from tests.servers import argo_nodes
from tests.servers.kubeflow_pipelines import Cut, KubeflowPipelines, Status

NOWHERE = "http://127.0.0.1:9"
Run = Callable[..., int]
Told = pytest.CaptureFixture[str]


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def commands(told: str) -> dict[str, list[str]]:
    """Returns the arguments of the commands that are told, by what they are for."""
    lines = (line.partition(":") for line in told.splitlines() if line.startswith("  to "))
    return {what.split()[1]: shlex.split(command)[1:] for what, _, command in lines}


def test_watching_a_run_that_is_there(submit: Run, server: KubeflowPipelines, capsys: Told) -> None:
    assert submit("--name", "mine") == 0
    (run_id,) = server.stored["runs"]
    assert submit("--name", "yours") == 0
    for run in (run_id, "mine"):
        capsys.readouterr()
        server.states = [{"state": "RUNNING"}, {"state": "SUCCEEDED"}]
        assert main.main(["watch", run, "--host", server.url, "--interval", "0.01"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"run   {run_id}",
            f"link  {server.url}/#/runs/details/{run_id}",
            "succeeded",
        ]
    server.states = [{"state": "FAILED", "error": {"message": "no quota"}}]
    assert main.main(["watch", run_id, "--host", server.url, "--interval", "0.01"]) == 1
    assert capsys.readouterr().err == "penstock: the run ended failed: no quota\n"


@pytest.mark.parametrize("command", ["watch", "cancel"])
def test_a_run_is_found_by_its_name_if_that_is_its_alone(
    command: str, submit: Run, server: KubeflowPipelines, capsys: Told
) -> None:
    assert submit("--name", "mine") == 0
    assert submit("--name", "mine", "--experiment", "other") == 0
    assert main.main([command, "mine", "--host", server.url]) == 2
    first, second = sorted(server.stored["runs"])
    assert f"has 2 runs 'mine': expected the id of one of them: {first}, {second}\n" in capsys.readouterr().err
    assert main.main([command, "min", "--host", server.url]) == 2
    assert "has no run 'min': expected its id, or its whole name" in capsys.readouterr().err
    assert not any("state" in one for one in server.stored["runs"].values())


def test_a_run_is_cancelled_by_its_name(submit: Run, server: KubeflowPipelines) -> None:
    assert submit("--name", "mine") == 0
    assert submit("--name", "yours") == 0
    assert main.main(["cancel", "yours", "--host", server.url]) == 0
    assert {one["display_name"]: one.get("state") for one in server.stored["runs"].values()} == {
        "mine": None,
        "yours": "CANCELING",
    }


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ([Status(500, "database is locked")] * watch.LOST_POLLS, "failed (500: database is locked)"),
        ([Status(401)], "wants a sign-in (401): set kubeflow.token_env"),
        ([Cut(after=False)] * watch.LOST_POLLS, "was cut"),
    ],
    ids=["fails for ever", "the token has expired", "the connection is cut"],
)
def test_a_run_goes_on_where_watching_it_fails(
    failures: list[Any], told: str, submit: Run, server: KubeflowPipelines, capsys: Told
) -> None:
    server.fail("GET", "/runs/{id}", *failures)
    assert submit("--wait", "--interval", "0.01") == 3
    (run_id,) = server.stored["runs"]
    err = capsys.readouterr().err
    assert "penstock: the run goes on, but watching it failed: " in err
    assert told in err
    assert f"  run {run_id}, {server.url}/#/runs/details/{run_id}\n" in err
    assert err.count("waiting for an answer") == (len(failures) > 1)
    assert "try again" not in err
    assert commands(err) == {
        "watch": ["watch", run_id, "--host", server.url],
        "cancel": ["cancel", run_id, "--host", server.url],
    }
    server.states = [{"state": "SUCCEEDED"}]
    assert main.main([*commands(err)["watch"], "--interval", "0.01"]) == 0


def test_ctrl_c_while_waiting(
    submit: Run, server: KubeflowPipelines, monkeypatch: pytest.MonkeyPatch, capsys: Told
) -> None:
    monkeypatch.setattr(KubeflowService, "snapshot", interrupt)
    assert submit("--wait") == 130
    (run_id,) = server.stored["runs"]
    told = capsys.readouterr().err
    assert "\npenstock: interrupted: the run goes on\n" in told
    assert commands(told)["cancel"] == ["cancel", run_id, "--host", server.url]
    assert "state" not in server.stored["runs"][run_id]


@pytest.mark.parametrize("given", ["a configuration", "a compiled pipeline", "the same beside a configuration"])
def test_what_is_told_to_go_on_signs_in_as_well(
    given: str,
    project: Path,
    values: dict[str, Any],
    compiled: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Told,
) -> None:
    """It works as it stands: with the configuration and the options that the run was started with."""
    monkeypatch.setenv("MY TOKEN", "s3cret")
    monkeypatch.setattr(KubeflowService, "snapshot", interrupt)
    monkeypatch.chdir(project if given.startswith("the same") else project.parent)
    with KubeflowPipelines(required={"authorization": "Bearer s3cret"}) as server:
        (project / "pipeline.yaml").write_text(yaml.safe_dump(values | {"kubeflow": {"cookies_env": "NONE"}}))
        own = project / "my project.yaml"
        own.write_text(
            yaml.safe_dump({**values, "kubeflow": {**values["kubeflow"], "token_env": "MY TOKEN"}, "label": 3})
        )
        arguments = [str(own), "--label", "label", "--data", str(project / "data.csv")]
        if given != "a configuration":
            arguments = [str(compiled), "--set", "kubeflow.token_env=MY TOKEN", "--namespace", "team"]
        assert main.main(["submit", *arguments, "--host", server.url, "--wait"]) == 130
        (run,) = server.stored["runs"].values()
        assert main.main(commands(capsys.readouterr().err)["cancel"]) == 0
        assert run["state"] == "CANCELING"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--data", "is compiled already, with its own data: give --param input_base=VALUE"),
        ("--label", "is compiled already, with its own label: compile the configuration with it"),
    ],
)
@pytest.mark.parametrize("command", [["submit"], ["schedule", "create", "--every", "60"]], ids=" ".join)
def test_options_of_a_configuration_do_not_change_a_compiled_pipeline(
    command: list[str], option: str, told: str, compiled: Path, server: KubeflowPipelines, capsys: Told
) -> None:
    assert main.main([*command, str(compiled), "--host", server.url, option, "a"]) == 2
    assert capsys.readouterr().err == f"penstock: {option}: {compiled} {told}\n"
    assert server.requests == []


def _untagged(spec: dict[str, Any]) -> None:
    for executor in spec["deploymentSpec"]["executors"].values():
        if "container" in executor:
            executor["container"]["image"] = "registry.example.com/image"


def _secret(spec: dict[str, Any]) -> None:
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    parameters["db_password"] = {"parameterType": "STRING", "defaultValue": "s3cret"}


def _large(spec: dict[str, Any]) -> None:
    executors = spec["deploymentSpec"]["executors"]
    next(iter(executors.values()))["container"]["command"] = ["x" * 2**20]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["kubeflow", "vertex"])
@pytest.mark.parametrize(
    ("change", "told"),
    [(_untagged, "without a tag"), (_secret, "a secret in plain text"), (_large, "servers refuse more than")],
)
def test_what_lint_finds_is_not_sent(
    change: Callable[[dict[str, Any]], None],
    told: str,
    target: str,
    compiled: Path,
    server: KubeflowPipelines,
    capsys: Told,
) -> None:
    spec = yaml.safe_load(compiled.read_text())
    change(spec)
    compiled.write_text(yaml.safe_dump(spec))
    capsys.readouterr()
    assert main.main(["submit", str(compiled), "--target", target]) == 2
    assert told in capsys.readouterr().err
    assert main.main(["lint", str(compiled), "--target", target]) == 2
    assert main.main(["schedule", "create", str(compiled), "--host", server.url, "--every", "60"]) == 2
    assert told in capsys.readouterr().err
    assert server.requests == []


@pytest.mark.slow
def test_an_image_without_a_registry(
    config: Path, values: dict[str, Any], server: KubeflowPipelines, capsys: Told
) -> None:
    """Kubeflow's nodes may have it already, such as those of a cluster on one machine; Vertex AI's cannot."""
    del values["image"]
    config.write_text(yaml.safe_dump(values))
    assert main.main(["submit", str(config), "--host", server.url]) == 0
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: image")]
    assert told.startswith(f"warning: image {wrapper.IMAGE}: it has no registry, so only nodes that have it already")
    options = ["--target", "vertex", "--project", "p", "--set", f"vertex.api_endpoint={NOWHERE}"]
    assert main.main(["submit", str(config), *options]) == 2
    assert f"image {wrapper.IMAGE}: it has no registry, so Vertex AI cannot pull it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [["compile", "-o", "new.yaml"], ["run"], ["validate"], ["runs"], ["schedule", "list"], ["cancel", "ID"]],
    ids=" ".join,
)
@pytest.mark.parametrize("documents", [1, 2])
def test_a_compiled_pipeline_is_no_configuration(
    command: list[str], documents: int, compiled: Path, capsys: Told
) -> None:
    if documents == 2:
        compiled.write_text(compiled.read_text() + "\n---\nplatforms: {kubernetes: {}}\n")
    capsys.readouterr()
    assert main.main([*command, str(compiled)]) == 2
    told = f"penstock: {compiled}: this is a compiled pipeline; expected a configuration\n"
    assert capsys.readouterr().err == told


def test_accelerators_of_the_other_target_are_not_sent(config: Path, tmp_path: Path, capsys: Told) -> None:
    file = tmp_path / "gpu.yaml"
    gpu = ["--set", "resources.trainer={accelerator: {type: L4}}"]
    for compiled_for, sent_to, told in (("kubeflow", "vertex", "nvidia.com/gpu"), ("vertex", "kubeflow", "NVIDIA_L4")):
        assert main.main(["compile", str(config), "--target", compiled_for, "-o", str(file), *gpu]) == 0
        assert main.main(["submit", str(file), "--target", sent_to]) == 2
        assert told in capsys.readouterr().err


@pytest.mark.parametrize("command", [["submit"], ["schedule", "create", "--every", "60"]], ids=" ".join)
@pytest.mark.parametrize("target", ["kubeflow", "vertex"])
def test_what_is_compiled_for_this_machine_is_not_sent(
    command: list[str], target: str, config: Path, server: KubeflowPipelines, capsys: Told
) -> None:
    file = config.parent / "local.yaml"
    assert main.main(["compile", str(config), "-o", str(file)]) == 0
    capsys.readouterr()
    if target == "vertex":
        command = [word for word in command if word not in ("--every", "60")]
        command += ["--cron", "0 6 * * *"] if command[0] == "schedule" else []
    assert main.main([*command, str(file), "--target", target]) == 2
    assert capsys.readouterr().err == (
        f"penstock: {file}: it was compiled for local: compile it with --target {target}, or submit the configuration\n"
    )


@pytest.mark.parametrize("option", ["--name", "--experiment"])
def test_a_name_that_is_none(option: str, submit: Run, server: KubeflowPipelines, capsys: Told) -> None:
    for name in ("", "  "):
        assert submit(option, name) == 2
        assert capsys.readouterr().err.endswith(f"penstock: {option}: expected a name, received {name!r}\n")
    assert server.requests == []


def test_the_model_without_code_counts_no_steps(
    project: Path, values: dict[str, Any], server: KubeflowPipelines, capsys: Told
) -> None:
    for key in ("module_file", "training"):
        del values[key]
    (project / "data.csv").write_text("a,label\n" + "1,0\n2,1\n" * 9)
    config = project / "pipeline.yaml"
    config.write_text(yaml.safe_dump(values))
    for parameter in ("train_steps", "eval_steps"):
        assert main.main(["submit", str(config), "--host", server.url, "--param", f"{parameter}=3"]) == 2
        assert capsys.readouterr().err == (
            f"penstock: --param {parameter}: the model without code does not count steps: compile with "
            "--set training.epochs=NUMBER, or with a module_file\n"
        )
    assert server.requests == []


@pytest.mark.parametrize("given", ["as data.path", "as a parameter"])
@pytest.mark.parametrize("uri", ["https://example.com/data.csv", "s3://", "s3:///data", "hdfs://name/data"])
def test_data_that_is_in_no_bucket(given: str, uri: str, config: Path, server: KubeflowPipelines, capsys: Told) -> None:
    option = ["--data", uri] if given == "as data.path" else ["--param", f"input_base={uri}"]
    assert main.main(["submit", str(config), "--host", server.url, *option]) == 2
    assert capsys.readouterr().err == (
        f"penstock: input_base (data.path) is {uri}: tasks read buckets: gs://BUCKET/FOLDER, s3://BUCKET/FOLDER or "
        "minio://BUCKET/FOLDER\n"
    )
    assert server.requests == []


@pytest.mark.parametrize("command", [["submit"], ["schedule", "create", "--every", "60"]], ids=" ".join)
@pytest.mark.parametrize(
    "refusal",
    [
        ["--set", "kubeflow.shared_folders=[]"],
        ["--set", "image=registry.example.com/image"],
        ["--param", "nonsense=1"],
        ["--name", "😀"],
        ["--experiment", "😀"],
        ["--host", NOWHERE],
    ],
    ids=str,
)
def test_what_is_refused_publishes_nothing(
    command: list[str], refusal: list[str], config: Path, server: KubeflowPipelines
) -> None:
    (config.parent / "my.pbtxt").write_text("")
    arguments = [*command, str(config), "--host", server.url, "--set", "schema.file=my.pbtxt"]
    assert main.main([*arguments, *refusal]) == 2
    assert not (config.parent / "runs").exists()
    assert main.main(arguments) == 0
    copies = [path.name for path in (config.parent / "runs").rglob("*") if path.is_file()]
    assert {"module.py", "schema.pbtxt"} <= set(copies)


def test_a_name_that_is_taken_publishes_nothing(config: Path, server: KubeflowPipelines) -> None:
    arguments = [str(config), "--host", server.url, "--name", "mine"]
    assert main.main(["submit", *arguments]) == 0
    assert main.main(["schedule", "create", *arguments, "--every", "60"]) == 0
    (config.parent / "module.py").write_text((config.parent / "module.py").read_text() + "# another\n")
    assert main.main(["submit", *arguments]) == 2
    assert main.main(["schedule", "create", *arguments, "--every", "60"]) == 2
    assert len(list((config.parent / "runs" / "small" / "modules").iterdir())) == 1


def test_data_that_only_the_cluster_has(config: Path, server: KubeflowPipelines, capsys: Told) -> None:
    assert main.main(["submit", str(config), "--host", server.url, "--data", "/mnt/team/data.csv"]) == 2
    assert "of data that only a cluster has, name a sample on this machine, and submit with --param " in (
        told := capsys.readouterr().err
    )
    assert told.endswith("input_base=/mnt/team/data.csv\n")


def test_waiting_ends_with_the_folder_that_was_pushed_to(
    submit: Run, server: KubeflowPipelines, config: Path, capsys: Told
) -> None:
    for pusher, end in (("SUCCEEDED", ["succeeded", f"pushed to  {config.parent}/serving"]), (None, ["succeeded"])):
        pushed = argo_nodes.group("condition-2", pusher, argo_nodes.task("pusher", pusher))
        inside = argo_nodes.group("condition-1", "SUCCEEDED", argo_nodes.task("infra-validator", "SUCCEEDED") | pushed)
        server.states = [argo_nodes.run(inside, state="SUCCEEDED", attempts=True)]
        assert submit("--wait", "--interval", "0.01") == 0
        assert capsys.readouterr().out.splitlines()[-len(end) :] == end
