"""The penguins on a cluster, without code: a search, a model, KFP's own default pipeline root.

In our image where Docker is, else as processes.
"""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.components import wrapper
from tests.pipelines.cluster.conftest import Place, stand_in
from tests.servers.cluster.containers import DockerPod
from tests.servers.cluster.processes import ProcessPod

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


@pytest.fixture(scope="module", params=["stand-in", "PENSTOCK_KFP_HOST"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, python: str, real: Place | None
) -> Iterator[Place]:
    if request.param == "PENSTOCK_KFP_HOST":
        if real is None:
            pytest.skip("PENSTOCK_KFP_HOST names no Kubeflow Pipelines server")
        yield real
        return
    try:
        request.getfixturevalue("image")
        pods = functools.partial(DockerPod, request.getfixturevalue("docker"))
    except pytest.skip.Exception:
        pods = ProcessPod
    with stand_in(tmp_path_factory.mktemp("cluster"), request.getfixturevalue("endpoint"), python, pods) as made:
        yield made


def test_a_model_without_code_is_searched_for_and_pushed(place: Place, tmp_path: Path, penguins_csv: Path) -> None:
    place.store.write(f"{place.folder}/penguins.csv", penguins_csv.read_bytes())
    config = place.config(
        tmp_path / "pipeline.yaml",
        name="penguins",
        **({"image": wrapper.IMAGE} if place.cluster else {}),
        data={"path": f"{place.folder}/penguins.csv", "csv": {"null_values": ["NA"]}},
        label="species",
        pipeline_root="minio://mlpipeline/v2/artifacts",
        training={"epochs": 3},
        tuning={"parameters": {"width": {"values": [16, 32]}}, "algorithm": "random", "trials": 2},
        push={"directory": f"{place.folder}/penguins"},
    )
    done = place.submit(config)
    assert done.code == 0, done.err
    pushed = place.store.below(f"{place.folder}/penguins")
    assert [name for name in pushed if name.endswith("/saved_model.pb")]
    assert "tuner" in done.out
    if place.cluster:
        found = place.store.below(f"minio://mlpipeline/v2/artifacts/penguins/{done.run_id}")
        assert {"tuner", "trainer", "pusher"} <= {name.partition("/")[0] for name in found}
