"""TFX's arguments in the forms that its users have, and what is wrong with them in one sentence."""

import json
from typing import Any

import pytest
from google.protobuf import json_format
from tfx.proto import infra_validator_pb2

from penstock.components.infra_validator import settings
from penstock.components.infra_validator.settings import Budgets, Requests, Settings, Url
from penstock.core.errors import ConfigError


def test_without_arguments_the_defaults_are_those_of_tfx() -> None:
    assert settings.read() == Settings("infra-validation-model", 300, 5, None, Budgets(), None, {}, ())


def test_the_arguments_of_tfx_as_its_own_messages_write_them() -> None:
    """The example of TFX's InfraValidator, on Docker, in protobuf's JSON."""
    serving = infra_validator_pb2.ServingSpec(
        tensorflow_serving=infra_validator_pb2.TensorFlowServing(tags=["latest"], digests=["sha256:12"]),
        local_docker=infra_validator_pb2.LocalDockerConfig(client_timeout_seconds=60),
        model_name="taxi",
    )
    validation = infra_validator_pb2.ValidationSpec(max_loading_time_seconds=60, num_tries=3)
    request = infra_validator_pb2.RequestSpec(
        tensorflow_serving=infra_validator_pb2.TensorFlowServingRequestSpec(
            tag_set=["serve"], signature_names=["serving_default", "tune"]
        ),
        split_name="eval",
        num_examples=7,
        make_warmup=True,
    )
    read = settings.read(*map(json_format.MessageToJson, (serving, validation, request)))
    assert (read.model_name, read.max_loading_seconds, read.tries) == ("taxi", 60, 3)
    assert read.requests == Requests(("serving_default", "tune"), "eval", 7, True)
    (note,) = read.notes
    assert note == (
        "serving_spec: Penstock's model server is tried in place of tensorflow/serving:latest and "
        "tensorflow/serving@sha256:12 and local_docker: tasks start no containers; server_url checks a server of yours"
    )


def test_an_empty_request_spec_asks_about_one_example() -> None:
    assert settings.read(request_spec="{}").requests == Requests((), "", 1, False)


def test_plain_variables_of_a_pod_are_the_servers_and_secrets_are_not() -> None:
    env = [{"name": "TF_NUM_INTRAOP_THREADS", "value": "2"}]
    env.append({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}})  # type: ignore[dict-item]
    spec = {
        "tensorflowServing": {"imageName": "registry.example.com/serving", "tags": ["2.19.1"]},
        "kubernetes": {"serviceAccountName": "runner", "servingPodOverrides": {"env": env, "resources": {}}},
    }
    read = settings.read(json.dumps(spec))
    assert read.variables == {"TF_NUM_INTRAOP_THREADS": "2"}
    assert read.notes[0].startswith(
        "serving_spec: Penstock's model server is tried in place of registry.example.com/serving:2.19.1 and kubernetes"
    )
    assert read.notes[1].startswith(
        "serving_spec.kubernetes: service_account_name, resources, the variable TOKEN of a secret: not used"
    )


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", Budgets()),
        ('{"latency_p50_ms": 3, "latency_p95_ms": 10.5}', Budgets(3.0, 10.5)),
        ('{"memory": "2Gi", "cold_start_seconds": 30}', Budgets(memory=2.0**31, cold_start_seconds=30.0)),
        ('{"memory": "512M"}', Budgets(memory=512e6)),
        ('{"memory": "1.5Ki"}', Budgets(memory=1536.0)),
        ('{"memory": 1000, "latency_p95_ms": null}', Budgets(memory=1000.0)),
    ],
)
def test_budgets(text: str, limits: Budgets) -> None:
    assert settings.read(request_spec="{}", budgets=text).budgets == limits


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://localhost:8501/v1/models/taxi", Url("localhost", 8501, "/v1/models/taxi")),
        ("http://10.0.0.7/v1/models/taxi/versions/3/", Url("10.0.0.7", 80, "/v1/models/taxi/versions/3")),
        ("https://serve.example.com/team/v2/models/a", Url("serve.example.com", 443, "/team/v2/models/a", "v2", True)),
    ],
)
def test_a_servers_url(text: str, url: Url) -> None:
    assert settings.read(server_url=text).url == url


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"serving_spec": "{"}, "serving_spec: expected JSON"),
        ({"serving_spec": '{"tensorflow_servin": {}}'}, "unknown key 'tensorflow_servin'; did you mean"),
        (
            {"serving_spec": '{"local_docker": {}, "kubernetes": {}}'},
            "expected one platform, received local_docker",
        ),
        ({"serving_spec": '{"model_name": "a/b"}'}, "model_name: expected a name without / and :, received 'a/b'"),
        ({"serving_spec": '{"tensorflow_serving": {"tags": "2"}}'}, "tags: expected a list of tags, received '2'"),
        ({"validation_spec": '{"num_tries": -1}'}, "num_tries: expected a whole number, 0 or more, received -1"),
        ({"request_spec": '{"num_examples": "many"}'}, "num_examples: expected a whole number of examples"),
        ({"request_spec": '{"make_warmup": "yes"}'}, "make_warmup: expected true or false, received 'yes'"),
        ({"request_spec": '{"tensorflow_serving": {"tag_set": ["gpu"]}}'}, "tag_set: expected 'serve'"),
        ({"budgets": '{"memory": "2 GB"}'}, "budgets.memory: expected bytes, such as 2Gi or 512M, received '2 GB'"),
        ({"budgets": '{"cold_start_seconds": 0}'}, "expected a number greater than 0, received 0"),
        ({"budgets": '{"latency_p99_ms": 1}'}, "unknown key 'latency_p99_ms'; did you mean 'latency_p95_ms'"),
        ({"budgets": '{"latency_p95_ms": 5}'}, "expected examples and a request_spec with a latency"),
        ({"server_url": "localhost:8501"}, "server_url: expected the model's URL, http://host:8501/v1/models/NAME"),
        ({"server_url": "http://host:port/v1/models/taxi"}, "server_url: expected the model's URL"),
        ({"server_url": "http://host/v1/models/taxi:predict?x=1"}, "server_url: expected the model's URL"),
        (
            {"server_url": "http://host/v2/models/taxi", "budgets": '{"memory": "2Gi"}'},
            "budgets.memory: expected only latencies with a server_url",
        ),
    ],
)
def test_what_does_not_fit_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        settings.read(**arguments)
    assert message in raised.value.message


def test_a_password_in_a_url_is_not_shown() -> None:
    with pytest.raises(ConfigError) as raised:
        settings.read(server_url="http://user:hunter2@host/v1/models/taxi")
    assert "hunter2" not in raised.value.message
