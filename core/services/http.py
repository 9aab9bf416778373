"""A server that is asked over HTTP, by `requests`: proxies of the environment, certificates, every failure a sentence.

Redirects are not followed here, and ~/.netrc is not read: who asks decides which address gets which credentials.
"""

import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3 import exceptions

from penstock.core.errors import ConfigError
from penstock.core.services.transport import Advice, Answer, Refused, Transport, innermost, short

if TYPE_CHECKING:
    import requests

_CONNECT = 10.0  # seconds for a connection
_LONGEST_REFUSAL = 1 << 16  # bytes that are read of an answer that is no success
REDIRECTS = (301, 302, 303, 307, 308)


def origin(url: str) -> str:
    """Returns the scheme, host and port of a URL, which is all that a sentence tells of it.

    Raises a ValueError for what is no address of HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address that begins with http:// or https://")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    standard = port == {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if standard else f":{port}")


class HttpServer(Transport):
    """A server by its address. `timeout` is the seconds that it may say nothing for.

    Args:
        key: The place of the address in the configuration, for errors.
        ca_cert: A file with the certificates that the server's is checked against, by default the public ones.
        client_cert: A file with the certificate that this client signs in with, and its key in `client_key`.
    """

    def __init__(
        self,
        key: str,
        url: str,
        *,
        timeout: float = 60.0,
        ca_cert: str = "",
        client_cert: str = "",
        client_key: str = "",
    ) -> None:
        import requests

        try:
            self.host = origin(url)
        except ValueError:
            raise ConfigError(f"{key}: expected an address that begins with http:// or https://") from None
        self.timeout = timeout
        self.advice = _advice(key)
        self._session = requests.Session()
        self._session.auth = lambda request: request  # without one, ~/.netrc counts
        self._verify = _certificates(f"{key}: ca_cert", ca_cert) or None
        if client_cert:
            self._session.cert = _identity(key, client_cert, client_key)

    @contextlib.contextmanager
    def answering(
        self, method: str, url: str, headers: Mapping[str, str], success: tuple[int, ...], data: bytes | None = None
    ) -> Iterator["requests.Response"]:
        """Makes one request and yields its answer, whose body is not read yet.

        What is raised of the request and of reading the body is what Transport makes of it: to be called in
        `request` or `repeat`.
        """
        import requests

        response = None
        try:
            response = self._session.request(
                method,
                url,
                headers=dict(headers),
                data=data,
                timeout=(_CONNECT, self.timeout),
                allow_redirects=False,
                stream=True,
                verify=self._verify,
            )
            if response.status_code not in success:
                raise Refused(_refusal(response))
            yield response
        except requests.RequestException as error:
            raise innermost(error) from None
        finally:
            if response is not None:
                response.close()

    def _send(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return operation(*arguments, **options)


def _refusal(response: "requests.Response") -> Answer:
    """Returns an answer that is no success; its body is read as far as a sentence needs it."""
    try:
        body = response.raw.read(_LONGEST_REFUSAL, decode_content=True)
    except exceptions.HTTPError:
        body = b""
    text = body.decode(errors="replace") if "html" not in response.headers.get("Content-Type", "") else ""
    answer = Answer.of_json(response.status_code, response.headers, text)
    if answer.message or text.lstrip().startswith(("{", "[")):
        return answer
    return Answer(response.status_code, short(text).removesuffix("."), response.headers, text)


def _certificates(key: str, ca_cert: str) -> str:
    """Returns the file, which is read once: requests reads it later and with worse words."""
    if ca_cert:
        try:
            ssl.create_default_context(cafile=ca_cert)
        except OSError as error:
            reason = "expected PEM certificates" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(f"{key}: {ca_cert}: {reason}") from None
    return ca_cert


def _identity(key: str, client_cert: str, client_key: str) -> str | tuple[str, str]:
    try:
        ssl.create_default_context().load_cert_chain(client_cert, client_key or None)
    except OSError as error:
        reason = "expected a PEM certificate and its key" if isinstance(error, ssl.SSLError) else error.strerror
        missing = client_key if client_key and not Path(client_key).is_file() else client_cert
        raise ConfigError(f"{key}: client_cert: {missing}: {reason}") from None
    return (client_cert, client_key) if client_key else client_cert


def _advice(key: str) -> Advice:
    return Advice(
        sign_in=f"check the credentials of {key}",
        role=f"check what the account of {key} may read",
        unknown=f"check {key}",
        address=f"check {key}",
        no_server=f"check {key} and the network",
        slow="try again, or ask for less at once",
        certificate=f"name the certificates that it is checked against in ca_cert of {key}",
        no_tls=f"write http:// in {key}",
    )
