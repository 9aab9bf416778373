"""Runs that fail on a cluster: `submit --wait` ends with the task's own sentence.

One after the other, on one cluster: what comes before the task that fails is computed once.
"""

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.cluster.conftest import Place, stand_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MODULE = "def preprocessing_fn(inputs):\n    {}\n\n\ndef run_fn(fn_args):\n    pass\n"


@pytest.fixture(scope="module", params=["stand-in", "PENSTOCK_KFP_HOST"])
def place(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    python: str,
    real: Place | None,
    penguins_csv: Path,
) -> Iterator[Place]:
    if request.param == "PENSTOCK_KFP_HOST":
        if real is None:
            pytest.skip("PENSTOCK_KFP_HOST names no Kubeflow Pipelines server")
        real.store.write(f"{real.folder}/failing.csv", penguins_csv.read_bytes())
        yield real
        return
    with stand_in(tmp_path_factory.mktemp("cluster"), request.getfixturevalue("endpoint"), python) as made:
        made.store.write(f"{made.folder}/failing.csv", penguins_csv.read_bytes())
        yield made


def failure(place: Place, folder: Path, body: str, label: str = "species") -> str:
    """Runs a pipeline whose preprocessing_fn has that body; returns what --wait ends with."""
    folder.mkdir(exist_ok=True)
    (folder / "module.py").write_text(MODULE.format(body))
    config = place.config(
        folder / "pipeline.yaml",
        name="failing",
        data={"path": f"{place.folder}/failing.csv", "csv": {"null_values": ["NA"]}},
        label=label,
        module_file="module.py",
        pipeline_root=f"{place.folder}/runs",
        training={"train_steps": 1, "eval_steps": 1},
    )
    done = place.submit(config)
    assert done.code == 1, (done.out, done.err)
    assert "(0)" not in done.out
    before, told, cause = done.err.rpartition("penstock: the run ended failed: ")
    assert told, before
    return cause


def names_a_log(place: Place, told: str) -> bool:
    """Whether it ends with the command that shows the log of a pod that there was."""
    command = re.search(r"kubectl logs -n kubeflow (\S+) -c main", told)
    return command is not None and (place.cluster is None or command[1] in place.cluster.logs)


def test_a_module_that_raises(place: Place, tmp_path: Path) -> None:
    told = failure(place, tmp_path, "raise ValueError('the module says no')")
    assert told.startswith("transform: ")
    assert told.count("transform:") == 1
    assert "the module says no" in told


def test_a_process_that_is_killed(place: Place, tmp_path: Path) -> None:
    """As the kernel does to one that takes all the memory: it has no last word."""
    told = failure(place, tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert told.startswith("transform: killed: out of memory")


def test_a_label_that_does_not_exist(place: Place, tmp_path: Path) -> None:
    told = failure(place, tmp_path, "return inputs", label="genus")
    assert told.count("genus") == 1


def test_a_pod_that_is_deleted(place: Place, tmp_path: Path) -> None:
    """As a node does that is drained, or that is out of memory: nothing in the pod has a last word."""
    if place.cluster is None:
        pytest.skip("needs pods that this test may delete")
    cluster = place.cluster

    def delete() -> None:
        while not ended.is_set():
            pods = [pod for workflow in list(cluster.workflows.values()) for pod in list(workflow.pods.values())]
            with contextlib.suppress(OSError):  # one that has just been removed
                for pod in pods:
                    if "waits here" in pod.log:
                        pod.kill()
            time.sleep(0.2)

    ended = threading.Event()
    deleting = threading.Thread(target=delete)
    deleting.start()
    told = failure(place, tmp_path, "import time; print('waits here', flush=True); time.sleep(300)")
    ended.set()
    deleting.join()
    assert told.startswith("transform: ")
    assert names_a_log(place, told)
