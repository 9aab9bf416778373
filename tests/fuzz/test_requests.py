"""A model server that is asked what nobody means, ten thousand times: it refuses in a sentence, and keeps answering."""

import asyncio
import itertools
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest

from tests.components.model_server import small
from tests.fuzz.hostile import Good, Hostile, HostileCalls, Sent, request

REQUESTS, CALLS, CONNECTIONS, SLOW = 9_000, 1_000, 8, 16
MEGABYTES = 400  # that the server may grow by
ROW = {"fare": 2.0, "hour": 5, "company": "Blue"}
TENSOR = {"name": "fare", "datatype": "FP32", "shape": [1], "data": [2.0]}
GOOD = [
    Good("/v1/models/taxi:predict", json.dumps({"instances": [ROW, ROW]}).encode()),
    Good("/v1/models/taxi/versions/1:predict", json.dumps({"inputs": {"fare": [1.0], "hour": [3]}}).encode()),
    Good("/v2/models/taxi/infer", json.dumps({"id": "7", "inputs": [TENSOR], "outputs": [{"name": "total"}]}).encode()),
    Good("/invocations", json.dumps({"instances": [ROW]}).encode()),
    Good("/invocations", b"2.0,5,Blue\n1.0,,\n", "text/csv"),
    Good("/invocations", json.dumps(ROW).encode() + b"\n" + json.dumps(ROW).encode(), "application/jsonlines"),
    Good("/v1/endpoints/7:predict", json.dumps({"instances": [ROW], "parameters": {"top_k": 3}}).encode()),
]


@dataclass
class Server:
    """A server's process, and the ports of HTTP and of gRPC."""

    process: "subprocess.Popen[str]"
    http: int
    grpc: str

    @property
    def megabytes(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.fixture(scope="module")
def server(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    small.examples(folder / "taxi" / "1")
    settings = {"models": [{"name": "taxi", "path": str(folder / "taxi")}], "port": 0, "grpc": True, "grpc_port": 0}
    environment = {**os.environ, "AIP_PREDICT_ROUTE": "/v1/endpoints/7:predict"}
    command = [python, "-m", "penstock.components.model_server", json.dumps(settings)]
    with (
        open(folder / "log", "w") as log,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (process.wait(60), (folder / "log").read_text()[-3000:])
        addresses = json.loads(line)
        yield Server(process, urlsplit(addresses["http"]).port or 0, addresses["grpc"])
        process.terminate()
        assert process.wait(60) == 0
    said = (folder / "log").read_text()
    assert "Traceback" not in said, said[:5000]


@pytest.mark.slow
def test_ten_thousand_requests(server: Server) -> None:
    asyncio.run(_ask_everything(server))


async def _ask_everything(server: Server) -> None:
    await _until_ready(server.http)
    for good in GOOD:
        answer = await _Connection(server.http).ask(Sent(request(good), "nothing"))
        assert answer.code == 200, (good, answer)
    before = server.megabytes
    slow = [asyncio.create_task(_drip(server.http)) for _ in range(SLOW)]
    hostile = Hostile(GOOD, seed=16)
    sent = iter([hostile.next() for _ in range(REQUESTS)])
    codes: Counter[int] = Counter()
    asking = [_ask_in_turn(server.http, sent, codes) for _ in range(CONNECTIONS)]
    await asyncio.gather(*asking, _call_in_turn(server.grpc))
    assert not any(task.done() for task in slow)
    for task in slow:
        task.cancel()
    assert server.process.poll() is None
    assert codes.total() == REQUESTS
    assert min(codes[200], codes[400], codes[404]) > 500, codes  # the requests are not all of one kind
    assert server.megabytes < before + MEGABYTES
    answer = await _Connection(server.http).ask(Sent(request(GOOD[0]), "nothing"))
    assert [row["total"] for row in answer.json["predictions"]] == [[9.0], [9.0]]


@dataclass
class _Answer:
    code: int
    kind: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _Connection:
    """A connection that is kept while the server keeps it, and made anew when it does not."""

    def __init__(self, port: int):
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: Sent) -> _Answer:
        """Sends a request; the answer's code is 0 if the server closes the connection without one."""
        async with asyncio.timeout(60):
            if sent.half_closed:
                await self._close()
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            try:
                writer.write(sent.raw)
                if sent.half_closed:
                    writer.write_eof()
                answer, kept = await _read(reader)
            except (asyncio.IncompleteReadError, ConnectionError):
                answer, kept = _Answer(0, "", b""), False
            if sent.half_closed or not kept:
                await self._close()
            return answer

    async def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read(reader: asyncio.StreamReader) -> tuple[_Answer, bool]:
    """Returns an answer, and whether the connection is kept after it."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    if " 100 " in lines[0]:
        return await _read(reader)
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    body = (
        await reader.readexactly(int(fields["content-length"])) if "content-length" in fields else await reader.read()
    )
    kept = "content-length" in fields and fields.get("connection") != "close"
    return _Answer(int(lines[0].split()[1]), fields.get("content-type", ""), body), kept


async def _ask_in_turn(port: int, sent: Iterator[Sent], codes: Counter[int]) -> None:
    connection = _Connection(port)
    for one in sent:
        answer = await connection.ask(one)
        codes[answer.code] += 1
        _check(one, answer)


def _check(sent: Sent, answer: _Answer) -> None:
    shown = (sent.problem, sent.raw[:600], answer)
    if answer.code == 0:
        assert sent.half_closed, shown
        return
    assert answer.code in sent.codes, shown
    if answer.code >= 400 and answer.kind == "application/json":
        sentence = answer.json["error"]
        assert 10 < len(sentence) < 5000, shown
        assert sentence.isprintable(), shown
        assert "Traceback" not in sentence, shown
        assert " at 0x" not in sentence, shown


async def _until_ready(port: int) -> None:
    probe = Sent(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n", "nothing")
    while (await _Connection(port).ask(probe)).code != 200:
        await asyncio.sleep(0.05)


async def _drip(port: int) -> None:
    """Sends a request that never ends, a byte at a time."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for index in itertools.count():
            writer.write(request(GOOD[0])[:60][index : index + 1])
            await asyncio.sleep(0.2)
    finally:
        writer.close()


async def _call_in_turn(address: str) -> None:
    """Sends messages of gRPC that are damaged, or none."""
    allowed = ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED")
    async with grpc.aio.insecure_channel(address) as channel:
        for call in HostileCalls(seed=16).calls(CALLS):
            asked = channel.unary_unary(call.method)(call.message, timeout=60)
            code, details = await asked.code(), await asked.details()
            assert code.name in allowed, (call, code, details)
