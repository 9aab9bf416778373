"""Vertex AI's Model Registry on loopback: models with versions and aliases.

Rules are those of aiplatform_v1's own descriptions (types/model.py, types/model_service.py) and of the SDK's
ModelRegistry. Names that are answered hold the project's number, whatever the request had.
"""

import re
from collections.abc import Callable
from typing import Any

from google.cloud import aiplatform_v1

from tests.servers.loopback import Refusal, Request
from tests.servers.vertex_operations import (
    Operations,
    as_json,
    check_labels,
    filtered,
    page,
    parsed,
    require,
)

PROJECT_NUMBER = "123456789012"
_PATH = re.compile(r"^/v1/projects/[^/]+/locations/([^/]+)/models(?:/([^/:@]+)(?:@([^/:]+))?)?(?::(\w+))?$")
_ID = re.compile(r"^[a-z_][a-z0-9_-]{0,62}$")
_ALIAS = re.compile(r"^[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]$")
_IMAGE = re.compile(r"^([a-z0-9-]+-docker\.pkg\.dev|([a-z]+\.)?gcr\.io)/.+/.+")
_DEFAULT = "default"


class Models:
    """`versions` are the models' versions, by the model's name and the version's id.

    `missing` are folders of buckets that the service's agent cannot read, "*" for all of them. `in_use` says whether a
    version is deployed.
    """

    def __init__(self, operations: Operations, in_use: Callable[[Any], bool]) -> None:
        self.versions: dict[str, dict[str, Any]] = {}
        self.missing: set[str] = set()
        self.resources = ["DEDICATED_RESOURCES"]  # what a model with a container of its own can be deployed on
        self._operations = operations
        self._in_use = in_use

    def route(self, path: str) -> str | None:
        match = _PATH.match(path)
        return match and "/models" + ("/{id}" if match[2] else "") + (f":{match[4]}" if match[4] else "")

    def answer(self, request: Request) -> Any:
        match = _PATH.match(request.path)
        assert match
        location, one, version, action = match.groups()
        parent = f"projects/{PROJECT_NUMBER}/locations/{location}"
        if not one:
            return self._upload(parent, request) if action == "upload" else self._list(parent, request)
        name = f"{parent}/models/{one}"
        if action == "listVersions":
            return self._list_versions(name, request)
        if action == "mergeVersionAliases":
            return self._merge(self.find(f"{name}@{version or ''}"), request.body["versionAliases"])
        if request.method == "DELETE":
            return self._delete(name, version, action)
        return as_json(self.find(f"{name}@{version}" if version else name))

    def find(self, name: str) -> Any:
        """Returns a version by its name, `…/models/ID`, `…@2` or `…@alias`; without either it is the default one."""
        model, _, version = re.sub(r"^projects/[^/]+", f"projects/{PROJECT_NUMBER}", name).partition("@")
        for one in self.versions.get(model, {}).values():
            if (version or _DEFAULT) in (one.version_id, *one.version_aliases):
                return one
        raise Refusal(404, f"The Model {model} with version {version or _DEFAULT} does not exist.")

    def _upload(self, parent: str, request: Request) -> Any:
        body = parsed(aiplatform_v1.UploadModelRequest, request.body)
        model, one = body.model, body.model_id or str(4611686018427387904 + len(self.versions))
        name = f"{parent}/models/{one}"
        if body.parent_model:
            name = self.find(body.parent_model).name
        else:
            require(_ID.match(one) or not body.model_id, f"Invalid model_id: {one}")
            require(name not in self.versions, f"The Model {name} already exists.", 409)
        require(0 < len(model.display_name) <= 128, "display_name is required")
        require(_IMAGE.match(model.container_spec.image_uri), "image_uri must be in Artifact or Container Registry")
        require(model.artifact_uri.startswith("gs://"), f"artifact_uri is no Cloud Storage path: {model.artifact_uri}")
        require(
            not {model.artifact_uri, "*"} & self.missing,
            f"Service account `service-{PROJECT_NUMBER}@gcp-sa-aiplatform.iam.gserviceaccount.com` does not have "
            f'`[storage.objects.get]` IAM permission(s) to the directory "{model.artifact_uri}".',
        )
        check_labels(model)
        for alias in model.version_aliases:
            require(_ALIAS.match(alias), f"Invalid version alias: {alias}")
        return self._operations.start(name, "UploadModel", lambda: self._add(name, model))

    def _add(self, name: str, model: Any) -> Any:
        versions = self.versions.setdefault(name, {})
        model.name, model.version_id = name, str(max(map(int, versions), default=0) + 1)
        aliases = [*model.version_aliases, *([] if versions else [_DEFAULT])]
        model.version_aliases = []
        model.supported_deployment_resources_types = self.resources
        versions[model.version_id] = model
        self._move(model, aliases)
        return aiplatform_v1.UploadModelResponse(model=name, model_version_id=model.version_id)

    def _move(self, version: Any, aliases: list[str]) -> None:
        for one in self.versions[version.name].values():
            one.version_aliases = [alias for alias in one.version_aliases if alias not in aliases]
        version.version_aliases = [*version.version_aliases, *dict.fromkeys(aliases)]

    def _merge(self, version: Any, aliases: list[str]) -> Any:
        require(f"-{_DEFAULT}" not in aliases, "There must be exactly one default version alias for a model.")
        for alias in aliases:
            require(_ALIAS.match(alias.removeprefix("-")), f"Invalid version alias: {alias}")
        removed = [alias[1:] for alias in aliases if alias.startswith("-")]
        version.version_aliases = [alias for alias in version.version_aliases if alias not in removed]
        self._move(version, [alias for alias in aliases if not alias.startswith("-")])
        return as_json(version)

    def _list(self, parent: str, request: Request) -> Any:
        defaults = [self.find(name) for name in self.versions if name.startswith(f"{parent}/")]
        return page(filtered(defaults, request.query.get("filter", "")), "models", request.query.get("pageToken"))

    def _list_versions(self, name: str, request: Request) -> Any:
        if name not in self.versions:
            raise Refusal(404, f"The Model {name} does not exist.")
        named = [_with_version(one) for one in self.versions[name].values()]
        return page(filtered(named, request.query.get("filter", "")), "models", request.query.get("pageToken"))

    def _delete(self, name: str, version: str | None, action: str | None) -> Any:
        one = self.find(f"{name}@{version}" if version else name)
        gone = [one] if action == "deleteVersion" else list(self.versions[name].values())
        if action == "deleteVersion":
            require(version == one.version_id, "A version ID is required.")
            require(len(self.versions[name]) > 1, "Cannot delete the last remaining version of a model.")
            require(_DEFAULT not in one.version_aliases, "Cannot delete the default version of a model.")
        for each in gone:
            require(not self._in_use(each), f"The Model {each.name}@{each.version_id} is deployed.")

        def delete() -> None:
            for each in gone:
                del self.versions[name][each.version_id]
            if not self.versions[name]:
                del self.versions[name]

        return self._operations.start(name, "DeleteModel", delete)


def _with_version(model: Any) -> Any:
    copy = aiplatform_v1.Model(model)
    copy.name = f"{model.name}@{model.version_id}"
    return copy
