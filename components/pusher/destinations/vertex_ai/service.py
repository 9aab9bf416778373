"""What Vertex AI does of a push: each version registered, deployed, and given its share of an endpoint's traffic."""

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from penstock.components.pusher.destinations.changes import Changes
from penstock.components.pusher.destinations.destination import Candidate, Deployment, Endpoint, Health, Service
from penstock.components.pusher.destinations.vertex_ai import names
from penstock.components.pusher.destinations.vertex_ai.deployments import Deployments, is_of
from penstock.components.pusher.destinations.vertex_ai.endpoints import Endpoints, divided
from penstock.components.pusher.destinations.vertex_ai.registry import Registry
from penstock.components.pusher.destinations.vertex_ai.settings import Settings
from penstock.core.errors import PenstockError, ServerError
from penstock.core.services import vertex_resources
from penstock.core.services.vertex import Server
from penstock.core.services.vertex_operations import Operations

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1 import types

_ALL = 100


class VertexAI(Service):
    """An endpoint of Vertex AI. It connects when it is first asked."""

    key: ClassVar[str] = "vertex_ai"

    def __init__(self, settings: Settings) -> None:
        self.rollout = settings.rollout
        self._settings = settings

    @property
    def place(self) -> str:
        return f"Vertex AI endpoint {self._settings.endpoint} ({self._settings.connection.location})"

    def endpoint(self) -> Endpoint | None:
        found = self._endpoints.find()
        if found is None:
            return None
        serving = sorted(found.deployed_models, key=lambda one: found.traffic_split.get(one.id, 0), reverse=True)
        listed = [
            self._described(one, found.traffic_split[one.id]) for one in serving if found.traffic_split.get(one.id)
        ]
        if len(listed) > 1:
            newest = max(range(len(listed)), key=lambda index: listed[index].created)
            listed[newest] = replace(listed[newest], canary=True)
        previous = self._previous(found)
        return Endpoint(found.name, (*listed, *([previous] if previous else [])), self._url(found))

    def register(self, candidate: Candidate, changes: Changes) -> None:
        if self._version(candidate) is None:
            self._registry.register(candidate, changes)

    def deploy(self, candidate: Candidate, percent: int, changes: Changes) -> None:
        version = self._version(candidate)
        if version is None:
            raise ServerError(
                f"{self.place}: version {candidate.version} is not in the registry any more: push it again"
            )
        self._endpoints.create(candidate, changes)
        one = self._deployments.deploy(version, candidate, changes)
        self._give(one, percent, changes)
        if percent == _ALL:
            self._registry.point(version, changes)

    def promote(self, canary: Deployment, changes: Changes) -> None:
        self._give(self._deployed(canary).id, _ALL, changes)
        version = self._registry.find(canary.reference)
        if version:
            self._registry.point(version, changes)

    def withdraw(self, canary: Deployment, changes: Changes) -> None:
        endpoint, one = self._endpoints.require(), self._deployed(canary).id
        split = {other: share for other, share in endpoint.traffic_split.items() if share and other != one}
        if not split:
            raise ServerError(f"{self.place}: only version {canary.version} serves: there is nothing to go back to")
        split[max(split, key=lambda other: split[other])] += endpoint.traffic_split.get(one, 0)
        # Nothing of this is undone: a canary that is taken away gets no traffic back.
        self._endpoints.share(endpoint, split, {}, Changes())
        self._deployments.undeploy(endpoint, one)

    def health(self, deployment: Deployment) -> Health:
        deployed = self._deployed(deployment)
        if "status" in deployed and not deployed.status.available_replica_count:
            return Health(False, deployed.status.message or "none of its replicas is available")
        return Health(True)

    def clean_up(self) -> list[str]:
        endpoint = self._endpoints.require()
        previous = endpoint.labels.get(names.PREVIOUS) if self._settings.keep_previous else None
        left = []
        for one in endpoint.deployed_models:
            if endpoint.traffic_split.get(one.id) or one.id == previous or not self._is_pushed(one):
                continue
            try:
                self._deployments.undeploy(endpoint, one.id)
            except PenstockError as error:
                remove = self._deployments.removal(endpoint, one.id)
                left.append(f"{one.display_name} is still deployed: {error.message}; remove it with {remove}")
        return left

    @functools.cached_property
    def _server(self) -> Server:
        return Server(self._settings.connection)

    @functools.cached_property
    def _operations(self) -> Operations:
        return Operations(self._server, self.rollout.timeout, "push.vertex_ai.timeout")

    @functools.cached_property
    def _registry(self) -> Registry:
        return Registry(self._server, self._settings, self._operations)

    @functools.cached_property
    def _endpoints(self) -> Endpoints:
        return Endpoints(self._server, self._settings, self._operations)

    @functools.cached_property
    def _deployments(self) -> Deployments:
        return Deployments(self._server, self._settings, self._operations, self._endpoints)

    def _give(self, one: str, percent: int, changes: Changes) -> None:
        """Gives a deployed model a percentage of the traffic. With all of it, what has most now is the previous one."""
        endpoint = self._endpoints.require()
        split = dict(endpoint.traffic_split)
        labels: dict[str, str] = {}
        others = [deployed for deployed in endpoint.deployed_models if split.get(deployed.id) and deployed.id != one]
        if percent == _ALL and others:
            previous = max(others, key=lambda deployed: split[deployed.id])
            version = previous.model_version_id if self._is_pushed(previous) else ""
            labels = {names.PREVIOUS: previous.id, names.PREVIOUS_VERSION: version}
        self._endpoints.share(endpoint, divided(split, one, percent), labels, changes)

    def _deployed(self, deployment: Deployment) -> "types.DeployedModel":
        """Returns the deployed model of a version, the one with most traffic if there are several."""
        endpoint = self._endpoints.require()
        own = [one for one in endpoint.deployed_models if is_of(one, deployment.reference)]
        if not own:
            raise ServerError(f"{self.place}: version {deployment.version} is not deployed any more")
        return max(own, key=lambda one: endpoint.traffic_split.get(one.id, 0))

    def _previous(self, endpoint: "types.Endpoint") -> Deployment | None:
        one = endpoint.labels.get(names.PREVIOUS)
        for deployed in endpoint.deployed_models:
            if deployed.id == one and not endpoint.traffic_split.get(one):
                return self._described(deployed, 0)
        version = endpoint.labels.get(names.PREVIOUS_VERSION)
        name = self._registry.name_of(version) if version else None
        return self._of_version(name, 0) if name and not endpoint.traffic_split.get(one or "") else None

    def _version(self, candidate: Candidate) -> "types.Model | None":
        """Returns the candidate's version: the one that it names, else one in the container of the settings."""
        return self._registry.find(candidate.reference) if candidate.reference else self._registry.version(candidate)

    def _described(self, deployed: "types.DeployedModel", percent: int) -> Deployment:
        name = vertex_resources.version_name(deployed)
        created = deployed.create_time.isoformat() if deployed.create_time else ""
        other = Deployment(f"{deployed.display_name}@{deployed.model_version_id}", percent, reference=name)
        described = replace(self._of_version(name, percent) or other, created=created)
        return described if self._deployments.is_as_asked(deployed) else replace(described, digest="")

    def _of_version(self, name: str, percent: int) -> Deployment | None:
        """Returns what the registry says of a version; None if it has been deleted.

        The digest is told of a version that serves as the settings say: a push of any other deploys it anew.
        """
        model = self._registry.find(name)
        if model is None:
            return None
        version = model.labels.get(vertex_resources.VERSION) or f"{model.display_name}@{model.version_id}"
        digest = names.digest_of(model.labels) if self._registry.is_as_asked(model) else ""
        return Deployment(version, percent, digest, model.artifact_uri, reference=name)

    def _is_pushed(self, deployed: "types.DeployedModel") -> bool:
        """Whether a push has made this: what a person has deployed by hand is left alone."""
        model = self._registry.find(vertex_resources.version_name(deployed))
        return model is not None and bool(names.digest_of(model.labels))

    def _url(self, endpoint: "types.Endpoint") -> str:
        host = self._server.host
        if endpoint.dedicated_endpoint_dns:
            host = f"https://{endpoint.dedicated_endpoint_dns.removeprefix('https://')}"
        return f"{host}/v1/{endpoint.name}:predict"
