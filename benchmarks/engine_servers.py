"""The servers of the benchmark of engines: a Spark cluster, and Prism with a pool of Beam's workers."""

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # before packages that bring tests of their own

from tests.servers import ports
from tests.servers.spark_cluster import SparkCluster, wait


def started(servers: ExitStack, folder: Path) -> dict[str, str]:
    """Starts what this machine has; returns each engine's parameter by its name. `servers` ends them."""
    engines = {"local": "local"}
    if shutil.which("java"):
        engines["spark"] = spark(servers, folder)
    prism = os.environ.get("PENSTOCK_PRISM") or shutil.which("prism")
    if prism:
        job, pool = ports.reserve(), ports.reserve()
        workers = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={pool}"]
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        for command in ([prism, "-serve_http=false", f"-job_port={job}"], workers):
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            servers.callback(process.terminate)
        for port in (job, pool):
            wait(partial(_listens, port), "Prism or Beam's pool of workers did not start")
        arguments = ["--runner=PortableRunner", f"--job_endpoint=127.0.0.1:{job}", "--environment_type=EXTERNAL"]
        arguments.append(f"--environment_config=127.0.0.1:{pool}")
        engines["beam (Prism)"] = json.dumps({"beam": {"beam_pipeline_args": arguments}})
    return engines


def spark(servers: ExitStack, folder: Path) -> str:
    """Starts a cluster of two workers, with its files in the folder; returns the engine's parameter."""
    (folder / "spark").mkdir(parents=True)
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    master = servers.enter_context(SparkCluster(folder / "spark")).master
    return json.dumps({"spark": {"master": master, "conf": {"spark.executor.memory": "512m"}}})


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
