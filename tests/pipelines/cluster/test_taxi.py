"""The Chicago taxi pipeline on a cluster, with nothing but buckets: data, module file, pipeline root, pushed model.

Two runs: the first has no baseline, the second trains longer, is compared with the first, and takes from the cache what
has not changed.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.cluster.conftest import Done, Place, stand_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROWS = 1000


@dataclass(frozen=True)
class Runs:
    """A run, and one of the same pipeline with more steps."""

    place: Place
    first: Done
    second: Done

    def outputs(self, run: Done) -> dict[str, bytes]:
        """Returns what a run put out into the pipeline root: small files, by their tasks and names."""
        folder = f"{self.place.folder}/runs/taxi/{run.run_id}"
        names = [name for name in self.place.store.below(folder) if name.endswith((".json", "BLESSED"))]
        parts = [name.split("/") for name in names]
        return {
            f"{task}/{'/'.join(rest)}": self.place.store.read(f"{folder}/{task}/{uuid}/{'/'.join(rest)}")
            for task, uuid, *rest in parts
        }

    def tasks(self, run: Done) -> set[str]:
        """Returns the tasks that put something out."""
        return {
            name.partition("/")[0] for name in self.place.store.below(f"{self.place.folder}/runs/taxi/{run.run_id}")
        }


@pytest.fixture(scope="module", params=["stand-in", "PENSTOCK_KFP_HOST"])
def runs(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    python: str,
    real: Place | None,
    taxi_csv: Path,
    taxi_module: Path,
) -> Iterator[Runs]:
    if request.param == "PENSTOCK_KFP_HOST":
        if real is None:
            pytest.skip("PENSTOCK_KFP_HOST names no Kubeflow Pipelines server")
        yield _run(real, tmp_path_factory.mktemp("taxi"), taxi_csv, taxi_module)
        return
    with stand_in(tmp_path_factory.mktemp("cluster"), request.getfixturevalue("endpoint"), python) as place:
        yield _run(place, tmp_path_factory.mktemp("taxi"), taxi_csv, taxi_module)


def _run(place: Place, folder: Path, taxi_csv: Path, taxi_module: Path) -> Runs:
    with open(taxi_csv, encoding="utf-8") as rows:
        head = "".join(row for row, _ in zip(rows, range(ROWS + 1), strict=False))
    place.store.write(f"{place.folder}/data/data.csv", head.encode())
    (folder / "taxi_utils.py").write_text(taxi_module.read_text())
    config = place.config(
        folder / "pipeline.yaml",
        name="taxi",
        data={"path": f"{place.folder}/data"},
        label="tips",
        module_file="taxi_utils.py",
        pipeline_root=f"{place.folder}/runs",
        training={"train_steps": 5, "eval_steps": 1},
        evaluation={
            "label_key": "tips_xf",
            "metrics": ["binary_accuracy", "example_count"],
            "thresholds": {"binary_accuracy": {"min": 0.01, "change": {"absolute": -0.99}}},
        },
        push={"directory": f"{place.folder}/serving"},
    )
    first = place.submit(config)
    assert first.code == 0, first.err
    second = place.submit(config, "--param", "train_steps=7")
    assert second.code == 0, second.err
    return Runs(place, first, second)


def test_both_models_are_in_the_bucket(runs: Runs) -> None:
    pushed = runs.place.store.below(f"{runs.place.folder}/serving")
    models = [name for name in pushed if name.endswith("/saved_model.pb")]
    assert len(models) == 2
    for model in models:
        version = model.partition("/")[0]
        assert version.isdecimal()
        assert f"{version}/variables/variables.index" in pushed
        assert f"{version}/assets.extra/tf_serving_warmup_requests" in pushed


def test_the_second_run_is_compared_with_the_first(runs: Runs) -> None:
    first, second = (
        json.loads(runs.outputs(run)["evaluator/validation/validation.json"]) for run in (runs.first, runs.second)
    )
    assert first["baseline_model"] is None
    assert not [reason for reason in first["reasons"] if "baseline" in reason["sentence"]]
    assert second["baseline_model"].startswith(runs.place.folder)
    assert [reason["passed"] for reason in second["reasons"] if "baseline" in reason["sentence"]] == [True]


def test_the_second_run_takes_from_the_cache_what_has_not_changed(runs: Runs) -> None:
    computed = {"csv-example-gen", "statistics-gen", "schema-gen", "example-validator", "transform"}
    assert computed <= runs.tasks(runs.first)
    assert not computed & runs.tasks(runs.second)
    assert {"trainer", "evaluator", "infra-validator", "pusher"} <= runs.tasks(runs.second)


def test_what_is_told_while_waiting_are_our_tasks_and_each_once(runs: Runs) -> None:
    lines = [line.split() for line in runs.first.out.splitlines()[2:]]
    ended = [line[0] for line in lines if line[1:2] == ["succeeded"]]
    ours = {"input-resolver", "csv-example-gen", "statistics-gen", "schema-gen", "example-validator", "transform"}
    assert sorted(ended) == sorted({*ours, "trainer", "latest-blessed-model", "evaluator", "infra-validator", "pusher"})


def test_no_task_was_given_what_belongs_to_the_submitter(runs: Runs) -> None:
    if runs.place.cluster is None:
        pytest.skip("a real cluster's pods are gone")
    given: list[dict[str, Any]] = [
        one for workflow in runs.place.cluster.workflows.values() for one in workflow.given.values() if one
    ]
    text = json.dumps(given)
    assert "/tmp/pytest" not in text
    assert str(Path(__file__).parents[3]) not in text
