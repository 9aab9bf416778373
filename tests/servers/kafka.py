"""A real Kafka broker on loopback, out of Maven's repository; tests that need it are skipped where it cannot be had."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from penstock.core.files import atomic
from tests.servers import ports

VERSION = "4.1.1"
_SECONDS = 60.0
_FOLDER = Path(os.environ.get("PENSTOCK_KAFKA", Path.home() / ".cache" / "penstock" / f"kafka-{VERSION}"))
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>penstock</groupId><artifactId>broker</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>{VERSION}</version></dependency></dependencies></project>"""
# One node that is broker and controller, which needs no other for its own topics, and cleans up at once.
_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{sasl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
listener.name.sasl.sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
 user_reader="{password}";
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/logs
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.backoff.ms=200
log.retention.ms=-1
"""
_CLUSTER = "cGVuc3RvY2stYS1jbHVzdA"  # 16 bytes in base64
PASSWORD = "not-a-real-password"


@dataclass
class Broker:
    """A running broker. `address` is for everybody, `sasl_address` for the user `reader` with PASSWORD."""

    port: int
    sasl_port: int
    folder: Path
    lib: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def sasl_address(self) -> str:
        return f"127.0.0.1:{self.sasl_port}"

    def start(self) -> None:
        """Starts the process, and returns when it answers."""
        log = self.folder / "log"
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [*_java(self.lib), "-Xmx512m", "kafka.Kafka", str(self.folder / "server.properties")],
                stdout=file,
                stderr=file,
                env=_environment(self.folder),
            )
        end = time.monotonic() + _SECONDS
        while not _listens(self.port):
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < end, "the broker did not start"
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends the process at once, as a lost machine does."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The process is there, and does nothing."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def running(folder: Path) -> Iterator[Broker]:
    """Starts a broker with its files in `folder`; skips the test where there is none."""
    lib = _libraries()
    folder.mkdir(parents=True, exist_ok=True)
    broker = Broker(ports.reserve(), ports.reserve(), folder, lib)
    properties = folder / "server.properties"
    properties.write_text(
        _PROPERTIES.format(
            port=broker.port, sasl=broker.sasl_port, controller=ports.reserve(), folder=folder, password=PASSWORD
        )
    )
    tool = [*_java(lib), "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(properties)]
    formatted = subprocess.run(tool, capture_output=True, text=True, env=_environment(folder), check=False)
    assert not formatted.returncode, formatted.stdout + formatted.stderr
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def _libraries() -> Path:
    """Returns the folder of the broker's jars, which is filled once on a machine."""
    lib = _FOLDER / "lib"
    if not shutil.which("java"):
        pytest.skip("needs Java 17 or newer (Debian's package openjdk-17-jre-headless), for a Kafka broker")
    if lib.is_dir():
        return lib
    if not shutil.which("mvn"):
        pytest.skip("needs Maven (Debian's package maven), which fetches a Kafka broker")
    with atomic.replacing(lib) as folder:
        folder.mkdir()
        (folder / "pom.xml").write_text(_POM)
        command = ["mvn", "-q", "-B", "-f", str(folder / "pom.xml"), "dependency:copy-dependencies"]
        fetched = subprocess.run([*command, f"-DoutputDirectory={folder}"], capture_output=True, text=True, check=False)
        if fetched.returncode:
            pytest.skip(f"a Kafka broker cannot be fetched: {fetched.stdout.strip().splitlines()[:1]}")
    return lib


def _java(lib: Path) -> list[str]:
    return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{lib}/*"]


def _environment(folder: Path) -> Mapping[str, str]:
    return {**os.environ, "LOG_DIR": str(folder)}


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
