"""NiFi's site-to-site protocol on HTTP, version 1, as far as FlowFiles are pulled from an output port.

A transaction is opened (POST), its FlowFiles are received (GET), and it is confirmed with their checksum (DELETE): only
then NiFi forgets them. What is not confirmed in time goes back to the port's queue, and comes again.
"""

import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.components.example_gen.sources.nifi.options import SiteToSite
from penstock.core.errors import ConfigError, DataError, ServerError
from penstock.core.files import documents
from penstock.core.services import http
from penstock.core.services.http import HttpServer
from penstock.core.services.retries import NotFound, Unanswered
from penstock.core.services.transport import Answer
from penstock.core.suggestions import did_you_mean

CONFIRM, CANCEL, BAD_CHECKSUM = 12, 15, 19  # NiFi's ResponseCode
_VERSION = "x-nifi-site-to-site-protocol-version"
_TTL = "x-nifi-site-to-site-server-transaction-ttl"
_CHUNK = 1 << 16
_LONGEST = 16 << 20  # bytes of an answer that holds JSON


class BadChecksum(Exception):
    """NiFi has sent other bytes than came here; it takes the FlowFiles back."""


class Unknown(Exception):
    """NiFi does not know the transaction: it was confirmed before, or went back to the queue."""


@dataclass(frozen=True)
class Transaction:
    """An open transaction; NiFi takes it back after `ttl` seconds without a word."""

    url: str
    ttl: float


class Nifi:
    """A NiFi, or a cluster of them, and one of its output ports."""

    def __init__(self, options: SiteToSite) -> None:
        self._options = options
        self._node = Node(options, options.api)

    def port_id(self) -> str:
        """Returns the id of the port; a ConfigError if there is none of its name, a ServerError if it does not run."""
        options, where = self._options, "nifi.site_to_site.port"
        document = self._node.json("GET", f"{options.api}/site-to-site")
        ports = document.get("controller", {}).get("outputPorts") or []
        named = [port for port in ports if options.port in (port.get("id"), port.get("name"))]
        if not named:
            names = sorted(str(port.get("name")) for port in ports)
            raise ConfigError(
                f"{where}: {self._node.host} has no output port {options.port!r} that this account may read: "
                f"{did_you_mean(options.port, names)}"
            )
        if len(named) > 1:
            raise ConfigError(f"{where}: {self._node.host} has {len(named)} ports {options.port!r}: name it by its id")
        if str(named[0].get("state", "RUNNING")).upper() != "RUNNING":
            raise ServerError(f"{self._node.host}: the output port {options.port!r} does not run: start it in NiFi")
        return str(named[0]["id"])

    def nodes(self) -> list["Node"]:
        """Returns the nodes that FlowFiles are pulled from, those with most of them first."""
        peers = self._node.json("GET", f"{self._options.api}/site-to-site/peers").get("peers") or []
        path = self._options.api.removeprefix(http.origin(self._options.api))
        path = path[path.find("/") :]
        found = []
        for peer in sorted(peers, key=lambda peer: -int(peer.get("flowFileCount", 0))):
            scheme = "https" if peer.get("secure") else "http"
            found.append(Node(self._options, f"{scheme}://{peer['hostname']}:{peer['port']}{path}"))
        return found or [self._node]


class Node(HttpServer):
    """A node of NiFi's, at the address of its API."""

    def __init__(self, options: SiteToSite, api: str) -> None:
        super().__init__(
            "nifi.site_to_site.url",
            api,
            timeout=options.timeout,
            ca_cert=options.ca_cert,
            client_cert=options.client_cert,
            client_key=options.client_key,
        )
        self._api = api
        self._token = options.token()
        self._batch = {
            "x-nifi-site-to-site-batch-count": str(options.batch_count),
            "x-nifi-site-to-site-batch-size": str(options.batch_bytes),
            "x-nifi-site-to-site-request-expiration": str(1000 * options.timeout),
        }

    def json(self, method: str, url: str, success: tuple[int, ...] = (200,)) -> dict[str, Any]:
        """Returns the JSON of an answer; asks again where none came."""
        document: dict[str, Any] = self.repeat(lambda: self._json(method, url, success)[1])
        return document

    def open(self, port: str) -> Transaction:
        """Opens a transaction. One whose answer is lost holds no FlowFile, and ends by itself."""
        url = f"{self._api}/data-transfer/output-ports/{port}/transactions"
        headers, _ = self.repeat(lambda: self._json("POST", url, (201,)))
        location = headers.get("Location", "")
        if not location:
            raise ServerError(f"{self.host}: expected NiFi's site-to-site protocol, received no transaction")
        try:
            ttl = float(headers.get(_TTL, 30))
        except ValueError:
            ttl = 30.0
        return Transaction(f"{url}/{location.rstrip('/').rpartition('/')[2]}", ttl)

    def receive(self, transaction: Transaction, path: Path) -> int | None:
        """Writes the FlowFiles of a transaction to a file; returns their checksum, None where there is none.

        It is asked for once: what was cut goes back to the queue with its transaction.
        """
        return self.request(self._receive, transaction, path)  # type: ignore[no-any-return]

    def _receive(self, transaction: Transaction, path: Path) -> int | None:
        checksum, size, told = 0, 0, time.monotonic()
        url, headers = f"{transaction.url}/flow-files", self._headers() | {"Accept": "application/octet-stream"}
        with self.answering("GET", url, headers, (200, 202)) as response, path.open("wb") as file:
            if response.status_code == 200:
                return None
            for chunk in response.raw.stream(_CHUNK, decode_content=True):
                checksum = zlib.crc32(chunk, checksum)
                size += len(chunk)
                file.write(chunk)
                if time.monotonic() - told > transaction.ttl / 2:
                    self.extend(transaction)
                    told = time.monotonic()
        return checksum if size else None

    def extend(self, transaction: Transaction) -> None:
        """Tells NiFi that the transaction is still worked on; an Unanswered where it has taken it back."""
        try:
            self.request(self._json, "PUT", transaction.url, (200,))
        except NotFound:
            raise Unanswered(
                f"{self.host}: NiFi took the transaction back", "try again with a smaller batch_mb"
            ) from None

    def confirm(self, url: str, checksum: int) -> None:
        """Confirms that the FlowFiles of a transaction are safe here; asks again where no answer came.

        Raises BadChecksum and Unknown, and what Transport does.
        """
        try:
            answer = self.json("DELETE", f"{url}?responseCode={CONFIRM}&checksum={checksum}", (200, 400))
        except NotFound:
            raise Unknown from None
        if answer.get("responseCode") == BAD_CHECKSUM:
            raise BadChecksum
        if answer.get("responseCode") != CONFIRM:
            raise ServerError(f"{self.host}: expected NiFi to confirm a transaction, received {str(answer)[:200]}")

    def cancel(self, transaction: Transaction) -> None:
        """Gives the FlowFiles of a transaction back; a failure is passed over: it goes back by itself, later."""
        try:
            self.request(self._json, "DELETE", f"{transaction.url}?responseCode={CANCEL}", (200,))
        except (ServerError, Unanswered):
            return

    def _json(self, method: str, url: str, success: tuple[int, ...]) -> tuple[Mapping[str, str], dict[str, Any]]:
        headers = self._headers() | {"Accept": "application/json"}
        if method != "GET":
            headers["Content-Type"] = "application/octet-stream"
        with self.answering(method, url, headers, success) as response:
            body = response.raw.read(_LONGEST, decode_content=True)
        try:
            document = documents.parse_json(body.decode() or "{}")
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise DataError(f"{self.host}: expected NiFi's JSON, received something else: check nifi.site_to_site.url")
        return response.headers, document

    def _refusal(self, answer: Answer) -> ServerError | Unanswered:
        if answer.status == 409:  # a node that is not connected to its cluster, or not started yet
            return Unanswered(f"{self.host} is not ready {answer.summary}", "try again")
        return super()._refusal(answer)

    def _headers(self) -> dict[str, str]:
        signed = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return {_VERSION: "1", **self._batch, **signed}
