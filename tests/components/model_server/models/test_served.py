"""The life of versions: found, warmed, switched while requests run, labelled, rolled back, and let go."""

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from penstock.components.model_server.models import loading, warm_up
from penstock.components.model_server.settings import ModelSettings, ServerSettings, Versions, read_models
from penstock.core.artifacts import SavedModel, Traffic
from penstock.core.errors import ModelError
from tests.components.model_server.conftest import save_linear
from tests.servers.model_server import Client, serving, starting

POLL = 0.05


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("versions")
    for version in (1, 2):
        save_linear(base / str(version), weight=version)
    return base


@pytest.fixture
def base(two_versions: Path, tmp_path: Path) -> Path:
    """A folder with version 1, whose weight is 1; `publish` puts others beside it."""
    shutil.copytree(two_versions / "1", tmp_path / "base" / "1")
    return tmp_path / "base"


@pytest.fixture
def publish(two_versions: Path, base: Path) -> Callable[[int], Path]:
    """Puts a version whose weight is 2 beside the others, as a push does."""

    def publish(version: int) -> Path:
        shutil.copytree(two_versions / "2", base / ".new")
        return (base / ".new").rename(base / str(version))

    return publish


@pytest.fixture(autouse=True)
def every_line(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO):
        yield


def weight(client: Client, where: str = "/v1/models/m") -> Any:
    """Returns the weight of the version that answers, or the error."""
    answer = client.post(f"{where}:predict", {"instances": [1]}).json
    return answer["predictions"][0] - 1 if "predictions" in answer else answer["error"]


def states(client: Client) -> dict[int, str]:
    statuses = client.get("/v1/models/m").json["model_version_status"]
    return {int(status["version"]): status["state"] for status in statuses}


def until(condition: Callable[[], Any]) -> None:
    for _ in range(600):
        if condition():
            return
        threading.Event().wait(0.02)
    raise AssertionError("this has not come about")


@pytest.mark.slow
def test_a_switch_fails_no_request(base: Path, publish: Callable[[int], Path]) -> None:
    answers: list[Any] = []
    stop = threading.Event()
    with serving(ModelSettings("m", str(base)), poll=POLL) as client:

        def ask() -> None:
            while not stop.is_set():
                answers.append(weight(client))

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        until(lambda: len(answers) > 20)
        publish(7)
        until(lambda: states(client) == {7: "AVAILABLE", 1: "END"})
        seen = len(answers)
        until(lambda: len(answers) > seen + 20)
        stop.set()
        for asker in askers:
            asker.join()
        assert {*answers} == {1.0, 2.0}
        assert answers[-1] == 2.0
        assert weight(client, "/v1/models/m/versions/1") == "model 'm' has no version 1: loaded are 7"


@pytest.mark.slow
def test_a_version_that_cannot_be_loaded_leaves_the_old_one(
    base: Path, publish: Callable[[int], Path], caplog: pytest.LogCaptureFixture
) -> None:
    with serving(ModelSettings("m", str(base)), poll=POLL) as client:
        broken = publish(3)
        until(lambda: states(client).get(3) == "AVAILABLE")
        (base / "4").mkdir()
        (base / "4" / "saved_model.pb").write_bytes(b"no model")
        until(lambda: states(client).get(4) == "END")
        assert weight(client) == 2.0
        (status, *_) = client.get("/v1/models/m/versions/4").json["model_version_status"]
        assert status["status"]["error_code"] == "UNKNOWN"
        assert "expected a SavedModel" in status["status"]["error_message"]
        assert "version 4 of 'm' is not loaded: " in weight(client, "/v1/models/m/versions/4")
        assert any("version 4 is not served" in line and "served are: 3" in line for line in caplog.messages)
        shutil.rmtree(base / "4")
        shutil.copytree(broken, base / "4")  # mended
        until(lambda: states(client).get(4) == "AVAILABLE")


@pytest.mark.slow
def test_a_label_rolls_back(
    base: Path, publish: Callable[[int], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(2)
    file = tmp_path / "models.yaml"
    text = f"models:\n  - name: m\n    path: {base}\n    labels: {{stable: 2, canary: 2}}\n"
    file.write_text(text)
    with starting(ServerSettings(read_models(file), file, poll=POLL)) as client:
        client.wait_until_ready()
        assert states(client) == {2: "AVAILABLE"}
        answers = [weight(client, "/v1/models/m/labels/stable")]
        file.write_text(text.replace("stable: 2", "stable: 1"))

        def is_moved() -> bool:
            answers.append(weight(client, "/v1/models/m/labels/stable"))
            return bool(answers[-1] == 1.0)

        until(is_moved)
        assert {*answers} == {2.0, 1.0}  # and no failure: the label moves when the version is warm
        assert weight(client, "/v1/models/m/labels/canary") == 2.0
        assert (weight(client), states(client)) == (2.0, {1: "AVAILABLE", 2: "AVAILABLE"})
        assert "model m: label stable points at version 1" in caplog.messages
        file.write_text(text.replace("stable: 2", "stable: 99"))
        problem = f"model m: {base} holds no version 99 (label stable): there are 2, 1"
        until(lambda: problem in caplog.messages)
        assert weight(client, "/v1/models/m/labels/stable") == 1.0
        assert caplog.messages.count(problem) == 1
        file.write_text("models: [")
        until(lambda: any("what was served goes on" in line for line in caplog.messages))
        file.write_text(text.replace("    path", "    versions: 1\n    path").replace(": 2", ": 1"))
        until(lambda: weight(client) == 1.0)
        assert weight(client, "/v1/models/m/labels/canary") == 1.0
        file.write_text("models:\n  - {name: other, path: " + str(base) + "}\n")
        until(lambda: client.get("/v1/models/other").status == 200)
        until(lambda: "no model 'm'" in client.get("/v1/models/m").json["error"])


def test_a_version_that_is_not_there_is_named(two_versions: Path) -> None:
    settings = ModelSettings("m", str(two_versions), Versions(pinned=frozenset({3})))
    with pytest.raises(ModelError, match="holds no version 3: there are 2, 1"), serving(settings):
        pass


def test_all_versions_are_served(two_versions: Path) -> None:
    with serving(ModelSettings("m", str(two_versions), Versions(all=True))) as client:
        assert states(client) == {1: "AVAILABLE", 2: "AVAILABLE"}
        assert [weight(client, f"/v1/models/m/versions/{version}") for version in (1, 2)] == [1.0, 2.0]


@pytest.mark.slow
def test_requests_of_a_version_that_goes_are_answered(base: Path, publish: Callable[[int], Path]) -> None:
    answers: list[Any] = []
    with serving(ModelSettings("m", str(base)), poll=POLL) as client:
        body = {"signature_name": "slow", "instances": [150]}
        asker = threading.Thread(target=lambda: answers.append(client.post("/v1/models/m:predict", body).json))
        asker.start()
        publish(2)
        until(lambda: weight(client) == 2.0)
        asker.join()
        assert answers == [{"predictions": [150.0]}]
        until(lambda: states(client) == {2: "AVAILABLE", 1: "END"})


@pytest.mark.slow
def test_stopping_answers_what_was_accepted(base: Path) -> None:
    answers: list[Any] = []
    with serving(ModelSettings("m", str(base))) as client:
        body = {"signature_name": "slow", "instances": [150]}
        asker = threading.Thread(target=lambda: answers.append(client.post("/v1/models/m:predict", body).json))
        asker.start()
        threading.Event().wait(0.2)
        assert not answers
    asker.join()
    assert answers == [{"predictions": [150.0]}]


def warm_up_request(name: str, value: float) -> bytes:
    log = PredictionLog()
    log.predict_log.request.model_spec.signature_name = name
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([value], np.float32)))
    content: bytes = log.SerializeToString()
    return content


def classify_request(miles: float) -> bytes:
    log = PredictionLog()
    log.classify_log.request.model_spec.signature_name = "classify"
    example = log.classify_log.request.input.example_list.examples.add()
    example.features.feature["trip_miles"].float_list.value.append(miles)
    content: bytes = log.SerializeToString()
    return content


def write_warm_up(model: Path, *requests: bytes) -> None:
    SavedModel(model).warm_up_requests.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(SavedModel(model).warm_up_requests)) as writer:
        for request in requests:
            writer.write(request)


def test_a_model_is_warmed_by_its_own_requests(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_warm_up(base / "1", *[warm_up_request("", 1.0)] * 2, warm_up_request("total", 2.0))
    with serving(ModelSettings("m", str(base))):
        assert any("version 1 is served, warmed by 3 requests" in line for line in caplog.messages)


def test_requests_of_examples_warm_a_model(trips: Path, tmp_path: Path) -> None:
    write_warm_up(shutil.copytree(trips, tmp_path / "model"), classify_request(1.0), classify_request(2.0))
    loaded = loading.load(tmp_path / "model")
    assert warm_up.warm_up(loaded, tmp_path / "model") == 2
    loaded.close()


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (warm_up_request("positive", -1.0), "warm-up request 1 failed: assertion failed: [x is to be positive"),
        (
            warm_up_request("other", 1.0),
            "warm-up request 1 failed: it asks 'other' with x: expected one of positive(x), serving_default(x), ",
        ),
        (b"no log", "warm-up request 1 failed"),
    ],
    ids=["refused", "no-signature", "no-log"],
)
def test_a_model_that_fails_on_its_own_requests_is_not_served(base: Path, request_: bytes, reason: str) -> None:
    write_warm_up(base / "1", request_)
    with pytest.raises(ModelError) as raised, starting(ServerSettings((ModelSettings("m", str(base)),))) as client:
        client.wait_until_ready(10)
    assert reason in str(raised.value)


def test_an_artifact_is_served(two_versions: Path, tmp_path: Path) -> None:
    shutil.copytree(two_versions / "1", tmp_path / "model" / "Format-Serving")
    with serving(ModelSettings("m", str(tmp_path / "model"))) as client:
        assert (states(client), weight(client)) == ({1: "AVAILABLE"}, 1.0)


def test_a_canary_has_its_share_until_it_is_promoted(
    base: Path, publish: Callable[[int], Path], caplog: pytest.LogCaptureFixture
) -> None:
    traffic = base / Traffic.FILE
    traffic.write_bytes(Traffic(stable=1).content())
    publish(2)
    with serving(ModelSettings("m", str(base)), poll=POLL) as client:
        assert states(client) == {1: "AVAILABLE"}, "a version that nobody has given a share is not loaded"
        traffic.write_bytes(Traffic(stable=1, canary=2, percent=30).content())
        until(lambda: states(client) == {1: "AVAILABLE", 2: "AVAILABLE"})
        answers = [weight(client) for _ in range(200)]
        assert 20 <= answers.count(2.0) <= 100, "30 % of 200 requests"
        assert answers.count(1.0) + answers.count(2.0) == 200
        assert weight(client, "/v1/models/m/labels/stable") == 1.0
        assert weight(client, "/v1/models/m/labels/canary") == 2.0
        traffic.write_text("{")
        until(lambda: any("cannot be read: traffic.json: expected JSON" in line for line in caplog.messages))
        assert {weight(client) for _ in range(50)} == {1.0, 2.0}, "what was served goes on"
        traffic.write_bytes(Traffic(stable=2, previous=1).content())
        until(lambda: states(client).get(1) != "AVAILABLE")
        assert {weight(client) for _ in range(50)} == {2.0}
        traffic.write_bytes(Traffic(stable=1, previous=2).content())
        until(lambda: weight(client) == 1.0)


def test_a_canary_that_cannot_be_loaded_gets_no_request(base: Path, publish: Callable[[int], Path]) -> None:
    (publish(2) / SavedModel.FILE).write_bytes(b"no model")
    (base / Traffic.FILE).write_bytes(Traffic(stable=1, canary=2, percent=99).content())
    with serving(ModelSettings("m", str(base)), poll=POLL) as client:
        assert {weight(client) for _ in range(20)} == {1.0}


def test_versions_that_are_chosen_go_before_the_shares_in_the_folder(
    base: Path, publish: Callable[[int], Path]
) -> None:
    publish(2)
    (base / Traffic.FILE).write_bytes(Traffic(stable=1).content())
    with serving(ModelSettings("m", str(base), Versions(pinned=frozenset({2}))), poll=POLL) as client:
        assert weight(client) == 2.0
