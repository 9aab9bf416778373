"""Secrets: what is one by its name, wherever it stands; what only refers to one; and how one is allowed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.core.errors import ConfigError
from penstock.pipelines import lint
from penstock.pipelines.cli import main
from penstock.pipelines.compiling.compile import compile_config
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.lint.secrets import is_secret
from penstock.pipelines.targets import target
from tests.pipelines.lint.steps import act, compiled, found

NAMES = """
password db_password dbPassword DB_PASSWORD dbpassword PGPASSWORD password2 password_prod passwd pwd passphrase
secret client_secret api_token apiToken authtoken token_value api_key apiKey APIKey x-api-key apikey credentials
aws_access_key aws_access_key_id aws_access_key_secret aws_secret_access_key private_key storage_account_key
"""


@pytest.mark.parametrize("name", NAMES.split())
def test_a_secret_by_its_name(name: str) -> None:
    assert is_secret(name, "hunter2")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token_column", "text"),
        ("secret_name", "my-k8s-secret"),
        ("k8s_secret", "registry"),
        ("image_pull_secret", "registry"),
        ("token_env", "KFP_TOKEN"),
        ("credentials_file", "/etc/x.json"),
        ("google_application_credentials", "/etc/x.json"),
        ("eos_token", "</s>"),
        ("next_page_token", "abc"),
        ("max_tokens", "100"),
        ("token", 100),
        ("use_token", True),
        ("tokenizer", "words"),
        ("public_key", "ssh-rsa AAAA"),
        ("label_key", "tips"),
        ("primary_key", "id"),
        ("password", ""),
        ("password", " "),
        ("password", None),
        ("password", "${DB_PASSWORD}"),
        ("password", "{{$.inputs.parameters['password']}}"),
        ("api_token", "projects/p/secrets/token/versions/1"),
        ("monkey", "a"),
    ],
)
def test_no_secret(name: str, value: Any) -> None:
    assert not is_secret(name, value)


def test_a_password_may_be_a_number() -> None:
    assert is_secret("password", 1234.0)


def as_default(db_password: str = "hunter2") -> None:
    act(text=db_password)


def as_dict(settings: dict = {"db": {"password": "hunter2"}, "tokens": [1]}) -> None:  # noqa: B006
    act()


def as_json() -> None:
    act(text='{"db": [{"password": "hunter2"}]}')


def as_variable() -> None:
    act().set_env_variable("DB_PASSWORD", "hunter2")


@pytest.mark.parametrize(
    ("function", "place", "tag"),
    [
        (as_default, "parameter db_password", "db_password"),
        (as_dict, "parameter settings.db.password", "settings.db.password"),
        (as_json, "act: parameter text.db.password", "text.db.password"),
        (as_variable, "component act: variable DB_PASSWORD", "DB_PASSWORD"),
    ],
)
def test_a_secret_is_told_wherever_it_stands(function: Callable[..., None], place: str, tag: str) -> None:
    (told,) = found(function)
    assert told.startswith(f"{place}: a secret in plain text")
    assert told.endswith(f" [plain-secret:{tag}]")


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
    allowed = "lint.allow=['plain-secret:custom_config.api_token', 'plain-secret:custom_config.db.password']"
    compile_config(load([*given, allowed]), target.LOCAL, tmp_path / "ir.yaml")
    with pytest.raises(ConfigError, match=r"lint\.allow\.0: expected a rule's id, such as plain-secret"):
        load(["lint.allow=[Plain secret]"])
