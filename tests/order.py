"""Which tests run in one process, and which run first.

With several processes (`-n`) a file's tests run in one of them, so that what a file's fixtures make is made once. Files
that share what is dear to make are one group, and so are those whose tests start clusters of processes, of which one
at a time is enough for the machine. Those that take longest come first: the processes then end at about the same time.
"""

import os
from typing import Any

import pytest

_GROUPS = {
    "docker": [
        "tests/test_image.py",
        "tests/test_serving_image.py",
        "tests/pipelines/local/docker/test_containers.py",
        "tests/pipelines/cluster/test_penguins.py",
    ],
    "clusters": [
        "tests/components/trainer/test_launcher.py",
        "tests/components/tuner/test_launcher.py",
        "tests/components/tuner/test_machines.py",
        "tests/components/tuner/test_parallel.py",
        "tests/components/tuner/test_vertex_search.py",
        "tests/trainer/hardware/test_distribution.py",
    ],
    "evaluator": ["tests/components/evaluator/"],
    "kafka": ["tests/components/example_gen/sources/kafka/"],
    "sql": ["tests/components/example_gen/sources/sql/"],
}
_FIRST = [
    "clusters",
    "evaluator",
    "tests/components/transform/test_parity.py",
    "tests/pipelines/test_run.py",
    "tests/components/transform/test_executor.py",
    "docker",  # not before the image is there, which is built beside the others
    "tests/pipelines/cluster/test_taxi.py",
    "tests/pipelines/cluster/test_vertex.py",
    "tests/trainer/test_default.py",
    "tests/trainer/test_evaluated.py",
    "tests/trainer/test_preprocessing.py",
    "tests/trainer/tuning/test_default.py",
    "tests/trainer/network/test_model.py",
    "tests/trainer/loop/test_fitting.py",
    "tests/components/tuner/test_penguin.py",
    "tests/components/trainer/test_taxi.py",
    "tests/trainer/test_eject.py",
]
_SLOW = {
    "docker",
    "python",
    "oracle",
    "postgres",
    "maria",
}  # fixtures that start processes; with `forks`, which has `python`, any may


def group(nodeid: str) -> str:
    """Returns the name of a test's group."""
    file = nodeid.partition("::")[0]
    return next((name for name, starts in _GROUPS.items() if file.startswith(tuple(starts))), file)


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {name: rank for rank, name in enumerate(_FIRST)}
    items.sort(key=lambda item: ranks.get(group(item.nodeid), len(ranks)))
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if _SLOW & fixtures:
            item.add_marker(pytest.mark.slow)
        if "docker" in fixtures and group(item.nodeid) != "docker":
            raise pytest.UsageError(f"{item.nodeid} uses Docker: expected its file in the group of {__file__}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than cores: tests wait for processes, containers and servers a quarter of the time."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out whole groups, in their order."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

        def _assign_work_unit(self, node: Any) -> None:
            fits = [name for name in self.workqueue if name != "docker" or node.gateway.id == "gw0"]
            if fits:  # Docker's are the first process', which has begun to build the image: others end without them
                self.workqueue.move_to_end(fits[0], last=False)
                super()._assign_work_unit(node)

    config.option.loadscopereorder = False
    return Groups(config, log)
