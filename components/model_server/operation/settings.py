"""How a model server is operated: everything that can be set, and its defaults. Nothing here needs TensorFlow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean

type LogFormat = Literal["tfrecord", "parquet"]
type AccessLevel = Literal["all", "errors"]
type EventMode = Literal["all", "request", "response"]


def _require(holds: bool, name: str, expected: str, received: object) -> None:
    if not holds:
        raise ConfigError(f"{name}: expected {expected}, received {received!r}")


def _require_one_of(name: str, received: str, expected: Sequence[str]) -> None:
    if received not in expected:
        raise ConfigError(f"{name}: there is no {received!r}: {did_you_mean(received, expected)}")


@dataclass(frozen=True)
class Limits:
    """What a client may take. Beyond them it is told so: 413, 429, 431, 408, or gRPC's statuses for these."""

    body_bytes: int = 64 << 20
    header_bytes: int = 64 << 10
    requests: int = 2048  # being answered at a time; 429 beyond them
    connections: int = 8192  # of HTTP, open at a time
    receive_seconds: float = 30.0  # for a request's headers, and again for its body

    def __post_init__(self) -> None:
        for name in ("body_bytes", "header_bytes", "requests", "connections"):
            _require(getattr(self, name) >= 1, f"limits: {name}", "at least 1", getattr(self, name))
        seconds = self.receive_seconds
        _require(0 < seconds < math.inf, "limits: receive_seconds", "more than 0", seconds)


@dataclass(frozen=True)
class Token:
    """Where the bearer token is that requests must carry: a mounted file, or an environment variable.

    A file is read again when it has changed. Each of its lines is a token that is accepted, so that a new one can be
    handed out before the old one goes.
    """

    file: Path | None = None
    variable: str = ""

    def __post_init__(self) -> None:
        if bool(self.file) == bool(self.variable):
            raise ConfigError("token: expected a file or an environment variable, and not both")


@dataclass(frozen=True)
class Tls:
    """The files of a certificate (with its chain) and of its key, both PEM; they are read again when they change."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class AccessLog:
    """A line of JSON for each request, on standard output or at the end of a file; never what was asked or answered."""

    path: Path | None = None  # None is standard output
    level: AccessLevel = "all"

    def __post_init__(self) -> None:
        _require_one_of("access log: level", self.level, ("all", "errors"))


@dataclass(frozen=True)
class RequestLog:
    """Files of predictions: what came in and what went out. `sample` is the share of requests that is written."""

    folder: Path
    format: LogFormat = "tfrecord"
    sample: float = 1.0
    rotate_bytes: int = 64 << 20
    rotate_seconds: float = 300.0
    queue_bytes: int = 128 << 20  # of predictions that wait to be written; beyond them they are dropped, and counted

    def __post_init__(self) -> None:
        _require_one_of("request log: format", self.format, ("tfrecord", "parquet"))
        _require(0 < self.sample <= 1, "request log: sample", "more than 0 and at most 1", self.sample)
        _require(self.rotate_bytes >= 1, "request log: rotate_bytes", "at least 1", self.rotate_bytes)
        _require(self.queue_bytes >= 1, "request log: queue_bytes", "at least 1", self.queue_bytes)
        seconds = self.rotate_seconds
        _require(0 < seconds < math.inf, "request log: rotate_seconds", "more than 0", seconds)


@dataclass(frozen=True)
class Events:
    """CloudEvents for a URL, as KServe's logger sends them: the bodies of HTTP requests and of their answers."""

    url: str
    mode: EventMode = "all"
    sample: float = 1.0
    source: str = ""  # the machine's name (in Kubernetes, the pod's) unless it is set
    service: str = ""  # the extensions of KServe's events
    namespace: str = ""
    endpoint: str = ""
    component: str = "predictor"
    queue_bytes: int = 64 << 20
    seconds: float = 10.0  # that the URL has for an answer

    def __post_init__(self) -> None:
        _require_one_of("events: mode", self.mode, ("all", "request", "response"))
        _require(0 < self.sample <= 1, "events: sample", "more than 0 and at most 1", self.sample)
        _require(0 < self.seconds < math.inf, "events: seconds", "more than 0", self.seconds)
        try:
            parts = urlsplit(self.url)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            _require(parts.username is None, "events: url", "an address without a name and password", parts.hostname)
        except ValueError:
            valid = False
        _require(valid, "events: url", "an address such as http://logger.default/", self.url)


@dataclass(frozen=True)
class Operation:
    """How a server is operated. What is None is off."""

    limits: Limits = field(default_factory=Limits)
    token: Token | None = None
    tls: Tls | None = None
    access_log: AccessLog | None = None
    request_log: RequestLog | None = None
    events: Events | None = None
