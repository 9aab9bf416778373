"""One shape for every server that we ask: the request, its answer, what is tried again, and each failure's sentence.

A service's connection is a subclass of Transport. It says how its client is called (`_send`), what a person can do
about each failure (`advice`), and which answers mean something else than other servers' do (`_refusal`). All that
follows from a failure is decided here and in retries.py:

| what came | what it is | asked again |
| --- | --- | --- |
| 401, a redirect, 403, another 4xx | ServerError: a person can mend it | no |
| 404, 409 | NotFound, AlreadyExists | no |
| 429, 5xx | Unanswered, after the seconds of Retry-After | yes |
| a connection that was cut, or a late answer | Unanswered: the request may have had its effect | yes |
| no connection | NoServer; Unanswered once the server is known to be there | once known |
| no trust in the certificate, no address | ServerError | no |

"Asked again" holds for `repeat`. What makes something goes through retries.make_once, which looks for it first.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from urllib3 import exceptions

from penstock.core.errors import NoServer, ServerError
from penstock.core.services.retries import TRIES, AlreadyExists, NotFound, Unanswered, pause, seconds

_LONGEST = 240


@dataclass(frozen=True)
class Answer:
    """An answer that tells of a failure: `message` is its sentence on one line, "" for a page or nothing."""

    status: int
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    @classmethod
    def of_json(cls, status: int, headers: Mapping[str, str] | None, body: str | None) -> Self:
        """Reads the JSON that tells of a failure: `message`, as Kubernetes has it, or `error`."""
        try:
            document = json.loads(body or "")
        except ValueError:
            document = None
        text = document.get("message") or document.get("error") or "" if isinstance(document, dict) else ""
        return cls(status, short(str(text)).removesuffix("."), headers or {}, body or "")

    @property
    def summary(self) -> str:
        """The status and what the server says, as they stand in a sentence."""
        return f"({self.status}: {self.message})" if self.message else f"({self.status})"


class Refused(Exception):
    """A client's own error for an answer that is no success."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.summary)
        self.answer = answer


@dataclass(frozen=True)
class Advice:
    """What a person can do about a service's failures: how the sentence ends that tells of each."""

    sign_in: str
    role: str
    unknown: str
    address: str
    no_server: str
    slow: str
    certificate: str
    no_tls: str
    busy: str = "has too many requests"
    failed: str = "try again later"


class Transport(ABC):
    """A server, signed in to.

    `host` is its address and `timeout` the seconds that it has for an answer. `known` says that it is there: it has
    answered before, or its address is nobody's to mistype.
    """

    host: str
    timeout: float
    advice: Advice
    known: bool = False

    @abstractmethod
    def _send(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Calls the client; raises Refused for an answer that is no success, and urllib3's error for none."""

    def request(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Makes one request, once. The table above says what a failure raises."""
        try:
            answer = self._send(operation, *arguments, **options)
        except Refused as refused:
            self.known = True
            raise self._refusal(refused.answer) from None
        except exceptions.HTTPError as error:
            raise self._no_answer(error) from None
        self.known = True
        return answer

    def repeat(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Makes a request that changes nothing when made twice; tries again where no answer came."""
        for number in range(1, TRIES):
            try:
                return self.request(operation, *arguments, **options)
            except Unanswered as error:
                pause(number, error)
        return self.request(operation, *arguments, **options)

    def _refusal(self, answer: Answer) -> ServerError | Unanswered:
        """Returns what an answer that is no success means."""
        host, status, advice = self.host, answer.status, self.advice
        retry_after = seconds(answer.headers.get("Retry-After", ""))
        if status == 401 or 300 <= status < 400:
            return ServerError(f"{host} wants a sign-in ({status}): {advice.sign_in}")
        if status == 403:
            return ServerError(f"{host} does not let this account do that {answer.summary}: {advice.role}")
        if status == 404:
            return NotFound(f"{host} does not know that {answer.summary}: {advice.unknown}")
        if status == 409:
            return AlreadyExists(f"{host} has that already {answer.summary}: choose another name")
        if status == 429:
            return Unanswered(f"{host} {advice.busy} {answer.summary}", "try again later", retry_after=retry_after)
        if status >= 500:
            return Unanswered(
                f"{host} failed {answer.summary}", advice.failed, retry_after=retry_after, under_way=status == 504
            )
        return ServerError(f"{host} refuses the request {answer.summary}")

    def _no_answer(self, error: exceptions.HTTPError) -> ServerError | Unanswered:
        """Returns what it means that a request got no answer."""
        host, advice, late = self.host, self.advice, f"{self.host} did not answer in {self.timeout:g} s"
        if isinstance(error, exceptions.SSLError):
            if "WRONG_VERSION_NUMBER" in str(error) or "record layer failure" in str(error):
                return ServerError(f"{host} does not speak TLS: {advice.no_tls}")
            return ServerError(f"{host}: its certificate is not trusted: {advice.certificate}")
        if isinstance(error, exceptions.NewConnectionError | exceptions.ConnectTimeoutError) and self.known:
            return Unanswered(f"no server answers at {host}", "try again")
        if isinstance(error, exceptions.NameResolutionError):
            return NoServer(f"{host}: there is no server of that name: {advice.address}")
        if isinstance(error, exceptions.NewConnectionError):
            return NoServer(f"no server answers at {host}: {advice.no_server}")
        if isinstance(error, exceptions.ConnectTimeoutError):
            return NoServer(f"{late}: {advice.address}, and the network")
        if isinstance(error, exceptions.TimeoutError):
            return Unanswered(late, advice.slow, under_way=True)
        if isinstance(error, exceptions.LocationValueError):
            return ServerError(f"{host} is no address: {advice.address}")
        return Unanswered(f"the connection to {host} was cut", "try again")


def openapi_error(error: Any) -> Exception:
    """Returns what an ApiException of a client that OpenAPI's generator wrote is: a refusal, or no trusted answer."""
    if not error.status:
        return exceptions.SSLError(str(error.reason))
    return Refused(Answer.of_json(error.status, error.headers, error.body))


def innermost(error: Exception) -> exceptions.HTTPError:
    """Returns the error of urllib3 in one of `requests`, which wraps it; what has none comes from a wrong address."""
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, exceptions.HTTPError):
            return innermost(inner)
    return error if isinstance(error, exceptions.HTTPError) else exceptions.LocationValueError(str(error))


def short(text: str) -> str:
    """Returns a text's first line, at most 240 characters of it: servers go from the outcome to its cause."""
    line = next(iter(text.strip().splitlines()), "")
    return line if len(line) <= _LONGEST else f"{line[:80]} … {line[83 - _LONGEST :]}"
