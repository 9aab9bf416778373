"""Verdicts and their reasons: every kind of threshold, met and not met, with and without a baseline."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow_model_analysis as tfma
from google.protobuf import text_format
from kfp import dsl, local
from tensorflow_model_analysis.proto.config_pb2 import MetricThreshold

from penstock.components.evaluator import verdict as verdicts
from penstock.components.evaluator.component import evaluator
from penstock.core.artifacts import ModelBlessing
from penstock.core.errors import ModuleError
from tests.components.evaluator.conftest import ENGINE, Evaluated, Oracle, Penguins

SLICED = "slicing_specs: [{}, {feature_keys: [island]}]"
CROSSED = "cross_slicing_specs: [{baseline_spec: {}, slicing_specs: [{feature_keys: [island]}]}]"


def config(auc: str, slices: str = "slicing_specs: [{}]", metrics: str = "") -> str:
    """An EvalConfig of the AUC (0.9381 over all examples, 0.9024 to 0.9737 by island) with these thresholds."""
    metrics = f"[{{class_name: AUC, {auc}}}{metrics}]"
    return f"model_specs: [{{label_key: male}}]\n{slices}\nmetrics_specs: [{{metrics: {metrics}}}]"


def above(bound: float) -> str:
    return f"value_threshold: {{lower_bound: {bound}}}"


def change(bound: float, kind: str = "absolute", direction: str = "HIGHER_IS_BETTER") -> str:
    return f"change_threshold: {{{kind}: {bound}, direction: {direction}}}"


def by_slice(spec: str, threshold: str) -> str:
    return f"per_slice_thresholds: [{{slicing_specs: [{spec}], threshold: {{{threshold}}}}}]"


def across(spec: str, threshold: str) -> str:
    return f"cross_slice_thresholds: [{{cross_slicing_specs: [{spec}], threshold: {{{threshold}}}}}]"


ISLANDS = "{baseline_spec: {}, slicing_specs: [{feature_keys: [island]}]}"
NOWHERE = "{feature_values: {island: Atlantis}}"
# EvalConfig, baseline, and the reasons: what is measured, and whether it meets the threshold.
CASES: dict[str, tuple[str, str | None, dict[str, bool]]] = {
    "met": (config(f"threshold: {{{above(0.9)}}}"), None,
        {"auc over all examples is 0.9381 (required: at least 0.9)": True}),
    "not met": (
        config(f"threshold: {{{above(0.95)}}}"),
        None,
        {"auc over all examples is 0.9381, but it must be at least 0.95": False},
    ),
    "an upper bound": (
        config("threshold: {value_threshold: {lower_bound: 0.5, upper_bound: 0.9}}"),
        None,
        {"auc over all examples is 0.9381, but it must be at least 0.5 and at most 0.9": False},
    ),
    "every slice": (
        config(f"threshold: {{{above(0.905)}}}", SLICED),
        None,
        {
            "auc for island=Dream is 0.9024, but it must be at least 0.905": False,
            "auc over all examples is 0.9381 (required: at least 0.905)": True,
            "auc for island=Biscoe is 0.9737 (required: at least 0.905)": True,
            "auc for island=Torgersen is 0.909 (required: at least 0.905)": True,
        },
    ),
    "one slice": (
        config(by_slice("{feature_values: {island: Biscoe}}", above(0.98)), SLICED),
        None,
        {"auc for island=Biscoe is 0.9737, but it must be at least 0.98": False},
    ),
    "two thresholds of one slice": (
        config(
            f"per_slice_thresholds: [{{slicing_specs: [{{feature_keys: [island]}}], threshold: {{{above(0.9)}}}}}, "
            f"{{slicing_specs: [{{feature_values: {{island: Biscoe}}}}], threshold: {{{above(0.98)}}}}}]",
            SLICED,
        ),
        None,
        {
            "auc for island=Biscoe is 0.9737, but it must be at least 0.98": False,
            "auc for island=Biscoe is 0.9737 (required: at least 0.9)": True,
            "auc for island=Dream is 0.9024 (required: at least 0.9)": True,
            "auc for island=Torgersen is 0.909 (required: at least 0.9)": True,
        },
    ),
    "a slice without examples": (
        config(by_slice(NOWHERE, above(0.1)), f"slicing_specs: [{{}}, {NOWHERE}]"),
        None,
        {"no example is in the slice island=Atlantis, which has a threshold": False},
    ),
    "a pair of slices": (
        config(across(ISLANDS, above(-0.03)), f"{SLICED}\n{CROSSED}"),
        None,
        {
            "auc for island=Biscoe against overall is -0.03561, but it must be at least -0.03": False,
            "auc for island=Dream against overall is 0.03574 (required: at least -0.03)": True,
            "auc for island=Torgersen against overall is 0.02914 (required: at least -0.03)": True,
        },
    ),
    "every pair of slices meets its threshold": (
        config(across(ISLANDS, above(-0.05)), f"{SLICED}\n{CROSSED}"),
        None,
        {
            "auc for island=Biscoe against overall is -0.03561 (required: at least -0.05)": True,
            "auc for island=Dream against overall is 0.03574 (required: at least -0.05)": True,
            "auc for island=Torgersen against overall is 0.02914 (required: at least -0.05)": True,
        },
    ),
    "a change without a baseline": (config(f"threshold: {{{above(0.9)}, {change(0.5)}}}"), None,
        {"auc over all examples is 0.9381 (required: at least 0.9)": True}),
    "nothing but a change without a baseline": (config(f"threshold: {{{change(0.5)}}}"), None, {}),
    "better than the baseline": (
        config(f"threshold: {{{above(0.9)}, {change(0.2)}}}"),
        "worse",
        {
            "auc over all examples is 0.9381 (required: at least 0.9)": True,
            "auc minus the baseline's over all examples is 0.2736 (required: at least 0.2)": True,
        },
    ),
    "not better enough": (
        config(f"threshold: {{{above(0.9)}, {change(0.3)}}}"),
        "worse",
        {
            "auc over all examples is 0.9381 (required: at least 0.9)": True,
            "auc minus the baseline's over all examples is 0.2736, but it must be at least 0.3": False,
        },
    ),
    "a relative change": (
        config(f"threshold: {{{change(0.5, 'relative')}}}"),
        "worse",
        {"auc minus the baseline's over all examples is 0.2736, but it must be at least 0.5 of the baseline": False},
    ),
    "where lower is better": (
        config(f"threshold: {{{change(0.1, direction='LOWER_IS_BETTER')}}}"),
        "worse",
        {"auc minus the baseline's over all examples is 0.2736, but it must be at most 0.1": False},
    ),
    "the same model": (
        config(f"threshold: {{{change(0)}}}"),
        "sex",
        {"auc minus the baseline's over all examples is 0 (required: at least 0)": True},
    ),
}  # fmt: skip


# The same metric of several outputs or classes, and a bound that four digits do not tell from the value.
QUALIFIED: dict[str, tuple[str, str, list[str]]] = {
    "outputs": (
        "both",
        "model_specs: [{label_keys: {sex: male, species: species_id}}]\n"
        f"metrics_specs: [{{output_names: [sex], metrics: [{{class_name: AUC, threshold: {{{above(0.5)}}}}}]}}]",
        ["auc of sex over all examples is 0.9381 (required: at least 0.5)"],
    ),
    "classes": (
        "species",
        "model_specs: [{label_key: species_id}]\nmetrics_specs: [{binarize: {class_ids: {values: [0, 1]}}, aggregate: "
        f"{{macro_average: true, class_weights: {{0: 1, 1: 1}}}}, metrics: [{{class_name: AUC, "
        f"threshold: {{{above(0.5)}}}}}]}}]",
        [
            "auc as macro average over all examples is 0.8484 (required: at least 0.5)",
            "auc for class 0 over all examples is 0.8986 (required: at least 0.5)",
            "auc for class 1 over all examples is 0.7981 (required: at least 0.5)",
        ],
    ),
    "digits": (
        "sex",
        config(f"threshold: {{{above(0.9381)}}}"),
        ["auc over all examples is 0.938130807878707 (required: at least 0.9381)"],
    ),
    "the label's unit": (
        "mass",
        "model_specs: [{label_key: mass}]\nmetrics_specs: [{metrics: [{class_name: MeanSquaredError, threshold: "
        "{value_threshold: {upper_bound: 4600000000}}}]}]",
        [
            "mean_squared_error over all examples is 139,600, a root mean squared error of 373.6 (required: at most "
            "4,600,000,000)"
        ],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", QUALIFIED)
def test_a_reason_says_which_metric_it_is_about(case: str, evaluate: Callable[..., Evaluated]) -> None:
    model, eval_config, expected = QUALIFIED[case]
    assert sorted(reason["sentence"] for reason in reasons(evaluate(eval_config, model))) == expected


@pytest.mark.slow
def test_the_only_model_spec_stands_for_both_models_whatever_its_name(evaluate: Callable[..., Evaluated]) -> None:
    eval_config = config(f"threshold: {{{change(0.2)}}}").replace("{label_key", "{name: mine, label_key")
    (reason,) = reasons(evaluate(eval_config, "sex", "worse"))
    assert reason["sentence"] == "auc minus the baseline's over all examples is 0.2736 (required: at least 0.2)"


def reasons(evaluated: Evaluated) -> list[dict[str, Any]]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = (evaluated.validation / "validation.json").read_text()
    found: list[dict[str, Any]] = json.loads(text, parse_constant=refuse)["reasons"]
    return found


def failures(verdict: Any) -> list[str]:
    found = [(part.slice_key, part.cross_slice_key, failure) for part in verdict.metric_validations_per_slice
             for failure in part.failures]  # fmt: skip
    return sorted(f"{key} {pair} {failure.metric_key} {failure.metric_threshold}" for key, pair, failure in found)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_verdict_and_its_reasons(case: str, evaluate: Callable[..., Evaluated], oracle: Oracle) -> None:
    eval_config, baseline, expected = CASES[case]
    alone = oracle.ask(eval_config, *filter(None, ("sex", baseline)))
    evaluated = evaluate(eval_config, "sex", baseline)
    found = reasons(evaluated)
    if expected:
        assert {reason["sentence"]: reason["passed"] for reason in found} == expected
        assert len(found) == len(expected), "none twice"
        assert [reason["passed"] for reason in found] == sorted(expected.values()), "those not met come first"
        assert all((reason.get("missed_by", 0) > 0) == (not reason["passed"]) for reason in found if reason["value"])
        assert evaluated.result.blessed == all(expected.values())
        verdict = tfma.load_validation_result(str(evaluated.evaluation))
        assert evaluated.result.blessed == verdict.validation_ok
        theirs = tfma.load_validation_result(str(alone()))
        assert bool(theirs.missing_cross_slices) == ("pair" in case), "TFMA alone misses every pair, and blesses none"
        assert theirs.validation_ok == (evaluated.result.blessed and "pair" not in case)
        assert failures(verdict) == failures(theirs)
        assert list(verdict.missing_slices) == list(theirs.missing_slices)
    else:
        assert not evaluated.result.blessed
        assert [reason["sentence"] for reason in found] == ["no threshold was given, so nothing is blessed"]
    assert ModelBlessing(evaluated.blessing).read() == evaluated.result.blessed


@pytest.mark.parametrize(
    ("threshold", "value", "missed_by"),
    [
        ("value_threshold { lower_bound { value: 0.5 } }", 0.4, 0.2),
        ("value_threshold { lower_bound { value: 0.5 } upper_bound { value: 2 } }", 3, 0.5),
        ("value_threshold { upper_bound {} }", 0.25, 0.25),
        ("change_threshold { direction: HIGHER_IS_BETTER absolute { value: -0.01 } }", -0.03, 2),
        ("change_threshold { direction: LOWER_IS_BETTER absolute { value: 0.01 } }", 0.03, 2),
        ("change_threshold { direction: LOWER_IS_BETTER relative { value: 0.1 } }", 1, 1.5),  # 1 of 4 is 0.25
        ("change_threshold { direction: HIGHER_IS_BETTER absolute {} relative { value: 0.5 } }", 0.4, 0.8),
    ],
)
def test_by_how_much_a_threshold_is_missed(threshold: str, value: float, missed_by: float) -> None:
    parsed = text_format.Parse(threshold, MetricThreshold())
    kind = parsed.change_threshold if parsed.HasField("change_threshold") else parsed.value_threshold
    assert verdicts._missed_by(kind, value, before=4) == pytest.approx(missed_by)


@pytest.mark.slow
def test_what_is_no_number_meets_no_threshold(evaluate: Callable[..., Evaluated]) -> None:
    """The correlation within one species is not defined for a model that says the same of every penguin."""
    metrics = (
        ", {class_name: MatthewsCorrelationCoefficient, config: '{\"thresholds\": [2.0]}', "
        f"threshold: {{{above(-1)}}}}}"
    )
    evaluated = evaluate(config(f"threshold: {{{above(0.9)}}}", metrics=metrics))
    first, second = reasons(evaluated)
    assert not evaluated.result.blessed
    assert (first["metric"], first["passed"]) == ("matthews_correlation_coefficient", False)
    assert second["passed"]


@pytest.mark.slow
def test_the_metadata_is_tfxs(evaluate: Callable[..., Evaluated], penguins: Penguins) -> None:
    evaluated = evaluate(config(f"threshold: {{{above(0.9)}}}"), "sex", "worse")
    assert evaluated.result.metadata["blessing"] == {
        "tfx_version": "1.21.0",
        "blessed": 1,
        "current_model": str(penguins.models["sex"]),
        "baseline_model": str(penguins.models["worse"]),
        "component_id": "evaluator",
    }
    assert sorted(path.name for path in evaluated.blessing.iterdir()) == ["BLESSED"]
    document = json.loads((evaluated.validation / "validation.json").read_text())
    assert document["baseline_model"] == str(penguins.models["worse"])
    (written,) = reasons(evaluated)
    assert written | {"value": round(written["value"], 4)} == {
        "metric": "auc", "slice": "overall", "value": 0.9381, "threshold": "at least 0.9", "passed": True,
        "sentence": "auc over all examples is 0.9381 (required: at least 0.9)",
    }  # fmt: skip


@pytest.mark.slow
def test_models_are_named_by_their_uris(evaluate: Callable[..., Evaluated]) -> None:
    """A path such as /s3/bucket/model means nothing to the next run: on Kubeflow it is a task's scratch folder."""
    uris = {"model_uri": "s3://bucket/run-2/model", "baseline_model_uri": "s3://bucket/run-1/model"}
    evaluated = evaluate(config(f"threshold: {{{above(0.9)}}}"), "sex", "worse", **uris)
    document = json.loads((evaluated.validation / "validation.json").read_text())
    blessing = evaluated.result.metadata["blessing"]
    assert (document["model"], document["baseline_model"]) == tuple(uris.values())
    assert (blessing["current_model"], blessing["baseline_model"]) == tuple(uris.values())


@pytest.mark.slow
def test_a_folder_without_a_model_is_no_baseline(
    evaluate: Callable[..., Evaluated], penguins: Penguins, tmp_path: Path
) -> None:
    penguins.models["empty"] = tmp_path / "empty"
    evaluated = evaluate(config(f"threshold: {{{above(0.9)}, {change(0.5)}}}"), "sex", "empty")
    assert evaluated.result.blessed
    assert "baseline_model" not in evaluated.result.metadata["blessing"]


@pytest.mark.slow
def test_a_config_that_needs_a_baseline_says_so(evaluate: Callable[..., Evaluated]) -> None:
    both = "model_specs: [{name: new, label_key: male}, {name: old, label_key: male, is_baseline: true}]\n"
    spec = both + f"metrics_specs: [{{metrics: [{{class_name: AUC, threshold: {{{above(0.9)}}}}}]}}]"
    assert evaluate(spec, "sex", "worse").result.blessed
    assert evaluate(spec, "sex").result.blessed, "TFX drops the baseline's spec on the first run"


@pytest.mark.slow
@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize(
    ("threshold", "baseline", "blessed"), [(above(0.9), None, True), (f"{above(0.9)}, {change(0.3)}", "worse", False)]
)
def test_the_component_gates_a_pipeline(
    threshold: str, baseline: str | None, blessed: bool, penguins: Penguins, tmp_path: Path
) -> None:
    eval_config = config(f"threshold: {{{threshold}}}")

    @dsl.component(base_image="penstock-python:test", install_kfp_package=False)
    def touch(path: str) -> None:
        open(path, "w").close()

    @dsl.pipeline(name="gate")
    def pipeline(marker: str) -> None:
        uris = {"examples": penguins.examples, "model": penguins.models["sex"], "schema": penguins.schema}
        uris |= {"baseline_model": penguins.models[baseline]} if baseline else {}
        kinds = {"examples": dsl.Dataset, "model": dsl.Model, "schema": dsl.Artifact, "baseline_model": dsl.Model}
        inputs = {
            name: dsl.importer(artifact_uri=str(uri), artifact_class=kinds[name], reimport=False).output
            for name, uri in uris.items()
        }
        gate = evaluator(eval_config=eval_config, engine=ENGINE, **inputs)
        with dsl.If(gate.outputs["Output"] == True):  # noqa: E712  (KFP's condition)
            touch(path=marker)

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)
    pipeline(marker=str(tmp_path / "marker"))
    assert (tmp_path / "marker").exists() == blessed
    (found,) = (tmp_path / "root").rglob("validation.json")
    assert json.loads(found.read_text())["baseline_model"] == (str(penguins.models[baseline]) if baseline else None)


@pytest.mark.slow
def test_a_module_may_load_the_model_and_extract(
    evaluate: Callable[..., Evaluated], penguins: Penguins, tmp_path: Path
) -> None:
    module = tmp_path / "evaluation_module.py"
    module.write_text(
        "import tensorflow_model_analysis as tfma\n\n"
        "def custom_eval_shared_model(eval_saved_model_path, model_name, eval_config, **kwargs):\n"
        "    path = eval_saved_model_path.replace('/sex/', '/worse/')\n"
        "    return tfma.default_eval_shared_model(path, model_name=model_name, eval_config=eval_config)\n"
    )
    evaluated = evaluate(config(f"threshold: {{{above(0.9)}}}"), "sex", module_file=str(module))
    (reason,) = reasons(evaluated)
    assert reason["sentence"] == "auc over all examples is 0.6645, but it must be at least 0.9", "the other model's"


def test_a_module_that_raises_is_told(evaluate: Callable[..., Evaluated], tmp_path: Path) -> None:
    module = tmp_path / "raising_module.py"
    module.write_text(
        "def custom_extractors(eval_shared_model, eval_config, tensor_adapter_config):\n    return 1 / 0\n"
    )
    with pytest.raises(ModuleError, match="custom_extractors raised ZeroDivisionError") as caught:
        evaluate(config(f"threshold: {{{above(0.9)}}}"), module_file=str(module))
    assert "return 1 / 0" in caught.value.details
