"""SageMaker on loopback: moto, and in front of it what moto lacks or forgives.

    with SageMaker() as server:
        server.looks = 2                                   # how often an endpoint is still under way when asked
        server.broken = "The container does not answer."   # the next operation at an endpoint ends badly
    server.outage = 3                                  # how many requests fail after one whose answer was lost

Requests are checked against botocore's own model of the service: names, types, patterns, what is required. Names that
exist are refused, and so are changes of an endpoint that is being changed. Routes are the operations: "UpdateEndpoint".
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import botocore.session
import werkzeug
from botocore.model import Shape
from botocore.validate import ParamValidator
from werkzeug.test import EnvironBuilder

from tests.servers.loopback import CtrlC, Cut, Hang, Loopback, Refusal, Request, Status

ACCOUNT, REGION = "123456789012", "us-east-1"
_KINDS = {"CreateModel": "Model", "CreateEndpointConfig": "EndpointConfig", "CreateEndpoint": "Endpoint"}
_NAMES = {"Model": "model", "EndpointConfig": "endpoint configuration", "Endpoint": "endpoint"}


@dataclass
class _Operation:
    """What is under way at an endpoint: the configuration it gets, and how often it is still not done when asked."""

    status: str
    config: str
    looks: int
    broken: str


class SageMaker(Loopback):
    def __init__(self) -> None:
        super().__init__()
        self.looks = 1
        self.broken = ""
        self.outage = 0
        self.kind = "ValidationException"
        self._down = 0
        self._service = botocore.session.get_session().get_service_model("sagemaker")
        self._under_way: dict[str, _Operation] = {}
        self._failed: dict[str, tuple[str, str]] = {}  # what became of an endpoint after a bad end, and why
        backend().reset()

    def route_of(self, path: str, headers: Mapping[str, str]) -> str:
        return headers.get("X-Amz-Target", path).rpartition(".")[2]

    def received(self, request: Request) -> Status | Cut | Hang | CtrlC | None:
        failure = super().received(request)
        if isinstance(failure, Cut) and failure.after:
            self._down = self.outage
        elif self._down:
            self._down -= 1
            return Status(503)
        return failure

    def error(self, failure: Status) -> Any:
        return {"__type": self.kind, "message": failure.message}

    def answer(self, request: Request) -> Any:
        shape = self._service.operation_model(request.route).input_shape
        report = ParamValidator().validate(request.body, shape)
        problems = [report.generate_report()] if report.has_errors() else list(_misfits(request.body, shape, ""))
        if problems:
            raise Refusal(400, "; ".join(problems))
        own = getattr(self, f"_{request.route}", None)
        return own(request) if own else self._forward(request)

    def finish(self, endpoint: str) -> None:
        """Ends what is under way at an endpoint."""
        operation, made = self._under_way.pop(endpoint), backend().endpoints[endpoint]
        self._failed.pop(endpoint, None)
        if operation.broken:
            self._failed[endpoint] = "Failed" if operation.status == "Creating" else "InService", operation.broken
        elif operation.config != made.endpoint_config_name:
            config = backend().endpoint_configs[operation.config]
            made.endpoint_config_name = operation.config
            made.production_variants = made._process_production_variants(config.production_variants)

    def _CreateModel(self, request: Request) -> Any:
        return self._make(request)

    def _CreateEndpointConfig(self, request: Request) -> Any:
        for variant in request.body["ProductionVariants"]:
            variant.setdefault("InitialVariantWeight", 1.0)
        return self._make(request)

    def _CreateEndpoint(self, request: Request) -> Any:
        answer = self._make(request)
        self._start(request, "Creating")
        return answer

    def _make(self, request: Request) -> Any:
        kind = _KINDS[request.route]
        name = request.body[f"{kind}Name"]
        kinds = ("Model", "EndpointConfig", "Endpoint")
        made = dict(zip(kinds, (backend()._models, backend().endpoint_configs, backend().endpoints), strict=True))
        if name in made[kind]:
            raise Refusal(400, f'Cannot create already existing {_NAMES[kind]} "{name}".')
        return self._forward(request)

    def _UpdateEndpoint(self, request: Request) -> Any:
        endpoint = self._require_idle(request)
        config = request.body["EndpointConfigName"]
        if config not in backend().endpoint_configs:
            raise Refusal(400, f'Could not find endpoint configuration "{config}".')
        variants = backend().endpoint_configs[config].production_variants
        missing = [one["ModelName"] for one in variants if one["ModelName"] not in backend()._models]
        if missing:
            raise Refusal(400, f'Could not find model "{missing[0]}".')
        self._start(request, "Updating")
        return {"EndpointArn": endpoint.arn}

    def _UpdateEndpointWeightsAndCapacities(self, request: Request) -> Any:
        endpoint = self._require_idle(request)
        counts = {one["VariantName"]: one["CurrentInstanceCount"] for one in endpoint.production_variants}
        wanted = request.body["DesiredWeightsAndCapacities"]
        unknown = [one["VariantName"] for one in wanted if one["VariantName"] not in counts]
        if unknown:
            raise Refusal(400, f"The variant name(s) {unknown} are not present.")
        for one in wanted:
            for variant in endpoint.production_variants:
                if variant["VariantName"] == one["VariantName"]:
                    variant["CurrentWeight"] = variant["DesiredWeight"] = one["DesiredWeight"]
        self._under_way[endpoint.endpoint_name] = _Operation(
            "Updating", endpoint.endpoint_config_name, self.looks, self._ending()
        )
        return {"EndpointArn": endpoint.arn}

    def _DeleteEndpoint(self, request: Request) -> Any:
        if request.body["EndpointName"] in self._under_way:
            raise Refusal(400, "Cannot delete in-progress endpoint.")
        self._failed.pop(request.body["EndpointName"], None)
        return self._forward(request)

    def _DescribeEndpoint(self, request: Request) -> Any:
        name = request.body["EndpointName"]
        operation = self._under_way.get(name)
        if operation:
            operation.looks -= 1
            if operation.looks < 0:
                self.finish(name)
                operation = None
        answer = self._forward(request)
        if operation:
            answer["EndpointStatus"] = operation.status
            answer["PendingDeploymentSummary"] = {"EndpointConfigName": operation.config}
        elif name in self._failed:
            answer["EndpointStatus"], answer["FailureReason"] = self._failed[name]
        return answer

    def _require_idle(self, request: Request) -> Any:
        name = request.body["EndpointName"]
        if name not in backend().endpoints:
            raise Refusal(400, f'Could not find endpoint "{name}".')
        if name in self._under_way:
            raise Refusal(400, "Cannot update in-progress endpoint.")
        return backend().endpoints[name]

    def _start(self, request: Request, status: str) -> None:
        name, config = request.body["EndpointName"], request.body["EndpointConfigName"]
        self._under_way[name] = _Operation(status, config, self.looks, self._ending())

    def _ending(self) -> str:
        broken, self.broken = self.broken, ""
        return broken

    def _forward(self, request: Request) -> Any:
        """Asks moto, without its server's detour over another port."""
        from moto.sagemaker.responses import SageMakerResponse

        builder = EnvironBuilder("/", method="POST", data=json.dumps(request.body), headers={**request.headers})
        asked = werkzeug.Request(builder.get_environ())
        asked.from_wsgi_server, asked.raw_path = True, "/"  # type: ignore[attr-defined]  # as moto's server says
        status, _, text = SageMakerResponse.dispatch(asked, asked.url, asked.headers)
        body = json.loads(text or "{}")
        if status >= 400:
            raise Refusal(400, str(body.get("message") or body.get("Message") or body))
        return body


def backend() -> Any:
    """Returns what moto keeps of SageMaker in the tests' account and region."""
    from moto.sagemaker.models import sagemaker_backends

    return sagemaker_backends[ACCOUNT][REGION]


def _misfits(value: Any, shape: Shape, place: str) -> Iterator[str]:
    """Yields what botocore leaves to the service: patterns, lengths and the values of enumerations."""
    if shape.type_name == "structure":
        for key, item in value.items():
            yield from _misfits(item, shape.members[key], f"{place}.{key}")
    elif shape.type_name == "list":
        for item in value:
            yield from _misfits(item, shape.member, place)
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from _misfits(item, shape.value, f"{place}.{key}")
    elif isinstance(value, str):
        pattern = shape.metadata.get("pattern", "").replace(r"\p{L}\p{Z}\p{N}", r"\w\s")
        if pattern and not re.fullmatch(pattern, value):
            yield f"Value '{value}' at '{place}' failed to satisfy constraint: {pattern}"
        if len(value) > shape.metadata.get("max", len(value)):
            yield f"Value '{value}' at '{place}' is too long"
        if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
            yield f"Value '{value}' at '{place}' is not one of {shape.metadata['enum']}"
    elif isinstance(value, int | float):
        lowest, highest = shape.metadata.get("min", value), shape.metadata.get("max", value)
        if not lowest <= value <= highest:
            yield f"Value {value} at '{place}' is not from {lowest} to {highest}"
