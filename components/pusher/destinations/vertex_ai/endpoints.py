"""An endpoint: found by its name or made, and how its traffic is divided between what is deployed there.

Traffic and labels are set by one change, which is taken back if the push fails. The labels say which version is the
previous one.
"""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf import field_mask_pb2

from penstock.components.pusher.destinations.changes import Changes
from penstock.components.pusher.destinations.destination import Candidate
from penstock.components.pusher.destinations.vertex_ai import names
from penstock.components.pusher.destinations.vertex_ai.settings import Settings
from penstock.core.errors import ConfigError, ServerError, SystemFailure
from penstock.core.services import vertex_resources
from penstock.core.services.retries import AlreadyExists, make_once
from penstock.core.services.vertex import Server
from penstock.core.services.vertex_operations import Operations

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import Endpoint

_ALL = 100


class Endpoints:
    """The endpoint that the settings name."""

    def __init__(self, server: Server, settings: Settings, operations: Operations) -> None:
        self._server = server
        self._settings = settings
        self._operations = operations

    def find(self) -> "Endpoint | None":
        """Asks for the endpoint, by its display name or id; None if there is none."""
        client = self._server.endpoints
        found: Endpoint | None = names.find(
            self._server, "endpoint", self._settings.endpoint, client.list_endpoints, client.get_endpoint
        )
        return found

    def require(self) -> "Endpoint":
        """Asks for the endpoint; a ServerError if it is gone."""
        endpoint = self.find()
        if endpoint is None:
            raise ServerError(f"the endpoint {self._settings.endpoint} is gone: push again")
        return endpoint

    def create(self, candidate: Candidate, changes: Changes) -> "Endpoint":
        """Returns the endpoint, which is made if there is none. A ConfigError if it is of another kind than asked."""
        endpoint = self.find()
        if endpoint is None:
            delete = vertex_resources.command(self._server, f"endpoints delete {self._id}")
            changes.make(
                f"creating the endpoint {self._settings.endpoint}",
                functools.partial(self._create, candidate),
                functools.partial(self._delete, candidate),
                f"the endpoint {self._settings.endpoint}, which serves nothing: remove it with {delete}",
            )
            endpoint = self.require()
        self._check_kind(endpoint)
        return endpoint

    def share(self, before: "Endpoint", shares: Mapping[str, int], labels: Mapping[str, str], changes: Changes) -> None:
        """Divides the traffic as `shares` say, by the ids of deployed models; the same change sets labels of ours.

        `before` is the endpoint as the shares were made for: what somebody else changes meanwhile is not written over.
        """
        split = {one: share for one, share in shares.items() if share}
        kept = {key: value for key, value in before.labels.items() if key not in labels}
        after = kept | {key: value for key, value in labels.items() if value}
        if split == _split(before) and after == dict(before.labels):
            return

        def give_back() -> None:
            there = self.require()
            if _split(there) == split:
                self._patch(there, _split(before), dict(before.labels))

        said = ", ".join(f"{one}={share}" for one, share in split.items())
        words = f"endpoints update {before.name.rpartition('/')[2]} --traffic-split="
        given = ",".join(f"{one}={share}" for one, share in _split(before).items())
        command = (
            vertex_resources.command(self._server, words + given)
            if given
            else vertex_resources.command(self._server, f"{words}...")
        )
        changes.make(
            f"dividing the traffic of the endpoint {self._settings.endpoint}: {said}",
            lambda: self._patch(before, split, after),
            give_back,
            f"the traffic of the endpoint {self._settings.endpoint}: give it back with {command}",
        )

    def _create(self, candidate: Candidate) -> None:
        types, settings = self._server.types, self._settings
        key = settings.encryption_spec_key_name
        endpoint = types.Endpoint(
            display_name=settings.endpoint,
            labels={**settings.labels, names.PUSH: candidate.push},
            network=settings.network,
            dedicated_endpoint_enabled=settings.dedicated_endpoint,
            encryption_spec=types.EncryptionSpec(kms_key_name=key) if key else None,
        )
        create = self._server.endpoints.create_endpoint
        request = types.CreateEndpointRequest(parent=self._server.parent, endpoint=endpoint, endpoint_id=self._id)
        self._operations.run(
            f"creating the endpoint {settings.endpoint}",
            functools.partial(create, request=request),
            f"{self._server.parent}/endpoints/{self._id}",
            lambda: self.find() is not None,
        )

    def _delete(self, candidate: Candidate) -> None:
        self._operations.settle(f"{self._server.parent}/endpoints/{self._id}", undoing=True)
        endpoint = self.find()
        if endpoint is None or endpoint.labels.get(names.PUSH) != candidate.push or endpoint.deployed_models:
            return
        self._operations.run(
            f"deleting the endpoint {self._settings.endpoint}",
            functools.partial(self._server.endpoints.delete_endpoint, name=endpoint.name),
            endpoint.name,
            lambda: self.find() is None,
        )

    def _check_kind(self, endpoint: "Endpoint") -> None:
        settings = self._settings
        for key, own, asked in (
            ("network", endpoint.network, settings.network),
            ("dedicated_endpoint", endpoint.dedicated_endpoint_enabled, settings.dedicated_endpoint),
        ):
            if own != asked:
                raise ConfigError(
                    f"push.vertex_ai.{key}: the endpoint {settings.endpoint} was made with {_said(own)}, which cannot "
                    f"be changed, and {_said(asked)} is asked for: name another endpoint, or change {key}"
                )

    def _patch(self, before: "Endpoint", split: dict[str, int], labels: dict[str, str]) -> None:
        """Sets the traffic and the labels of an endpoint that is as it was `before`."""
        new = self._server.types.Endpoint(name=before.name, traffic_split=split, labels=labels, etag=before.etag)
        mask = field_mask_pb2.FieldMask(paths=["traffic_split", "labels"])

        def is_done() -> bool:
            there = self.require()
            return _split(there) == split and dict(there.labels) == labels

        def patch() -> bool:
            self._server.request(self._server.endpoints.update_endpoint, endpoint=new, update_mask=mask)
            return True

        place = f"the traffic of the endpoint {self._settings.endpoint}"
        try:
            make_once(patch, lambda: is_done() or None, f"it is not known whether {place} was changed: run again")
        except AlreadyExists:
            raise SystemFailure(f"{place} was changed by somebody else meanwhile: run again") from None

    @property
    def _id(self) -> str:
        return names.identifier(self._settings.endpoint, "endpoint")


def divided(split: Mapping[str, int], new: str, percent: int) -> dict[str, int]:
    """Returns the traffic when a new deployed model gets so much of it, and the others what is left, as they had it."""
    others = {one: share for one, share in split.items() if one != new}
    total, left = sum(others.values()), _ALL - percent
    if not left or not total:
        return {new: _ALL}
    shares = {one: share * left // total for one, share in others.items()}
    first = max(others, key=lambda one: others[one])
    shares[first] += left - sum(shares.values())
    return {**shares, new: percent}


def _said(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value or "none"


def _split(endpoint: Any) -> dict[str, int]:
    return {one: share for one, share in endpoint.traffic_split.items() if share}
