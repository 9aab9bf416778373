"""The section push: a folder's canary, and every mistake in it."""

from pathlib import Path

import pytest

from penstock.core.errors import ConfigError
from penstock.pipelines.config import training_pipeline as configs

KSERVE = "{name: taxi, storage: gs://b/f, image: registry.example.com/penstock-serving:1.0}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    path = tmp_path / "pipeline.yaml"
    path.write_text("data: {path: data.csv}\nlabel: b\npush: {directory: serving}\n")
    return path


def test_the_pusher_is_told_of_a_folder_and_its_canary(file: Path, tmp_path: Path) -> None:
    without, with_canary = (configs.load(file, assignments).push for assignments in ([], ["push.canary=10"]))
    assert without is not None
    assert with_canary is not None
    assert without.destination == {"filesystem": {"base_directory": f"{tmp_path}/serving"}}
    assert with_canary.destination["filesystem"] == {"base_directory": f"{tmp_path}/serving", "canary": 10}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("push={canary: 10}", "push: expected a place to push to: directory, vertex_ai, kserve, sagemaker"),
        (
            "push={canary: 10, kserve: {name: taxi, storage: gs://b/f}}",
            "push.canary: expected a directory, whose canary it is",
        ),
        ("push.canary=100", "push.canary: "),
        ("push.canary=true", "push.canary: expected a number, received true"),
    ],
)
def test_mistakes(file: Path, assignment: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        configs.load(file, [assignment])
    assert message in str(error.value)
