"""The commands on the user's machine, by a configuration that pushes to Vertex AI alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.components.pusher.destinations import Pushed
from penstock.pipelines.cli.main import main
from tests.servers.object_stores import ObjectStore
from tests.servers.vertex import VertexAI

type Push = Callable[..., Pushed]


def test_endpoints_promote_and_rollback(
    vertex: VertexAI, bucket: ObjectStore, push: Push, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = push(0), push(1, canary=10)
    own = {"storage": bucket.uri("serving"), "image": "gcr.io/my-project/serving:1", "canary": 10}
    values: dict[str, Any] = {"name": "taxi", "data": {"path": "data.csv"}, "label": "b", "push": {"vertex_ai": own}}
    values["vertex"] = {"project": "my-project", "api_endpoint": vertex.url}
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(values))
    assert main(["endpoints", str(path)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "Vertex AI endpoint taxi (us-central1)"
    assert [line.split()[:4] for line in out[2:4]] == [
        [first.version, "90", "%", "serves"],
        [second.version, "10", "%", "canary"],
    ]
    assert main(["promote", str(path)]) == 0
    assert vertex.endpoints.shares("taxi") == [0, 100]
    assert main(["rollback", str(path)]) == 0
    assert vertex.endpoints.shares("taxi") == [100, 0]
    capsys.readouterr()
    vertex.denied = {"aiplatform.endpoints.list"}
    assert main(["endpoints", str(path)]) == 2
    assert "Permission 'aiplatform.endpoints.list' denied on resource" in capsys.readouterr().err
