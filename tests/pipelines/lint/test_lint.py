"""The command and what it reads: several findings, files that are no pipeline, and what is compiled."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from kfp import dsl

from penstock.core.errors import ConfigError
from penstock.pipelines import lint
from penstock.pipelines.cli import main
from penstock.pipelines.compiling.compile import compile_config
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.lint import __main__ as listing
from penstock.pipelines.targets import target
from tests.pipelines.lint.steps import act, compiled, score

Told = pytest.CaptureFixture[str]


def two_mistakes(secret: str = "x") -> None:
    with dsl.If(score().output > 1):
        act(text=secret)


def test_several_findings_are_all_shown(tmp_path: Path, capsys: Told) -> None:
    path = tmp_path / "by-hand.yaml"
    path.write_text(yaml.safe_dump(compiled(two_mistakes)))
    assert main.main(["lint", str(path)]) == 2
    shown = capsys.readouterr().err
    assert "the pipeline breaks 2 rules" in shown
    assert shown.count("\n") == 3
    assert main.main(["lint", str(path), "--target", "locl"]) == 2


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
