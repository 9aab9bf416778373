"""An oracle that is served: to KerasTuner's own client, and to machines that come, go away and come back."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import keras_tuner
import pytest
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_client import OracleClient
from keras_tuner.src.engine.trial import TrialStatus

from penstock.core.errors import ModuleError, ServerUnavailable
from penstock.trainer.tuning import failures
from penstock.trainer.tuning.cluster import protocol, serving, tokens
from penstock.trainer.tuning.cluster import worker as worker_module
from penstock.trainer.tuning.cluster.protocol import Chief

pytestmark = [pytest.mark.usefixtures("forks"), pytest.mark.filterwarnings("default")]  # KerasTuner's are its own


TOKEN = "of-this-search"


@pytest.fixture
def oracle(tmp_path: Path) -> Any:
    space = keras_tuner.HyperParameters()
    space.Float("x", 0.0, 1.0)
    objective = keras_tuner.Objective("val", "min")
    made = keras_tuner.oracles.RandomSearchOracle(objective, max_trials=2, hyperparameters=space, seed=1)
    made._set_project_dir(str(tmp_path), "search")
    return made


@pytest.fixture
def served(oracle: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[serving.Served]:
    monkeypatch.setattr(serving, "_FAREWELL", 0.2)
    with serving.Served(oracle, "127.0.0.1", 0, TOKEN) as made:
        yield made


@pytest.fixture
def chief(served: serving.Served) -> Iterator[Chief]:
    made = Chief(f"127.0.0.1:{served.port}", lambda: TOKEN)
    yield made
    made.close()


@pytest.fixture
def worker(oracle: Any, served: serving.Served, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], OracleClient]:
    """Returns a function that makes what the first worker of a machine asks the oracle with."""

    def make(machine: int) -> OracleClient:
        values = {"IP": "127.0.0.1", "PORT": str(served.port)}
        for name, value in values.items():
            monkeypatch.setenv(f"KERASTUNER_ORACLE_{name}", value)
        monkeypatch.setenv("KERASTUNER_TUNER_ID", serving.worker_name(0, machine))
        client = OracleClient(oracle)
        client.stub = protos.get_service_grpc().OracleStub(protocol.channel(f"127.0.0.1:{served.port}", TOKEN))
        return client

    return make


def trial_of(client: OracleClient) -> Any:
    return client.create_trial(client.tuner_id)


def end(client: OracleClient, trial: Any) -> None:
    client.update_trial(trial.trial_id, {"val": 0.5})
    trial.status = TrialStatus.COMPLETED
    client.end_trial(trial)


def test_a_silent_machines_trial_goes_to_the_next_worker(
    oracle: Any, served: serving.Served, chief: Chief, worker: Callable[[int], OracleClient], monkeypatch: Any
) -> None:
    assert chief.ask("beat", machine=1, keeper="a", running=False) == {"over": False, "known": True}
    theirs, ours = worker(1), worker(0)
    lost = trial_of(theirs)
    served.look()
    assert not served.waiting, "it lives"
    monkeypatch.setattr(serving, "SILENCE", 0.1)
    time.sleep(0.2)
    served.look()
    assert (served.waiting, served.is_done) == (1, False)
    # What it says from now on counts no more: it is to begin anew.
    assert chief.ask("beat", machine=1, keeper="a", running=True) == {"over": False, "known": False}
    assert theirs.update_trial(lost.trial_id, {"val": 0.1}).status == TrialStatus.STOPPED
    end(theirs, lost)
    assert oracle.end_order == []
    again = trial_of(ours)
    assert (again.trial_id, again.hyperparameters.values) == (lost.trial_id, lost.hyperparameters.values)
    end(ours, again)
    assert (oracle.trials[lost.trial_id].score, served.is_done) == (0.5, True)


def test_a_machine_that_was_started_again_has_lost_its_trial(
    served: serving.Served, chief: Chief, worker: Callable[[int], OracleClient]
) -> None:
    chief.ask("beat", machine=1, keeper="a", running=False)
    trial_of(worker(1))
    chief.ask("beat", machine=1, keeper="a", running=True)
    assert not served.waiting
    chief.ask("beat", machine=1, keeper="b", running=False)
    assert served.waiting == 1


def test_the_third_machine_that_a_trial_ends_is_its_last(
    oracle: Any, served: serving.Served, chief: Chief, worker: Callable[[int], OracleClient]
) -> None:
    for machine in (1, 2, 3):
        chief.ask("beat", machine=machine, keeper="a", running=False)
        trial = trial_of(worker(machine))
        chief.ask("beat", machine=machine, keeper="b", running=False)
    assert served.is_done
    assert oracle.trials[trial.trial_id].status == TrialStatus.FAILED
    assert oracle.trials[trial.trial_id].message.startswith("the machine that ran it was started again, 3 times in")


def test_the_end_waits_for_no_machine_that_has_ended(oracle: Any) -> None:
    with serving.Served(oracle, "127.0.0.1", 0, TOKEN) as served:
        chief = Chief(f"127.0.0.1:{served.port}", lambda: TOKEN)
        chief.ask("beat", machine=1, keeper="a", running=False)
        chief.ask("end", machine=1, keeper="another")
        assert list(served._servicer.machines) == [1]
        chief.ask("end", machine=1, keeper="a")
        started = time.monotonic()
    assert time.monotonic() - started < 5, "nobody is left to be waited for"
    chief.close()


def test_what_a_machine_fails_of_ends_the_search(served: serving.Served, chief: Chief) -> None:
    chief.ask("failed", **failures.to_record(ModuleError("tuner_fn raised KeyError: 'bert'", "line 3")))
    with pytest.raises(ModuleError, match="tuner_fn raised KeyError") as raised:
        served.look()
    assert raised.value.details == "line 3"


def test_a_port_that_is_taken_is_one_sentence(oracle: Any, served: serving.Served) -> None:
    with pytest.raises(ServerUnavailable, match=f"the chief cannot serve the search at port {served.port}: "):
        serving.Served(oracle, "127.0.0.1", served.port, TOKEN)


def test_a_worker_that_dies_of_the_searchs_end_is_not_its_reason(
    oracle: Any, served: serving.Served, chief: Chief, worker: Callable[[int], OracleClient]
) -> None:
    oracle.max_consecutive_failed_trials = 1
    client = worker(1)
    trial = trial_of(client)
    chief.ask("message", trial_id=trial.trial_id, message="ValueError: no such thing")
    trial.status = TrialStatus.FAILED
    with pytest.raises(grpc.RpcError):  # of which the worker dies
        client.end_trial(trial)
    name = serving.worker_name(0, 1)
    assert chief.ask("died", worker=name, how="ended with exit code 2") == {"trial": "", "over": True}
    chief.ask("failed", **failures.to_record(ModuleError("tuner.search raised _InactiveRpcError")))
    with pytest.raises(ModuleError, match="the tuner's oracle raised RuntimeError: Number of consecutive failures"):
        served.look()
    assert oracle.trials[trial.trial_id].message == "ValueError: no such thing"


def test_who_does_not_send_the_token_is_refused(
    oracle: Any, served: serving.Served, worker: Callable[[int], OracleClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request of KerasTuner's and of ours; the search goes on as if nobody had asked."""
    trial = trial_of(worker(1))
    address = f"127.0.0.1:{served.port}"
    plain = OracleClient(oracle)  # as KerasTuner makes it
    for channel in (protocol.channel(address, "of another search"), grpc.insecure_channel(address)):
        plain.stub = protos.get_service_grpc().OracleStub(channel)
        requests: list[Callable[[], Any]] = [
            plain.get_space,
            lambda: plain.update_space(oracle.hyperparameters),
            lambda: plain.create_trial("stranger"),
            lambda: plain.update_trial(trial.trial_id, {"val": 0.0}),
            lambda: plain.end_trial(trial),
            lambda: plain.get_trial(trial.trial_id),
            plain.get_best_trials,
        ]
        for request in requests:
            with pytest.raises(grpc.RpcError) as refused:
                request()
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    stranger = Chief(address, lambda: "")
    failure = failures.to_record(ModuleError("of a stranger's"))
    for name, arguments in {"failed": failure, "died": {"worker": "machine-1-worker-0", "how": "died"}}.items():
        assert stranger.ask(name, **arguments) is None
        assert stranger.refused
    stranger.close()
    served.look()
    assert (oracle.end_order, list(oracle.trials)) == ([], [trial.trial_id])
    monkeypatch.setenv(tokens.VARIABLE, "of another search")
    init = OracleClient.__init__
    try:
        worker_module._send_token()
        with pytest.raises(grpc.RpcError):
            OracleClient(oracle).get_space()
        monkeypatch.setenv(tokens.VARIABLE, TOKEN)
        OracleClient.__init__ = init
        worker_module._send_token()
        assert OracleClient(oracle).get_space().space
    finally:
        OracleClient.__init__ = init


def test_what_an_oracle_raises_ends_the_search_in_its_words(
    oracle: Any, served: serving.Served, worker: Callable[[int], OracleClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker only gets gRPC's words."""
    monkeypatch.setattr(oracle, "populate_space", lambda trial_id: {}["0"])
    with pytest.raises(grpc.RpcError):
        trial_of(worker(1))
    with pytest.raises(ModuleError, match=r"^the tuner's oracle raised KeyError: '0'\n"):
        served.look()
