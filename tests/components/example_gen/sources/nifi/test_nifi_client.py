"""What the loopback server speaks is what NiFi's own site-to-site client speaks, and so does the source."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core.files import atomic
from tests.components.example_gen.sources.conftest import SourceRun
from tests.servers.nifi_site_to_site import PORT, NifiSiteToSite

PROGRAM = Path(__file__).parents[4] / "servers" / "nifi" / "SiteToSite.java"
ROOT = Path(__file__).parents[5]
JARS = ROOT / ".toolchain" / "nifi-site-to-site-1.28.1"


@pytest.fixture(scope="module")
def jars() -> Path:
    """The folder of NiFi's client and what it needs, fetched once."""
    if not shutil.which("java") or not shutil.which("javac"):
        pytest.skip("NiFi's own client needs a JDK")
    if JARS.is_dir():
        return JARS
    if not shutil.which("mvn"):
        pytest.skip("NiFi's own client is fetched by Maven, which is not installed")
    with atomic.replacing(JARS) as folder:
        fetch = ["mvn", "-q", "-B", "-f", str(PROGRAM.with_name("pom.xml")), "dependency:copy-dependencies"]
        fetch += [f"-DoutputDirectory={folder}"]
        try:
            found = subprocess.run(fetch, capture_output=True, text=True, check=False, timeout=240)
        except subprocess.TimeoutExpired:
            pytest.skip("Maven did not fetch NiFi's own client in 240 s")
        if found.returncode:
            pytest.skip(f"Maven does not fetch NiFi's own client: {found.stdout[-300:]}")
    return JARS


@pytest.mark.slow
def test_nifis_own_client_pushes_to_the_server_and_pulls_from_it(
    jars: Path, run_source: Callable[..., SourceRun]
) -> None:
    rows = [json.dumps({"x": number, "y": "é ✓"}, ensure_ascii=False) for number in range(3)]
    with NifiSiteToSite() as nifi:
        for row in rows:
            nifi.offer(row.encode(), filename="offered")
        java = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", str(PROGRAM)]
        found = subprocess.run([*java, nifi.url, PORT, *rows], capture_output=True, text=True, check=False, timeout=60)
        assert found.returncode == 0, found.stderr
        assert found.stdout.splitlines() == ["pushed 3", *(f"offered\t{row}" for row in rows)]
        assert [one.content.decode() for one in nifi.received] == rows
        assert nifi.received[0].attributes == {"filename": "pushed-0", "grüße": "ünïcode ✓"}
        assert not nifi.queue
        nifi.queue.extend(nifi.received)  # as NiFi's client has written them
        options = {"site_to_site": {"url": nifi.url, "port": PORT}}
        assert [row["x"] for row in run_source("nifi", options).rows()] == [0, 1, 2]
        assert not nifi.queue
