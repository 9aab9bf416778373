"""The lock files: what the image installs is what the environment installs."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_ENTRY = re.compile(r"^([a-z0-9][a-z0-9.-]*==\S+).*?\n((?:    --hash=\S+.*\n)+)", re.MULTILINE)


def entries(name: str) -> dict[str, set[str]]:
    """Returns the hashes of each `package==version` in a lock file."""
    text = (ROOT / name).read_text()
    return {entry: set(re.findall(r"sha256:[0-9a-f]{64}", hashes)) for entry, hashes in _ENTRY.findall(text)}


def test_the_images_lock_is_a_part_of_the_environments() -> None:
    everything, image = entries("requirements.lock"), entries("requirements.runtime.lock")
    assert {name: everything.get(name) for name in image} == image, "make lock"
    assert {"tensorflow-cpu==2.21.0", "tf-keras==2.21.0", "zlib-ng==1.1.0"} <= image.keys()
    assert not {name for name in image if name.startswith(("pytest", "mypy", "ruff"))}


def test_the_model_servers_image_has_a_part_of_the_tasks_packages() -> None:
    image, serving = entries("requirements.runtime.lock"), entries("requirements.serving.lock")
    assert {name: image.get(name) for name in serving} == serving, "make lock"
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["serving"]
    packages = {name.partition("==")[0] for name in serving}
    assert {re.split(r"[;<>= ]", requirement)[0] for requirement in extra} <= packages
    assert not packages & {"kfp", "apache-beam", "tfx", "tfx-bsl", "pandas", "scipy", "kubernetes"}


def test_the_image_for_gpus_has_tensorflow_with_cuda_and_nothing_else_of_its_own() -> None:
    """TensorFlow for processors alone is not beside it: they have the same files."""
    image, gpu = entries("requirements.runtime.lock"), entries("requirements.gpu.lock")
    del image["tensorflow-cpu==2.21.0"]
    assert {name: gpu.get(name) for name in image} == image, "make lock"
    assert "tensorflow==2.21.0" in gpu
    added = {name.partition("-")[0] for name in gpu.keys() - image.keys()}
    assert added <= {"nvidia", "tensorflow==2.21.0"}
    assert any(name.startswith("nvidia-cudnn-") for name in gpu)


def test_no_lock_says_where_it_was_made() -> None:
    for path in ROOT.glob("requirements*.lock"):
        assert "://" not in path.read_text()


def test_what_builds_the_image_is_pinned_as_well() -> None:
    commands = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    installed = [line.split()[-1] for line in commands if "pip install --quiet --break-system-packages" in line]
    assert len(installed) == 2
    assert all(re.fullmatch(r"[a-z-]+==[0-9.]+", package) for package in installed), installed
