"""Each rule on a pipeline that KFP compiles without a word, and on its neighbour that is right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from google.protobuf import json_format
from kfp import dsl, local

from penstock.components.errors import ConfigError
from penstock.components.evaluator.component import evaluator
from penstock.components.latest_blessed_model.component import latest_blessed_model
from penstock.pipelines import cli, lint, targets
from penstock.pipelines.compile import compile_config
from penstock.pipelines.config import Config

IMAGE = "registry.example/python:3.13"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def facts() -> NamedTuple("Facts", [("ok", bool), ("names", list[str])]):  # type: ignore[misc]
    from collections import namedtuple

    return namedtuple("Facts", ["ok", "names"])(True, ["a", "b"])


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def is_ok() -> bool:
    return True


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def score() -> float:
    return 2.5


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def word() -> str:
    return "it's"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def names() -> list[str]:
    return ["a", "b"]


@dsl.component(base_image="python", install_kfp_package=False)
def untagged() -> None:
    pass


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def act(text: str = "") -> None:
    pass


def named_output() -> None:
    with dsl.If(facts().outputs["ok"] == True):  # noqa: E712
        act()


def named_output_inside() -> None:
    ok = facts().outputs["ok"]
    with dsl.If(is_ok().output == True), dsl.If(ok == True):  # noqa: E712
        act()


def own_output() -> None:
    with dsl.If(is_ok().output == True):  # noqa: E712
        act()


def whole_number() -> None:
    with dsl.If(score().output > 1):
        act()


def fraction() -> None:
    with dsl.If(score().output > 1.0):
        act()


def quote() -> None:
    with dsl.If(word().output == "it's"):
        act()


def no_quote() -> None:
    with dsl.If(word().output == "it is"):
        act()


def named_list() -> None:
    with dsl.ParallelFor(facts().outputs["names"]) as name:
        act(text=name)


def own_list() -> None:
    with dsl.ParallelFor(names().output) as name:
        act(text=name)


def long_constant() -> None:
    act(text="é" * (64 << 10))


def short_constant() -> None:
    act(text="e" * ((128 << 10) - 1))


def secret(db_password: str = "hunter2") -> None:
    act(text=db_password)


def no_secret(tokenizer: str = "words", password: str = "") -> None:
    act(text=tokenizer)


def no_tag() -> None:
    untagged()


def blesses(eval_config: str) -> Callable[[], None]:
    def pipeline() -> None:
        model = dsl.importer(artifact_uri="gs://b/m", artifact_class=dsl.Model).output
        examples = dsl.importer(artifact_uri="gs://b/e", artifact_class=dsl.Dataset).output
        gate = evaluator(examples=examples, model=model, eval_config=eval_config)
        with dsl.If(gate.outputs["Output"] == True):  # noqa: E712
            latest_blessed_model(candidate=model, pipeline_root="gs://b")

    return pipeline


def compiled(function: Callable[..., None]) -> dict[str, Any]:
    spec: dict[str, Any] = json_format.MessageToDict(dsl.pipeline(name="linted")(function).pipeline_spec)
    return spec


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (named_output, r"condition-1: the output facts\.ok in a condition is always False in a local run"),
        (named_output_inside, r"condition-2: the output facts\.ok in a condition is always False in a local run"),
        (whole_number, r"condition-1: a float compared with the int 1 is always False in a local run: write 1\.0"),
        (quote, "condition-1: a text with a quote in it is compared wrongly in a local run"),
        (named_list, r"for-loop-1: a local run cannot loop over the output facts\.names: .* `-> List\[\.\.\.\]`"),
        (
            long_constant,
            "act: parameter text: its value has 131,072 bytes, and the limit is 131,072: write it to a file",
        ),
        (secret, "parameter db_password: a secret in plain text"),
        (no_tag, "image python: without a tag a node may run any version of it"),
        (blesses('{"metrics_specs": []}'), "evaluator: no metric in eval_config has a threshold"),
    ],
)
def test_what_is_wrong_is_told(function: Callable[..., None], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        lint.check(compiled(function), targets.KUBEFLOW)


@pytest.mark.parametrize(
    "function",
    [own_output, fraction, no_quote, own_list, short_constant, no_secret, blesses('{"threshold": {}}'), blesses("")],
)
def test_what_is_right_passes(function: Callable[..., None]) -> None:
    assert lint.findings(compiled(function), targets.KUBEFLOW) == []


def test_a_local_run_needs_no_tag() -> None:
    assert lint.findings(compiled(no_tag), targets.LOCAL) == []


def test_a_spec_that_no_server_stores_is_refused() -> None:
    def pipeline() -> None:
        for _ in range(11):
            act(text="e" * 100_000)

    assert "servers refuse more than 1,048,576" in lint.findings(compiled(pipeline), targets.VERTEX)[0]
    assert lint.findings(compiled(pipeline), targets.LOCAL) == []


@pytest.mark.parametrize(("function", "runs"), [(named_output, False), (whole_number, False), (fraction, True)])
def test_the_rules_say_what_kfp_does(function: Callable[..., None], runs: bool, tmp_path: Path) -> None:
    """The day that kfp.local gets them right, the rules can go."""
    root = tmp_path / "root"
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root), raise_on_error=True)
    dsl.pipeline(name="linted")(function)()
    assert bool(list(root.glob("*/act"))) == runs


def test_several_findings_are_all_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def pipeline(secret: str = "x") -> None:
        with dsl.If(score().output > 1):
            untagged()

    path = tmp_path / "by-hand.yaml"
    path.write_text(yaml.safe_dump(compiled(pipeline)))
    assert cli.main(["lint", str(path)]) == 2
    shown = capsys.readouterr().err
    assert "the pipeline breaks 3 rules" in shown
    assert shown.count("\n") == 4
    assert cli.main(["lint", str(path), "--target", "locl"]) == 2


@pytest.mark.parametrize("content", [b"", b"a: 1\n", b"- 1\n", b"a: [1\n", b"\xff\xfe"])
def test_what_is_no_pipeline_is_told(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.yaml"
    path.write_bytes(content)
    assert cli.main(["lint", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_compiled_is_checked(load: Callable[..., Config], tmp_path: Path) -> None:
    config = load(["image=registry.example/penstock"])
    with pytest.raises(ConfigError, match=r"image registry\.example/penstock: without a tag"):
        compile_config(config, targets.KUBEFLOW, tmp_path / "ir.yaml")
    assert not (tmp_path / "ir.yaml").exists()
