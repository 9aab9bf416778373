"""Labels and weights that are missing in some rows, and labels of text that a module maps to numbers."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from penstock.core import artifacts
from penstock.core.errors import DataError, ModelError
from penstock.core.examples import records
from tests.components.evaluator.conftest import ON_BEAM, Evaluated, PenguinModel, Penguins

AUC = "metrics_specs: [{metrics: [{class_name: AUC, threshold: {value_threshold: {lower_bound: 0.5}}}]}]"
BEAM = AUC.replace("[", f"[{ON_BEAM}, ", 1)
EXAMPLES = [tf.TensorSpec([None], tf.string, name="examples")]
type Evaluate = Callable[..., Evaluated]


def sentences(evaluated: Evaluated) -> list[str]:
    verdict = json.loads((evaluated.validation / "validation.json").read_text())
    return [reason["sentence"] for reason in verdict["reasons"]]


def rows(penguins: Penguins) -> list[bytes]:
    return [row for file in artifacts.Examples(penguins.examples).files("eval") for row in next(records.read(file))]


def without(row: bytes, *features: str) -> bytes:
    example = tf.train.Example.FromString(row)
    for feature in features:
        del example.features.feature[feature]
    return example.SerializeToString(deterministic=True)


def auc(serialized: list[bytes], weighted: bool = False) -> float:
    """The area under the curve over the rows with a label and a weight, by scikit-learn."""
    kept = []
    for row in serialized:
        features = tf.train.Example.FromString(row).features.feature
        if "male" in features and "weight" in features:
            kept.append((row, features["male"].int64_list.value[0], features["weight"].float_list.value[0]))
    examples, labels, weights = zip(*kept, strict=True)
    model = PenguinModel("sex")
    predicted = model.serve(tf.constant(examples))["outputs"].numpy()[:, 0]
    return float(roc_auc_score(labels, predicted, sample_weight=weights if weighted else None))


def written(folder: Path, serialized: list[bytes]) -> str:
    records.write(artifacts.Examples(folder).shard("eval", 0, 1), serialized)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize(("metrics", "arguments"), [(AUC, {}), (AUC, {"schema": None}), (BEAM, {})])
def test_rows_without_a_raw_label_are_left_out(
    metrics: str,
    arguments: dict[str, None],
    evaluate: Evaluate,
    penguins: Penguins,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    some = [row if number % 3 else without(row, "male") for number, row in enumerate(rows(penguins))]
    config = f"model_specs: [{{label_key: male}}]\n{metrics}"
    evaluated = evaluate(config, examples=written(tmp_path / "some", some), **arguments)
    assert sentences(evaluated) == [f"auc over all examples is {auc(some):.4g} (required: at least 0.5)"]
    assert "100 examples have no label that the model knows, or no weight: they are left out" in caplog.text


@pytest.mark.slow
def test_rows_without_a_weight_are_left_out(
    evaluate: Evaluate, penguins: Penguins, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    every = rows(penguins)
    some = [without(row, "weight") for row in every[:50]] + every[50:]
    config = f"model_specs: [{{label_key: male, example_weight_key: weight}}]\n{AUC}"
    evaluated = evaluate(config, examples=written(tmp_path / "some", some))
    assert sentences(evaluated) == [f"auc over all examples is {auc(some, True):.4g} (required: at least 0.5)"]
    assert "50 examples have no label that the model knows, or no weight" in caplog.text


@pytest.mark.parametrize("metrics", [AUC, pytest.param(BEAM, marks=pytest.mark.slow)])
def test_examples_that_all_lack_the_label_are_told(
    metrics: str, evaluate: Evaluate, penguins: Penguins, tmp_path: Path
) -> None:
    none = written(tmp_path / "none", [without(row, "male") for row in rows(penguins)[:9]])
    with pytest.raises(DataError, match="none of the 9 examples has a label that the model knows"):
        evaluate(f"model_specs: [{{label_key: male}}]\n{metrics}", examples=none)


class UnderTheSameName(PenguinModel):
    """As a module whose preprocessing_fn gives the label and a feature the names that they have in the data."""

    @tf.function(input_signature=EXAMPLES)
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {name: tf.io.FixedLenFeature([], tf.string, "") for name in ("sex", "island")}
        features = tf.io.parse_example(examples, spec)
        return {
            "sex": tf.cast(features["sex"] == "male", tf.int64)[:, None],
            "island": tf.cast(features["island"] == "Dream", tf.int64)[:, None],
        }


@pytest.fixture
def renaming(penguins: Penguins, tmp_path: Path) -> str:
    model, folder = UnderTheSameName("sex"), artifacts.Model(tmp_path / "renaming").serving
    signatures = {"serving_default": model.serve, "transform_features": model.transform_features}
    tf.saved_model.save(model, str(folder), signatures=signatures)
    penguins.models["renaming"] = tmp_path / "renaming"
    return "renaming"


@pytest.mark.slow
@pytest.mark.parametrize("metrics", [AUC, BEAM])
def test_a_label_of_text_is_evaluated_as_the_model_transforms_it(
    metrics: str, evaluate: Evaluate, renaming: str
) -> None:
    """And slices are of what the data holds, which the same signature transforms as well."""
    config = f"model_specs: [{{label_key: sex}}]\nslicing_specs: [{{}}, {{feature_keys: [island]}}]\n{metrics}"
    assert sorted(sentences(evaluate(config, renaming))) == [
        "auc for island=Biscoe is 0.9737 (required: at least 0.5)",
        "auc for island=Dream is 0.9024 (required: at least 0.5)",
        "auc for island=Torgersen is 0.909 (required: at least 0.5)",
        "auc over all examples is 0.9381 (required: at least 0.5)",
    ]


def test_a_label_of_text_that_no_signature_transforms_is_told(evaluate: Evaluate, garbage: str) -> None:
    expected = (
        "label_key: feature 'species' holds text, and the predictions of the model are numbers: expected a label of "
        "numbers, or a signature such as transform_features that makes numbers of it"
    )
    with pytest.raises(ModelError, match=expected):
        evaluate(f"model_specs: [{{label_key: species}}]\n{AUC}", "species", examples=garbage)


def test_a_label_of_text_that_has_another_name_is_told(evaluate: Evaluate, garbage: str) -> None:
    male_text = "model_specs: [{label_key: sex}]\n"
    with pytest.raises(ModelError, match="feature 'sex' holds text"):
        evaluate(male_text + AUC, "sex", examples=garbage)


def test_a_label_of_text_beside_other_functions_is_told(evaluate: Evaluate, renaming: str, garbage: str) -> None:
    config = f"model_specs: [{{label_key: sex, preprocessing_function_names: [serving_default]}}]\n{AUC}"
    with pytest.raises(ModelError, match="expected signature 'transform_features' in preprocessing_function_names"):
        evaluate(config, renaming, examples=garbage)


@pytest.mark.slow
def test_a_label_of_text_fits_predictions_with_their_classes(
    evaluate: Evaluate, penguins: Penguins, tmp_path: Path
) -> None:
    class Classifier(PenguinModel):
        @tf.function(input_signature=EXAMPLES)
        def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
            scores = super().serve(examples)["outputs"]
            return {"scores": scores, "classes": tf.tile([["Adelie", "Chinstrap", "Gentoo"]], [tf.shape(scores)[0], 1])}

    model, folder = Classifier("species"), artifacts.Model(tmp_path / "classifier").serving
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
    penguins.models["classifier"] = tmp_path / "classifier"
    accuracy = "metrics_specs: [{metrics: [{class_name: SparseCategoricalAccuracy, "
    bound = "threshold: {value_threshold: {lower_bound: 0.5}}}]}]"
    expected = sentences(evaluate(f"model_specs: [{{label_key: species_id}}]\n{accuracy}{bound}", "species"))
    assert sentences(evaluate(f"model_specs: [{{label_key: species}}]\n{accuracy}{bound}", "classifier")) == expected
