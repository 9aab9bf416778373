"""The changes at SageMaker, each made once although answers get lost, and waited for until SageMaker is done."""

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from penstock.components.pusher.destinations.sagemaker import resources
from penstock.components.pusher.destinations.sagemaker.resources import ENDPOINT, PUSH, Request
from penstock.components.pusher.destinations.sagemaker.settings import Settings
from penstock.components.pusher.destinations.sagemaker.state import IN_PROGRESS, Description, Reader, State
from penstock.core.errors import ServerError
from penstock.core.services import retries, waiting
from penstock.core.services.sagemaker import Server


class Calls:
    """What changes the endpoint `settings.endpoint`, and what is made for it."""

    def __init__(self, server: Server, settings: Settings, place: str) -> None:
        self.server = server
        self.settings = settings
        self.place = place
        self.reader = Reader(server, settings.endpoint)

    def make(self, operation: Callable[..., Any], request: Request, find: Callable[[], object | None]) -> None:
        """Makes a thing that `find` finds; raises AlreadyExists if there is one of its name."""
        name = next(iter(request.values()))
        unknown = f"{self.place}: no answer came, so {name} may be made or not: try again"
        retries.make_once(lambda: self.server.request(operation, **request) or True, find, unknown)

    def update(self, config: str) -> None:
        """Has the endpoint serve by a configuration, and waits until it does."""
        request = {"EndpointName": self.settings.endpoint, "EndpointConfigName": config}

        def find() -> Description | None:
            endpoint = self.reader.describe()
            return endpoint if endpoint and config in (endpoint.config, endpoint.pending) else None

        self._change(self.server.client.update_endpoint, {**request, **resources.deployment(self.settings)}, find)
        self.wait_for(config)

    def _change(self, operation: Callable[..., Any], request: Request, find: Callable[[], object | None]) -> None:
        """Begins a change of the endpoint; raises AlreadyExists if another one is under way."""
        try:
            self.make(operation, request, find)
        except retries.AlreadyExists:
            raise retries.AlreadyExists(f"{self.place}: another change is under way there: try again later") from None

    def put_back(self, config: str, before: str) -> None:
        """Has the endpoint serve by the configuration `before`, if it serves by `config`."""
        endpoint = self.settled()
        if endpoint and endpoint.config == config:
            self.update(before)

    def weigh(self, shares: Mapping[str, int]) -> None:
        """Gives each variant its share of the requests, in percent, and waits until it has it."""
        weights = [{"VariantName": name, "DesiredWeight": float(share)} for name, share in shares.items()]

        def find() -> State | None:
            state = self.reader.state()
            if state and (state.endpoint.status == "Updating" or state.shares == shares):
                return state
            return None

        request = {"EndpointName": self.settings.endpoint, "DesiredWeightsAndCapacities": weights}
        self._change(self.server.client.update_endpoint_weights_and_capacities, request, find)
        self._wait_for(lambda endpoint: True)

    def wait_for(self, config: str) -> None:
        """Waits until the endpoint serves by a configuration; a ServerError if it does not come to that."""
        self._wait_for(lambda endpoint: endpoint.config == config)

    def _wait_for(self, expected: Callable[[Description], bool]) -> None:
        endpoint = self.settled()
        if endpoint is None:
            raise ServerError(f"{self.place}: somebody has deleted it meanwhile")
        if endpoint.status != "InService" or not expected(endpoint):
            log = f"the container's log is in CloudWatch, /aws/sagemaker/Endpoints/{self.settings.endpoint}"
            raise ServerError(f"{self.place} did not take the version: {endpoint.reason or endpoint.status}: {log}")

    def settled(self) -> Description | None:
        """Waits until nothing is under way at the endpoint; returns what it is then, None if there is none."""

        def look() -> tuple[Description | None] | None:
            endpoint = self.reader.describe()
            return None if endpoint and endpoint.status in IN_PROGRESS else (endpoint,)

        seconds = self.settings.rollout.timeout
        return waiting.until(
            look, seconds, f"{self.place} is not done after {seconds} s: raise push.sagemaker.timeout"
        )[0]

    def delete_model(self, name: str, push: str = "") -> None:
        """Deletes a model of ours, unless the endpoint needs it; with `push` only if that push has made it."""
        model = self.reader.model(name)
        if model and name not in self._needed() and self._is_ours(model["ModelArn"], push):
            self._delete(self.server.client.delete_model, ModelName=name)

    def delete_config(self, name: str, push: str = "") -> None:
        """Deletes a configuration of ours, unless the endpoint serves by it; with `push` only if that has made it."""
        config, endpoint = self.reader.config(name), self.reader.describe()
        used = (endpoint.config, endpoint.pending) if endpoint else ()
        if config and name not in used and self._is_ours(config["EndpointConfigArn"], push):
            self._delete(self.server.client.delete_endpoint_config, EndpointConfigName=name)

    def delete_endpoint(self, push: str) -> None:
        """Deletes the endpoint if that push has made it."""
        endpoint = self.settled()
        if endpoint and self._is_ours(endpoint.arn, push):
            self._delete(self.server.client.delete_endpoint, EndpointName=self.settings.endpoint)
            self.settled()

    def removal(self, what: str, *words: str) -> str:
        """Says how a person removes something: with AWS's own command."""
        return f"{what}: remove it with `{shlex.join(['aws', 'sagemaker', *words, '--region', self.server.region])}`"

    def _needed(self) -> set[str]:
        """Returns the models that the endpoint serves, or is being updated to."""
        endpoint = self.reader.describe()
        configs = [self.reader.config(name) for name in (endpoint.config, endpoint.pending) if name] if endpoint else []
        return {one["ModelName"] for config in configs if config for one in config["ProductionVariants"]}

    def _is_ours(self, arn: str, push: str) -> bool:
        tags = self.reader.tags(arn)
        return tags.get(ENDPOINT) == self.settings.endpoint and (not push or tags.get(PUSH) == push)

    def _delete(self, operation: Callable[..., Any], **name: str) -> None:
        try:
            self.server.repeat(operation, **name)
        except retries.NotFound:  # by a request whose answer was lost
            return
