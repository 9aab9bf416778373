"""A configuration that anybody may have written: one sentence each, whatever it holds and wherever it comes from."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core.errors import ConfigError
from penstock.pipelines.cli import main
from penstock.pipelines.config.training_pipeline import Config

Load = Callable[..., Config]
BOMB = "&a [x, x, x]"
for _level in "bcdefghijklmno":
    BOMB = f"&{_level} [{BOMB}, {', '.join([f'*{chr(ord(_level) - 1)}'] * 3)}]"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (BOMB, "expected at most 200,000 values, found more"),
        ("[" * 3000, "expected at most 64 lists and mappings in one another"),
        ("!!bool maybe", "'maybe' is no !!bool; text stands in quotes"),
        ('"a\\0b"', "found the character U+0000"),
        ("\x1b[31m", "found the character U+001B"),
        ("\udcff", "expected UTF-8 text"),
        ("9" * 400, "is too large for a number"),
        ("{a: 1, a: 2}", "key 'a' is here again"),
    ],
)
def test_no_yaml_is_without_end(load: Load, config: Path, value: str, sentence: str) -> None:
    """In the file, and on the command line."""
    for assignments, text in (([f"label={value}"], None), ([], f"{config.read_text()}\nlabels: {value}\n")):
        if text and "\udcff" in value:
            continue
        with pytest.raises(ConfigError) as caught:
            load(assignments, text)
        assert sentence in caught.value.message
        assert "\n" not in str(caught.value)
        assert caught.value.message.startswith("--set label" if assignments else "pipeline.yaml:")


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("thresholds: {auc: {better_than_trivial: abc}}", "expected a number or keys with values, received 'abc'"),
        ("thresholds: {auc: {better_than_trivial: -1}}", "expected greater than or equal to 0, received -1"),
        (
            "thresholds: {auc: {better_than_trivial: {relativ: 1}}}",
            "unknown key '...relativ'; did you mean 'relative'?",
        ),
        ("thresholds: {auc: {better_than_trivial: {}}}", "expected `absolute` or `relative`, such as {relative: 0.1}"),
        ("slices: [{company: 1.5}]", ".company: expected text or a whole number, received 1.5"),
        ("slices: [3]", "expected text or a list or keys with values, received 3"),
        ("metrics: [3]", "expected text or keys with values, received 3"),
    ],
)
def test_a_value_that_may_be_of_several_types_is_one_mistake(load: Load, key: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load([], f"data: {{path: data.csv}}\nlabel: label\nevaluation: {{{key}}}\n")
    before, _, after = sentence.partition("...")
    assert caught.value.message.startswith("pipeline.yaml:3: ")
    assert before in caught.value.message
    assert caught.value.message.endswith(after)


def test_a_thousand_mistakes_are_told_by_the_first_of_them(load: Load) -> None:
    started = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        load([], "data: {path: data.csv}\n" + "".join(f"unknown_{number}: 1\n" for number in range(3000)))
    assert time.monotonic() - started < 5
    assert caught.value.message == "pipeline.yaml has 3,000 mistakes"
    lines = caught.value.details.splitlines()
    assert lines[0].startswith("pipeline.yaml:2: unknown key 'unknown_0'; ")
    assert lines[20:] == ["and 2,980 more"]


@pytest.mark.parametrize(
    "text",
    [
        "label: LONG\ndata: {path: data.csv}",
        "label: [LONG]",
        "? LONG\n: 1",
        "data: {path: LONG}",
        "features: {? LONG : 1}",
    ],
)
def test_a_value_of_megabytes_is_not_shown_whole(config: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    config.write_text(text.replace("LONG", "x" * 3_000_000) + "\n")
    assert main.main(["validate", str(config)]) == 2
    shown = capsys.readouterr().err
    assert "xxx" in shown
    assert len(shown) < 2000


def test_what_an_alias_stands_for_is_changed_alone(load: Load) -> None:
    text = "data: {path: data.csv}\nlabel: label\nfeatures: {a: &a {kind: numeric}, b: *a}\n"
    features = load(["features.b.kind=text"], text).features
    assert (features["a"].kind, features["b"].kind) == ("numeric", "text")


def test_a_column_may_have_a_number_for_a_name(load: Load, project: Path) -> None:
    (project / "data.csv").write_text("2019,label\n1,0\n2,1\n")
    text = "data: {path: data.csv}\nlabel: label\nfeatures: {2019: {kind: numeric}}\n"
    assert load([], text).features["2019"].kind == "numeric"
    with pytest.raises(ConfigError, match=r"--set features.2019.kind: unknown kind 'date_'; did you mean"):
        load(["features.2019.kind=date_"], text)


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        (".".join("a" * 3000) + "=1", "expected at most 64 keys in one another, found 3,000"),
        ("features.²=1", "features.²"),
        ("evaluation.metrics.²=auc", "expected the number of an item, 0 to 0, received '²'"),
        (f"evaluation.metrics.{'9' * 5000}=auc", "expected the number of an item, 0 to 0, received '999"),
        ("evaluation.metrics.0.name=auc", "evaluation.metrics"),
        ("training.train_steps.a=1", "training.train_steps holds 10, no keys"),
    ],
)
def test_paths_of_keys(load: Load, assignment: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load([assignment])
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("splits={hash_buckets: {train: 99999999999999999999, eval: 1}}", "is too large for a number"),
        ("splits={hash_buckets: {train: '99999999999999999999', eval: 1}}", "expected less than 2147483648"),
        ("splits={hash_buckets: {train: 3000000000, eval: 1}}", "expected less than 2147483648, received 3000000000"),
        (
            "splits={hash_buckets: {train: 2000000000, eval: 2000000000}}",
            "splits.hash_buckets: expected at most 2,147,483,647",
        ),
        ("training.train_steps=9007199254740993", "expected less than 9007199254740992"),
        ("training.train_steps=1e300", "training.train_steps: expected"),
        ("evaluation.thresholds.auc.min=1e999", "is too large for a number"),
    ],
)
def test_numbers_that_overflow(load: Load, assignment: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load([assignment])
    assert sentence in str(caught.value)


def test_a_configuration_that_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "file").touch()
    sentences = {
        str(tmp_path / "pipe.yaml"): "is a named pipe: expected a YAML file",
        str(tmp_path / "loop.yaml"): "is a link that leads nowhere: expected a YAML file",
        str(tmp_path / "file" / "pipeline.yaml"): "a file stands where a folder is expected",
        str(tmp_path / ("x" * 300)): "the name is too long",
        "/dev/zero": "is a device: expected a YAML file",
        "/proc/self/mem": "penstock: ",
    }
    for path, sentence in sentences.items():
        for command in ("validate", "run", "runs", "explain", "submit"):
            assert main.main([command, path]) in (1, 2)
            shown = capsys.readouterr().err
            assert sentence in shown
            assert shown.count("\n") <= 2
