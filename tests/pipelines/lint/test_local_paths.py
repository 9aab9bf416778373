"""Places that a cluster's tasks cannot read, or whose content ends with them: compile, lint and submit say the same."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.pipelines.cli import main

REMOTE = {"data": {"path": "s3://bucket/data.csv"}, "pipeline_root": "s3://bucket/runs", "kubernetes": {"default": {}}}


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main.main(list(arguments)) == 0
    return capsys.readouterr().err


@pytest.fixture
def remote(config: Path, values: dict[str, Any]) -> Path:
    """A configuration of which nothing but the place to push to is on this machine."""
    for key in ("module_file", "kubeflow"):
        values.pop(key)
    values["training"] = {}
    values["evaluation"] = {"metrics": ["auc"], "thresholds": {"auc": {"min": 0.5}}}
    config.write_text(yaml.safe_dump({**values, **REMOTE, "kubernetes": {"default": {"object_store": "kfp"}}}))
    return config


@pytest.mark.parametrize("target", ["kubeflow", "vertex"])
def test_a_local_push_directory_is_told_by_compile_and_lint(
    remote: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    settings = ["--set", "kubernetes=null", "--set", "pipeline_root=gs://b/r"] if target == "vertex" else []
    output = str(remote.parent / "compiled.yaml")
    sentence = f"warning: push_destination (push.directory) is {remote.parent}/serving: "
    assert told(capsys, "compile", str(remote), "--target", target, "-o", output, *settings).startswith(sentence)
    assert told(capsys, "lint", output, "--target", target).startswith(sentence)
    bucket = ["--set", "push.directory=gs://bucket/serving", "--set", "kubernetes.default={object_store: pod}"]
    bucket = bucket[:2] if target == "vertex" else bucket
    settings += ["--set", "lint.allow=[store-credentials]"]
    assert told(capsys, "compile", str(remote), "--target", target, "-o", output, *settings, *bucket) == ""


def test_a_local_path_of_a_source_is_told(remote: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where it is one of several splits; what is in a bucket is not."""
    (remote.parent / ".dvc").mkdir()
    output = str(remote.parent / "compiled.yaml")
    data = "data={splits: {train: {path: s3://bucket/data.csv}, eval: {path: dvc://eval.csv}}}"
    command = ["compile", str(remote), "--target", "kubeflow", "-o", output, "--set", "push=null", "--set", data]
    key = "input_base (data.splits.eval.dvc.repo)"
    assert f"{key} is {remote.parent}: the cluster's pods do not see" in told(capsys, *command)
    elsewhere = data.replace("eval.csv", "eval.csv?repo=https://git.example.com/team/data.git")
    assert told(capsys, *command[:-1], elsewhere) == ""


@pytest.mark.parametrize(
    ("data", "key", "path"),
    [
        ("{delta: {path: lake}}", "delta.path", "lake"),
        ("{sql: {url: 'sqlite:///trips.db', table: t}}", "sql.url", "trips.db"),
        ("{splits: {train: {path: a.csv}, eval: {path: s3://b/e.csv}}}", "splits.train.path", ""),
        (
            "{iceberg: {catalog: {uri: 'http://c', warehouse: '{here}/lake'}, table: a.b}}",
            "iceberg.catalog.warehouse",
            "lake",
        ),
        (
            "{custom: {class: penstock.components.example_gen.sources.files.orc.OrcSource, paths: {folder: lake}}}",
            "custom.paths.folder",
            "lake",
        ),
    ],
)
def test_a_path_in_the_options_of_a_source_is_named_as_it_is_written(
    data: str, key: str, path: str, remote: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (remote.parent / "lake").mkdir()
    (remote.parent / "a.csv").write_text("x,y\n1,2\n")
    output, data = str(remote.parent / "compiled.yaml"), data.replace("{here}", str(remote.parent))
    words = ["--set", "push=null", "--set", f"data={data}"]
    sentence = f"input_base (data.{key}) is {remote.parent / path}: the cluster's pods do not see"
    assert sentence in told(capsys, "compile", str(remote), "--target", "kubeflow", "-o", output, *words)
    assert sentence in told(capsys, "lint", output, "--target", "kubeflow")


def test_a_local_storage_of_a_service_is_told_by_its_key(remote: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claim = f"claim: files, claim_mount: {remote.parent}"
    section = f"push={{kserve: {{name: birds, {claim}, storage: {remote.parent}/serving}}}}"
    output = str(remote.parent / "compiled.yaml")
    sentence = f"(push.kserve.storage) is {remote.parent}/serving: "
    assert sentence in told(capsys, "compile", str(remote), "--target", "kubeflow", "-o", output, "--set", section)


def test_what_is_written_to_a_folder_of_the_task_is_lost(remote: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mounted Secret and the image are there, and keep nothing; a claim's volume does."""
    output = str(remote.parent / "compiled.yaml")
    lost = f"push.directory) is {remote.parent}/serving: what is written there goes with its task"
    secret = f"kubernetes.default={{object_store: kfp, secrets: [{{name: a, mount: {remote.parent}}}]}}"
    assert lost in told(capsys, "compile", str(remote), "--target", "kubeflow", "-o", output, "--set", secret)
    volume = f"kubernetes.default={{object_store: kfp, volumes: [{{claim: a, mount: {remote.parent}}}]}}"
    assert told(capsys, "compile", str(remote), "--target", "kubeflow", "-o", output, "--set", volume) == ""
    image = ["--set", "kubernetes=null", "--set", f"vertex.shared_folders=[{remote.parent}]"]
    assert lost in told(capsys, "compile", str(remote), "--target", "vertex", "-o", output, *image)
    shared = ["--set", f"kubeflow.shared_folders=[{remote.parent}]"]
    assert told(capsys, "compile", str(remote), "--target", "kubeflow", "-o", output, *shared) == ""


def test_what_monitoring_reads_and_remembers_on_this_machine_is_told(
    remote: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(remote.parent / "monitoring.yaml")
    section = (
        "monitoring={baseline: 's3://b/baseline', requests: requests, labels: {files: late/*.csv, key: request_id}}"
    )
    compiling = [
        "compile",
        str(remote),
        "--pipeline",
        "monitoring",
        "--target",
        "kubeflow",
        "-o",
        output,
        "--set",
        section,
    ]
    folder = remote.parent
    assert told(capsys, *compiling).startswith(
        f"warning: push_destination (push.directory) is {folder}/serving, "
        f"requests (monitoring.requests) is {folder}/requests and "
        f"labels.files (monitoring.labels.files) is {folder}/late/*.csv: "
    )
    ours = told(capsys, *compiling, "--set", "pipeline_root=runs")
    assert f"history (below pipeline_root) is {folder}/runs" in ours
    assert f"state (below pipeline_root) is {folder}/runs" in ours


def test_the_file_of_a_database_is_told_by_its_key(remote: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(remote.parent / "compiled.yaml")
    settings = ["--set", "push=null", "--set", "data.path=null"]
    for key, data in (
        ("data.sql.url", "data.sql={url: 'sqlite:///trips.db', table: trips}"),
        (
            "data.splits.train.sql.url",
            "data.splits={train: {sql: {url: 'duckdb:///trips.db', table: a}}, eval: {path: 's3://b/c.csv'}}",
        ),
    ):
        assert f"({key}) is {remote.parent}/trips.db: the cluster's pods do not see" in told(
            capsys, "compile", str(remote), "--target", "kubeflow", "-o", output, *settings, "--set", data
        )
    server = "data.sql={url: 'postgresql://ada@db/trips', table: trips}"
    assert told(capsys, "compile", str(remote), "--target", "kubeflow", "-o", output, *settings, "--set", server) == ""
