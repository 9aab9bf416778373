"""The lock files: what the image installs is what the environment installs."""

import re
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
    assert {"tensorflow==2.21.0", "tf-keras==2.21.0", "zlib-ng==1.1.0"} <= image.keys()
    assert not {name for name in image if name.startswith(("pytest", "mypy", "ruff"))}


def test_the_image_for_gpus_has_cudas_libraries_and_nothing_else_beside() -> None:
    image, gpu = entries("requirements.runtime.lock"), entries("requirements.gpu.lock")
    assert {name: gpu.get(name) for name in image} == image, "make lock"
    added = gpu.keys() - image.keys()
    assert {name.partition("-")[0] for name in added} == {"nvidia"}
    assert any(name.startswith("nvidia-cudnn-") for name in added)


def test_no_lock_says_where_it_was_made() -> None:
    for name in ("requirements.lock", "requirements.runtime.lock", "requirements.gpu.lock"):
        assert "://" not in (ROOT / name).read_text()


def test_what_builds_the_image_is_pinned_as_well() -> None:
    commands = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    installed = [line.split()[-1] for line in commands if "pip install --quiet --break-system-packages" in line]
    assert len(installed) == 2
    assert all(re.fullmatch(r"[a-z-]+==[0-9.]+", package) for package in installed), installed
