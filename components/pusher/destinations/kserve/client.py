"""The InferenceService of a name on a Kubernetes API: read, made, patched and deleted, whatever answers get lost."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from penstock.components.pusher.destinations.kserve.manifest import Json, Version
from penstock.core.errors import ServerError, SystemFailure
from penstock.core.services.retries import AlreadyExists, NotFound, Unanswered, make_once, pause

if TYPE_CHECKING:
    from penstock.core.services.kubernetes import Server

_GROUP = {"group": "serving.kserve.io", "version": "v1beta1", "plural": "inferenceservices"}
_REVISIONS = {"group": "serving.knative.dev", "version": "v1", "plural": "revisions"}
_TRIES = 10  # of a patch that meets others' changes

type Patch = Callable[[Json], Json | None]  # from what there is to what is to be changed; None where nothing is


class Client:
    """An InferenceService that need not be there yet. `place` is what sentences call it.

    The namespace is the pod's, or that of the kubeconfig, where it is "". It connects when it is first asked.
    """

    def __init__(self, name: str, namespace: str) -> None:
        self.name = name
        self.namespace = namespace
        self.place = f"InferenceService {name}" + (f" in {namespace}" if namespace else "")

    @functools.cached_property
    def server(self) -> "Server":
        from penstock.core.services.kubernetes import Kind, Server

        kind = Kind(**_GROUP, name="InferenceServices", operator="KServe", role="penstock-kserve")
        return Server(kind, namespace=self.namespace)

    def read(self) -> Json | None:
        operation = self.server.objects.get_namespaced_custom_object
        try:
            service: Json = self.server.repeat(operation, **_GROUP, name=self.name)
        except NotFound:
            return None
        return service

    def require(self) -> Json:
        """Reads what has to be there; a ServerError if somebody has deleted it."""
        service = self.read()
        if service is None:
            raise ServerError(f"{self.place} is gone: somebody has deleted it; push again")
        return service

    def create(self, body: Json, push: str) -> Json:
        """Makes it, once; what a lost request has made is known by its push."""

        def make() -> Json:
            operation = self.server.objects.create_namespaced_custom_object
            made: Json = self.server.request(operation, **_GROUP, body=body)
            return made

        def find() -> Json | None:
            service = self.read()
            return service if service and Version.of(service).push == push else None

        unknown = f"{self.server.host}: it is not known whether {self.place} was made: run the task again"
        return make_once(make, find, unknown)

    def delete(self, push: str) -> None:
        """Deletes it, if it is that of this push."""
        service = self.read()
        if service is None or Version.of(service).push != push:
            return
        operation = self.server.objects.delete_namespaced_custom_object
        only = {"preconditions": {"uid": service["metadata"]["uid"]}}
        try:
            self.server.repeat(operation, **_GROUP, name=self.name, body=only)
        except NotFound:
            return

    def patch(self, patch: Patch) -> Json:
        """Patches it until it is as it should be, which is when `patch` returns None; returns what it then is.

        A patch holds for what was read only. So it has no effect twice, and none upon what somebody has changed since.
        """
        failure: AlreadyExists | Unanswered | None = None
        for number in range(1, _TRIES + 1):
            service = self.require()
            change = patch(service)
            if change is None:
                return service
            version = {"resourceVersion": service["metadata"]["resourceVersion"]}
            body = change | {"metadata": change.get("metadata", {}) | version}
            operation = self.server.objects.patch_namespaced_custom_object
            try:
                patched: Json = self.server.request(operation, **_GROUP, name=self.name, body=body)
            except AlreadyExists as error:  # a conflict
                failure = error
            except Unanswered as error:
                failure = error
                pause(min(number, 3), error)
            else:
                return patched
        raise SystemFailure(f"{self.place} could not be changed in {_TRIES} tries: {failure}")

    def revision(self, name: str) -> Version | None:
        """Returns the version that a revision of Knative serves; None where this account may not look."""
        operation = self.server.objects.get_namespaced_custom_object
        try:
            revision = self.server.repeat(operation, **_REVISIONS, name=name)
        except ServerError:
            return None
        service = {"metadata": revision["metadata"], "spec": {"predictor": revision["spec"]}}
        return replace(Version.of(service), revision=name)

    def command(self, verb: str) -> str:
        """Returns kubectl's command that does something with it."""
        namespace = f" -n {self.namespace}" if self.namespace else ""
        return f"kubectl{namespace} {verb} inferenceservice {self.name}"
