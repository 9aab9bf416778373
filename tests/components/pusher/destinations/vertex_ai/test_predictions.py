"""Google's own SDK asks an endpoint that pushes have made: each answer is the model server's, by its share."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from penstock.components.model_server.settings import ModelSettings
from penstock.components.pusher.destinations import rollout
from penstock.components.pusher.destinations.vertex_ai import registry
from penstock.components.pusher.destinations.vertex_ai.service import VertexAI as Service
from tests.components.model_server.conftest import save_linear
from tests.servers.model_server import serving
from tests.servers.vertex import VertexAI

pytestmark = pytest.mark.slow


@pytest.fixture
def containers(vertex: VertexAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Two models, w * x + 1; the container of each runs once the model is registered, as Vertex AI starts it."""
    monkeypatch.setenv("AIP_PREDICT_ROUTE", registry.PREDICT_ROUTE)
    monkeypatch.setenv("AIP_HEALTH_ROUTE", registry.HEALTH_ROUTE)
    models = [save_linear(tmp_path / f"linear-{weight}", weight) for weight in (2.0, 4.0)]
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(ModelSettings("model", str(model)))) for model in models]
        for server in servers:
            assert server.get(registry.HEALTH_ROUTE).status == 200
        vertex.endpoints.containers = [server.url for server in servers]
        yield models


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_an_endpoint_answers_as_its_traffic_is_divided(
    vertex: VertexAI, service: Callable[..., Service], containers: list[Path]
) -> None:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform

    aiplatform.init(
        project="my-project",
        location="us-central1",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        api_endpoint=vertex.url,
        api_transport="rest",
    )
    first = rollout.push(service(), containers[0])
    endpoint = aiplatform.Endpoint(first.place)
    assert endpoint.predict([1.0, 2.5]).predictions == [3.0, 6.0]
    rollout.push(service(canary=20), containers[1])
    assert asked(endpoint) == {3.0: 80, 5.0: 20}
    rollout.promote(service())
    assert asked(endpoint) == {5.0: 100}
    rollout.rollback(service())
    prediction = endpoint.predict([1.0])
    assert (prediction.predictions, prediction.model_version_id) == ([3.0], "1")
    (model,) = aiplatform.Model.list()
    assert (model.display_name, model.version_aliases) == ("taxi", ["default"])
    (aiplatform_endpoint,) = aiplatform.Endpoint.list(filter='display_name="taxi"')
    assert sorted(aiplatform_endpoint.traffic_split.values()) == [100]
    assert len(aiplatform_endpoint.list_models()) == 2


def asked(endpoint: Any) -> Counter[float]:
    """Returns how often each answer came of 100."""
    return Counter(endpoint.predict([1.0]).predictions[0] for _ in range(100))
