"""A real API server, on which the other tests of this folder run as well, where there is one."""

import pytest

from penstock.components.pusher.destinations.kserve import manifest
from tests.components.pusher.destinations.kserve.conftest import candidate, service
from tests.servers.kubernetes_server import KubernetesServer
from tests.servers.loopback import Refusal
from tests.servers.real_inference_services import SERVICES


def test_it_checks_what_is_written(api_server: KubernetesServer) -> None:
    """What we write it takes, field by field; of what KServe's models do not have it knows nothing."""
    body = manifest.new(service()._settings, candidate(1), "s3://models/taxi/1", "serving:1")
    url, account = f"{SERVICES}?fieldValidation=Strict&dryRun=All", api_server.ACCOUNT
    made = api_server.call("POST", url, body, account)
    assert made["spec"] == body["spec"]
    body["spec"]["predictor"]["replicas"] = 2
    with pytest.raises(Refusal, match=r'unknown field "spec\.predictor\.replicas"'):
        api_server.call("POST", url, body, account)
    with pytest.raises(Refusal, match='cannot list resource "inferenceservices"'):
        api_server.call("GET", SERVICES, token=account)
