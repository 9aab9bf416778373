"""Compiled pipelines and parameters that anybody may have written: one sentence each."""

from pathlib import Path

import pytest
import yaml

from penstock.core.errors import ConfigError
from penstock.pipelines.servers import submission

PARAMETERS = {
    "whole": "NUMBER_INTEGER",
    "number": "NUMBER_DOUBLE",
    "names": "LIST",
    "settings": "STRUCT",
    "text": "STRING",
}


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A pipeline with a parameter of each type."""
    parameters = {name: {"parameterType": kind, "isOptional": True} for name, kind in PARAMETERS.items()}
    spec = {
        "pipelineInfo": {"name": "small"},
        "root": {"inputDefinitions": {"parameters": parameters}},
        "deploymentSpec": {"executors": {}},
    }
    (tmp_path / "compiled.yaml").write_text(yaml.safe_dump(spec))
    return tmp_path / "compiled.yaml"


def test_parameters_are_of_their_types(pipeline: Path) -> None:
    given = ["whole=12", "number=1e-3", 'names=["a"]', 'settings={"a": {"b": [1]}}', "text=[1"]
    assert submission.read(pipeline, given).parameters == {
        "whole": 12,
        "number": 0.001,
        "names": ["a"],
        "settings": {"a": {"b": [1]}},
        "text": "[1",
    }


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("whole=1.5", "--param whole: expected a whole number, received '1.5'"),
        ("whole=99999999999999999999", "expected a whole number, received '99999999999999999999'"),
        ("whole=" + "9" * 5000, "expected a whole number, received '999"),
        ("number=nan", "expected a number, received 'nan'"),
        ("number=1e999", "expected a number, received '1e999'"),
        ("names={}", "expected a list in JSON, received '{}'"),
        ("names=" + "[" * 3000, "expected a list in JSON, received '[[["),
        ("names=" + "[" * 100 + "]" * 100, "expected a list in JSON, received '[[["),
        ('settings={"a": 1, "a": 2}', "expected a mapping in JSON"),
        ('settings={"a": "\\ud800"}', "expected a mapping in JSON"),
        ("text=\udcff", "expected UTF-8 text, received '\\udcff'"),
        ("\x1b[31m=1", "--param \\x1b[31m: unknown; expected one of"),
        ("x" * 100_000, "expected key=value"),
    ],
)
def test_mistakes_in_parameters(pipeline: Path, assignment: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        submission.read(pipeline, [assignment])
    assert sentence in caught.value.message
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pipelineInfo": "small"}, "expected a compiled pipeline of KFP v2"),
        ({"pipelineInfo": {}}, "expected a compiled pipeline with a name, pipelineInfo.name"),
        ({"root": [1]}, "expected a compiled pipeline of KFP v2"),
        ({"root": {"inputDefinitions": 1}}, "expected a compiled pipeline of KFP v2"),
        ({"root": {"dag": {"tasks": {"a": 1}}}}, "expected a compiled pipeline of KFP v2"),
        ({"components": 3}, "expected a compiled pipeline of KFP v2"),
        ({"deploymentSpec": {"executors": {"a": float("inf")}}}, "expected a compiled pipeline of KFP v2"),
    ],
)
@pytest.mark.parametrize("no_cache", [True, False])
def test_what_is_no_pipeline(pipeline: Path, change: dict[str, object], sentence: str, no_cache: bool) -> None:
    pipeline.write_text(yaml.safe_dump(yaml.safe_load(pipeline.read_text()) | change))
    with pytest.raises(ConfigError, match=sentence):
        submission.read(pipeline, no_cache=no_cache)


def test_what_is_null_is_not_there(pipeline: Path) -> None:
    for root in ({"dag": None, "inputDefinitions": None}, {"dag": {"tasks": None}, "inputDefinitions": {}}):
        pipeline.write_text(yaml.safe_dump(yaml.safe_load(pipeline.read_text()) | {"root": root, "components": None}))
        assert submission.read(pipeline, no_cache=True).pipeline == "small"


def test_a_bomb_is_no_pipeline(pipeline: Path) -> None:
    bomb = "bomb: &a [x, x, x]\n" + "".join(f"{name}: &{name} [*a, *a, *a]\n" for name in "bcd")
    bomb += "".join(f"e{number}: [*b, *c, *d]\n" for number in range(20_000))
    pipeline.write_text(pipeline.read_text() + bomb)
    assert not submission.is_compiled(pipeline)
    with pytest.raises(ConfigError, match="expected at most 200,000 values"):
        submission.read(pipeline)
