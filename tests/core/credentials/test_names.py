"""What is a secret by its name, and what only refers to one."""

from typing import Any

import pytest

from penstock.core.credentials.names import is_password, is_random, is_secret

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
        ("password", "<password>"),
        ("password", "***"),
        ("password", "***0a1b2c3d4e"),
        ("signature", "serving_default"),
        ("key", "customer_id"),
        ("cache_key", "Zk3vQ9xT7bLm2RwY"),
        ("label", "Zk3vQ9xT7bLm2RwY"),
        ("Authorization", "required"),
        ("Authorization", "Bearer ${TOKEN}"),
    ],
)
def test_no_secret(name: str, value: Any) -> None:
    assert not is_secret(name, value)


def test_a_password_may_be_a_number() -> None:
    assert is_secret("password", 1234.0)


@pytest.mark.parametrize("name", ["auth", "signature", "X-Amz-Signature", "session", "license_key", "slack_webhook"])
def test_a_random_text_under_a_name_that_may_tell_of_a_secret(name: str) -> None:
    assert is_secret(name, "Zk3vQ9xT7bLm2RwY")
    assert not is_secret(name, "of the first kind")


def test_a_header_is_a_secret_however_short() -> None:
    assert is_secret("Authorization", "Basic dTpw")
    assert is_secret("proxy-authorization", "Bearer abc")


def test_only_a_password_may_be_a_number() -> None:
    assert is_password("db_password")
    assert not is_password("api_token")


@pytest.mark.parametrize(
    "text",
    ["Zk3vQ9xT7bLm2RwY", "9f86d081884c7d659a2feaa0c55ad015", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY1x2"],
)
def test_what_looks_random(text: str) -> None:
    assert is_random(text)


@pytest.mark.parametrize(
    "text",
    [
        "penstock.trainer.default.run_fn",
        "s3://bucket/folder/file-00001-of-00010.csv",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "aaaaaaaaaaaaaaaaaaaa1111",
        "12345678901234567890",
        "internationalization",
        "two words Zk3vQ9xT7bLm2RwY",
    ],
)
def test_what_does_not(text: str) -> None:
    assert not is_random(text)
