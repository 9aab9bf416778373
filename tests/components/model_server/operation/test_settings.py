"""What cannot be set is refused with a sentence that names it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.components.model_server.operation import settings
from penstock.core.errors import ConfigError


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: settings.Limits(body_bytes=0), "limits: body_bytes: expected at least 1, received 0"),
        (lambda: settings.Limits(receive_seconds=-1.0), "limits: receive_seconds: expected more than 0, received -1.0"),
        (lambda: settings.Token(), "token: expected a file or an environment variable, and not both"),
        (lambda: settings.Token(Path("t"), "T"), "token: expected a file or an environment variable, and not both"),
        (
            lambda: settings.AccessLog(level="error"),  # type: ignore[arg-type]
            "access log: level: there is no 'error': did you mean 'errors'?",
        ),
        (
            lambda: settings.RequestLog(Path("log"), format="tfrecords"),  # type: ignore[arg-type]
            "request log: format: there is no 'tfrecords': did you mean 'tfrecord'?",
        ),
        (
            lambda: settings.RequestLog(Path("log"), sample=0),
            "request log: sample: expected more than 0 and at most 1, received 0",
        ),
        (
            lambda: settings.Events("logger.default:80"),
            "events: url: expected an address such as http://logger.default/, received 'logger.default:80'",
        ),
        (
            lambda: settings.Events("http://me:secret@logger/"),
            "events: url: expected an address without a name and password, received 'logger'",
        ),
        (
            lambda: settings.Events("http://logger:port/"),
            "events: url: expected an address such as http://logger.default/, received 'http://logger:port/'",
        ),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        make()
    assert error.value.message == sentence
