"""docs/kserve_role.yaml: it lets an account do what pushes do, and nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.components.pusher.destinations.changes import Changes
from penstock.core.errors import PenstockError
from tests.components.pusher.destinations.kserve.conftest import changing, service
from tests.servers import kserve_controller as faults
from tests.servers.inference_services import InferenceServicesAPI
from tests.servers.loopback import Request
from tests.servers.openapi_models import check

FILE = Path(__file__).parents[5] / "docs" / "kserve_role.yaml"
_PATH = re.compile(r"^/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)/namespaces/team/(?P<kind>[a-z]+)(?P<one>/[^/]+)?$")
_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(FILE.read_text()))


def asked(request: Request) -> tuple[str, str, str]:
    """Returns the group, the kind and the verb of a request, as roles name them."""
    found = _PATH.match(request.path)
    assert found
    verb = _VERBS.get(request.method, "get" if found["one"] else "list")
    return found["group"] or "", found["kind"], verb


def test_the_role_is_what_kubernetes_takes() -> None:
    role, binding = documents()
    check("V1Role", role)
    check("V1RoleBinding", binding)
    assert binding["roleRef"]["name"] == role["metadata"]["name"] == "penstock-kserve"


def test_the_role_is_what_pushes_need(
    cluster: InferenceServicesAPI, push: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.faults += [faults.CRASH, None, None, faults.UNSCHEDULABLE]
    with pytest.raises(PenstockError):
        push(1)
    push(1)
    push(2, 10)
    endpoint = service().endpoint()
    assert endpoint
    assert endpoint.canary
    service().promote(endpoint.canary, Changes())
    with pytest.raises(PenstockError):
        push(3, 10, timeout=1)
    push(4, 10)
    endpoint = service().endpoint()
    assert endpoint
    canary = endpoint.canary
    assert canary
    changing(lambda changes: service().withdraw(canary, changes))
    cluster.rollout = 10**6
    with pytest.raises(PenstockError):
        push(5, 10, timeout=1)
    assert service().endpoint()
    role = documents()[0]
    allowed = {
        (group, kind, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for kind in rule["resources"]
        for verb in rule["verbs"]
    }
    assert {asked(request) for request in cluster.requests} == allowed
