"""The connection to a server: each failure is one sentence, each way to sign in reaches the server."""

import ipaddress
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from penstock.core.services import kubeflow as client
from penstock.pipelines.cli import main
from tests.servers.kubeflow_pipelines import Cut, Hang, KubeflowPipelines, Status

NOWHERE = "http://127.0.0.1:9"
Run = Callable[..., int]


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        (Status(401, "Unauthenticated"), 2, "wants a sign-in (401): set kubeflow.token_env"),
        (Status(302, html="<html>", headers={"Location": "/dex/auth"}), 2, "wants a sign-in (302)"),
        (Status(403, "not authorized"), 2, "does not let this account do that (403: not authorized): check kubeflow.n"),
        (Status(404, html="<html>"), 2, "has no KFP API (404): check kubeflow.host"),
        (Status(404, "Not Found"), 2, "has no KFP API (404): check kubeflow.host"),
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


def test_a_pipeline_that_the_server_cannot_read_is_not_sent_again(
    submit: Run, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server answers as to a failure of its own (500), from the outcome to the cause."""
    around = "Failed to create a run due to error fetching manifest: " * 5
    cause = "InvalidInputError: invalid v2 pipeline spec: unknown root"
    server.fail("POST", "/runs", Status(500, f"Failed to create a new run: InternalServerError: {around}{cause}"))
    assert submit() == 2
    told = capsys.readouterr().err
    assert f"{server.url} refuses the request (500: Failed to create a new run: " in told
    assert told.endswith(f"{cause})\n")
    assert len(server.sent("POST", "/runs")) == 1


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
        ("kubeflow.example.com", "--host: kubeflow.host: expected an address that begins with http:// or https://"),
    ],
)
def test_wrong_host(host: str, told: str, compiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["submit", str(compiled), "--host", host]) == 2
    assert told in capsys.readouterr().err


def test_tls_where_there_is_none(compiled: Path, server: KubeflowPipelines, capsys: pytest.CaptureFixture[str]) -> None:
    host = server.url.replace("http:", "https:")
    assert main.main(["submit", str(compiled), "--host", host]) == 2
    assert f"{host} does not speak TLS: write http:// in kubeflow.host" in capsys.readouterr().err


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody but itself vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "server.pem"
    path.write_bytes(private + made.public_bytes(pem))
    return path


def test_a_certificate_of_ones_own_authority(
    compiled: Path, certificate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with KubeflowPipelines(certificate=certificate) as server:
        arguments = ["submit", str(compiled), "--host", server.url, "--set"]
        assert main.main(arguments[:-1]) == 2
        told = capsys.readouterr().err
        assert f"{server.url}: its certificate is not trusted: name the authority's in kubeflow.ssl_ca_cert" in told
        assert main.main([*arguments, f"kubeflow.ssl_ca_cert={certificate}"]) == 0
        assert main.main([*arguments, "kubeflow.verify_ssl=false"]) == 0
        assert len(server.stored["runs"]) == 2


def test_a_sign_in_through_iap_without_credentials(
    compiled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nix.json")
    assert main.main(["submit", str(compiled), "--host", NOWHERE, "--set", "kubeflow.iap_client_id=x"]) == 2
    assert "penstock: kubeflow.iap_client_id: the sign-in failed: " in capsys.readouterr().err


def test_the_variable_stands_in_for_an_absent_host(
    compiled: Path, server: KubeflowPipelines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["submit", str(compiled)]) == 2
    assert "kubeflow.host is missing" in capsys.readouterr().err
    monkeypatch.setenv(client.HOST_VARIABLE, NOWHERE)
    assert main.main(["submit", str(compiled), "--host", server.url]) == 0
    monkeypatch.setenv(client.HOST_VARIABLE, server.url)
    assert main.main(["submit", str(compiled)]) == 0
    monkeypatch.setenv(client.HOST_VARIABLE, "127.0.0.1")
    assert main.main(["submit", str(compiled)]) == 2


@pytest.mark.parametrize("way", ["token_env", "token_file", "service_account_token"])
def test_a_token_signs_in(
    way: str, compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    value = {"token_env": "MY_TOKEN", "token_file": str(file), "service_account_token": "true"}[way]
    with KubeflowPipelines(required={"authorization": "Bearer s3cret"}) as server:
        arguments = ["submit", str(compiled), "--host", server.url, "--set", f"kubeflow.{way}={value}"]
        assert main.main(arguments) == 2
        assert f"kubeflow.{way}: " in capsys.readouterr().err
        file.write_text("s3cret\n")
        monkeypatch.setenv("MY_TOKEN", "s3cret")
        assert main.main(arguments) == 0
        assert main.main(arguments[:4]) == 2
        assert "wants a sign-in (401)" in capsys.readouterr().err


@pytest.mark.parametrize("written", ["Bearer s3cret", "bearer  s3cret\n"])
@pytest.mark.parametrize("way", ["token_env", "token_file"])
def test_a_token_may_be_written_as_its_header(
    way: str, written: str, compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text(written)
    monkeypatch.setenv("MY_TOKEN", written)
    value = {"token_env": "MY_TOKEN", "token_file": str(file)}[way]
    with KubeflowPipelines(required={"authorization": "Bearer s3cret"}) as server:
        assert main.main(["submit", str(compiled), "--host", server.url, "--set", f"kubeflow.{way}={value}"]) == 0


@pytest.mark.slow
def test_outside_a_pod_there_is_one_sentence(compiled: Path, tmp_path: Path) -> None:
    """In a process of its own, with logging as a person has it."""
    command = [sys.executable, "-m", "penstock.pipelines.cli.main", "submit", str(compiled), "--host", NOWHERE]
    done = subprocess.run(
        [*command, "--set", "kubeflow.service_account_token=true"],
        env={**os.environ, "KF_PIPELINES_SA_TOKEN_PATH": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"penstock: kubeflow.service_account_token: no token at {tmp_path}/none: expected a pod with KFP's token "
        "mounted\n"
    )


@pytest.mark.parametrize("written", ["authservice_session=abc", "Cookie: authservice_session=abc"])
def test_cookies_sign_in(written: str, compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEX", written)
    with KubeflowPipelines(required={"Cookie": "authservice_session=abc"}) as server:
        assert main.main(["submit", str(compiled), "--host", server.url, "--set", "kubeflow.cookies_env=DEX"]) == 0


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
    assert main.main(["submit", str(compiled), "--set", setting, "--host", NOWHERE]) == 2
    assert told in capsys.readouterr().err


def test_other_targets(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["submit", str(config), "--target", "local"]) == 2
    assert "--target local: expected one of kubeflow, vertex" in capsys.readouterr().err
    assert main.main(["submit", str(config), "--target", "vertex", "--host", NOWHERE]) == 2
    assert "--host: this is an option of target kubeflow, not vertex" in capsys.readouterr().err
    assert main.main(["submit", str(config), "--target", "kubflow", "--host", NOWHERE]) == 2
    assert "did you mean 'kubeflow'?" in capsys.readouterr().err
