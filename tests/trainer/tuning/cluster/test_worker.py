"""A worker's requests to its chief, a process on loopback."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest

from penstock.core import user_modules
from penstock.trainer.tuning.cluster import worker

CHIEF = """
import sys, time
from concurrent import futures
import grpc

def hang(request, context):
    print("asked", flush=True)
    time.sleep(600)

def fail(request, context):
    raise ValueError("no such trial")

methods = {"hang": hang, "fail": fail}
handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("chief", handlers)])
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
time.sleep(600)
"""


@pytest.fixture
def chief() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", CHIEF], stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()


def ask(chief: subprocess.Popen[str], what: str) -> Any:
    assert chief.stdout is not None
    channel = grpc.insecure_channel(f"127.0.0.1:{int(chief.stdout.readline())}")
    request = channel.unary_unary(f"/chief/{what}")
    return worker._ending(lambda: request(b"", wait_for_ready=True, timeout=60))


def test_a_chief_that_dies_while_it_is_asked_ends_the_worker(chief: subprocess.Popen[str]) -> None:
    """Not the trial, which KerasTuner would take for failed, nor the search: user code that exits is its mistake."""
    request, stdout = ask(chief, "hang"), chief.stdout
    assert stdout is not None

    def kill() -> None:
        assert stdout.readline() == "asked\n"
        chief.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(worker.Unconnected):
        user_modules.call("tuner.search", request)
    killer.join()


def test_what_an_oracle_raises_is_raised(chief: subprocess.Popen[str]) -> None:
    with pytest.raises(grpc.RpcError, match="no such trial"):
        ask(chief, "fail")()
