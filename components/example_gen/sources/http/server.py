"""The API's server: one page at a time to a file, in bounds; credentials go to the API's own origin alone."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from urllib3 import exceptions

from penstock.components.example_gen.sources.http import signing_in
from penstock.components.example_gen.sources.http.options import HttpOptions
from penstock.core.credentials import masks
from penstock.core.errors import DataError, ServerError
from penstock.core.services import http, retries
from penstock.core.services.http import HttpServer
from penstock.core.services.retries import NotFound, Unanswered
from penstock.core.services.transport import Answer

if TYPE_CHECKING:
    import requests

_REDIRECTS = 5
_WAITS = 10  # for an API that has too many requests, each as long as it asks for and at most a minute
_CHUNK = 1 << 16
_REFUSALS = (401, 403, 429)  # which are of who asks, or when, and not of what is asked
_GZIP = 16 + zlib.MAX_WBITS
_ACCEPT = {
    "json": "application/json",
    "json_lines": "application/x-ndjson, application/jsonl, */*",
    "csv": "text/csv, */*",
}


class _Busy(Unanswered):
    """The API has too many requests, and has done nothing."""


@dataclass(frozen=True)
class Received:
    """An answer: its headers, the address that it came from, and whether it is what was known before (304)."""

    headers: Mapping[str, str]
    url: str
    unchanged: bool = False


class ApiServer(HttpServer):
    """The server of an API."""

    def __init__(self, options: HttpOptions) -> None:
        super().__init__("http.url", options.url, timeout=options.timeout, ca_cert=options.ca_cert)
        self._options = options
        who = "check what http.auth names" if options.auth else "say with http.auth who signs in"
        self.advice = replace(self.advice, sign_in=who, role=f"{who}, and what that account may read")
        self._sign_in = signing_in.of(options.auth, options.ca_cert)
        self._asked = options.url

    def get(
        self, url: str, known: Mapping[str, str], path: Path, check: Callable[[Received], None] = lambda received: None
    ) -> Received:
        """Writes the body of a page to a file. `known` are the headers of a conditional request.

        `check` looks at the file; where it raises Unanswered, the page is asked for again, as after a cut. Raises
        what Transport does, and a DataError for more bytes than the options allow.
        """
        received: Received = self.repeat(self._get, url, known, path, check)
        return received

    def repeat(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Makes a request again where no answer came, three times; more often where the API asks to wait."""
        failures, waits = 0, 0
        while True:
            try:
                return self.request(operation, *arguments, **options)
            except _Busy as error:
                waits += 1
                if waits == _WAITS:
                    raise
                retries.pause(waits, error)
            except Unanswered as error:
                failures += 1
                if failures == retries.TRIES:
                    raise
                retries.pause(failures, error)

    def _get(self, url: str, known: Mapping[str, str], path: Path, check: Callable[[Received], None]) -> Received:
        address = url
        for _ in range(_REDIRECTS + 1):
            is_own = origin_of(address) == self.host
            headers = {"Accept": _ACCEPT[self._options.format], "Accept-Encoding": "gzip", **known}
            if is_own:
                headers |= {**self._options.headers, **self._sign_in.headers()}
            self._asked = address
            success = (200, 204, 304, *http.REDIRECTS) if known else (200, 204, *http.REDIRECTS)
            with self.answering("GET", address, headers, (*success, 401) if is_own else success) as response:
                if response.status_code == 401:
                    if self._sign_in.expired():
                        continue
                    raise ServerError(f"{self.host} wants a sign-in (401): {self.advice.sign_in}")
                if response.status_code in http.REDIRECTS and (location := response.headers.get("Location")):
                    address = urljoin(address, location)
                    continue
                received = Received(response.headers, address, response.status_code == 304)
                if not received.unchanged:
                    self._write(_decoded(response), path, address)
            if not received.unchanged:
                check(received)
            return received
        raise ServerError(f"{origin_of(url)}: more than {_REDIRECTS} redirects for a page: check http.url")

    def _write(self, chunks: Iterable[bytes], path: Path, url: str) -> None:
        size, largest = 0, self._options.max_page_bytes
        with path.open("wb") as file:
            for chunk in chunks:
                size += len(chunk)
                if size > largest:
                    raise DataError(
                        f"{masks.masked(url)}: expected at most {largest >> 20:,} MiB in one answer, received more: "
                        "ask for fewer rows at once, or raise http.max_page_mb"
                    )
                file.write(chunk)

    def _refusal(self, answer: Answer) -> ServerError | Unanswered:
        if answer.status not in _REFUSALS and 400 <= answer.status < 500:
            return self._of_address(answer)
        found = super()._refusal(answer)
        if isinstance(found, Unanswered) and (answer.status == 429 or found.retry_after):
            return _Busy(found.what, "try again later, or ask for larger pages", found.retry_after)
        return found

    def _of_address(self, answer: Answer) -> ServerError:
        """Returns what it means that the API does not give a page, with all that it was asked."""
        asked = f"GET {masks.masked(self._asked)} {answer.summary}"
        if answer.status not in (404, 410):
            return ServerError(f"the API refuses {asked}: check http.url, its parameters and http.paging")
        sign_in = "" if self._options.auth else "; some APIs also say so to who does not sign in (http.auth)"
        return NotFound(
            f"the API has no page for {asked}: open the address yourself, and check http.url, what data.splits add to "
            f"it, and http.paging{sign_in}"
        )


def _decoded(response: "requests.Response") -> Iterator[bytes]:
    """Yields the bytes of an answer. Of gzip that ends early urllib3 does not tell; here it is a connection cut."""
    if response.headers.get("Content-Encoding", "").strip().lower() not in ("gzip", "x-gzip"):
        yield from response.raw.stream(_CHUNK, decode_content=True)
        return
    decoder = zlib.decompressobj(_GZIP)
    try:
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            while chunk:
                if decoder.eof:  # another one follows
                    decoder = zlib.decompressobj(_GZIP)
                yield decoder.decompress(chunk, _CHUNK)
                chunk = decoder.unused_data or decoder.unconsumed_tail
    except zlib.error as error:
        raise exceptions.DecodeError(str(error)) from None
    if not decoder.eof:
        raise exceptions.ProtocolError("the gzip ends early")


def origin_of(url: str) -> str:
    """Returns the origin of an address that an API names; a DataError for what is none."""
    try:
        return http.origin(url)
    except ValueError:
        raise DataError(f"the API leads to {masks.masked(url)[:200]!r}: expected an address of http or https") from None
