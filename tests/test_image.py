"""The images, built for real: what is in them, what is not, and that a task's process can live in its own."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.servers.docker_daemon import ROOT, Built, Docker, network
from tests.servers.package_index import PackageIndex
from tests.test_locks import entries

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
SITE_PACKAGES = "/opt/penstock/lib/python3.13/site-packages"
# As Kubernetes runs it at its strictest.
CONFINED = ("run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")


@pytest.fixture(params=["image", "serving_image"])
def each(request: pytest.FixtureRequest) -> Built:
    built: Built = request.getfixturevalue(request.param)
    return built


def test_it_keeps_to_its_budget(docker: Docker, each: Built) -> None:
    found = re.match(rf"{re.escape(each.name)}  ([\d,]+) MB of ([\d,]+) MB\n", each.printed)
    assert found, each.printed
    print(found.group())  # for a JUnit report, by -o junit_logging=system-out
    size, budget = (int(number.replace(",", "")) for number in found.groups())
    assert f"# budget of {each.target}: {budget} MB\n" in (ROOT / "Dockerfile").read_text()
    assert size == int(docker("image", "inspect", "--format", "{{.Size}}", each.name)) // 10**6
    assert 500 < size <= budget <= {"runtime": 2200, "serving": 1200}[each.target]


def test_the_bill_of_materials_is_what_is_frozen(docker: Docker, each: Built) -> None:
    assert each.sbom["bomFormat"] == "CycloneDX"
    components = each.sbom["components"]
    python = {f"{part['name']}=={part['version']}" for part in components if part["purl"].startswith("pkg:pypi/")}
    names = {name.lower().replace("_", "-").replace(".", "-") for name in python}
    lock = entries(f"requirements.{each.target}.lock")
    assert names <= {name.lower().replace("_", "-").replace(".", "-") for name in lock}
    assert len(names) > (150 if each.target == "runtime" else 50)
    assert {"tensorflow_cpu==2.21.0", "gcsfs==2026.10.1", "s3fs==2026.9.0"} <= python
    debian = {part["name"] for part in components if part["purl"].startswith("pkg:deb/")}
    query = ("--entrypoint", "dpkg-query", each.name, "--show", "--showformat", "${Package}\n")
    assert debian == set(docker(*CONFINED, *query).split())


def test_its_configuration(docker: Docker, each: Built) -> None:
    (facts,) = json.loads(docker("image", "inspect", each.name))
    config = facts["Config"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", config["User"]), "runAsNonRoot refuses a user's name"
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == "Penstock"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"] == each.name.partition(":")[2]
    assert config["Healthcheck"]["Test"][0] == "CMD"


@pytest.mark.parametrize(("python_path", "health"), [("/opt/penstock-package", "healthy"), ("/tmp", "unhealthy")])
def test_docker_sees_its_health(docker: Docker, image: Built, python_path: str, health: str) -> None:
    check = ("--health-interval", "1s", "--health-retries", "1", "--env", f"PYTHONPATH={python_path}")
    container = docker("run", "--detach", *CONFINED[1:], *check, image.name, "sleep", "120").strip()
    try:
        state = "starting"
        for _ in range(120):
            if state != "starting":
                break
            time.sleep(0.5)
            state = docker("inspect", "--format", "{{.State.Health.Status}}", container).strip()
        assert state == health
    finally:
        docker("rm", "--force", container)


def test_a_task_needs_no_more_than_a_folder_to_write_to(docker: Docker, image: Built) -> None:
    program = (
        "import os, tempfile, gcsfs, s3fs, tensorflow, tfx_bsl.cc; from penstock.components.trainer import executor; "
        "from penstock.pipelines.local.docker import entrypoint; "
        "tempfile.mkdtemp(); print(os.getuid(), tensorflow.__version__)"
    )
    assert docker(*CONFINED, image.name, "python3", "-c", program).split() == ["65532", "2.21.0"]


def test_nothing_that_builds_is_left_in_it(docker: Docker, each: Built) -> None:
    shell = ("--entrypoint", "sh", each.name, "-c")
    tools = ["pip", "pip3", "uv", "gcc", "g++", "cc", "c++", "cc1", "ld", "make", "curl", "wget", "git"]
    search = f"for tool in {' '.join(tools)}; do command -v $tool; done; python3 -m pip --version 2>/dev/null; true"
    assert docker(*CONFINED, *shell, search) == ""
    folders = "/var/lib/apt/lists /var/cache/apt /root /home /tmp /build /run/ca.crt"
    left = docker(*CONFINED, "--user", "0", *shell, f"find {folders} -type f 2>/dev/null; true").split()
    assert [path for path in left if path not in ("/root/.bashrc", "/root/.profile")] == []
    ours = docker(*CONFINED, *shell, "find /opt /usr -writable -not -type l 2>/dev/null; true")
    assert ours == "", "nobody may change the code that it runs"


def test_it_is_compiled(docker: Docker, image: Built) -> None:
    listing = docker(*CONFINED, image.name, "sh", "-c", f"ls {SITE_PACKAGES}/tensorflow/__pycache__")
    assert "__init__.cpython-313.pyc" in listing
    ours = docker(*CONFINED, image.name, "sh", "-c", "ls /opt/penstock-package/penstock/components/__pycache__")
    assert "wrapper.cpython-313.pyc" in ours


def test_what_the_build_trusted_is_in_no_layer(docker: Docker, image: Built) -> None:
    title = "org.opencontainers.image.title"
    assert saved(docker, image.name, [title, *image.authority.splitlines()[1:-1]]) == {title}


def saved(docker: Docker, name: str, texts: Sequence[str]) -> set[str]:
    """Returns which of the texts are anywhere in an image: its layers' files or its configuration."""
    found: set[str] = set()
    with subprocess.Popen(docker.command("save", name), env=docker.environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        kept = b""
        while block := process.stdout.read(1 << 22):
            block = kept + block
            found |= {text for text in texts if text.encode() in block}
            kept = block[-200:]
    assert process.returncode == 0
    return found


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackageIndex]:
    """An index of an unknown authority, with what builds our package in it."""
    folder = tmp_path_factory.mktemp("index")
    download = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    subprocess.run([sys.executable, *download, "setuptools>=77,<82"], check=True)
    with PackageIndex(sorted(folder.glob("*.whl")), folder) as running:
        yield running


def build(docker: Docker, index: PackageIndex, folder: Path, authority: str) -> subprocess.CompletedProcess[str]:
    """Builds the Dockerfile's stage `penstock` of a changed checkout from an index, trusting an authority."""
    for name in ("core", "components", "package", "pipelines", "trainer"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Dockerfile", "LICENSE", "pyproject.toml", "requirements.runtime.lock", "requirements.gpu.lock"):
        shutil.copy(ROOT / name, folder)
    (folder / "README.md").write_text(str(folder))  # nothing is answered from a cache
    (folder / "ca.pem").write_text(authority)
    (folder / "index.sh").write_text(f"export PIP_INDEX_URL={index.url} UV_DEFAULT_INDEX={index.url}\n")
    secrets = ("--secret", f"id=ca,src={folder}/ca.pem", "--secret", f"id=index,src={folder}/index.sh")
    return docker.run("build", "--target", "penstock", "--tag", "penstock-stage", *network(), *secrets, str(folder))


def test_it_builds_behind_a_proxy_that_inspects_tls(
    docker: Docker, image: Built, index: PackageIndex, tmp_path: Path
) -> None:
    done = build(docker, index, tmp_path, index.authority)
    assert done.returncode == 0, done.stderr[-3000:]
    assert any(path.startswith("/files/setuptools-") for path in index.asked)
    assert saved(docker, "penstock-stage", [str(tmp_path), index.authority.splitlines()[2]]) == {str(tmp_path)}
    docker("image", "rm", "penstock-stage")


def test_it_does_not_build_where_the_authority_is_unknown(
    docker: Docker, image: Built, index: PackageIndex, tmp_path: Path
) -> None:
    done = build(docker, index, tmp_path, "")
    assert done.returncode != 0
    assert "certificate" in done.stderr
