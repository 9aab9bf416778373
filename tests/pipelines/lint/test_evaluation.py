"""Gates that never open: which eval_config has a threshold, and who waits for the verdict."""

from collections.abc import Callable

import pytest
from kfp import dsl

from penstock.components.evaluator import evaluator
from penstock.components.latest_blessed_model import latest_blessed_model
from penstock.components.pusher import pusher
from penstock.pipelines.targets.target import LOCAL
from tests.pipelines.lint.steps import found

NEVER = "evaluator: no metric in eval_config has a threshold, so no model is ever blessed"
WITHOUT = '{"metrics_specs": [{"metrics": [{"class_name": "AUC"}]}]}'


def gated(eval_config: str, consumer: str = "condition", better_than_trivial: str = "") -> Callable[[], None]:
    def pipeline() -> None:
        model = dsl.importer(artifact_uri="gs://b/m", artifact_class=dsl.Model).output
        examples = dsl.importer(artifact_uri="gs://b/e", artifact_class=dsl.Dataset).output
        margins = {"better_than_trivial": better_than_trivial} if better_than_trivial else {}
        gate = evaluator(examples=examples, model=model, eval_config=eval_config, **margins)
        if consumer == "condition":
            with dsl.If(gate.outputs["Output"] == True):  # noqa: E712
                latest_blessed_model(candidate=model, pipeline_root="gs://b")
        elif consumer == "pusher":
            pusher(model=model, model_blessing=gate.outputs["blessing"], push_destination="{}")

    return pipeline


def by_parameter(eval_config: str = WITHOUT) -> None:
    model = dsl.importer(artifact_uri="gs://b/m", artifact_class=dsl.Model).output
    examples = dsl.importer(artifact_uri="gs://b/e", artifact_class=dsl.Dataset).output
    gate = evaluator(examples=examples, model=model, eval_config=eval_config)
    pusher(model=model, model_blessing=gate.outputs["blessing"], push_destination="{}")


@pytest.mark.parametrize(
    "eval_config",
    [
        WITHOUT,
        "",
        '{"metrics_specs": []}',
        '{"slicing_specs": [{"feature_keys": ["threshold"]}], "metrics_specs": [{"metrics": [{"class_name": "AUC"}]}]}',
        "slicing_specs: [{feature_keys: [threshold]}]\nmetrics_specs: [{metrics: [{class_name: AUC}]}]",
        "metrics_specs: [{metrics: [{class_name: AUC, config: '\"thresholds\": [0.5]'}]}]",
        'slicing_specs { feature_keys: "threshold" } metrics_specs { metrics { class_name: "AUC" } }',
        'metrics_specs: { metrics: { class_name: "AUC"  # no threshold: none\n } }',
        '{"metrics_specs": [{"metrics": [{"class_name": "AUC", "threshold": {}}]}]}',
    ],
)
@pytest.mark.parametrize("consumer", ["condition", "pusher"])
def test_without_a_threshold(eval_config: str, consumer: str) -> None:
    (told,) = found(gated(eval_config, consumer), LOCAL)
    assert told.startswith(NEVER)


def test_without_a_threshold_by_the_pipelines_parameter() -> None:
    assert found(by_parameter, LOCAL)[0].startswith(NEVER)


def test_margins_that_are_given_when_it_runs() -> None:
    def pipeline(margins: str) -> None:
        model = dsl.importer(artifact_uri="gs://b/m", artifact_class=dsl.Model).output
        examples = dsl.importer(artifact_uri="gs://b/e", artifact_class=dsl.Dataset).output
        gate = evaluator(examples=examples, model=model, eval_config=WITHOUT, better_than_trivial=margins)
        pusher(model=model, model_blessing=gate.outputs["blessing"], push_destination="{}")

    assert found(pipeline, LOCAL) == []


@pytest.mark.parametrize(
    "eval_config",
    [
        '{"metrics_specs": [{"metrics": [{"class_name": "AUC", "threshold": {"value_threshold": {}}}]}]}',
        '{"metricsSpecs": [{"metrics": [{"className": "AUC", "perSliceThresholds": [{"slicingSpecs": [{}]}]}]}]}',
        "metrics_specs: [{thresholds: {auc: {value_threshold: {lower_bound: 0.5}}}}]",
        'metrics_specs { metrics { class_name: "AUC" threshold { value_threshold { lower_bound { value: 0.5 } } } } }',
        'metrics_specs: { metrics: { class_name: "AUC" cross_slice_thresholds: { threshold: {} } } }',
    ],
)
def test_with_a_threshold(eval_config: str) -> None:
    assert found(gated(eval_config), LOCAL) == []


def test_with_a_threshold_against_the_trivial_model() -> None:
    assert found(gated(WITHOUT, better_than_trivial='{"auc": 0}'), LOCAL) == []


def test_metrics_that_nothing_waits_for_need_none() -> None:
    assert found(gated(WITHOUT, consumer=""), LOCAL) == []
