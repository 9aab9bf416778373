"""The connection to SageMaker: what each of boto3's failures means to a person."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.core.errors import ConfigError, NoServer, PenstockError, ServerError
from penstock.core.services import aws, retries
from penstock.core.services.retries import AlreadyExists, NotFound, Unanswered
from penstock.core.services.sagemaker import Server
from tests.servers import ports
from tests.servers.loopback import Cut, Hang, Status
from tests.servers.sagemaker import SageMaker

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SageMaker]:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in KEYS:
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(retries, "PAUSE", 0.0)
    aws._session.cache_clear()
    with SageMaker() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", server.url)
        yield server
    aws._session.cache_clear()


def ask(region: str = "us-east-1") -> None:
    server = Server(region)
    server.repeat(server.client.describe_endpoint, EndpointName="taxi")


@pytest.mark.parametrize(
    ("code", "kind", "message", "error", "sentence"),
    [
        (
            400,
            "ValidationException",
            'Could not find endpoint "taxi".',
            NotFound,
            "does not know .*check push.sagemaker",
        ),
        (400, "ValidationException", "Cannot create already existing model", AlreadyExists, "has that already"),
        (400, "ValidationException", "1 validation error", ServerError, "refuses the request .*1 validation error"),
        (400, "AccessDeniedException", "no identity-based policy", ServerError, "does not let this .*iam:PassRole"),
        (400, "ExpiredTokenException", "expired", ServerError, "wants a sign-in .*aws sso login"),
        (403, "UnrecognizedClientException", "invalid token", ServerError, "wants a sign-in .*AWS_PROFILE"),
        (400, "ThrottlingException", "Rate exceeded", Unanswered, "has too many requests"),
        (500, "InternalFailure", "", Unanswered, "failed .*try again later"),
    ],
)
def test_what_an_answer_means(
    server: SageMaker, code: int, kind: str, message: str, error: type[PenstockError], sentence: str
) -> None:
    server.kind = kind
    server.fail("POST", "DescribeEndpoint", *[Status(code, message)] * 3)
    with pytest.raises(error, match=sentence):
        ask()


def test_no_answer(server: SageMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    server.fail("POST", "DescribeEndpoint", *[Cut(after=False)] * 3)
    with pytest.raises(Unanswered, match=r"the connection to .* was cut"):
        ask()
    monkeypatch.setattr(aws, "TIMEOUT", 0.5)
    server.fail("POST", "DescribeEndpoint", *[Hang(1.0)] * 3)
    with pytest.raises(Unanswered, match=r"did not answer in 0\.5 s") as raised:
        ask()
    assert raised.value.under_way


def test_no_server(server: SageMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", f"http://127.0.0.1:{ports.reserve()}")
    with pytest.raises(NoServer, match=r"no server answers at .*: check push\.sagemaker\.region and the network"):
        ask()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", server.url.replace("http", "https"))
    with pytest.raises(ServerError, match="does not speak TLS: write http:// in AWS_ENDPOINT_URL_SAGEMAKER"):
        ask()


def test_no_region_and_no_credentials(server: SageMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"push\.sagemaker\.region is missing: expected it there, in AWS_REGION"):
        ask(region="")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match=r"AWS: The config profile \(nobody\) could not be found"):
        ask()
    for name in ("AWS_PROFILE", *KEYS):
        monkeypatch.delenv(name)
    aws._session.cache_clear()
    with pytest.raises(ServerError, match="wants a sign-in: Unable to locate credentials: run `aws sso login`"):
        ask()
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert Server().region == "eu-west-1"
