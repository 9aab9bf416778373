"""Engines of other machines: a Spark cluster, and Beam's portable runner with workers in processes of their own."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.components.engines import open_engine
from penstock.core import processes
from tests.servers import ports, postgresql
from tests.servers.spark_cluster import SparkCluster, wait

PASSWORD = "ENGINES_TEST_PASSWORD"  # the variable that workers have too


@pytest.fixture(scope="session")
def spark_application(
    spark_cluster: SparkCluster, python: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """`engine` for an application that stays open: starting one takes longer than most tests."""
    conf = {
        "spark.driver.host": "127.0.0.1",
        f"spark.executorEnv.{PASSWORD}": f"${{{PASSWORD}}}",
        "spark.pyspark.python": python,
        "spark.executor.memory": "512m",
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.speculation": "true",
        "spark.speculation.interval": "200ms",
        "spark.speculation.minTaskRuntime": "1s",
        "spark.speculation.quantile": "0.5",
    }
    engine = json.dumps({"spark": {"master": spark_cluster.master, "conf": conf}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PYTHONHASHSEED", "0")
        patch.setenv(PASSWORD, postgresql.PASSWORD)
        with open_engine(engine, tmp_path_factory.mktemp("application")):
            wait(lambda: len(spark_cluster.executors()) == 2, "the application got no executors")
            yield engine


@pytest.fixture(scope="session")
def beam_workers(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`engine` for Beam's portable runner: on Prism where PENSTOCK_PRISM names one, else on the one in Beam itself."""
    port, folder = ports.reserve(), tmp_path_factory.mktemp("beam")
    command = folder / "python"  # which the pool runs for each worker
    command.write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    command.chmod(0o755)
    pool = [str(command), "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    started = [_start(pool, folder / "pool")]
    endpoint = "embed"
    if prism := os.environ.get("PENSTOCK_PRISM"):
        job_port = ports.reserve()
        started.append(_start([prism, "-serve_http=false", f"-job_port={job_port}"], folder / "prism"))
        endpoint = f"127.0.0.1:{job_port}"
    arguments = ["--runner=PortableRunner", f"--job_endpoint={endpoint}", "--environment_type=EXTERNAL"]
    try:
        for one in [port] + ([job_port] if prism else []):
            wait(lambda one=one: _listens(one), "Beam's workers did not start")  # type: ignore[misc]
        yield json.dumps({"beam": {"beam_pipeline_args": [*arguments, f"--environment_config=127.0.0.1:{port}"]}})
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    program = str(Path(command[0]).parent)
    environment = {**os.environ, "PATH": f"{program}:{os.environ['PATH']}", PASSWORD: postgresql.PASSWORD}
    with log.open("wb") as file:
        die = processes.die_with_parent
        return subprocess.Popen(
            command, env=environment, stdout=file, stderr=file, start_new_session=True, preexec_fn=die
        )


def _listens(port: int) -> bool:
    import socket

    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        time.sleep(0.1)
        return False
    return True
