"""Options of `penstock serve` for the server's operation: logs, events, a token and TLS; all else is in a file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.core.errors import ConfigError

if TYPE_CHECKING:
    from penstock.components.model_server.operation.settings import Operation

_STANDARD_OUTPUT = Path("-")
_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option("--access-log", type=_PATH, help="Writes a line of JSON for each request to a file; - for stdout."),
    click.option("--request-log", type=_PATH, help="Writes predictions to files below a folder."),
    click.option("--events", help="Sends requests and answers as CloudEvents to a URL, as KServe's logger does."),
    click.option("--token-file", type=_PATH, help="Requests must carry the bearer token that is in a file."),
    click.option("--tls-certificate", type=_PATH, help="Speaks TLS with the certificate (and its chain) in a file."),
    click.option("--tls-key", type=_PATH, help="The file of the certificate's key."),
    click.option("--operation", type=_PATH, help="A YAML file of all this, and of limits, samples and rotation."),
)


def operation_options[Command: Callable[..., Any]](command: Command) -> Command:
    """Adds the options to a command, which passes them to `operation`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def operation(
    access_log: Path | None = None,
    request_log: Path | None = None,
    events: str | None = None,
    token_file: Path | None = None,
    tls_certificate: Path | None = None,
    tls_key: Path | None = None,
    operation: Path | None = None,
) -> "Operation":
    """Returns what the options say, on top of what the file says; a ConfigError if they do not fit."""
    from penstock.components.model_server.operation import settings, settings_file

    chosen = settings_file.read(operation) if operation else settings.Operation()
    if access_log:
        path = None if access_log == _STANDARD_OUTPUT else access_log
        chosen = replace(chosen, access_log=replace(chosen.access_log or settings.AccessLog(), path=path))
    if request_log:
        log = chosen.request_log
        log = replace(log, folder=request_log) if log else settings.RequestLog(request_log)
        chosen = replace(chosen, request_log=log)
    if events:
        chosen = replace(
            chosen, events=replace(chosen.events, url=events) if chosen.events else settings.Events(events)
        )
    if token_file:
        chosen = replace(chosen, token=settings.Token(token_file))
    if bool(tls_certificate) != bool(tls_key):
        raise ConfigError("--tls-certificate and --tls-key belong together: expected both, received one")
    if tls_certificate and tls_key:
        chosen = replace(chosen, tls=settings.Tls(tls_certificate, tls_key))
    return chosen
