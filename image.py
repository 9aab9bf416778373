"""Builds an image, by default that of the tasks, holds its size against its budget, and writes its SBOM.

    python3 image.py [--target gpu|serving] [--tag NAME] [--output DIR] [arguments of docker build: --network host]

Needs Docker with BuildKit, and nothing of ours. Where the environment or the system has a bundle of certificates, the
build's downloads trust it as well, for proxies that inspect TLS; where pip or uv are set up for an index of their own,
they come from it. Neither gets into the image. Runs on any Python from 3.8 on.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List

ROOT = Path(__file__).resolve().parent
NAMES = {"runtime": "penstock-python:{}", "gpu": "penstock-python:{}-gpu", "serving": "penstock-serving:{}"}
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
INDEX = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")


def main() -> int:
    version = field(ROOT / "pyproject.toml", r'^version = "(.+)"$')
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--target", choices=sorted(NAMES), default="runtime", help="gpu: tasks with CUDA; serving: the model server"
    )
    parser.add_argument(
        "--tag", help="the image's name, by default " + ", ".join(NAMES.values()).format(*3 * ["VERSION"])
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build", help="the folder of the SBOM")
    arguments, others = parser.parse_known_args()
    target = arguments.target
    tag = arguments.tag or NAMES[target].format(version)
    docker = shutil.which("docker")
    if docker is None:
        return complain("docker is not installed: install it, or build the Dockerfile with another builder")
    try:
        with tempfile.TemporaryDirectory() as folder:
            given = ["--build-arg", "VERSION=" + version, *certificates(), *index(Path(folder)), *others]
            build(docker, target, "--tag", tag, *given)
            build(docker, "sbom-" + target, "--output", folder + "/sbom", *given)
            path = write_sbom(Path(folder) / "sbom", arguments.output, tag)
        size = image_size(docker, tag)
    except subprocess.CalledProcessError as error:
        return complain("docker {} ended with {}; see above".format(error.cmd[1], error.returncode), 1)
    budget = int(field(ROOT / "Dockerfile", r"^# budget of {}: (\d+) MB$".format(target)))
    print("{}  {:,} MB of {:,} MB\nSBOM  {}".format(tag, size, budget, path))
    return complain("the image is larger than its budget in the Dockerfile", 1) if size > budget else 0


def build(docker: str, target: str, *arguments: str) -> None:
    command = [docker, "build", "--target", target, *arguments, str(ROOT)]
    subprocess.run(command, check=True, env={**os.environ, "DOCKER_BUILDKIT": "1"}, stdout=sys.stderr)


def certificates() -> List[str]:
    paths = [os.environ.get(name, "") for name in CERTIFICATES] + ["/etc/ssl/certs/ca-certificates.crt"]
    found = [path for path in paths if path and os.path.isfile(path)]
    return ["--secret", "id=ca,src=" + found[0]] if found else []


def index(folder: Path) -> List[str]:
    """Returns the secret with the package index that this machine is set up for, if it is not the usual one."""
    url = next((os.environ[name] for name in INDEX if os.environ.get(name)), None) or configured_index()
    if not url:
        return []
    path = folder / "index.sh"
    path.write_text("export PIP_INDEX_URL={0} UV_DEFAULT_INDEX={0}\n".format(shlex.quote(url)), encoding="utf-8")
    return ["--secret", "id=index,src=" + str(path)]


def configured_index() -> str:
    """Returns the index that pip's own configuration names; "" for none, or no pip."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode().strip()


def image_size(docker: str, tag: str) -> int:
    """Returns the image's size in MB, unpacked."""
    command = [docker, "image", "inspect", "--format", "{{.Size}}", tag]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout) // 1000000


def write_sbom(folder: Path, output: Path, tag: str) -> Path:
    """Writes the CycloneDX document of the Python packages, with Debian's packages added; returns its path."""
    document = json.loads((folder / "python.cdx.json").read_text(encoding="utf-8"))
    document["components"] += debian_packages((folder / "debian-packages").read_text(encoding="utf-8"))
    output.mkdir(parents=True, exist_ok=True)
    path = output / (re.sub(r"[^A-Za-z0-9.]+", "-", tag) + ".cdx.json")
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return path


def debian_packages(status: str) -> Iterator[Dict[str, str]]:
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            purl = "pkg:deb/debian/{}@{}?arch={}".format(name, version, fields["Architecture"])
            yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def field(path: Path, pattern: str) -> str:
    found = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, "{} has no line {}".format(path.name, pattern)
    return found.group(1)


def complain(sentence: str, code: int = 2) -> int:
    print("penstock: " + sentence, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
