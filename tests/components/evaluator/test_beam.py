"""What is not additive goes through TFMA's Beam pipeline as a whole, and gives TFMA's results."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from penstock.components.evaluator import eval_config as eval_configs
from penstock.components.evaluator.metrics import shards
from penstock.core.artifacts import ModelEvaluation
from tests.components.evaluator.conftest import Evaluated, Oracle
from tests.components.evaluator.test_parity import assert_equal, contents

MALE = "model_specs: [{label_key: male}]\n"
# Why an evaluation goes through Beam, and what makes it so.
CASES = {
    "a query key": MALE + "slicing_specs: [{}]\n"
    "metrics_specs: [{query_key: island, metrics: [{class_name: QueryStatistics}, "
    '{class_name: NDCG, config: \'{"gain_key": "year", "top_k_list": [3]}\'}]}]',
}
INTERVALS = (
    f"{MALE}slicing_specs: [{{}}, {{feature_keys: [island]}}]\nmetrics_specs: [{{metrics: [{{class_name: AUC, "
    "config: '{\"num_thresholds\": 50}'}]}]\noptions: {compute_confidence_intervals: true}"
)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_what_is_not_additive_is_tfmas(case: str, oracle: Oracle, evaluate: Callable[..., Evaluated]) -> None:
    assert shards.reason_for_beam(eval_configs.parse(CASES[case]), [], None)
    expected = oracle.ask(CASES[case], "sex")
    ours, theirs = contents(evaluate(CASES[case], "sex").evaluation), contents(expected())
    assert ours.keys() == theirs.keys()
    assert theirs
    for key in theirs:
        assert_equal(ours[key], theirs[key], key)


@pytest.mark.slow
def test_confidence_intervals(oracle: Oracle, evaluate: Callable[..., Evaluated]) -> None:
    """The jackknife's parts are drawn by chance, so what the bounds are around is equal, and they are about as wide."""
    expected = oracle.ask(INTERVALS, "sex")
    evaluated = evaluate(INTERVALS, "sex").evaluation
    ours, theirs = intervals(evaluated), intervals(expected())
    assert ours.keys() == theirs.keys()
    assert len(theirs) == 4, "overall and three islands"
    for key, (value, low, high) in theirs.items():
        assert ours[key][0] == pytest.approx(value, rel=1e-6)
        assert ours[key][1] < ours[key][0] < ours[key][2]
        assert 0.4 < (ours[key][2] - ours[key][1]) / (high - low) < 2.5
    bounds = ModelEvaluation(evaluated).read_summary()["slices"][0]["metrics"]["auc"]
    assert (bounds["value"], bounds["low"], bounds["high"]) in ours.values()
    assert "approximate" not in bounds, "TFMA's interval takes precedence"


def intervals(folder: Path) -> dict[str, tuple[float, float, float]]:
    """The AUC of each slice with its bounds."""
    found = {}
    for part in writer.load_and_deserialize_metrics(str(folder)):
        for entry in part.metric_keys_and_values:
            if entry.key.name == "auc":
                around = entry.confidence_interval
                bounds = (around.lower_bound.double_value.value, around.upper_bound.double_value.value)
                found[str(part.slice_key)] = (entry.value.double_value.value, *bounds)
    return found


EXTRACTORS = """
import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma

def add_size(extracts):
    masses = extracts["features"]["mass"].values  # one of each penguin
    sizes = np.where(masses > 4500, b"large", b"small").astype(object)[:, None]
    return {**extracts, "features": {**extracts["features"], "size": sizes}}

def custom_extractors(eval_shared_model, eval_config, tensor_adapter_config):
    default = tfma.default_extractors(
        eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
    )
    size = tfma.extractors.Extractor(stage_name="Size", ptransform=beam.Map(add_size))
    return [default[0], size, *default[1:]]
"""


@pytest.mark.slow
def test_a_module_may_extract_features_to_slice_on(evaluate: Callable[..., Evaluated], tmp_path: Path) -> None:
    module = tmp_path / "extracting_module.py"
    module.write_text(EXTRACTORS)
    config = (
        f"{MALE}slicing_specs: [{{}}, {{feature_keys: [size]}}]\n"
        "metrics_specs: [{metrics: [{class_name: ExampleCount}]}]"
    )
    found = evaluate(config, "sex", module_file=str(module)).evaluation
    counts = {key[1]: value["doubleValue"] for key, value in contents(found).items()}
    assert len(counts) == 3, "overall, large and small"
    assert max(counts.values()) == 300
    assert sum(counts.values()) == 600
    summary = ModelEvaluation(found).read_summary()
    assert (summary["problem"], summary["label"]) == ("other", "male"), "only the module knows what it evaluates"
    assert sorted(part["examples"] for part in summary["slices"]) == sorted(counts.values())
