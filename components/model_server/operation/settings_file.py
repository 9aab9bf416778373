"""The settings of the operation as a file has them, or the server's settings in JSON.

    limits: {body_bytes: 10000000, requests: 500}
    token: {file: /secrets/token}                      # or {variable: SERVING_TOKEN}
    tls: {certificate: /secrets/tls.crt, key: /secrets/tls.key}
    access_log: {level: errors}                        # on standard output, without a path
    request_log: {folder: /logs, sample: 0.1, rotate_seconds: 60}
    events: {url: "http://logger.default/", service: taxi, namespace: prod}

The keys of each section are the fields of its record in settings.py, which has the defaults.
"""

import math
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_type_hints

from penstock.components.model_server.operation import settings
from penstock.core.arguments import check_object, check_string, check_whole_number
from penstock.core.errors import ConfigError
from penstock.core.files import documents, yaml_documents
from penstock.core.text import printable

_EXAMPLE = "{request_log: {folder: /logs}}"
_SECTIONS: dict[str, Callable[..., Any]] = {
    "limits": settings.Limits,
    "token": settings.Token,
    "tls": settings.Tls,
    "access_log": settings.AccessLog,
    "request_log": settings.RequestLog,
    "events": settings.Events,
}


def read(path: Path) -> settings.Operation:
    """Returns the settings in a YAML file; a ConfigError names what does not fit."""
    try:
        document = yaml_documents.parse(documents.read_text(path), str(path))
    except documents.DocumentError as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}: expected a YAML file of settings") from None
    return of_object(str(path), document.value)


def of_object(where: str, value: Any) -> settings.Operation:
    """Returns the settings in an object of sections; a section may be `{}`, which turns it on with its defaults."""
    sections = check_object(where, value, list(_SECTIONS), _EXAMPLE)
    return settings.Operation(
        **{
            name: _record(f"{where}: {name}", _SECTIONS[name], section)
            for name, section in sections.items()
            if section is not None
        }
    )


def _record(where: str, kind: Any, value: Any) -> Any:
    items = check_object(where, value, [field.name for field in fields(kind)])
    missing = [field.name for field in fields(kind) if field.default is MISSING and field.name not in items]
    if missing:
        raise ConfigError(f"{where}.{missing[0]} is missing: this section needs it")
    types = get_type_hints(kind)
    return kind(**{name: _checked(f"{where}.{name}", types[name], item) for name, item in items.items()})


def _checked(where: str, kind: Any, value: Any) -> Any:
    if kind is int:
        return check_whole_number(where, value, 1)
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(f"{where}: expected a number, received {printable.value(value)}")
        return float(value)
    if kind in (Path, Path | None):
        return Path(check_string(where, value, "a path"))
    return check_string(where, value, "a text")
