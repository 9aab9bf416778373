"""The command and what it reads: several findings, files that are no pipeline, and what is compiled."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml
from kfp import dsl

from penstock.core.errors import ConfigError
from penstock.pipelines import lint
from penstock.pipelines.cli import main
from penstock.pipelines.cli.output import schema
from penstock.pipelines.compiling.compile import compile_config
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.lint import __main__ as listing
from penstock.pipelines.targets import target
from tests.pipelines.lint.steps import act, compiled, score

Told = pytest.CaptureFixture[str]


CONDITION = "inputs.parameter_values['pipelinechannel--score-Output'] > double(1)"
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
_URI = {"type": "object", "properties": {"uri": {"type": "string", "format": "uri-reference"}}}
_REGION = {"type": "object", "properties": {"startLine": {"type": "integer", "minimum": 1}}}
_PLACE = {
    "type": "object",
    "required": ["artifactLocation"],
    "properties": {"artifactLocation": _URI, "region": _REGION},
}
_RESULT = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": -1},
        "level": _LEVEL,
        "message": _TEXT,
        "locations": {"type": "array", "items": {"type": "object", "properties": {"physicalLocation": _PLACE}}},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "additionalProperties": False,
}
_RULE = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "shortDescription": _TEXT,
        "defaultConfiguration": {"type": "object", "properties": {"level": _LEVEL}, "additionalProperties": False},
    },
    "additionalProperties": False,
}
_DRIVER = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "string"},
        "rules": {"type": "array", "items": _RULE, "uniqueItems": True},
    },
    "additionalProperties": False,
}
# The parts of SARIF 2.1.0's own schema that say what a log like ours must have, and may.
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"enum": ["2.1.0"]},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "properties": {
                    "tool": {"type": "object", "required": ["driver"], "properties": {"driver": _DRIVER}},
                    "results": {"type": "array", "items": _RESULT},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


def two_mistakes(secret: str = "x") -> None:
    with dsl.If(score().output > 1):
        act(text=secret)


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    """A compiled pipeline in which a secret is wrong everywhere, and a comparison in a local run."""
    path = tmp_path / "by hand.yaml"
    path.write_text(yaml.safe_dump(compiled(two_mistakes)))
    return path


def test_several_findings_are_all_shown(by_hand: Path, capsys: Told) -> None:
    assert main.main(["lint", str(by_hand), "--target", "local"]) == 2
    told = capsys.readouterr()
    assert told.err == f"penstock: {by_hand} breaks 2 rules\n"
    assert [line.split(": ")[1] for line in told.out.splitlines()] == ["error", "error"]
    assert main.main(["lint", str(by_hand), "--target", "locl"]) == 2


def test_what_bites_only_here_does_not_fail_a_file_for_kubeflow(by_hand: Path, capsys: Told) -> None:
    assert main.main(["lint", str(by_hand)]) == 2
    told = capsys.readouterr()
    assert told.err == f"penstock: {by_hand} breaks 1 rule\n"
    assert [line.split(": ")[1] for line in told.out.splitlines()] == ["warning", "error"]
    assert main.main(["lint", str(by_hand), "--allow", "plain-secret"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"{by_hand}:")
    assert told.out.endswith("write 1.0 [int-against-float:condition-1]\n")
    assert told.err == ""
    with pytest.raises(ConfigError, match="int-against-float"):
        lint.check([compiled(two_mistakes)], target.LOCAL, ["plain-secret"])
    (warning,) = lint.check([compiled(two_mistakes)], target.KUBEFLOW, ["plain-secret"])
    assert warning.severity == "warning"


def lines(path: Path, capsys: Told, *options: str) -> dict[str, str]:
    """Returns the lines of a file that findings name, by the rules."""
    capsys.readouterr()
    main.main(["lint", str(path), "--json", *options])
    findings = json.loads(capsys.readouterr().out)["result"]["findings"]
    text = path.read_text().splitlines()
    return {one["rule"]: text[one["line"] - 1].strip() for one in findings}


def test_the_lines(by_hand: Path, tmp_path: Path, capsys: Told) -> None:
    assert lines(by_hand, capsys) == {"plain-secret": "secret:", "int-against-float": f"condition: {CONDITION}"}
    [spec] = yaml.safe_load_all(by_hand.read_text())
    executor = spec["deploymentSpec"]["executors"]["exec-act"]["container"]
    executor["image"] = "registry.example/no-tag"
    executor["env"] = [{"name": "A", "value": "1"}, {"name": "TOKEN", "value": "ghp_" + "a1B2" * 9}]
    condition = spec["root"]["dag"]["tasks"]["condition-1"]
    condition["trigger_policy"] = condition.pop("triggerPolicy")  # a spelling that the protocol takes as well
    snake = tmp_path / "snake.yaml"
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}}
    snake.write_text(yaml.safe_dump_all([spec, platform]))
    allowed = ("--allow", "plain-secret:secret", "--target", "vertex")
    assert lines(snake, capsys, *allowed) == {
        "int-against-float": f"condition: {CONDITION}",
        "plain-secret": "- name: TOKEN",
        "image-without-tag": "image: registry.example/no-tag",
        "kubernetes-settings": "kubernetes:",
    }


def test_sarif(by_hand: Path, capsys: Told) -> None:
    """By what SARIF 2.1.0 requires of a log, of its runs, rules and results."""
    assert main.main(["lint", str(by_hand), "--format", "sarif"]) == 2
    log = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(SARIF).validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert rules[result["ruleIndex"]]["defaultConfiguration"]["level"] == result["level"]
    assert [(one["ruleId"], one["level"]) for one in run["results"]] == [
        ("int-against-float", "warning"),
        ("plain-secret", "error"),
    ]
    location = run["results"][1]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"].endswith("/by%20hand.yaml")
    assert by_hand.read_text().splitlines()[location["region"]["startLine"] - 1].strip() == "secret:"


def test_json_by_either_option(by_hand: Path, capsys: Told) -> None:
    documents = []
    for options in (["--json"], ["--format", "json"], ["--format=json"]):
        assert main.main(["lint", str(by_hand), *options]) == 2
        documents.append(json.loads(capsys.readouterr().out))
        jsonschema.Draft202012Validator(schema.schema()).validate(documents[-1])
    assert documents[0] == documents[1] == documents[2]
    assert documents[0]["error"]["message"] == f"{by_hand} breaks 1 rule"


NO_PIPELINE = "expected a compiled pipeline of KFP v2"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", NO_PIPELINE),
        ("a: 1\n", NO_PIPELINE),
        ("- 1\n", NO_PIPELINE),
        ("3\n", NO_PIPELINE),
        ("a: [1\n", "this is not YAML"),
        ("a: !!python/object:os.system {}\n", "unknown tag !!python/object:os.system"),
        ("{root: 3, deploymentSpec: {}}", NO_PIPELINE),
        ("{root: {}, deploymentSpec: x}", NO_PIPELINE),
        ("{root: {}, deploymentSpec: {executors: x}}", NO_PIPELINE),
        ("{root: {}, deploymentSpec: {executors: {a: {container: {image: [1]}}}}}", NO_PIPELINE),
        ("{root: {dag: {tasks: [1]}}, deploymentSpec: {}}", NO_PIPELINE),
        ("{root: {dag: {tasks: {a: {inputs: 1}}}}, deploymentSpec: {}}", NO_PIPELINE),
        ("{root: {}, deploymentSpec: {}, tasks: {}}", NO_PIPELINE),
        ("{root: {}, deploymentSpec: {}, 1: 2}", NO_PIPELINE),
        ("{root: {}, deploymentSpec: {}}\n---\n[1]\n", NO_PIPELINE),
        ("{root: {}, deploymentSpec: {}}\n---\n{platforms: 1}\n", NO_PIPELINE),
        ("{root: {}, deploymentSpec: {}}\n---\n{a: 1}\n---\n{b: 1}\n", "at most one document for platforms, not 3"),
    ],
)
def test_what_is_no_pipeline_is_told_in_one_sentence(content: str, told: str, tmp_path: Path, capsys: Told) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(content)
    assert main.main(["lint", str(path)]) == 2
    shown = capsys.readouterr().err
    assert told in shown
    assert shown.count("\n") == 1


def test_bytes_that_are_no_text(tmp_path: Path, capsys: Told) -> None:
    (tmp_path / "other.yaml").write_bytes(b"\xff\xfe")
    assert main.main(["lint", str(tmp_path / "other.yaml")]) == 2
    assert "expected UTF-8 text" in capsys.readouterr().err


def test_what_is_compiled_is_checked(load: Callable[..., Config], tmp_path: Path) -> None:
    config = load(["image=registry.example/penstock"])
    with pytest.raises(ConfigError, match=r"image registry\.example/penstock: without a tag"):
        compile_config(config, target.KUBEFLOW, tmp_path / "ir.yaml")
    assert not (tmp_path / "ir.yaml").exists()


def test_penstock_runs_what_kfp_would_change(load: Callable[..., Config], tmp_path: Path) -> None:
    path = compile_config(
        load(["training.custom_config={interpreter: python3}"]), target.LOCAL, tmp_path / "ir.yaml"
    ).path
    documents = list(yaml.safe_load_all(path.read_text()))
    assert {finding.rule for finding in lint.findings(documents, target.LOCAL)} == {"python3-in-value"}


def test_every_rule_is_listed() -> None:
    assert listing.FILE.read_text(encoding="utf-8") == listing.text(), "stale: make generate"
    assert len({rule.id for rule in lint.RULES}) == len(lint.RULES)
    for rule in lint.RULES:
        assert re.fullmatch(r"[a-z0-9-]+", rule.id)
        assert re.fullmatch(r".+[^.]\.", rule.meaning), rule.id
        assert set(rule.targets) <= target.TARGETS.keys()
        assert set(rule.targets) & set(rule.bites)
