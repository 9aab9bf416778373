"""The server of KerasTuner's own, which its variables start in a chief: guarded where there is a token."""

import logging
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import keras_tuner
import pytest
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief

from penstock.trainer.tuning.cluster import chief, protocol, tokens

pytestmark = [pytest.mark.usefixtures("forks"), pytest.mark.filterwarnings("default")]  # KerasTuner's are its own


@pytest.fixture(autouse=True)
def keras_tuners_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle_chief, "grpc", grpc)  # what is set there is undone


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A guarded server, made as oracle_chief.start_server does."""
    monkeypatch.setenv(tokens.VARIABLE, "of this search")
    chief.guard_keras_tuners_server()
    server = oracle_chief.grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    oracle = keras_tuner.oracles.RandomSearchOracle(keras_tuner.Objective("val", "min"))
    protos.get_service_grpc().add_OracleServicer_to_server(oracle_chief.OracleServicer(oracle), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


@pytest.mark.parametrize(("token", "is_answered"), [("of this search", True), ("of another", False), ("", False)])
def test_it_answers_who_has_the_token(address: str, token: str, is_answered: bool) -> None:
    stub = protos.get_service_grpc().OracleStub(protocol.channel(address, token))
    request = protos.get_service().GetSpaceRequest()
    if is_answered:
        assert stub.GetSpace(request, timeout=30).HasField("hyperparameters")
        return
    with pytest.raises(grpc.RpcError) as refused:
        stub.GetSpace(request, timeout=30)
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_without_a_token_it_warns(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv(tokens.VARIABLE, raising=False)
    with caplog.at_level(logging.WARNING):
        chief.guard_keras_tuners_server()
    assert oracle_chief.grpc is grpc
    assert f"set {tokens.VARIABLE} to the same secret" in caplog.text
