"""Real data for every test: the taxi trips and the module file that ship inside TFX, and the Palmer penguins."""

import builtins
import importlib.util
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import imported

pytest_plugins = [
    "tests.order",
    "tests.servers.browser",
    "tests.servers.commands",
    "tests.servers.docker_daemon",
    "tests.servers.forked",
    "tests.servers.object_stores",
    "tests.servers.spark_cluster",
]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")  # as penstock.components does, which a test may import too late

for variable in ("MLFLOW_TRACKING_URI", "OPENLINEAGE_URL"):  # a developer's servers are told of no test's runs
    os.environ.pop(variable, None)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started with it ignored


def pytest_collection_finish() -> None:
    imported.settle()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what needs a GPU where there is none: no file of a driver in /dev."""
    if any(Path("/dev").glob("nvidia[0-9]*")):
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a GPU, and this machine has none"))


@pytest.fixture(autouse=True)
def print_as_it_was() -> Iterator[None]:
    """kfp.local prints with an indent, and leaves it at that where a task fails or several end at once."""
    before = builtins.print
    yield
    builtins.print = before


@pytest.fixture(autouse=True)
def log_level_as_it_was() -> Iterator[None]:
    """A command that runs in this process sets the level of all logs, and a later test would see lines of progress."""
    before = logging.root.level
    yield
    logging.root.setLevel(before)


@pytest.fixture(autouse=True)
def no_log_is_closed() -> None:
    """A handler made in an earlier test may log to that one's captured stream: it would complain of it in this one."""
    loggers = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    for logger in (logging.root, *loggers):
        for handler in [*logger.handlers]:
            if getattr(getattr(handler, "stream", None), "closed", False):
                logger.removeHandler(handler)


def package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@pytest.fixture(scope="session")
def taxi_folder() -> Path:
    """TFX's taxi example: `data/simple/data.csv` and `taxi_utils.py`."""
    return package_folder("tfx") / "examples" / "chicago_taxi_pipeline"


@pytest.fixture(scope="session")
def taxi_csv(taxi_folder: Path) -> Path:
    """The 15,002 trips, with a header."""
    return taxi_folder / "data" / "simple" / "data.csv"


@pytest.fixture(scope="session")
def taxi_module(taxi_folder: Path) -> Path:
    return taxi_folder / "taxi_utils.py"


@pytest.fixture
def taxi_head(taxi_csv: Path, tmp_path: Path) -> Callable[[int], Path]:
    """Returns a function that writes a folder with the first `rows` trips as data.csv."""

    def write(rows: int) -> Path:
        folder = tmp_path / f"taxi-{rows}"
        folder.mkdir(exist_ok=True)
        with open(taxi_csv, encoding="utf-8") as source:
            (folder / "data.csv").write_text("".join(line for line, _ in zip(source, range(rows + 1), strict=False)))
        return folder

    return write


@pytest.fixture(scope="session")
def penguins_csv() -> Path:
    """The 344 penguins, with empty cells."""
    return package_folder("palmerpenguins") / "data" / "penguins.csv"
