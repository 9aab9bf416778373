"""Secrets: told wherever they stand, by their names and by their shapes; and how one is allowed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from kfp import dsl

from penstock.core.errors import ConfigError
from penstock.pipelines import lint
from penstock.pipelines.cli import main
from penstock.pipelines.compiling.compile import compile_config
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.targets import target
from tests.pipelines.lint.steps import act, compiled, found


def as_default(db_password: str = "hunter2") -> None:
    act(text=db_password)


def as_dict(settings: dict = {"db": {"password": "hunter2"}, "tokens": [1]}) -> None:  # noqa: B006
    act()


def as_json() -> None:
    act(text='{"db": [{"password": "hunter2"}]}')


def as_variable() -> None:
    act().set_env_variable("DB_PASSWORD", "hunter2")


def as_url(warehouse: str = "postgres://u:hunter2@db/flights") -> None:
    act(text=warehouse)


def as_text_with_a_name() -> None:
    act(text="host=db user=u password=hunter2")


def as_header() -> None:
    act(text='{"headers": {"Authorization": "Bearer abc.def-123"}}')


def as_item() -> None:
    with dsl.ParallelFor(["s3://KEY:hunter2@bucket", "s3://bucket"]) as item:
        act(text=item)


def as_description() -> None:
    act()


as_description.__doc__ = "Reads https://u:hunter2@host/x.csv."


@pytest.mark.parametrize(
    ("function", "place", "tag"),
    [
        (as_default, "parameter db_password", "db_password"),
        (as_dict, "parameter settings.db.password", "settings.db.password"),
        (as_json, "act: parameter text.db.password", "text.db.password"),
        (as_variable, "component act: variable DB_PASSWORD", "DB_PASSWORD"),
        (as_url, "parameter warehouse", "warehouse"),
        (as_text_with_a_name, "act: parameter text", "text"),
        (as_header, "act: parameter text.headers.Authorization", "text.headers.Authorization"),
        (
            as_item,
            "root.dag.tasks.for-loop-2.parameterIterator.items.raw",
            "root.dag.tasks.for-loop-2.parameterIterator.items.raw",
        ),
        (as_description, "pipelineInfo.description", "pipelineInfo.description"),
    ],
)
def test_a_secret_is_told_wherever_it_stands(function: Callable[..., None], place: str, tag: str) -> None:
    (told,) = found(function)
    assert told.startswith(f"{place}: a secret in plain text")
    assert told.endswith(f" [plain-secret:{tag}]")


def plain(text: str = "", db_password: str = "${DB_PASSWORD}") -> None:
    act(text=text)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("text", "https://u:hunter2@host/x.csv"), ("db_password", "hunter2"), ("text", '{"api_key": "hunter2"}')],
)
def test_a_secret_that_a_run_is_given(parameter: str, value: str) -> None:
    """By --param: no default of the pipeline's has it."""
    lint.check([compiled(plain)], target.KUBEFLOW)
    with pytest.raises(ConfigError, match=f"^parameter {parameter}.*: a secret in plain text") as told:
        lint.check([compiled(plain)], target.KUBEFLOW, parameters={parameter: value})
    assert "hunter2" not in str(told.value)


def test_a_secret_in_a_command_or_an_image() -> None:
    """Of a pipeline written by hand. A component's source may assign to a variable of such a name."""
    spec = compiled(plain)
    container = spec["deploymentSpec"]["executors"]["exec-act"]["container"]
    container["command"] = ["sh", "-c", "api_token = read(); password=variable"]
    lint.check([spec], target.KUBEFLOW)
    container["command"] = ["sh", "-c", "curl -H 'Authorization: Bearer abc.def' https://host"]
    container["image"] = "https://u:hunter2@registry/image:1"
    findings = lint.findings([spec], target.KUBEFLOW)
    assert sorted(finding.name for finding in findings if finding.rule == "plain-secret") == [
        "deploymentSpec.executors.exec-act.container.command",
        "deploymentSpec.executors.exec-act.container.image",
    ]
    assert any("a secret in plain text (a bearer token) is there for all" in str(finding) for finding in findings)


def test_one_finding_or_a_rule_is_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "by-hand.yaml"
    path.write_text(yaml.safe_dump(compiled(as_default)))
    assert main.main(["lint", str(path), "--allow", "plain-secret:other", "--allow", "large-spec"]) == 2
    assert main.main(["lint", str(path), "--allow", "plain-secret:db_password"]) == 0
    assert main.main(["lint", str(path), "--allow", "plain-secret"]) == 0
    capsys.readouterr()
    assert main.main(["lint", str(path), "--allow", "plain-secrets"]) == 2
    assert capsys.readouterr().err == "penstock: no lint rule 'plain-secrets' to allow; did you mean 'plain-secret'?\n"
    with pytest.raises(ConfigError, match="expected one of named-output-in-condition, int-against-float"):
        lint.findings([compiled(as_default)], target.LOCAL, ["zzz"])


def test_a_secret_in_a_configuration(load: Callable[..., Config], tmp_path: Path) -> None:
    given = ["training.custom_config={api_token: abc, db: {password: hunter2}, max_tokens: 3}"]
    with pytest.raises(ConfigError, match="breaks 2 rules") as told:
        compile_config(load(given), target.LOCAL, tmp_path / "ir.yaml")
    first, second = told.value.details.splitlines()
    assert first.startswith("trainer: parameter custom_config.api_token: a secret in plain text")
    assert second.endswith("[plain-secret:custom_config.db.password]")
    with pytest.raises(ConfigError, match=r"custom_config\.dsn: a secret in plain text \(a password in a URL\)"):
        compile_config(load(["training.custom_config={dsn: 'postgres://u:hunter2@h'}"]), target.LOCAL, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    allowed = "lint.allow=['plain-secret:custom_config.api_token', 'plain-secret:custom_config.db.password']"
    compile_config(load([*given, allowed]), target.LOCAL, tmp_path / "ir.yaml")
    with pytest.raises(ConfigError, match=r"lint\.allow\.0: expected a rule's id, such as plain-secret"):
        load(["lint.allow=[Plain secret]"])


@pytest.mark.parametrize(
    "assignment",
    [
        "data.path='https://u:hunter2@h/x.csv'",
        "push.directory='s3://KEY:hunter2@bucket/x'",
        "pipeline_root='s3://KEY:hunter2@bucket/x'",
        "training.custom_config={db: {password: hunter2}}",
        "training.custom_config={command: 'curl -u alice:hunter2 https://h'}",
        "tasks={trainer: {env: {DB_PASSWORD: hunter2}}}",
    ],
)
def test_validate_tells_what_compile_refuses(
    load: Callable[..., Config], project: Path, assignment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    load()
    config = str(project / "pipeline.yaml")
    assert main.main(["compile", config, "-o", str(project / "ir.yaml"), "--set", assignment]) == 2
    refused = capsys.readouterr().err
    assert "a secret in plain text" in refused
    assert "hunter2" not in refused
    assert main.main(["validate", config, "--set", assignment]) == 2
    told = capsys.readouterr()
    assert told.err == refused
    assert told.out == ""
    assert main.main(["validate", config, "--set", assignment, "--set", "lint.allow=[plain-secret]"]) == 0
