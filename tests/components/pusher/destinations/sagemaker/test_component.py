"""The component in a pipeline written by hand: a task of its own pushes to SageMaker, with credentials of variables."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kfp import dsl, local

from penstock.components.pusher import pusher
from penstock.core.artifacts import Model
from tests.components.pusher.destinations.conftest import IMAGE, ROLE
from tests.servers.object_stores import ObjectStore
from tests.servers.sagemaker import REGION, SageMaker


@pytest.fixture
def environment(s3_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[SageMaker]:
    moto = s3_store.environment["AWS_ENDPOINT_URL_S3"]
    for name, value in {**s3_store.environment, "AWS_ENDPOINT_URL_CLOUDWATCH": moto, "AWS_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    s3_store.remove_everything()
    with SageMaker() as server:
        server.looks = 0
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", server.url)
        yield server


@pytest.mark.slow
def test_a_task_pushes_a_canary(
    environment: SageMaker, make_model: Callable[[str], Path], s3_store: ObjectStore, tmp_path: Path
) -> None:
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "kfp"), raise_on_error=True)

    @dsl.pipeline
    def push(folder: str, destination: str) -> dsl.Model:  # type: ignore[empty-body]
        model = dsl.importer(artifact_uri=folder, artifact_class=dsl.Model).output
        return pusher(model=model, push_destination=destination).outputs["pushed_model"]

    settings = {"endpoint": "taxi", "storage": s3_store.uri("serving"), "role": ROLE, "image": IMAGE, "canary": 10}
    places = {"filesystem": {"base_directory": str(tmp_path / "serving")}, "sagemaker": settings}
    metadata = []
    for name in ("old", "new"):
        artifact = tmp_path / name
        artifact.mkdir()
        make_model(name).rename(artifact / Model.SERVING)
        metadata.append(push(folder=str(artifact), destination=json.dumps(places)).output.metadata)
    endpoint = f"arn:aws:sagemaker:{REGION}:123456789012:endpoint/taxi"
    for one, percents in zip(metadata, (None, "[100, 10]"), strict=True):
        folder, service = json.loads(one["pushed_version"])
        assert json.loads(one["pushed_destination"]) == [str(tmp_path / "serving" / folder), endpoint]
        assert one["pushed"] == 1
        assert one.get("pushed_percent") == percents
        assert s3_store.uri("serving", service) in str(environment.sent("POST", "CreateModel"))
    assert "testing" not in json.dumps(metadata), "no credentials"
