"""KServe's V1 protocol, asked by its own client."""

import asyncio
from typing import Any

import httpx
import pytest
from kserve import InferenceRESTClient, RESTConfig

from tests.servers.model_server import Client


def test_its_client(server: Client) -> None:
    async def ask() -> tuple[Any, ...]:
        async with InferenceRESTClient(RESTConfig(protocol="v1", timeout=30)) as client:
            answer = await client.infer(server.url, {"instances": [1, 2.5]}, model_name="linear")
            live, ready = await client.is_server_live(server.url), await client.is_model_ready(server.url, "linear")
            with pytest.raises(httpx.HTTPStatusError, match="no model 'nobody'"):
                await client.is_model_ready(server.url, "nobody")
            return answer, live, ready

    assert asyncio.run(ask()) == ({"predictions": [3.0, 6.0]}, True, True)


def test_models(server: Client) -> None:
    assert server.get("/v1/models").json == {"models": ["linear", "trips"]}


def test_a_model_is_described_for_both_protocols(server: Client) -> None:
    answer = server.get("/v1/models/linear").json
    assert (answer["name"], answer["ready"]) == ("linear", True)
    assert answer["model_version_status"][0]["state"] == "AVAILABLE"
