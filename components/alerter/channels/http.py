"""Channels that are told over HTTP: the connection, and every failure as one sentence."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock.components.alerter.channels.channel import tls_context
from penstock.core.errors import ConfigError
from penstock.core.files import documents
from penstock.core.services.retries import AlreadyExists
from penstock.core.services.transport import Advice, Answer, Refused, Transport, innermost, short

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)
TIMEOUT = 10.0
_SUCCESS = range(200, 300)


@dataclass(frozen=True)
class Credentials:
    """How to sign in: with a bearer token, or with a user and a password; with neither by default."""

    token: str = ""
    user: str = ""
    password: str = ""


class Http(Transport):
    """The server of a channel. `key` is the channel's place in the configuration.

    A sentence names the server and no more of the address, whose path may be a secret. Redirects are not followed: they
    lead to a page on which people sign in.
    """

    def __init__(self, key: str, url: str, ca_cert: str = "", credentials: Credentials = Credentials()) -> None:
        import requests

        try:
            parts = urlsplit(url)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port above 65535, or half of an IPv6 address
            is_address = False
        if not is_address:
            raise ConfigError(
                f"{key}: expected an address that begins with http:// or https://, and a port below 65536"
            )
        self.host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.timeout = TIMEOUT
        self.advice = _advice(key)
        self._url = url
        self._session = requests.Session()
        self._ca_cert = ca_cert
        if ca_cert:
            tls_context(key, ca_cert)  # reads the file, which requests does later and with worse words
        user, password = requests.utils.get_auth_from_url(url)
        self._credentials = credentials if credentials != Credentials() else Credentials("", user, password)
        self._session.auth = self._sign_in  # without one, ~/.netrc counts for more than a header

    def post(self, document: object, path: str = "", idempotency_key: str = "") -> None:
        """Sends JSON, again where no answer came: it has an id by which the receiver knows it.

        Where that is the `idempotency_key`, a receiver that has it already (409) has taken the message.
        """
        content = documents.json_text(document, allow_nan=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        try:
            self.repeat(
                self._session.post,
                f"{self._url.rstrip('/') if path else self._url}{path}",
                data=content,
                headers=headers | ({"Idempotency-Key": idempotency_key} if idempotency_key else {}),
                verify=self._ca_cert or None,  # here, or REQUESTS_CA_BUNDLE counts for more
            )
        except AlreadyExists:
            if not idempotency_key:
                raise
            logger.info("%s has taken %s before", self.host, idempotency_key)

    def _sign_in(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        from requests.auth import HTTPBasicAuth

        credentials = self._credentials
        if credentials.token:
            request.headers["Authorization"] = f"Bearer {credentials.token}"
        elif credentials.user:
            HTTPBasicAuth(credentials.user, credentials.password)(request)
        return request

    def _send(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        import requests

        try:
            answer = operation(*arguments, **options, timeout=self.timeout, allow_redirects=False)
        except requests.RequestException as error:
            raise innermost(error) from None
        if answer.status_code not in _SUCCESS:
            text = answer.text if "html" not in answer.headers.get("Content-Type", "") else ""
            refusal = Answer.of_json(answer.status_code, answer.headers, text)
            raise Refused(refusal if refusal.message else _of_text(answer.status_code, answer.headers, text))
        return answer


def _of_text(status: int, headers: Mapping[str, str], text: str) -> Answer:
    """Returns an answer whose body is the sentence itself, as Slack's are, or JSON that names it otherwise."""
    return Answer(status, short(text).removesuffix("."), headers, text)


def _advice(key: str) -> Advice:
    return Advice(
        sign_in=f"check the address and the credentials of {key}",
        role=f"check the address and the credentials of {key}",
        unknown=f"check the address of {key}",
        address=f"check the address of {key}",
        no_server=f"check the address of {key} and the network",
        slow="try again",
        certificate=f"name the certificates that it is checked against in {key}.ca_cert",
        no_tls=f"write http:// in the address of {key}",
    )
