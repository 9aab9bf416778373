"""The destination `sagemaker`: models, endpoint configurations and the endpoint, one change at a time.

An endpoint serves by a configuration, which is never changed: each change of versions is a new one, by which the
endpoint is updated (blue/green: the new instances are ready before they get requests). A configuration's tags name the
one that it replaces and the previous model. Only the shares of two variants are changed in place, by weights.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence

from penstock.components.pusher.destinations.changes import Changes
from penstock.components.pusher.destinations.destination import Candidate, Deployment, Endpoint, Health, Service
from penstock.components.pusher.destinations.sagemaker import metrics, resources
from penstock.components.pusher.destinations.sagemaker.calls import Calls
from penstock.components.pusher.destinations.sagemaker.resources import (
    CANARY,
    CURRENT,
    ENDPOINT,
    PREVIOUS,
    REPLACES,
    Request,
)
from penstock.components.pusher.destinations.sagemaker.settings import Settings
from penstock.components.pusher.destinations.sagemaker.state import BROKEN, Reader, State, Variant
from penstock.core.errors import PenstockError, ServerError, UserError
from penstock.core.services.retries import AlreadyExists
from penstock.core.services.sagemaker import Server

_TRIES = 3


class SageMaker(Service):
    """An endpoint of SageMaker in a region."""

    key = "sagemaker"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.rollout = settings.rollout

    @functools.cached_property
    def _calls(self) -> Calls:
        return Calls(Server(self.settings.region), self.settings, self.place)

    @property
    def _reader(self) -> Reader:
        return self._calls.reader

    @property
    def place(self) -> str:
        return f"SageMaker endpoint {self.settings.endpoint}"

    def endpoint(self) -> Endpoint | None:
        return self._reader.endpoint()

    def register(self, candidate: Candidate, changes: Changes) -> None:
        request = resources.model(self.settings, candidate)
        name = request["ModelName"]
        if candidate.reference or self._reader.model(name):
            return
        with contextlib.suppress(AlreadyExists):  # made this moment, by a push of the same version
            changes.make(
                f"making the model {name}",
                lambda: self._calls.make(
                    self._calls.server.client.create_model, request, lambda: self._reader.model(name)
                ),
                lambda: self._calls.delete_model(name, changes.push),
                self._calls.removal(f"model {name}", "delete-model", "--model-name", name),
            )

    def deploy(self, candidate: Candidate, percent: int, changes: Changes) -> None:
        for _ in range(_TRIES):
            with contextlib.suppress(AlreadyExists):  # another push was quicker: perhaps with the same version
                self._deploy(candidate, percent, changes)
                return
        raise UserError(f"{self.place}: other pushes change it all the time: try again later")

    def configure(self, changes: Changes) -> None:
        for _ in range(_TRIES):
            with contextlib.suppress(AlreadyExists):  # another push was quicker
                self._capture(changes)
                return
        raise UserError(f"{self.place}: other pushes change it all the time: try again later")

    def promote(self, canary: Deployment, changes: Changes) -> None:
        state, trial, current = self._trial(canary)
        changes.make(
            f"giving version {canary.version} all requests",
            lambda: self._calls.weigh({current.name: 0, CANARY: 100}),
            lambda: self._weigh_back(state),
            f"the shares at {self.place}: `penstock rollback` takes the canary away",
        )
        variants = [self._variant(current.name, trial.model, state.count, 100)]
        self._update(state, self._config(state, trial.model, variants, changes, current.model), changes)

    def withdraw(self, canary: Deployment, changes: Changes) -> None:
        state, _, current = self._trial(canary)
        self._calls.weigh({current.name: 100, CANARY: 0})
        self._calls.update(self._config(state, current.model, [_again(current, 100)], changes))

    def health(self, deployment: Deployment) -> Health:
        endpoint = self._reader.describe()
        if endpoint is None or endpoint.status in BROKEN:
            return Health(False, f"{endpoint.status}: {endpoint.reason}" if endpoint else "the endpoint is gone")
        return Health(True, error_rate=metrics.error_rate(self._calls.server, self.settings.endpoint, endpoint))

    def clean_up(self) -> list[str]:
        """Goes from a configuration to the one that it replaced, as far as they are ours."""
        left: list[str] = []
        state = self._reader.state()
        kept = {one.model for one in state.variants} | {state.tags.get(PREVIOUS, "")} if state else set()
        name = state.tags.get(REPLACES, "") if state else ""
        while name:
            config = self._reader.config(name) or {}
            tags = self._reader.tags(config.get("EndpointConfigArn", ""))
            if tags.get(ENDPOINT) != self.settings.endpoint:
                break
            models = {one["ModelName"] for one in config["ProductionVariants"]} | {tags.get(PREVIOUS, "")}
            for model in sorted(models - kept - {""}):
                removal = self._calls.removal(f"model {model}", "delete-model", "--model-name", model)
                left += _tried(functools.partial(self._calls.delete_model, model), removal)
            left += _tried(functools.partial(self._calls.delete_config, name), self._config_removal(name))
            name = tags.get(REPLACES, "")
        return left

    def _deploy(self, candidate: Candidate, percent: int, changes: Changes) -> None:
        state = self._settled()
        model = resources.model_name(self.settings, candidate)
        if state is None:
            self._create(model, changes)
            return
        if state.endpoint.status != "InService":
            raise ServerError(f"{state.endpoint.status}: {state.endpoint.reason}: {self._endpoint_removal()}")
        if model in [one.model for one in state.variants]:
            return
        if state.canary:
            raise UserError(f"{self.place}: another push has put a canary on trial meanwhile: try again later")
        current, count = state.current, state.count
        if percent < 100 and current:
            variants = [_again(current, 100 - percent), self._variant(CANARY, model, count, percent)]
            self._update(state, self._config(state, model, variants, changes), changes)
            return
        name, previous = (current.name, current.model) if current else (CURRENT, "")
        variants = [self._variant(name, model, count, 100)]
        self._update(state, self._config(state, model, variants, changes, previous), changes)

    def _capture(self, changes: Changes) -> None:
        """Has the endpoint keep its requests as it is configured: by another configuration of the same variants."""
        wanted, state = resources.data_capture(self.settings), self._settled()
        current = state.current if state else None
        if not wanted or not state or not current or state.canary or wanted == state.capture:
            return
        config = self._config(state, current.model, [_again(current, 100)], changes)
        self._update(state, config, changes)

    def _settled(self) -> State | None:
        """Waits until nothing is under way at the endpoint; returns what it is then."""
        description = self._calls.settled()
        return self._reader.state(description) if description else None

    def _create(self, model: str, changes: Changes) -> None:
        """Makes the endpoint, with a version that has all requests."""
        config = self._config(None, model, [self._variant(CURRENT, model, 1, 100)], changes)
        request = {
            "EndpointName": self.settings.endpoint,
            "EndpointConfigName": config,
            "Tags": resources.tags(self.settings, changes.push, {}),
        }

        def make() -> None:
            self._calls.make(self._calls.server.client.create_endpoint, request, self._reader.describe)
            self._calls.wait_for(config)

        undo = functools.partial(self._calls.delete_endpoint, changes.push)
        changes.make(f"making {self.place}", make, undo, self._endpoint_removal())

    def _update(self, state: State, config: str, changes: Changes) -> None:
        changes.make(
            f"updating {self.place} to {config}",
            lambda: self._calls.update(config),
            lambda: self._calls.put_back(config, state.endpoint.config),
            f"{self.place} may serve by {config}: `penstock endpoints` tells, `penstock rollback` brings back the rest",
        )

    def _config(
        self,
        state: State | None,
        model: str,
        variants: Sequence[Request],
        changes: Changes,
        previous: str | None = None,
    ) -> str:
        """Returns the name of a configuration that replaces the endpoint's, made unless there is one of this content.

        The previous model stays what it was unless another is named.
        """
        links = (
            {PREVIOUS: state.tags.get(PREVIOUS, "") if previous is None else previous, REPLACES: state.endpoint.config}
            if state
            else {}
        )
        capture = resources.data_capture(self.settings) or (state.capture if state else None)
        request = resources.endpoint_config(self.settings, model, variants, links, changes.push, capture)
        name = str(request["EndpointConfigName"])
        if self._reader.config(name):
            return name
        with contextlib.suppress(AlreadyExists):
            changes.make(
                f"making the endpoint configuration {name}",
                lambda: self._calls.make(
                    self._calls.server.client.create_endpoint_config, request, lambda: self._reader.config(name)
                ),
                lambda: self._calls.delete_config(name, changes.push),
                self._config_removal(name),
            )
        return name

    def _variant(self, name: str, model: str, count: int, weight: int) -> Request:
        return resources.variant(self.settings, name, model, count, weight)

    def _trial(self, canary: Deployment) -> tuple[State, Variant, Variant]:
        """Returns the endpoint with the canary and the version beside it; AlreadyExists if that has changed."""
        state = self._settled()
        trial, current = (state.canary, state.current) if state else (None, None)
        if state is None or trial is None or current is None or trial.model != canary.reference:
            raise AlreadyExists(f"{self.place}: somebody has changed it meanwhile: look with `penstock endpoints`")
        return state, trial, current

    def _weigh_back(self, before: State) -> None:
        state = self._settled()
        if state and state.endpoint.config == before.endpoint.config and state.shares != before.shares:
            self._calls.weigh(before.shares)

    def _config_removal(self, name: str) -> str:
        what = f"endpoint configuration {name}"
        return self._calls.removal(what, "delete-endpoint-config", "--endpoint-config-name", name)

    def _endpoint_removal(self) -> str:
        return self._calls.removal(self.place, "delete-endpoint", "--endpoint-name", self.settings.endpoint)


def _again(variant: Variant, weight: int) -> Request:
    """Returns the request that makes a variant once more, with the instances that it has now and another weight."""
    request: Mapping[str, object] = {key: value for key, value in variant.request.items() if value is not None}
    return {**request, "InitialInstanceCount": variant.count, "InitialVariantWeight": float(weight)}


def _tried(change: Callable[[], None], left: str) -> list[str]:
    try:
        change()
    except PenstockError as error:
        return [f"{left} ({error.message})"]
    return []
