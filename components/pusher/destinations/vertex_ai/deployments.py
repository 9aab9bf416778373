"""The versions that are deployed at an endpoint, each on machines of its own.

A version is deployed without traffic, and gets its share once it is ready (endpoints.py). So what served before serves
everything until then.
"""

import functools
import hashlib
from typing import TYPE_CHECKING

from google.protobuf import field_mask_pb2

from penstock.components.pusher.destinations.changes import Changes
from penstock.components.pusher.destinations.destination import Candidate
from penstock.components.pusher.destinations.vertex_ai.endpoints import Endpoints
from penstock.components.pusher.destinations.vertex_ai.settings import Settings
from penstock.core.errors import ConfigError, ServerError, SystemFailure
from penstock.core.services import vertex_resources
from penstock.core.services.vertex import Server
from penstock.core.services.vertex_operations import Operations

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import DeployedModel, Endpoint, Model


class Deployments:
    """What is deployed at the endpoint that the settings name."""

    def __init__(self, server: Server, settings: Settings, operations: Operations, endpoints: Endpoints) -> None:
        self._server = server
        self._settings = settings
        self._operations = operations
        self._endpoints = endpoints

    def deploy(self, version: "Model", candidate: Candidate, changes: Changes) -> str:
        """Returns the id of a version that is deployed as the settings say; without traffic, if it was not before.

        What a rollback brings back, and is deployed still, stays as it is.
        """
        endpoint = self._endpoints.require()
        self._operations.settle(endpoint.name)  # what a killed push has left is ready then
        endpoint = self._endpoints.require()
        there = [one for one in endpoint.deployed_models if is_of(one, version.name)]
        if there and candidate.reference:
            return str(there[0].id)
        deployed = next(filter(self._on_machines, there), None)
        if deployed is None:
            self._check_room(endpoint)
            one = _deployed_id(candidate)
            changes.make(
                f"deploying version {candidate.version} at the endpoint {self._settings.endpoint}",
                functools.partial(self._deploy, endpoint, version, candidate),
                functools.partial(self._take_away, endpoint.name, one),
                f"version {candidate.version}, deployed without traffic: remove it with {self.removal(endpoint, one)}",
            )
            deployed = self._deployed(one)
        self._check_accelerator(deployed)
        self._set_replicas(endpoint, deployed, changes)
        return str(deployed.id)

    def is_as_asked(self, deployed: "DeployedModel") -> bool:
        """Whether a version is deployed as the settings say: if not, a push deploys it anew."""
        return self._on_machines(deployed) and _replicas(deployed) == self._replicas

    def undeploy(self, endpoint: "Endpoint", one: str) -> None:
        """Takes a deployed model away, and its machines. It must have no traffic, unless it is the only one."""
        undeploy = self._server.endpoints.undeploy_model
        self._operations.run(
            f"undeploying {one} from the endpoint {self._settings.endpoint}",
            functools.partial(undeploy, endpoint=endpoint.name, deployed_model_id=one, traffic_split={}),
            endpoint.name,
            lambda: all(each.id != one for each in self._endpoints.require().deployed_models),
        )

    def removal(self, endpoint: "Endpoint", one: str) -> str:
        """Returns the command that undeploys a model."""
        words = f"endpoints undeploy-model {endpoint.name.rpartition('/')[2]} --deployed-model-id={one}"
        return vertex_resources.command(self._server, words)

    def _deploy(self, endpoint: "Endpoint", version: "Model", candidate: Candidate) -> None:
        types, settings = self._server.types, self._settings
        one = _deployed_id(candidate)
        machine = types.MachineSpec(
            machine_type=settings.machine_type,
            accelerator_type=settings.accelerator_type or None,
            accelerator_count=settings.accelerator_count,
        )
        model = types.DeployedModel(
            id=one,
            model=version.name,
            display_name=f"{version.display_name} {candidate.version}",
            service_account=settings.service_account,
            dedicated_resources=types.DedicatedResources(
                machine_spec=machine,
                min_replica_count=settings.min_replica_count,
                max_replica_count=settings.max_replica_count,
            ),
        )
        deploy = self._server.endpoints.deploy_model
        self._operations.run(
            f"deploying {candidate.uri} at the endpoint {settings.endpoint}",
            functools.partial(deploy, endpoint=endpoint.name, deployed_model=model, traffic_split={}),
            endpoint.name,
            lambda: any(each.id == one for each in self._endpoints.require().deployed_models),
        )

    def _take_away(self, endpoint: str, one: str) -> None:
        self._operations.settle(endpoint, undoing=True)
        there = self._endpoints.find()
        if there and any(each.id == one for each in there.deployed_models):
            self.undeploy(there, one)

    def _deployed(self, one: str) -> "DeployedModel":
        for deployed in self._endpoints.require().deployed_models:
            if deployed.id == one:
                return deployed
        raise SystemFailure(f"{one} was undeployed from the endpoint {self._settings.endpoint} meanwhile: run again")

    def _on_machines(self, deployed: "DeployedModel") -> bool:
        """Whether a version is deployed on machines of the kind that the settings name."""
        settings, machine = self._settings, deployed.dedicated_resources.machine_spec.machine_type
        own = (machine, _gpus(deployed), deployed.service_account)
        gpus = (settings.accelerator_type, settings.accelerator_count)
        return own == (settings.machine_type, gpus, settings.service_account)

    @property
    def _replicas(self) -> tuple[int, int]:
        return self._settings.min_replica_count, self._settings.max_replica_count

    def _check_room(self, endpoint: "Endpoint") -> None:
        if endpoint.network and endpoint.deployed_models:
            raise ConfigError(
                f"the endpoint {self._settings.endpoint} is in a network, where an endpoint has one model at most, and "
                "it has one: name another in push.vertex_ai.endpoint, or undeploy that model first with "
                f"{self.removal(endpoint, endpoint.deployed_models[0].id)}"
            )

    def _check_accelerator(self, deployed: "DeployedModel") -> None:
        """A GPU that was asked for and is not there is an error, and no slower server."""
        machine, settings = deployed.dedicated_resources.machine_spec.machine_type, self._settings
        own, asked = _gpus(deployed), (settings.accelerator_type, settings.accelerator_count)
        if own != asked:
            raise ServerError(
                f"Vertex AI has deployed the model with {_worded(own)}, not with the {_worded(asked)} of "
                f"push.vertex_ai.accelerator: check that {machine} can have them in {self._server.location}"
            )

    def _set_replicas(self, endpoint: "Endpoint", deployed: "DeployedModel", changes: Changes) -> None:
        own, asked = _replicas(deployed), self._replicas
        if own != asked:
            changes.make(
                f"giving {deployed.id} from {asked[0]} to {asked[1]} replicas",
                functools.partial(self._mutate, endpoint.name, deployed.id, asked),
                functools.partial(self._mutate, endpoint.name, deployed.id, own),
                f"the replicas of {deployed.id}: it had from {own[0]} to {own[1]}",
            )

    def _mutate(self, endpoint: str, one: str, replicas: tuple[int, int]) -> None:
        types = self._server.types
        resources = types.DedicatedResources(min_replica_count=replicas[0], max_replica_count=replicas[1])
        fields = ("min_replica_count", "max_replica_count")

        def is_done() -> bool:
            return _replicas(self._deployed(one)) == replicas

        mutate = functools.partial(
            self._server.endpoints.mutate_deployed_model,
            endpoint=endpoint,
            deployed_model=types.DeployedModel(id=one, dedicated_resources=resources),
            update_mask=field_mask_pb2.FieldMask(paths=[f"dedicated_resources.{each}" for each in fields]),
        )
        self._operations.run(f"changing the replicas of {one}", mutate, endpoint, is_done)


def is_of(deployed: "DeployedModel", version: str) -> bool:
    """Whether this is a deployment of a version, `projects/…/models/ID@VERSION`."""
    return vertex_resources.version_name(deployed) == version


def _gpus(deployed: "DeployedModel") -> tuple[str, int]:
    spec = deployed.dedicated_resources.machine_spec
    return (spec.accelerator_type.name, spec.accelerator_count) if spec.accelerator_count else ("", 0)


def _worded(gpus: tuple[str, int]) -> str:
    return f"{gpus[1]} {gpus[0]}" if gpus[1] else "no GPU"


def _replicas(deployed: "DeployedModel") -> tuple[int, int]:
    resources = deployed.dedicated_resources
    return resources.min_replica_count, resources.max_replica_count


def _deployed_id(candidate: Candidate) -> str:
    """Returns the id of the deployed model that a push makes, ten digits: known before, whatever answer gets lost."""
    number = int.from_bytes(hashlib.sha256(f"{candidate.push} {candidate.digest}".encode()).digest()[:8])
    return str(10**9 + number % (9 * 10**9))
