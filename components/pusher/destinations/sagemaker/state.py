"""What there is at SageMaker, read anew each time: an endpoint, its configuration, and the models of its variants."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.components.pusher.destinations.destination import Deployment, Endpoint
from penstock.components.pusher.destinations.sagemaker import resources
from penstock.core.errors import ServerError
from penstock.core.services.retries import NotFound
from penstock.core.services.sagemaker import Server

BROKEN = ("Failed", "OutOfService", "UpdateRollbackFailed")
IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
_SERVES = ("InService", "Updating", "SystemUpdating", "RollingBack")


@dataclass(frozen=True)
class Variant:
    """A production variant: `request` is what made it, `weight` and `count` what it has now."""

    request: Mapping[str, Any]
    weight: float
    count: int

    @property
    def name(self) -> str:
        return str(self.request["VariantName"])

    @property
    def model(self) -> str:
        return str(self.request.get("ModelName", ""))


@dataclass(frozen=True)
class Description:
    """What SageMaker says of an endpoint."""

    answer: Mapping[str, Any]

    @property
    def arn(self) -> str:
        return str(self.answer["EndpointArn"])

    @property
    def status(self) -> str:
        return str(self.answer["EndpointStatus"])

    @property
    def reason(self) -> str:
        return str(self.answer.get("FailureReason") or "")

    @property
    def config(self) -> str:
        """The configuration that it serves by."""
        return str(self.answer.get("EndpointConfigName") or "")

    @property
    def pending(self) -> str:
        """The configuration that it is being updated to."""
        return str((self.answer.get("PendingDeploymentSummary") or {}).get("EndpointConfigName", ""))

    @property
    def changed(self) -> datetime:
        changed: datetime = self.answer["LastModifiedTime"]
        return changed

    @property
    def variants(self) -> dict[str, Mapping[str, Any]]:
        """What each variant has now, by its name."""
        return {one["VariantName"]: one for one in self.answer.get("ProductionVariants") or ()}


@dataclass(frozen=True)
class State:
    """An endpoint, with the tags, the variants and the data capture of the configuration that it serves by."""

    endpoint: Description
    tags: Mapping[str, str]
    variants: tuple[Variant, ...]
    capture: dict[str, Any] | None = None

    @property
    def canary(self) -> Variant | None:
        return next((one for one in self.variants if one.name == resources.CANARY), None)

    @property
    def current(self) -> Variant | None:
        """The variant that is not on trial; a ServerError if there are several, which are none of ours."""
        others = [one for one in self.variants if one.name != resources.CANARY]
        if len(others) > 1:
            names = ", ".join(one.name for one in others)
            raise ServerError(f"{self.endpoint.arn}: expected one production variant beside the canary, found {names}")
        return others[0] if others else None

    @property
    def count(self) -> int:
        """How many instances can take all requests: as many as any variant has now."""
        return max((one.count for one in self.variants), default=1)

    @property
    def shares(self) -> dict[str, int]:
        """The variants' shares of the requests, in percent."""
        return {one.name: self.percent(one) for one in self.variants}

    def percent(self, variant: Variant) -> int:
        """Returns a variant's share of the requests."""
        whole = sum(one.weight for one in self.variants)
        return round(100 * variant.weight / whole) if whole and self.endpoint.status in _SERVES else 0


class Reader:
    """Asks SageMaker what there is; what is missing is None."""

    def __init__(self, server: Server, endpoint: str) -> None:
        self.server = server
        self.name = endpoint

    def describe(self) -> Description | None:
        """Returns what SageMaker says of the endpoint alone."""
        with contextlib.suppress(NotFound):
            return Description(self.server.repeat(self.server.client.describe_endpoint, EndpointName=self.name))
        return None

    def state(self, description: Description | None = None) -> State | None:
        """Returns the endpoint as it is now, or as it was described just now."""
        description = description or self.describe()
        if description is None:
            return None
        config = self.config(description.config) or {}
        variants = (_variant(one, description.variants) for one in config.get("ProductionVariants", ()))
        tags = self.tags(config.get("EndpointConfigArn", ""))
        return State(description, tags, tuple(variants), config.get("DataCaptureConfig"))

    def endpoint(self) -> Endpoint | None:
        """Returns what serves what share."""
        state = self.state()
        if state is None:
            return None
        deployments = [self._deployment(one.model, state, one) for one in state.variants]
        previous = state.tags.get(resources.PREVIOUS, "")
        if previous and previous not in [one.model for one in state.variants] and self.model(previous):
            deployments.append(self._deployment(previous, state))
        return Endpoint(state.endpoint.arn, tuple(deployments))

    def model(self, name: str) -> dict[str, Any] | None:
        with contextlib.suppress(NotFound):
            return dict(self.server.repeat(self.server.client.describe_model, ModelName=name))
        return None

    def config(self, name: str) -> dict[str, Any] | None:
        with contextlib.suppress(NotFound):
            client = self.server.client
            return dict(self.server.repeat(client.describe_endpoint_config, EndpointConfigName=name))
        return None

    def tags(self, arn: str) -> dict[str, str]:
        """Returns the tags of a resource; none without an ARN."""
        if not arn:
            return {}
        pages = self.server.repeat(self.server.client.list_tags, ResourceArn=arn, MaxResults=100)
        return {one["Key"]: one["Value"] for one in pages["Tags"]}

    def _deployment(self, model: str, state: State, variant: Variant | None = None) -> Deployment:
        """Describes a model of the endpoint; without a variant the previous one."""
        description = self.model(model) or {}
        uri = _uri(description)
        status, reason = state.endpoint.status, state.endpoint.reason
        serves = status in _SERVES
        return Deployment(
            version=uri.rpartition("/")[2] if uri.rpartition("/")[2].isdecimal() else model,
            percent=state.percent(variant) if variant else 0,
            digest=self.tags(description.get("ModelArn", "")).get(resources.DIGEST, ""),
            uri=uri,
            created=description["CreationTime"].isoformat(timespec="seconds") if description else "",
            healthy=serves if variant else None,
            reason="" if status == "InService" else f"{status} {reason}".strip(),
            canary=variant is not None and variant.name == resources.CANARY,
            reference=model,
        )


def _variant(request: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]]) -> Variant:
    now = variants.get(request["VariantName"], {})
    count = now.get("DesiredInstanceCount") or request.get("InitialInstanceCount") or 1
    return Variant(request, float(now.get("CurrentWeight") or 0.0), int(count))


def _uri(description: Mapping[str, Any]) -> str:
    container = description.get("PrimaryContainer", {})
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return str(source.get("S3Uri") or container.get("ModelDataUrl") or "").rstrip("/")
