"""Metrics of a slice whose examples are all of one class: TFMA tells 0, which is no measurement."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import yaml

from penstock.core import artifacts
from penstock.core.examples import records
from tests.components.evaluator.conftest import ON_BEAM, Evaluated, Penguins

type Evaluate = Callable[..., Evaluated]


@pytest.fixture
def one_class(penguins: Penguins, tmp_path: Path) -> str:
    """The penguins without the females of Dream and without the males of Torgersen."""
    kept = []
    for file in artifacts.Examples(penguins.examples).files("eval"):
        for row in next(records.read(file)):
            features = tf.train.Example.FromString(row).features.feature
            male, (island,) = features["male"].int64_list.value[0], features["island"].bytes_list.value
            if (island, male) not in ((b"Dream", 0), (b"Torgersen", 1)):
                kept.append(row)
    records.write(artifacts.Examples(tmp_path / "one").shard("eval", 0, 1), kept)
    return str(tmp_path / "one")


# Metrics by their names, with the islands that they are not defined for: Dream has males alone, Torgersen females.
METRICS = {
    "auc": ("AUC", {}, {"Dream", "Torgersen"}),
    "auc_precision_recall": ("AUCPrecisionRecall", {}, {"Torgersen"}),
    "area": ("AUC", {"curve": "PR"}, {"Torgersen"}),
    "sensitivity_at_specificity": ("SensitivityAtSpecificity", {"specificity": 0.5}, {"Dream", "Torgersen"}),
    "precision_at_recall": ("PrecisionAtRecall", {"recall": 0.5}, {"Torgersen"}),
    "recall": ("Recall", {}, {"Torgersen"}),
    "specificity": ("Specificity", {}, {"Dream"}),
    "balanced_accuracy": ("BalancedAccuracy", {}, {"Dream", "Torgersen"}),
    "binary_accuracy": ("BinaryAccuracy", {}, set()),
}
LOWER = {"value_threshold": {"lower_bound": 0.5}}
BOUNDED = {"value_threshold": {"upper_bound": 0.99}}
CHANGED = {"change_threshold": {"absolute": -0.01, "direction": "HIGHER_IS_BETTER"}}


def metric(class_name: str, name: str, threshold: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": json.dumps({"name": name, **settings}), "threshold": threshold}


def reasons(evaluated: Evaluated) -> dict[tuple[str, str], dict[str, Any]]:
    verdict = json.loads((evaluated.validation / "validation.json").read_text())
    return {(reason["metric"], reason["slice"].removeprefix("island=")): reason for reason in verdict["reasons"]}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # TFMA divides by zero on its way to some
@pytest.mark.parametrize("beside", [[], [yaml.safe_load(ON_BEAM)]], ids=["", "Beam"])
def test_a_slice_of_one_class(
    beside: list[dict[str, Any]], evaluate: Evaluate, one_class: str, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = [metric(name, key, LOWER, **settings) for key, (name, settings, _) in METRICS.items()]
    metrics += [metric("AUC", "bounded", BOUNDED), metric("AUC", "changed", CHANGED)]
    config = {
        "model_specs": [{"label_key": "male"}],
        "slicing_specs": [{}, {"feature_keys": ["island"]}],
        "metrics_specs": [{"metrics": metrics}, *beside],
    }
    evaluated = evaluate(json.dumps(config), "sex", "worse", examples=one_class)
    told = reasons(evaluated)
    for key, (_, _, undefined) in METRICS.items():
        islands = {name for name in ("Biscoe", "Dream", "Torgersen") if told[key, name]["value"] is None}
        assert islands == undefined, key
        assert {name for name in islands if "is not defined" in told[key, name]["sentence"]} == undefined
    of_dream = "for island=Dream is not defined (none of its examples is negative): it counts as 0"
    assert told["auc", "Dream"]["sentence"] == f"auc {of_dream}, but it must be at least 0.5"
    assert "(none of its examples is positive): it counts as 0, but" in told["auc", "Torgersen"]["sentence"]
    assert told["bounded", "Dream"]["sentence"] == f"bounded {of_dream} (required: at most 0.99)"
    changed = f"changed minus the baseline's {of_dream} (required: at least -0.01)"
    assert told["changed", "Dream"]["sentence"] == changed
    assert told["recall", "Torgersen"]["sentence"] == (
        "recall for island=Torgersen is not defined (a division by zero), but it must be at least 0.5"
    )
    assert not evaluated.result.blessed, "as TFX has it"
    where = "island=Dream; island=Torgersen, where all examples are of one class: it counts as 0 there"
    assert f"auc is not defined for {where}" in caplog.text
    assert "area is not defined for island=Torgersen, where" in caplog.text
    assert "accuracy is not defined" not in caplog.text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_average_over_classes_that_a_slice_lacks(evaluate: Evaluate) -> None:
    """Every Adelie of Torgersen is one, and no penguin there is of another species."""
    bound = "threshold: {value_threshold: {lower_bound: 0.1}}"
    config = (
        "model_specs: [{label_key: species_id}]\nslicing_specs: [{feature_keys: [island]}]\nmetrics_specs: "
        "[{aggregate: {macro_average: true, class_weights: {0: 1, 1: 1, 2: 1}}, binarize: {class_ids: {values: [0]}}, "
        f"metrics: [{{class_name: AUC, {bound}}}]}}]"
    )
    told = reasons(evaluate(config, "species"))["auc", "Torgersen"]["sentence"]
    assert "(a class that it averages has no negative example): it counts as" in told


@pytest.mark.slow
def test_what_is_defined_is_not_warned_of(evaluate: Evaluate, caplog: pytest.LogCaptureFixture) -> None:
    evaluate("model_specs: [{label_key: male}]\nmetrics_specs: [{metrics: [{class_name: AUC}]}]")
    assert "not defined" not in caplog.text
