"""NiFi's site-to-site protocol on HTTP, version 1, on loopback: one input port and one output port.

NiFi's own client pushes to it and pulls from it (test_nifi_itself.py of the source's tests), so what it speaks is the
real format. Like NiFi it gives FlowFiles out in transactions, forgets those that are confirmed with the right checksum,
and takes back those of a transaction that is not confirmed in time.
"""

import json
import ssl
import tempfile
import threading
import time
import uuid
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from penstock.components.example_gen.sources.nifi import packets

INPUT, OUTPUT = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
PORT = "trips"
_CONFIRM, _FINISHED, _CANCEL, _BAD_CHECKSUM, _ABORT, _UNKNOWN_PORT = 12, 13, 15, 19, 250, 200


@dataclass
class FlowFile:
    attributes: Mapping[str, str]
    content: bytes


@dataclass
class _Transaction:
    ends: float
    files: list[FlowFile] = field(default_factory=list)
    body: bytes = b""
    checksum: int | None = None


class NifiSiteToSite:
    """`queue` is what is at the output port; `received` is what was pushed to the input port and confirmed.

    `fault` is asked before each request with its method and path: what it returns is done in the answer's place. "cut"
    is no answer, "lost" none although the request had its effect, "half" half of the FlowFiles, "damaged" others, and
    a number a status.
    """

    def __init__(self, ttl: float = 30.0, token: str = "", context: ssl.SSLContext | None = None) -> None:
        self.ttl, self.token, self.is_secure = ttl, token, bool(context)
        self.others: list[NifiSiteToSite] = []  # of its cluster
        self.pause = 0.0  # seconds between two parts of what is sent
        self.queue: deque[FlowFile] = deque()
        self.received: list[FlowFile] = []
        self.requests: list[str] = []
        self.fault: Callable[[str, str], str | int | None] = lambda method, path: None
        self.state = "RUNNING"
        self.lock = threading.RLock()
        self._transactions: dict[str, _Transaction] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._http.daemon_threads = True
        if context:
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/nifi" if self.is_secure else f"http://127.0.0.1:{self.port}/nifi"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def peer(self) -> dict[str, Any]:
        host = "localhost" if self.is_secure else "127.0.0.1"
        return {"hostname": host, "port": self.port, "secure": self.is_secure, "flowFileCount": len(self.queue)}

    def offer(self, content: bytes, **attributes: str) -> None:
        """Puts a FlowFile into the queue."""
        given = {"uuid": str(uuid.uuid4()), "filename": "flow", "path": "./", **attributes}
        self.queue.append(FlowFile(given, content))

    def take_back(self, all_of_them: bool = True) -> None:
        """Ends transactions, as time does: their FlowFiles go back to the front of the queue."""
        with self.lock:
            now = time.monotonic()
            for name, transaction in list(self._transactions.items()):
                if all_of_them or transaction.ends < now:
                    self._cancel(name)

    def _cancel(self, name: str) -> None:
        self.queue.extendleft(reversed(self._transactions.pop(name).files))

    def open(self) -> str:
        name = str(uuid.uuid4())
        self._transactions[name] = _Transaction(time.monotonic() + self.ttl)
        return name

    def give(self, name: str, count: int, size: int) -> bytes:
        """Returns the FlowFiles of a transaction as packets."""
        transaction = self._transactions[name]
        while self.queue and len(transaction.files) < count and len(transaction.body) < size:
            transaction.files.append(self.queue.popleft())
            last = transaction.files[-1]
            transaction.body += packets.encode(last.attributes, last.content)
        transaction.checksum = zlib.crc32(transaction.body)
        return transaction.body

    def end(self, name: str, code: int, checksum: str, is_output: bool) -> tuple[int, dict[str, Any]]:
        """Returns the answer to the end of a transaction."""
        if code == _CANCEL:
            self._cancel(name)
            return 200, {"responseCode": _CANCEL, "message": "Transaction has been canceled.", "flowFileSent": 0}
        transaction = self._transactions[name]
        if is_output and checksum != str(transaction.checksum):
            self._cancel(name)
            return 400, {"responseCode": _BAD_CHECKSUM, "message": "bad checksum", "flowFileSent": 0}
        del self._transactions[name]
        if not is_output:
            self.received += transaction.files
        code = _CONFIRM if is_output else _FINISHED
        return 200, {"responseCode": code, "message": None, "flowFileSent": len(transaction.files)}

    def has(self, name: str) -> bool:
        self.take_back(all_of_them=False)
        return name in self._transactions

    def extend(self, name: str) -> None:
        self._transactions[name].ends = time.monotonic() + self.ttl

    def push(self, name: str, body: bytes) -> int:
        """Takes the packets of a transaction to the input port; returns their checksum."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            for one in packets.flow_files(Path(file.name), "the client"):
                content = body[one.start : one.start + one.size]
                self._transactions[name].files.append(FlowFile(one.attributes, content))
        return zlib.crc32(body)


class _Handler(BaseHTTPRequestHandler):
    owner: NifiSiteToSite
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        body = self._body()
        path = urlsplit(self.path).path.removeprefix("/nifi-api")
        self.owner.requests.append(f"{self.command} {path}")
        fault = self.owner.fault(self.command, path)
        if isinstance(fault, int):
            return self._json(fault, {"responseCode": _ABORT, "message": "it was told to fail"})
        if fault == "cut":
            self.close_connection = True
            return None
        if self.owner.token and self.headers.get("Authorization") != f"Bearer {self.owner.token}":
            return self._json(401, {"message": "unknown user"})
        return self._answer(path, body, fault)

    do_POST = do_PUT = do_DELETE = do_GET

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, path: str, body: bytes, fault: str | None) -> None:
        """Answers a request. No lock is held while FlowFiles are sent: meanwhile NiFi is told to wait for longer."""
        owner, parts = self.owner, path.strip("/").split("/")
        if parts == ["site-to-site"]:
            ports = (
                [{"id": INPUT, "name": PORT, "state": owner.state}],
                [{"id": OUTPUT, "name": PORT, "state": owner.state}],
            )
            document = {"inputPorts": ports[0], "outputPorts": ports[1], "siteToSiteSecure": False}
            return self._json(200, {"controller": {"remoteSiteHttpListeningPort": owner.port, **document}})
        if parts == ["site-to-site", "peers"]:
            return self._json(200, {"peers": [one.peer() for one in (owner, *owner.others)]})
        if parts[0] != "data-transfer" or parts[2] not in (INPUT, OUTPUT):
            return self._json(404, {"responseCode": _UNKNOWN_PORT, "message": "unknown port"})
        if len(parts) == 4:
            name = owner.open()
            place = {"Location": f"http://127.0.0.1:{owner.port}/nifi-api{path}/{name}"}
            return self._json(201, {"responseCode": 1, "message": "a transaction is created"}, place)
        if not owner.has(parts[4]):
            return self._json(404, {"responseCode": _ABORT, "message": f"no transaction {parts[4]}"})
        return self._of_transaction(parts[4], parts[1] == "output-ports", body, fault)

    def _of_transaction(self, name: str, is_output: bool, body: bytes, fault: str | None) -> None:
        owner = self.owner
        if self.command == "GET":
            count = int(self.headers.get("x-nifi-site-to-site-batch-count") or 100)
            size = int(self.headers.get("x-nifi-site-to-site-batch-size") or 1 << 20)
            with owner.lock:
                content = owner.give(name, count, size)
            return self._packets(content, fault)
        if self.command == "POST":
            return self._send(202, str(owner.push(name, body)).encode(), "text/plain")
        if self.command == "PUT":
            owner.extend(name)
            return self._json(200, {"responseCode": 10, "message": "extended"})
        query = dict(parse_qsl(urlsplit(self.path).query))
        answer = owner.end(name, int(query["responseCode"]), query.get("checksum", ""), is_output)
        if fault == "lost":
            self.close_connection = True
            return None
        return self._json(*answer)

    def _packets(self, content: bytes, fault: str | None) -> None:
        """Sends FlowFiles in chunks, as NiFi does, which does not know how many bytes they are."""
        owner = self.owner
        if not content:
            return self._send(200, b"", "application/octet-stream")
        if fault == "damaged":
            content = content[:-2] + bytes([content[-2] ^ 1]) + content[-1:]
        self.send_response(202)
        self.send_header("Transfer-Encoding", "chunked")
        self._end_headers("application/octet-stream")
        sent = content[: len(content) // 2] if fault == "half" else content
        for start in range(0, len(sent), 1 << 16):
            part = sent[start : start + (1 << 16)]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            time.sleep(owner.pause)
        if fault == "half":
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")
        return None

    def _json(self, status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(document).encode(), "application/json", headers)

    def _send(self, status: int, content: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self._end_headers(kind)
        self.wfile.write(content)

    def _end_headers(self, kind: str) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("x-nifi-site-to-site-protocol-version", "1")
        self.send_header("x-nifi-site-to-site-server-transaction-ttl", str(int(self.owner.ttl)))
        self.send_header("x-location-uri-intent", "transaction-url")
        self.end_headers()
