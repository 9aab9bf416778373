"""The Spark engine: a task for each shard on a cluster of the user's. This process is the driver (client mode).

Executors run Python workers, which need what this process has: Python of the same minor version, penstock, and the
storage of the artifacts at the same paths. Results come as files (handover.py), and nothing but a word of each task
through Spark. Spark tries a task again whose worker or executor was lost, `spark.task.maxFailures` times in all.
"""

import contextlib
import os
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

from penstock.components.engines import settings
from penstock.components.engines.handover import UNSEEN, HandoverEngine, Work
from penstock.core.errors import ConfigError, NoServer, PenstockError, ServerUnavailable, SystemFailure, WorkerLost
from penstock.core.text import printable

_PYTHON = "spark.pyspark.python"
_STANDALONE = re.compile(r"^spark://(.+)$")
_REACHED = 10  # seconds for a connection to a standalone master
_LEAVING = 60.0  # seconds for a cancelled job to end
_WITHOUT = "engine: spark needs pyspark: pip install 'penstock[spark]', here and where the workers run"
_DEFAULTS = {
    "spark.app.name": "penstock",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
_LOST = ("ExecutorLostFailure", "Python worker exited unexpectedly", "crashed", "Lost executor", "OutOfMemory")
_STOPPED = (
    "SparkContext was shut down",
    "All masters are unresponsive",
    "stopped SparkContext",
    "was cancelled because",
)


class SparkEngine(HandoverEngine):
    """Runs a Spark application while it is open, which needs executors of the cluster's.

    In a process that has a SparkContext already it uses that one, and leaves it open.
    """

    variables_by = "write spark.executorEnv.NAME: ${NAME} in engine.spark.conf, or have the cluster set it"

    def __init__(self, asked: settings.Spark, place: Path):
        super().__init__(place)
        self._asked = asked
        self._jobs = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as exits:
            self._context = exits.enter_context(_context(self._asked))
            super().__enter__()
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self._exits.close()

    @contextlib.contextmanager
    def job(self, work: Work, shards: Sequence[bytes]) -> Iterator[Future[str]]:
        from pyspark import InheritableThread  # each thread of Python's has one of the JVM's: a group is a thread's own

        self._jobs += 1
        group, job = f"penstock-{os.getpid()}-{self._jobs}", Future[str]()

        def run() -> None:
            try:
                self._context.setJobGroup(group, f"{len(shards)} shards", interruptOnCancel=True)
                said = self._context.parallelize(list(enumerate(shards)), len(shards)).map(work).collect()
                job.set_result(next(filter(None, said), ""))
            except BaseException as error:
                job.set_exception(_explained(error))

        thread = InheritableThread(target=run, name=group, daemon=True)
        thread.start()
        try:
            yield job
        finally:
            if not job.done():
                self._context.cancelJobGroup(group)
            thread.join(_LEAVING)


@contextlib.contextmanager
def _context(asked: settings.Spark) -> Iterator[Any]:
    try:
        from pyspark import SparkContext
    except ModuleNotFoundError:
        raise ConfigError(_WITHOUT) from None
    if SparkContext._active_spark_context is not None:
        yield SparkContext._active_spark_context
        return
    _reach(asked.master)
    python = settings.from_environment(_PYTHON, asked.conf.get(_PYTHON, ""))
    # Without spark-submit, the property alone says nothing.
    os.environ["PYSPARK_PYTHON"] = python or os.environ.get("PYSPARK_PYTHON") or sys.executable
    try:
        context = SparkContext(conf=_conf(asked))
    except PenstockError:
        raise
    except Exception as error:
        raise _explained(error) from None
    try:
        yield context
    finally:
        context.stop()


def _conf(asked: settings.Spark) -> Any:
    """Returns Spark's configuration. Values out of the environment are given to the JVM that runs, not its command."""
    from pyspark import SparkConf, SparkContext

    stated = {**_DEFAULTS, **asked.conf, **({"spark.master": asked.master} if asked.master else {})}
    values = {key: settings.from_environment(f"engine.spark.conf.{key}", value) for key, value in stated.items()}
    open_ones = [(key, value) for key, value in values.items() if value == stated[key]]
    SparkContext._ensure_initialized(conf=SparkConf(loadDefaults=False).setAll(open_ones))
    return SparkConf(_jvm=SparkContext._jvm).setAll(list(values.items()))


def _reach(master: str) -> None:
    """Raises a NoServer if no standalone master listens at the address; Spark itself would try for a minute."""
    found = _STANDALONE.match(settings.from_environment("engine.spark.master", master))
    if not found:
        return
    problems = []
    for address in found[1].split(","):
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_REACHED):
                return
        except (OSError, ValueError) as error:
            problems.append(f"{address}: {error}")
    raise NoServer(f"engine: spark: no master answers ({'; '.join(problems)}): start one, or mend engine.spark.master")


def _explained(error: BaseException) -> PenstockError:
    """Returns what a failure of a Spark job, or of its start, means to who configured it."""
    text = str(error)
    if unseen := re.search(rf"{re.escape(UNSEEN)}[^\n]+", text):
        return ConfigError(unseen[0])
    if "MASTER_URL_NOT_SET" in text or "A master URL must be set" in text:
        return ConfigError(
            "engine: spark: no master: expected engine.spark.master, such as spark://head:7077, or spark.master in the "
            "spark-defaults.conf of SPARK_CONF_DIR"
        )
    if "PYTHON_VERSION_MISMATCH" in text:
        found = re.search(r"Python in worker has different version: ([\d.]+)", text)
        return ConfigError(
            f"engine: spark: the workers have Python {found[1] if found else 'of another version'}: expected "
            f"{sys.version_info.major}.{sys.version_info.minor}, as this task has: set PYSPARK_PYTHON or their image"
        )
    if "No module named 'penstock" in text or "No module named 'cloudpickle" in text:
        return ConfigError(
            "engine: spark: the workers' Python has no penstock: expected this task's environment or image there, or "
            "spark.pyspark.python to name a Python that has it"
        )
    if found := re.search(r'Cannot run program "([^"]+)"', text):
        return ConfigError(f"engine: spark: the workers have no {found[1]}: set spark.pyspark.python to their Python")
    if "JAVA_GATEWAY_EXITED" in text or "Java gateway process exited" in text:
        return ConfigError("engine: spark: Java did not start: expected Java 17 or newer, and JAVA_HOME to name it")
    reason = printable.sentence(next((line for line in text.splitlines() if "Exception" in line or line), ""))[:500]
    if any(word in text for word in _STOPPED):
        return ServerUnavailable(f"engine: spark: the application was ended by the cluster: {reason}")
    if any(word in text for word in _LOST):
        return WorkerLost(
            "engine: spark: the worker of a shard was lost again and again, most likely for memory: give executors "
            f"more (spark.executor.memory, spark.executor.memoryOverhead): {reason}"
        )
    return SystemFailure(f"engine: spark: the job failed: {reason}")
