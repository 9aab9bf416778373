"""The Model Registry: each pushed model is a version of one model there, found by the labels with its digest.

A version holds the image of the server and where the model is stored. Vertex AI copies both as it takes them in, so a
version serves what it did whatever becomes of the bucket.
"""

import functools
import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from penstock.components.pusher.destinations.changes import Changes
from penstock.components.pusher.destinations.destination import Candidate
from penstock.components.pusher.destinations.vertex_ai import names
from penstock.components.pusher.destinations.vertex_ai.settings import Settings
from penstock.core.errors import ServerError
from penstock.core.services import vertex_resources
from penstock.core.services.vertex import Server
from penstock.core.services.vertex_operations import Operations

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import Model

PORT, PREDICT_ROUTE, HEALTH_ROUTE = 8080, "/predict", "/v2/health/ready"
_DEFAULT = "default"


class Registry:
    """Versions of the model that the settings name."""

    def __init__(self, server: Server, settings: Settings, operations: Operations) -> None:
        self._server = server
        self._settings = settings
        self._operations = operations

    def version(self, candidate: Candidate) -> "Model | None":
        """Returns the newest version with this model's digest in such a container; None if there is none."""
        versions = self._versions(candidate.digest)
        same = (one for one in versions if names.digest_of(one.labels) == candidate.digest and self.is_as_asked(one))
        return next(same, None)

    def is_as_asked(self, version: "Model") -> bool:
        """Whether a version is in such a container as the settings say."""
        return bool(version.labels.get(names.CONTAINER) == self._container_label)

    def find(self, name: str) -> "Model | None":
        """Returns a version by its name, `projects/…/models/ID@VERSION`, which it bears; None if there is none."""
        return vertex_resources.registered(self._server, name)

    def name_of(self, version_id: str) -> str | None:
        """Returns the whole name of a version of the model; None if there is no model."""
        model = self._model()
        return f"{model.name}@{version_id}" if model else None

    def register(self, candidate: Candidate, changes: Changes) -> None:
        """Uploads the candidate as a new version of the model, or as the first of a new one."""
        name, model = self._settings.model, self._model()
        list_versions = vertex_resources.command(
            self._server, f"models list-version {self._resource(model).rpartition('/')[2]}"
        )
        changes.make(
            f"registering version {candidate.version} of the model {name}",
            functools.partial(self._upload, candidate, model),
            functools.partial(self._remove, candidate),
            f"a version of the model {name}, with the label {names.PUSH}={candidate.push}: {list_versions} shows it, "
            "`gcloud ai models delete-version` removes it",
        )

    def point(self, version: "Model", changes: Changes) -> None:
        """Gives a version the alias `default`, and the aliases of the settings.

        A version that no push has made keeps its own.
        """
        if not names.digest_of(version.labels):
            return
        model = version.name.partition("@")[0]
        wanted = (_DEFAULT, *self._settings.aliases)
        versions = self._server.listed(self._server.models.list_model_versions, "models", {"name": model})
        holders = {alias: one.version_id for one in versions for alias in one.version_aliases if alias in wanted}
        missing = [alias for alias in wanted if holders.get(alias) != version.version_id]
        if not missing:
            return

        def give_back() -> None:
            for alias in missing:
                holder = holders.get(alias)
                self._merge(model, holder or version.version_id, [alias if holder else f"-{alias}"])

        changes.make(
            f"moving {', '.join(missing)} to version {version.version_id} of {model}",
            lambda: self._merge(model, version.version_id, missing),
            give_back,
            f"the aliases {', '.join(missing)} at version {version.version_id} of {model}: move them in the registry",
        )

    def _merge(self, model: str, version_id: str, aliases: list[str]) -> None:
        merge = self._server.models.merge_version_aliases
        self._server.repeat(merge, name=f"{model}@{version_id}", version_aliases=aliases)

    def _model(self) -> Any:
        client = self._server.models
        return names.find(self._server, "model", self._settings.model, client.list_models, client.get_model)

    def _versions(self, digest: str) -> "list[Model]":
        """Returns the versions with a digest, the newest first."""
        model = self._model()
        if model is None:
            return []
        request = {"name": model.name, "filter": f"labels.{names.DIGEST}={names.digest_labels(digest)[names.DIGEST]}"}
        listed = self._server.listed(self._server.models.list_model_versions, "models", request)
        return sorted(listed, key=lambda one: int(one.version_id), reverse=True)

    def _pushed(self, candidate: Candidate) -> "Model | None":
        """Returns the version that this very push has made."""
        made = (one for one in self._versions(candidate.digest) if one.labels.get(names.PUSH) == candidate.push)
        return next(made, None)

    def _upload(self, candidate: Candidate, model: Any) -> None:
        types, settings = self._server.types, self._settings
        own = {
            vertex_resources.VERSION: candidate.version,
            names.PUSH: candidate.push,
            names.CONTAINER: self._container_label,
        }
        key = settings.encryption_spec_key_name
        request = types.UploadModelRequest(
            parent=self._server.parent,
            parent_model=model.name if model else "",
            model_id="" if model else self._resource(None).rpartition("/")[2],
            model=types.Model(
                display_name=model.display_name if model else settings.model,
                description="" if model else f"Pushed by Penstock to the endpoint {settings.endpoint}.",
                artifact_uri=candidate.uri,
                container_spec=self._container,
                explanation_spec=settings.explanation.message(self._server) if settings.explanation else None,
                labels={**settings.labels, **names.digest_labels(candidate.digest), **own},
                encryption_spec=types.EncryptionSpec(kms_key_name=key) if key else None,
            ),
        )
        self._operations.run(
            f"registering {candidate.uri} as a version of the model {settings.model}",
            functools.partial(self._server.models.upload_model, request=request),
            self._resource(model),
            lambda: self._pushed(candidate) is not None,
        )
        made = self._pushed(candidate)
        kinds = [one.name for one in made.supported_deployment_resources_types] if made else []
        if "DEDICATED_RESOURCES" not in kinds:  # deployed all the same, it would lose its machine type and its GPU
            raise ServerError(
                f"Vertex AI deploys the model {settings.model} on {' and '.join(kinds) or 'nothing'} only: expected "
                "DEDICATED_RESOURCES, which every model with a container of its own has; check push.vertex_ai.image"
            )

    def _remove(self, candidate: Candidate) -> None:
        resource = self._resource(self._model())
        self._operations.settle(resource, undoing=True)
        version = self._pushed(candidate)
        if version is None:
            return
        model_name = version.name.partition("@")[0]
        versions = self._server.listed(self._server.models.list_model_versions, "models", {"name": model_name})
        is_only = len(list(versions)) == 1  # Vertex AI keeps the last version of a model
        delete = self._server.models.delete_model if is_only else self._server.models.delete_model_version
        self._operations.run(
            f"deleting {model_name}@{version.version_id}",
            functools.partial(delete, name=model_name if is_only else f"{model_name}@{version.version_id}"),
            resource,
            lambda: self._pushed(candidate) is None,
        )

    def _resource(self, model: Any) -> str:
        """Returns the name of the model; where there is none yet, the one that it will have."""
        one = names.identifier(self._settings.model, "model")
        return str(model.name) if model else f"{self._server.parent}/models/{one}"

    @property
    def _container(self) -> Any:
        return self._server.types.ModelContainerSpec(
            image_uri=self._settings.rollout.image,
            predict_route=PREDICT_ROUTE,
            health_route=HEALTH_ROUTE,
            ports=[{"container_port": PORT}],
        )

    @property
    def _container_label(self) -> str:
        """The container of a version and its explanations, in a label: what they are cannot be changed, nor asked."""
        container: list[Any] = [self._settings.rollout.image, PREDICT_ROUTE, HEALTH_ROUTE, PORT]
        if self._settings.explanation:
            container.append(asdict(self._settings.explanation))
        return hashlib.sha256(json.dumps(container).encode()).hexdigest()[:32]
