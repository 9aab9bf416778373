"""Vertex AI's endpoints on loopback: deployed models, their shares of the traffic, and predictions.

Rules are those of aiplatform_v1's own descriptions (types/endpoint.py, endpoint_service.py, machine_resources.py), and
of the guides: an endpoint that is peered with a network has one model. Predictions come from containers that
run beside the server, to which requests are forwarded as Vertex AI does.
"""

import itertools
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from google.cloud import aiplatform_v1

from tests.servers.loopback import Refusal, Request
from tests.servers.vertex_models import PROJECT_NUMBER, Models
from tests.servers.vertex_operations import Operations, as_json, check_labels, filtered, page, parsed, require

_PATH = re.compile(r"^/v1/projects/[^/]+/locations/([^/]+)/endpoints(?:/([^/:]+))?(?::(\w+))?$")
_ID = re.compile(r"^([a-z][a-z0-9-]{0,61}[a-z0-9]|[1-9][0-9]{0,8})$")
_DEPLOYED_ID = re.compile(r"^[0-9]{1,10}$")
_CHANGEABLE = {"displayName", "description", "labels", "trafficSplit", "predictRequestResponseLoggingConfig"}
_MUTABLE = {"dedicatedResources.minReplicaCount", "dedicatedResources.maxReplicaCount", "disableContainerLogging"}
_NEW = "0"  # the key in a traffic split of the model that is being deployed


class Endpoints:
    """`quota` is how much there is of a quota's metric, such as custom_model_serving_nvidia_l4_gpus.

    `containers` are the addresses of the model servers, one for each version of a model. `drop_accelerators` makes
    deployments lose theirs, as the SDK's do where a model does not support dedicated resources.
    """

    def __init__(self, operations: Operations) -> None:
        self.models = Models(operations, self._deployed)
        self.endpoints: dict[str, Any] = {}
        self.quota: dict[str, int] = {}
        self.containers: list[str] = []
        self.drop_accelerators = False
        self.available: int | None = None  # replicas of what is deployed next, by default all
        self._operations = operations
        self._asked: dict[str, int] = {}
        self._seconds = itertools.count(1)
        self._numbers = itertools.count(8111111111111111111)

    def route(self, path: str) -> str | None:
        match = _PATH.match(path)
        return match and "/endpoints" + ("/{id}" if match[2] else "") + (f":{match[3]}" if match[3] else "")

    def answer(self, request: Request) -> Any:
        match = _PATH.match(request.path)
        assert match
        location, one, action = match.groups()
        parent = f"projects/{PROJECT_NUMBER}/locations/{location}"
        if not one:
            if request.method == "POST":
                return self._create(parent, request)
            listed = [endpoint for name, endpoint in self.endpoints.items() if name.startswith(f"{parent}/")]
            return page(filtered(listed, request.query.get("filter", "")), "endpoints", request.query.get("pageToken"))
        name = f"{parent}/endpoints/{one}"
        if name not in self.endpoints:
            raise Refusal(404, f"Endpoint {name} is not found.")
        endpoint = self.endpoints[name]
        if request.method == "DELETE":
            require(not endpoint.deployed_models, f"Endpoint {name} has deployed or being-deployed DeployedModel(s).")
            return self._operations.start(name, "DeleteEndpoint", lambda: self.endpoints.pop(name) and None)
        if request.method == "PATCH":
            return self._patch(endpoint, request)
        actions = {
            "deployModel": self._deploy,
            "undeployModel": self._undeploy,
            "mutateDeployedModel": self._mutate,
            "predict": self._predict,
        }
        require(not action or action in actions, f"no method {action}", 404)
        return actions[action](endpoint, request) if action else as_json(endpoint)

    def shares(self, name: str) -> list[int]:
        """Returns what each deployed model has of an endpoint's traffic, by their age; `name` is the display name."""
        (endpoint,) = (one for one in self.endpoints.values() if one.display_name == name)
        return [endpoint.traffic_split.get(one.id, 0) for one in endpoint.deployed_models]

    def _deployed(self, version: Any) -> bool:
        return any(
            (one.model, one.model_version_id) == (version.name, version.version_id)
            for endpoint in self.endpoints.values()
            for one in endpoint.deployed_models
        )

    def _create(self, parent: str, request: Request) -> Any:
        endpoint = parsed(aiplatform_v1.Endpoint, request.body)
        one = request.query.get("endpointId") or str(5000000000000000001 + len(self.endpoints))
        require(_ID.match(one) or "endpointId" not in request.query, f"Invalid endpoint_id: {one}")
        endpoint.name = f"{parent}/endpoints/{one}"
        require(endpoint.name not in self.endpoints, f"Endpoint {endpoint.name} already exists.", 409)
        require(0 < len(endpoint.display_name) <= 128, "display_name is required")
        require(not endpoint.deployed_models and not endpoint.traffic_split, "traffic_split: no model is deployed")
        check_labels(endpoint)
        endpoint.etag = self._etag()
        if endpoint.dedicated_endpoint_enabled:
            endpoint.dedicated_endpoint_dns = f"{one}.{parent.rpartition('/')[2]}-1.prediction.vertexai.goog"

        def add() -> Any:
            require(endpoint.name not in self.endpoints, f"Endpoint {endpoint.name} already exists.")
            return self.endpoints.setdefault(endpoint.name, endpoint)

        return self._operations.start(endpoint.name, "CreateEndpoint", add)

    def _patch(self, endpoint: Any, request: Request) -> Any:
        change = parsed(aiplatform_v1.Endpoint, request.body)
        fields = request.query.get("updateMask", "").split(",")
        for field in fields:
            require(field in _CHANGEABLE, f"Invalid update_mask: {field}")
        if change.etag and change.etag != endpoint.etag:
            raise Refusal(409, f"The etag {change.etag} of Endpoint {endpoint.name} is out of date.")
        check_labels(change)
        if "trafficSplit" in fields:
            self._check_split(endpoint, dict(change.traffic_split))
        for field in fields:
            attribute = re.sub("([A-Z])", lambda capital: f"_{capital[1].lower()}", field)
            setattr(endpoint, attribute, getattr(change, attribute))
        _check_logging(endpoint)
        endpoint.etag = self._etag()
        return as_json(endpoint)

    def _check_split(self, endpoint: Any, split: Mapping[str, int], *new: str) -> None:
        known = {one.id for one in endpoint.deployed_models} | set(new)
        for one in split:
            require(one in known, f"DeployedModel {one} in traffic_split does not exist in Endpoint {endpoint.name}.")
        require(all(0 <= share <= 100 for share in split.values()), "traffic_split: expected percentages")
        require(not split or sum(split.values()) == 100, "The sum of traffic_split must be 100.")

    def _deploy(self, endpoint: Any, request: Request) -> Any:
        body = parsed(aiplatform_v1.DeployModelRequest, request.body)
        deployed, split = body.deployed_model, dict(body.traffic_split)
        model = self.models.find(deployed.model)
        kind = aiplatform_v1.DeployedModel.pb(deployed).WhichOneof("prediction_resources")
        require(kind, "prediction_resources is required")
        supported = [one.name.lower() for one in model.supported_deployment_resources_types]
        require(kind in supported, f"Model {model.name} does not support {kind}.")
        resources = deployed.dedicated_resources
        require(resources.min_replica_count >= 1, "min_replica_count must be greater than or equal to 1")
        resources.max_replica_count = resources.max_replica_count or resources.min_replica_count
        require(resources.max_replica_count >= resources.min_replica_count, "max_replica_count is too small")
        spec = resources.machine_spec
        require(bool(spec.accelerator_type) == bool(spec.accelerator_count), "accelerator_type needs its count")
        ids = {one.id for one in endpoint.deployed_models}
        require(_DEPLOYED_ID.match(deployed.id or "1"), f"Invalid DeployedModel id: {deployed.id}")
        require(deployed.id not in ids, f"DeployedModel {deployed.id} already exists in Endpoint {endpoint.name}.", 409)
        require(not endpoint.network or not ids, "A maximum of one model can be deployed to each private Endpoint.")
        self._check_split(endpoint, split, _NEW)
        self._check_quota(resources)
        deployed.id = deployed.id or str(next(self._numbers))
        deployed.model, deployed.model_version_id = model.name, model.version_id
        deployed.display_name = deployed.display_name or model.display_name

        def deploy() -> Any:
            if self.drop_accelerators:
                del spec.accelerator_type, spec.accelerator_count
            deployed.create_time = f"2026-11-29T12:00:{next(self._seconds):02d}Z"  # type: ignore[assignment]
            deployed.status = {
                "available_replica_count": resources.min_replica_count if self.available is None else self.available
            }
            endpoint.deployed_models = [*endpoint.deployed_models, deployed]
            if split:
                endpoint.traffic_split = {deployed.id if one == _NEW else one: share for one, share in split.items()}
            endpoint.etag = self._etag()
            return aiplatform_v1.DeployModelResponse(deployed_model=deployed)

        return self._operations.start(endpoint.name, "DeployModel", deploy)

    def _check_quota(self, wanted: Any) -> None:
        used = [one.dedicated_resources for end in self.endpoints.values() for one in end.deployed_models]
        for metric, limit in self.quota.items():
            if sum(_charged(resources, metric) for resources in (*used, wanted)) > limit:
                message = "The following quota metrics exceed quota limits"
                raise Refusal(429, f"{message}: aiplatform.googleapis.com/{metric}")

    def _undeploy(self, endpoint: Any, request: Request) -> Any:
        body = parsed(aiplatform_v1.UndeployModelRequest, request.body)
        one, split = body.deployed_model_id, dict(body.traffic_split)
        self._require_deployed(endpoint, one)
        self._check_split(endpoint, split)
        is_last = len(endpoint.deployed_models) == 1
        shares = split or dict(endpoint.traffic_split)
        require(is_last or not shares.get(one), f"DeployedModel {one} cannot be undeployed: it has traffic.")

        def undeploy() -> Any:
            endpoint.deployed_models = [each for each in endpoint.deployed_models if each.id != one]
            endpoint.traffic_split = {} if is_last else {key: share for key, share in shares.items() if key != one}
            endpoint.etag = self._etag()
            return aiplatform_v1.UndeployModelResponse()

        return self._operations.start(endpoint.name, "UndeployModel", undeploy)

    def _mutate(self, endpoint: Any, request: Request) -> Any:
        body = parsed(aiplatform_v1.MutateDeployedModelRequest, request.body)
        deployed = self._require_deployed(endpoint, body.deployed_model.id)
        for field in request.body.get("updateMask", "").split(","):
            require(field in _MUTABLE, f"Invalid update_mask: {field}")
        wanted = body.deployed_model.dedicated_resources

        def mutate() -> Any:
            deployed.dedicated_resources.min_replica_count = wanted.min_replica_count
            deployed.dedicated_resources.max_replica_count = wanted.max_replica_count
            return aiplatform_v1.MutateDeployedModelResponse(deployed_model=deployed)

        return self._operations.start(endpoint.name, "MutateDeployedModel", mutate)

    def _require_deployed(self, endpoint: Any, one: str) -> Any:
        for deployed in endpoint.deployed_models:
            if deployed.id == one:
                return deployed
        raise Refusal(404, f"DeployedModel {one} does not exist in Endpoint {endpoint.name}.")

    def _predict(self, endpoint: Any, request: Request) -> Any:
        """Forwards a request to the container whose turn it is, so that of 100 each gets as many as its share is."""
        require(not endpoint.dedicated_endpoint_enabled, "This endpoint is a dedicated endpoint: use its own DNS.")
        split = dict(endpoint.traffic_split)
        require(split, f"Endpoint {endpoint.name} doesn't have traffic_split.")
        turn = self._asked[endpoint.name] = (self._asked.get(endpoint.name, -1) + 1) % 100
        turns = [one for one, share in split.items() for _ in range(share)]
        deployed = self._require_deployed(endpoint, turns[turn * 37 % 100])  # mixed: 37 and 100 have no common divisor
        model = self.models.find(f"{deployed.model}@{deployed.model_version_id}")
        container = self.containers[int(model.version_id) - 1]
        answer = _asked(container + model.container_spec.predict_route, request.body)
        return {
            **answer,
            "deployedModelId": deployed.id,
            "model": model.name,
            "modelVersionId": model.version_id,
            "modelDisplayName": model.display_name,
        }

    def _etag(self) -> str:
        return f"etag-{next(self._numbers)}"


def _check_logging(endpoint: Any) -> None:
    """Checks the request-response log, and gives its dataset and its table the names that were left out."""
    logging = endpoint.predict_request_response_logging_config
    if not logging.enabled:
        return
    require(0 < logging.sampling_rate <= 1, "sampling_rate is not in (0, 1]")
    place, _, parts = logging.bigquery_destination.output_uri.partition("://")
    require(place == "bq" and parts.count(".") <= 2, f"Invalid output_uri: {logging.bigquery_destination.output_uri}")
    name = re.sub(r"\W", "_", f"logging_{endpoint.display_name}_{endpoint.name.rpartition('/')[2]}")
    missing = [name, "request_response_logging"][parts.count(".") :]
    logging.bigquery_destination.output_uri = f"bq://{'.'.join([parts, *missing])}"


def _charged(resources: Any, metric: str) -> int:
    """Returns what resources cost of a quota: the most replicas there may be, times the machine's cores or GPUs."""
    spec = resources.machine_spec
    if metric == "custom_model_serving_cpus":
        return int(resources.max_replica_count) * int(spec.machine_type.rpartition("-")[2])
    name = metric.removeprefix("custom_model_serving_").removesuffix("_gpus").upper()
    return int(resources.max_replica_count) * (spec.accelerator_count if spec.accelerator_type.name == name else 0)


def _asked(url: str, body: Any) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            received: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        raise Refusal(error.code, error.read().decode()) from None
    return received
