"""The settings of the operation in a file: what is read, and how each mistake is told."""

import re
from pathlib import Path

import pytest

from penstock.components.model_server.operation import settings, settings_file
from penstock.core.errors import ConfigError

DOCS = Path(__file__).resolve().parents[4] / "docs"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "operation.yaml"
    path.write_text(text)
    return path


def test_every_section_is_read(tmp_path: Path) -> None:
    text = """
    limits: {body_bytes: 1000, receive_seconds: 5}
    token: {file: /secrets/token}
    tls: {certificate: /secrets/tls.crt, key: /secrets/tls.key}
    access_log: {}
    request_log: {folder: /logs, format: parquet, sample: 0.1}
    events: {url: "http://logger.default/", service: taxi}
    """
    assert settings_file.read(write(tmp_path, text)) == settings.Operation(
        settings.Limits(body_bytes=1000, receive_seconds=5.0),
        settings.Token(Path("/secrets/token")),
        settings.Tls(Path("/secrets/tls.crt"), Path("/secrets/tls.key")),
        settings.AccessLog(),
        settings.RequestLog(Path("/logs"), "parquet", 0.1),
        settings.Events("http://logger.default/", service="taxi"),
    )


def test_the_file_of_the_page_is_read(tmp_path: Path) -> None:
    block = re.search(r"^```yaml\n(# operation.yaml.*?)^```$", (DOCS / "serving.md").read_text(), re.M | re.S)
    assert block
    read = settings_file.read(write(tmp_path, block[1]))
    assert read.limits == settings.Limits()  # the page shows the defaults
    assert read.request_log == settings.RequestLog(Path("requests"), sample=0.1)
    assert None not in (read.token, read.tls, read.access_log, read.events)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1]", "{file}: expected an object such as {{request_log: {{folder: /logs}}}}, received [1]"),
        ("requestlog: {}", "{file}: unknown key 'requestlog'; did you mean 'request_log'?"),
        ("request_log: {}", "{file}: request_log.folder is missing: this section needs it"),
        ("limits: {body_bytes: 1.5}", "{file}: limits.body_bytes: expected a whole number, 1 or more, received 1.5"),
        ("limits: {receive_seconds: soon}", "{file}: limits.receive_seconds: expected a number, received 'soon'"),
        ("tls: {certificate: 1, key: k}", "{file}: tls.certificate: expected a path, received 1"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        settings_file.read(file)
    assert error.value.message == sentence.format(file=file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml cannot be read: No such file or directory"):
        settings_file.read(tmp_path / "none.yaml")
