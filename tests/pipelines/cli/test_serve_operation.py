"""Options of `penstock serve` for the operation: they go over what a file says."""

from pathlib import Path

import pytest

from penstock.components.model_server.operation import settings
from penstock.core.errors import ConfigError
from penstock.pipelines.cli.serve_operation import operation


def test_nothing_is_on_without_options() -> None:
    assert operation() == settings.Operation()


def test_options_turn_things_on() -> None:
    chosen = operation(
        access_log=Path("-"),
        request_log=Path("log"),
        events="http://logger/",
        token_file=Path("token"),
        tls_certificate=Path("crt"),
        tls_key=Path("key"),
    )
    assert chosen == settings.Operation(
        token=settings.Token(Path("token")),
        tls=settings.Tls(Path("crt"), Path("key")),
        access_log=settings.AccessLog(),
        request_log=settings.RequestLog(Path("log")),
        events=settings.Events("http://logger/"),
    )


def test_options_go_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "operation.yaml"
    file.write_text(
        "limits: {requests: 7}\naccess_log: {level: errors}\nrequest_log: {folder: of-the-file, sample: 0.5}\n"
        "events: {url: 'http://of-the-file/', service: taxi}\n"
    )
    chosen = operation(access_log=Path("access.log"), request_log=Path("log"), events="http://logger/", operation=file)
    assert chosen == settings.Operation(
        settings.Limits(requests=7),
        access_log=settings.AccessLog(Path("access.log"), "errors"),
        request_log=settings.RequestLog(Path("log"), sample=0.5),
        events=settings.Events("http://logger/", service="taxi"),
    )


def test_a_certificate_needs_its_key() -> None:
    with pytest.raises(ConfigError, match="--tls-certificate and --tls-key belong together: expected both"):
        operation(tls_certificate=Path("crt"))
