"""Thresholds against the trivial model: its metrics are scikit-learn's, in every slice, and verdicts follow them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn import metrics as oracle
from tensorflow_model_analysis.metrics.metric_types import MetricKey
from tensorflow_model_analysis.proto.config_pb2 import MetricConfig

from penstock.components.evaluator.trivial import margins
from penstock.components.evaluator.trivial.margins import Margin
from penstock.core import artifacts
from penstock.core.artifacts import Reason
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import records
from tests.components.evaluator.conftest import ON_BEAM, Evaluated, Penguins

type Evaluate = Callable[..., Evaluated]
SLICED = "slicing_specs: [{}, {feature_keys: [island]}]\n"


@pytest.fixture(scope="module")
def examples(penguins: Penguins, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The penguins of the splits eval and test: the former to learn from."""
    there, here = artifacts.Examples(penguins.examples), artifacts.Examples(tmp_path_factory.mktemp("divided"))
    for name, split in (("train", "eval"), ("eval", "test")):
        rows = [row for file in there.files(split) for batch in records.read(file) for row in batch]
        for index in range(2):
            records.write(here.shard(name, index, 2), rows[index::2])
    return here.root


def frame(examples: Path, split: str) -> pd.DataFrame:
    def values(row: bytes) -> dict[str, Any]:
        features = tf.train.Example.FromString(row).features.feature
        return {
            name: (kind.float_list.value or kind.int64_list.value or [kind.bytes_list.value[0].decode()])[0]
            for name, kind in features.items()
            if name != "words" and kind.WhichOneof("kind")
        }

    files = artifacts.Examples(examples).files(split)
    return pd.DataFrame([values(row) for file in files for batch in records.read(file) for row in batch])


def reasons(evaluated: Evaluated) -> dict[tuple[str, str], Reason]:
    verdict = artifacts.ModelValidation(evaluated.validation).read()
    return {(reason["metric"], reason["slice"]): reason for reason in verdict["reasons"]}


def trivial_value(reason: Reason) -> float:
    """The trivial model's value, as the threshold tells it."""
    return float(reason["threshold"].rpartition(" ")[2].replace(",", ""))


def test_a_regression_must_be_better_than_the_mean(evaluate: Evaluate, examples: Path) -> None:
    asked = {"mean_absolute_error": {"relative": 0.1}, "RootMeanSquaredError": {"absolute": 10, "every_slice": True}}
    evaluated = evaluate(SLICED, "mass", label="mass", examples=str(examples), better_than_trivial=json.dumps(asked))
    found, test = reasons(evaluated), frame(examples, "eval")
    mean = frame(examples, "train").mass.mean()
    error = oracle.mean_absolute_error(test.mass, np.full(len(test), mean))
    reason = found["mean_absolute_error", "overall"]
    assert trivial_value(reason) == pytest.approx(error, rel=1e-3)
    assert reason["threshold"].startswith(f"at most {0.9 * error:,.1f}")
    assert reason["threshold"].endswith(f" to be 10% better than the trivial model's {error:,.1f}")
    assert found.keys() == {
        ("mean_absolute_error", "overall"),
        *(
            ("root_mean_squared_error", name)
            for name in ("overall", *("island=" + name for name in test.island.unique()))
        ),
    }
    for island, part in test.groupby("island"):
        error = oracle.root_mean_squared_error(part.mass, np.full(len(part), mean))
        assert trivial_value(found["root_mean_squared_error", f"island={island}"]) == pytest.approx(error, rel=1e-3)
    assert evaluated.result.blessed == all(reason["passed"] for reason in found.values())


@pytest.mark.slow
def test_classes_must_be_told_better_than_the_most_frequent(evaluate: Evaluate, examples: Path) -> None:
    asked = {"sparse_categorical_accuracy": 0.2, "SparseCategoricalCrossentropy": {"relative": 0.99}}
    evaluated = evaluate(
        "", "species", label="species_id", examples=str(examples), better_than_trivial=json.dumps(asked)
    )
    train, test, found = frame(examples, "train"), frame(examples, "eval"), reasons(evaluated)
    shares = train.species_id.value_counts(normalize=True).sort_index().to_numpy()
    accuracy = (test.species_id == shares.argmax()).mean()
    loss = oracle.log_loss(test.species_id, np.tile(shares, (len(test), 1)), labels=[0, 1, 2])
    assert trivial_value(found["sparse_categorical_accuracy", "overall"]) == pytest.approx(accuracy, rel=1e-3)
    assert trivial_value(found["sparse_categorical_crossentropy", "overall"]) == pytest.approx(loss, rel=1e-3)
    assert [reason["passed"] for reason in found.values()] == [False, True]
    assert not evaluated.result.blessed


@pytest.mark.slow
@pytest.mark.parametrize("baseline", [None, "worse"])
def test_beside_other_thresholds(evaluate: Evaluate, examples: Path, baseline: str | None) -> None:
    config = (
        "model_specs: [{label_key: male, example_weight_key: weight}]\nmetrics_specs: [{metrics: [{class_name: AUC, "
        "threshold: {value_threshold: {lower_bound: 0.5}, change_threshold: {absolute: 0, direction: "
        "HIGHER_IS_BETTER}}}, {class_name: BinaryCrossentropy}]}]"
    )
    asked = {"auc": 0.05, "binary_crossentropy": 0}
    evaluated = evaluate(config, "sex", baseline, examples=str(examples), better_than_trivial=json.dumps(asked))
    verdict = artifacts.ModelValidation(evaluated.validation).read()
    told = [reason["threshold"] for reason in verdict["reasons"] if reason["metric"] == "auc"]
    assert "at least 0.55 to be 0.05 better than the trivial model's 0.5" in told
    assert len(told) == (3 if baseline else 2)
    train, test = frame(examples, "train"), frame(examples, "eval")
    share = np.average(train.male, weights=train.weight)
    loss = oracle.log_loss(test.male, np.full(len(test), share), sample_weight=test.weight, labels=[0, 1])
    entropy = next(reason for reason in verdict["reasons"] if reason["metric"] == "binary_crossentropy")
    assert entropy["threshold"].startswith("below the trivial model's ")
    assert trivial_value(entropy) == pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ('{"auk": 0.1}', "better_than_trivial: 'auk' is no metric that is computed; did you mean 'auc'?"),
        ('{"auc": -0.1}', "better_than_trivial.auc.absolute: expected a number, 0 or more, received -0.1"),
        ('{"auc": true}', "better_than_trivial.auc.absolute: expected a number, 0 or more, received True"),
        ('{"auc": {}}', "better_than_trivial.auc: expected absolute or relative"),
        ('{"auc": {"absolut": 1}}', "better_than_trivial.auc: unknown key 'absolut'; did you mean 'absolute'?"),
        ("[1]", "better_than_trivial: expected an object such as"),
        (
            '{"auc": {"absolute": 0, "every_slice": "yes"}}',
            "better_than_trivial.auc.every_slice: expected true or false, received 'yes'",
        ),
    ],
)
def test_mistakes(asked: str, message: str, evaluate: Evaluate, examples: Path) -> None:
    config = "model_specs: [{label_key: male}]\nmetrics_specs: [{metrics: [{class_name: AUC}]}]"
    with pytest.raises(ConfigError, match=message):
        evaluate(config, examples=str(examples), better_than_trivial=asked)


def test_the_metrics_of_a_margin_may_be_grouped_by_no_query(evaluate: Evaluate, examples: Path) -> None:
    config = f"model_specs: [{{label_key: male}}]\nmetrics_specs: [{ON_BEAM}, {{metrics: [{{class_name: AUC}}]}}]"
    with pytest.raises(ConfigError, match="expected metrics of single examples: metrics are grouped by a query key"):
        evaluate(config, examples=str(examples), better_than_trivial='{"ndcg": 0}')


@pytest.mark.slow
def test_settings_are_read_in_tfmas_notations(evaluate: Evaluate, examples: Path) -> None:
    assert Margin("mine").names(MetricConfig(class_name="AUC", config='"name": "mine"'))
    metrics = """[{class_name: BinaryCrossentropy, config: '"from_logits":true, "name": "loss"'}]"""
    config = f"model_specs: [{{label_key: male}}]\nmetrics_specs: [{{metrics: {metrics}}}]"
    evaluated = evaluate(config, examples=str(examples), better_than_trivial='{"loss": 0}')
    share, test = frame(examples, "train").male.mean(), frame(examples, "eval")
    loss = oracle.log_loss(test.male, np.full(len(test), share), labels=[0, 1])
    assert trivial_value(reasons(evaluated)["loss", "overall"]) == pytest.approx(loss, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("both", [False, True], ids=["", "with and without weights"])
def test_a_threshold_says_whether_less_is_better(evaluate: Evaluate, examples: Path, both: bool) -> None:
    metric = """{class_name: AUC, config: '{"name": "error_free"}', threshold: {value_threshold: {lower_bound: 0.5}}}"""
    weights = "example_weights: {weighted: true, unweighted: true}, " if both else ""
    config = (
        "model_specs: [{label_key: male, example_weight_key: weight}]\n"
        f"metrics_specs: [{{{weights}metrics: [{metric}]}}]"
    )
    evaluated = evaluate(config, examples=str(examples), better_than_trivial='{"error_free": 0.1}')
    assert evaluated.result.blessed
    told = [each["threshold"] for each in artifacts.ModelValidation(evaluated.validation).read()["reasons"]]
    margin = "at least 0.6 to be 0.1 better than the trivial model's 0.5"
    assert sorted(told) == ["at least 0.5", margin] if not both else told.count(margin) == 2


def test_training_examples_are_needed(evaluate: Evaluate) -> None:
    with pytest.raises(DataError, match="train"):
        evaluate("", label="male", better_than_trivial='{"auc": 0}')


AUC, LOSS = MetricKey("auc"), MetricKey("root_mean_squared_error")


@pytest.mark.parametrize(
    ("margin", "key", "value", "trivial", "passed", "sentence"),
    [
        (
            Margin("auc", absolute=0.05), AUC, 0.56, 0.5, True,
            "auc over all examples is 0.56 (required: at least 0.55 to be 0.05 better than the trivial model's 0.5)",
        ),
        (
            Margin("auc", absolute=0), AUC, 0.5, 0.5, False,
            "auc over all examples is 0.5, but it must be above the trivial model's 0.5",
        ),
        (
            Margin("rmse", absolute=2, relative=0.1), LOSS, 60_000, 68_000, True,
            "root_mean_squared_error over all examples is 60,000 (required: at most 61,200 to be 10% better "
            "than the trivial model's 68,000)",
        ),
        (
            Margin("rmse", relative=0.1), LOSS, 61_201, 68_000, False,
            "root_mean_squared_error over all examples is 61,201, but it must be at most 61,200 to be 10% better "
            "than the trivial model's 68,000",
        ),
        (
            Margin("auc", absolute=0), AUC, float("nan"), 0.5, False,
            "auc over all examples is not defined (a division by zero), but it must be above the trivial model's 0.5",
        ),
        (
            Margin("auc", absolute=0), AUC, 0.9, float("nan"), False,
            "auc of the trivial model is not defined: expected another metric",
        ),
    ],
)  # fmt: skip
def test_a_reason(margin: Margin, key: MetricKey, value: float, trivial: float, passed: bool, sentence: str) -> None:
    reason = margin.reason(key, key is LOSS, "overall", value, trivial, "")
    assert (reason["passed"], reason["sentence"]) == (passed, sentence)
    assert margins.parse("") == []


def test_by_how_much_a_margin_is_missed() -> None:
    """The value to reach counts, whichever way it is told; with no margin it is the trivial model's own."""
    missed = [
        Margin("rmse", relative=0.1).reason(LOSS, True, "overall", 64_260, 68_000, ""),
        Margin("auc", absolute=0).reason(AUC, False, "overall", 0.4, 0.5, ""),
    ]
    assert [reason["missed_by"] for reason in missed] == [pytest.approx(0.05), pytest.approx(0.2)]
    assert "missed_by" not in Margin("auc", absolute=0).reason(AUC, False, "overall", 0.6, 0.5, "")
