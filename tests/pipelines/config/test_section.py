"""The paths of a configuration: what no file can be named, and what is there but is no file."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core.errors import ConfigError
from penstock.pipelines.cli import main
from penstock.pipelines.config.training_pipeline import Config

Load = Callable[..., Config]
EXISTING = (
    *("data.path", "module_file", "schema.file", "training.hyperparameters", "training.base_model"),
    *("validation.previous_statistics", "validation.serving_statistics", "transform.analyzer_cache"),
)
FOLDERS = ("pipeline_root", "push.directory")
OTHERS = ("kubeflow.token_file", "kubeflow.ssl_ca_cert", "vertex.credentials_file")


@pytest.mark.parametrize("key", [*EXISTING, *FOLDERS, *OTHERS])
def test_what_is_no_path(load: Load, key: str) -> None:
    sentences = {
        "~nouser/x": "no home folder of a user 'nouser' is known",
        "x" * 300: "a name in it has 300 bytes, and 255 is the most",
        "x/" * 2500: "bytes, and 4,095 is the most",
        '"a\\0b"': "found the character U+0000",
    }
    for path, sentence in sentences.items():
        with pytest.raises(ConfigError) as caught:
            load([f"{key}={path}"])
        assert sentence in caught.value.message
        assert caught.value.message.startswith(f"--set {key}: ")
        assert len(str(caught.value)) < 5000


@pytest.mark.parametrize("key", EXISTING)
def test_what_is_not_there(load: Load, project: Path, key: str) -> None:
    (project / "loop").symlink_to(project / "loop")
    (project / "dangling").symlink_to("gone")
    sentences = {
        "loop": "is a link that leads back to itself",
        "dangling": "is a link to gone",
        "data.csv/x": "does not",
    }
    for path, sentence in sentences.items():
        with pytest.raises(ConfigError, match=sentence):
            load([f"{key}={path}"])


@pytest.mark.parametrize("key", FOLDERS)
def test_where_no_folder_can_be(load: Load, project: Path, key: str) -> None:
    (project / "loop").symlink_to(project / "loop")
    sentences = {
        "data.csv": "data.csv is a file: expected a folder",
        "data.csv/runs": "data.csv is a file: expected a folder",
        "loop/runs": "is a link that leads back to itself",
        "/proc/runs": "nothing can be written there",
        "/sys/runs": "nothing can be written there",
    }
    for path, sentence in sentences.items():
        with pytest.raises(ConfigError, match=sentence):
            load([f"{key}={path}"])


def test_a_folder_whose_name_is_no_text(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipeline is YAML, which cannot hold it."""
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.rename(config.parent, folder)
    for arguments in (["validate"], ["run"], ["compile", "-o", str(tmp_path / "c.yaml")], ["runs"]):
        assert main.main([*arguments, os.fsdecode(folder)]) == 2
        assert "/caf\\udce9/" in capsys.readouterr().err
    assert main.main(["validate", str(config), "--data", os.fsdecode(folder)]) == 2
    assert "its name is not UTF-8" in capsys.readouterr().err
