"""NiFi itself, as far as it can be had: its site-to-site client, and its processors in the flow that lands files."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core.files import atomic
from tests.components.example_gen.sources.conftest import SourceRun
from tests.servers.nifi_site_to_site import PORT, NifiSiteToSite

ROOT = Path(__file__).parents[5]
PROGRAMS = ROOT / "tests" / "servers" / "nifi"
JARS = ROOT / ".toolchain" / "nifi-1.28.1"


@pytest.fixture(scope="module")
def jars() -> Path:
    """The folder of NiFi's libraries, fetched once on a machine."""
    if not shutil.which("java") or not shutil.which("javac"):
        pytest.skip("NiFi's own libraries need a JDK")
    if JARS.is_dir():
        return JARS
    if not shutil.which("mvn"):
        pytest.skip("NiFi's own libraries are fetched by Maven, which is not installed")
    with atomic.replacing(JARS) as folder:
        fetch = ["mvn", "-q", "-B", "-f", str(PROGRAMS / "pom.xml"), "dependency:copy-dependencies"]
        fetch += [f"-DoutputDirectory={folder}"]
        try:
            found = subprocess.run(fetch, capture_output=True, text=True, check=False, timeout=240)
        except subprocess.TimeoutExpired:
            pytest.skip("Maven did not fetch NiFi's own libraries in 240 s")
        if found.returncode:
            pytest.skip(f"Maven does not fetch NiFi's own libraries: {found.stdout[-300:]}")
    return JARS


def java(jars: Path, program: str, *arguments: str) -> list[str]:
    """Runs a program; returns the lines that it prints."""
    command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", str(PROGRAMS / f"{program}.java")]
    found = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


@pytest.mark.slow
def test_nifis_own_client_pushes_to_the_server_and_pulls_from_it(
    jars: Path, run_source: Callable[..., SourceRun]
) -> None:
    rows = [json.dumps({"x": number, "y": "é ✓"}, ensure_ascii=False) for number in range(3)]
    with NifiSiteToSite() as nifi:
        for row in rows:
            nifi.offer(row.encode(), filename="offered")
        assert java(jars, "SiteToSite", nifi.url, PORT, *rows) == ["pushed 3", *(f"offered\t{row}" for row in rows)]
        assert [one.content.decode() for one in nifi.received] == rows
        assert nifi.received[0].attributes == {"filename": "pushed-0", "grüße": "ünïcode ✓"}
        assert not nifi.queue
        nifi.queue.extend(nifi.received)  # as NiFi's client has written them
        options = {"site_to_site": {"url": nifi.url, "port": PORT}}
        assert [row["x"] for row in run_source("nifi", options).rows()] == [0, 1, 2]
        assert not nifi.queue


@pytest.mark.slow
def test_nifis_own_processors_land_files_that_the_source_reads(
    jars: Path, tmp_path: Path, run_source: Callable[..., SourceRun]
) -> None:
    landing, flows = tmp_path / "landing", ROOT / "examples" / "nifi"
    names = java(jars, "LandingFlow", str(flows), str(landing), '{"x": 1}', '{"x": 2}\n{"x": 3}')
    assert sorted(names) == ["Penstock landing", "Penstock site-to-site"]
    found = run_source("nifi", {"landing": str(landing)})
    assert [row["x"] for row in found.rows()] == [1, 2, 3]
    (manifest,) = landing.glob("rows-*.manifest.json")
    assert found.found.span == int(manifest.name.removeprefix("rows-").removesuffix(".manifest.json"))
