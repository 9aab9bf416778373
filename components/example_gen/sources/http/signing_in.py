"""How requests to the API sign in. A token of OAuth's is asked for when there is none, and anew when it expires."""

import json
import time
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote_plus, urlencode

from penstock.components.example_gen.sources.http.options import Auth
from penstock.core.errors import ServerError
from penstock.core.services.http import HttpServer

_EARLY = 30.0  # seconds before its end that a token is asked for anew
_LONGEST = 1 << 20  # bytes of an answer that holds a token


class SignIn(ABC):
    """What a request carries to sign in; only one to the API's own origin does."""

    @abstractmethod
    def headers(self) -> Mapping[str, str]:
        """Returns the headers of a request; they may ask another server for a token."""

    def expired(self) -> bool:
        """Tells that the API refused the credentials (401); whether there may be others now."""
        return False


class Nobody(SignIn):
    def headers(self) -> Mapping[str, str]:
        return {}


class Fixed(SignIn):
    """The same header with each request."""

    def __init__(self, name: str, value: str) -> None:
        self._headers = {name: value}

    def headers(self) -> Mapping[str, str]:
        return self._headers


class OAuthClient(SignIn):
    """A client that gets a token for its own credentials (RFC 6749, section 4.4)."""

    def __init__(self, auth: Auth, ca_cert: str) -> None:
        self._auth = auth
        self._id = auth.get("client_id") or auth.secret("client_id")
        self._secret = auth.secret("client_secret")
        self._server = HttpServer("http.auth.token_url", auth.get("token_url"), ca_cert=ca_cert)
        self._token, self._ends = "", 0.0

    def headers(self) -> Mapping[str, str]:
        if not self._token or time.monotonic() >= self._ends:
            self._token, self._ends = self._server.repeat(self._ask)
        return {"Authorization": f"Bearer {self._token}"}

    def expired(self) -> bool:
        had_one, self._token = bool(self._token), ""
        return had_one

    def _ask(self) -> tuple[str, float]:
        """Returns a token, and when to ask anew by the clock of this process."""
        asked = {"grant_type": "client_credentials"}
        asked |= {name: value for name in ("scope", "audience") if (value := self._auth.get(name))}
        pair = f"{quote_plus(self._id)}:{quote_plus(self._secret)}"
        headers = {
            "Authorization": f"Basic {b64encode(pair.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        url, now = self._auth.get("token_url"), time.monotonic()
        with self._server.answering("POST", url, headers, (200,), urlencode(asked).encode()) as response:
            body = response.raw.read(_LONGEST, decode_content=True)
        try:
            document = json.loads(body)
            token = document["access_token"]
            seconds = float(document.get("expires_in") or 3600)
        except (ValueError, KeyError, TypeError, AttributeError):
            token, seconds = "", 0.0
        if not (isinstance(token, str) and token.isascii() and token.isprintable() and token):
            raise ServerError(f"{self._server.host}: expected JSON with an access_token: check http.auth.token_url")
        return token, now + max(seconds - _EARLY, seconds / 2)


def of(auth: Auth | None, ca_cert: str) -> SignIn:
    """Returns how an API is signed in to; a ConfigError for a secret that is not where it should be."""
    if auth is None:
        return Nobody()
    if auth.get("token_url"):
        return OAuthClient(auth, ca_cert)
    if user := auth.get("user"):
        pair = f"{user}:{auth.secret('password')}"
        return Fixed("Authorization", f"Basic {b64encode(pair.encode()).decode()}")
    header = auth.get("header", "Authorization")
    scheme = auth.get("scheme", "Bearer" if header == "Authorization" else "")
    return Fixed(header, f"{scheme} {auth.secret('token')}".strip())
