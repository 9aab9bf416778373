"""Constants: their sizes, and what kfp.local replaces in them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from kfp import dsl

from penstock.pipelines import lint
from penstock.pipelines.targets.target import LOCAL
from tests.pipelines.lint.steps import IMAGE, act, acts, compiled, found


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def require_python3(text: str) -> None:
    assert text.startswith("python" + "3"), text


def given(text: str) -> Callable[[], None]:
    def pipeline() -> None:
        act(text=text)

    return pipeline


def test_a_text_that_no_process_takes_is_told() -> None:
    (told,) = found(given("é" * (64 << 10)))
    assert told.startswith("act: parameter text: its value has 131,072 bytes, and the limit is 131,072: write it to")
    assert found(given("e" * ((128 << 10) - 1))) == []


def python3() -> None:
    require_python3(text="python3.13")


def test_a_value_that_a_local_run_changes_is_told(tmp_path: Path) -> None:
    (told,) = found(python3, LOCAL)
    assert told.startswith("require-python3: parameter text: kfp.local puts the path of its interpreter in place")
    with pytest.raises(RuntimeError, match="require-python3"):
        acts(python3, tmp_path)
    assert found(python3) == []


def test_a_name_that_a_local_run_changes_is_told() -> None:
    (told,) = lint.findings([compiled(given(""), name="python3-jobs")], LOCAL)
    assert str(told).startswith("the pipeline's name: kfp.local puts")
