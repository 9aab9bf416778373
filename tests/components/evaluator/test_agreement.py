"""A candidate and a baseline that do not fit each other are told before any example is read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from penstock.core import artifacts
from penstock.core.errors import DataError, ModelError
from penstock.core.labels import Label
from tests.components.evaluator.conftest import Evaluated, Penguins

CONFIG = "model_specs: [{label_key: male}]\nmetrics_specs: [{metrics: [{class_name: AUC}]}]"
ADVICE = "; for a different kind of data set another pipeline_root, where no model is blessed yet, or move that model"
EXAMPLES = [tf.TensorSpec([None], tf.string, name="examples")]
type Evaluate = Callable[..., Evaluated]
type Outputs = dict[str, tf.Tensor]


def label(*classes: str | float, problem: str = "binary", name: str = "sex") -> Label:
    return Label(name, f"{name}_xf", problem, classes)  # type: ignore[arg-type]


@pytest.fixture
def labelled(penguins: Penguins, tmp_path: Path) -> Callable[[str, Label], str]:
    """Returns a function that copies a model and puts a label beside it, as the trainer without code does."""

    def copy(name: str, of_model: Label) -> str:
        shutil.copytree(penguins.models["sex"], tmp_path / name)
        of_model.write(artifacts.Model(tmp_path / name).serving)
        penguins.models[name] = tmp_path / name
        return name

    return copy


@pytest.fixture
def served(penguins: Penguins, tmp_path: Path) -> Callable[..., str]:
    """Returns a function that saves a model by what it makes of serialized examples."""

    def save(name: str, outputs: Callable[[tf.Tensor], Outputs]) -> str:
        signature = tf.function(outputs, input_signature=EXAMPLES)
        folder = str(artifacts.Model(tmp_path / name).serving)
        tf.saved_model.save(tf.Module(), folder, signatures={"serving_default": signature})
        penguins.models[name] = tmp_path / name
        return name

    return save


@pytest.mark.parametrize(
    ("candidate", "baseline", "difference"),
    [
        (
            label("No", "Yes"),
            label("no", "yes"),
            "only it has the classes 'no', 'yes', only the model has the classes 'No', 'Yes'",
        ),
        (
            label("a", "b", "c", problem="multiclass"),
            label("a", "b", "c", "d", problem="multiclass"),
            "only it has the class 'd'",
        ),
        (label("a", "b", "c", problem="multiclass"), label("a", "b", "d", problem="multiclass"), "the class 'd', only"),
        (label("yes", "no"), label("no", "yes"), "its classes are in the order 'no', 'yes', the model's 'yes', 'no'"),
        (
            label("a", "b", "c", problem="multiclass"),
            label("a", "b"),
            r"its label is binary \('a', 'b'\), the model's multiclass \('a', 'b', 'c'\)",
        ),
        (
            label(problem="regression"),
            label(0, 1),
            r"its label is binary \(0, 1\), the model's regression",
        ),
        (label("a", "b"), label("a", "b", name="species"), "its label is 'species', the model's 'sex'"),
        (label("1", "2"), label(1, 2), "only it has the classes 1, 2, only the model has the classes '1', '2'"),
    ],
)
def test_labels_of_models_without_code(
    candidate: Label,
    baseline: Label,
    difference: str,
    evaluate: Evaluate,
    labelled: Callable[[str, Label], str],
    garbage: str,
) -> None:
    models = labelled("new", candidate), labelled("old", baseline)
    expected = f"the baseline model at .*/old/.* and the model do not predict the same: .*{difference}.*{ADVICE}"
    with pytest.raises(ModelError, match=expected) as raised:
        evaluate(CONFIG, *models, examples=garbage)
    assert raised.value.exit_code == 2


def test_what_a_baseline_does_not_have_is_told_with_what_to_do(
    evaluate: Evaluate, served: Callable[..., str], labelled: Callable[[str, Label], str], garbage: str
) -> None:
    config = CONFIG.replace("male", "male_xf, preprocessing_function_names: [transform_features]")
    old = served("old", lambda examples: {"outputs": tf.zeros_like(examples, tf.float32)[:, None]})
    with pytest.raises(ModelError, match=f"/old/.* has no signature 'transform_features': .*{ADVICE}"):
        evaluate(config, "sex", old, examples=garbage)
    by_name = labelled("new", label("a", "b", name="colour")), labelled("older", label("a", "b", name="sex"))
    with pytest.raises(ModelError, match="its label is 'sex', the model's 'colour'"):
        evaluate(config.replace("male_xf", "colour_xf"), *by_name, examples=garbage)


def test_a_long_list_of_classes_is_cut(evaluate: Evaluate, labelled: Callable[[str, Label], str], garbage: str) -> None:
    many = label(*[f"{number:03d}{'x' * 1000}" for number in range(900)], problem="multiclass")
    with pytest.raises(ModelError, match="and 895 more") as raised:
        evaluate(
            CONFIG, labelled("new", label("a", "b", problem="multiclass")), labelled("old", many), examples=garbage
        )
    assert len(raised.value.message) < 1000


def test_models_that_agree_are_compared(
    evaluate: Evaluate, labelled: Callable[[str, Label], str], garbage: str
) -> None:
    same = label("no", "yes")
    with pytest.raises(DataError, match="record 1 is damaged"):
        evaluate(CONFIG, labelled("new", same), labelled("old", same), examples=garbage)


def test_the_number_of_predictions(evaluate: Evaluate, garbage: str) -> None:
    expected = f"do not predict the same: its prediction has 3 values for each example, the model's 1{ADVICE}"
    with pytest.raises(ModelError, match=expected):
        evaluate(CONFIG, "sex", "species", examples=garbage)


def test_the_names_of_predictions(evaluate: Evaluate, garbage: str) -> None:
    with pytest.raises(ModelError, match="its outputs are sex, species, the model's outputs; "):
        evaluate(CONFIG, "sex", "both", examples=garbage)


def test_predictions_of_two_classes(evaluate: Evaluate, served: Callable[..., str], garbage: str) -> None:
    """The probability of one of them or of both, and outputs that the candidate alone has: all are compared."""
    both = served(
        "both_classes", lambda examples: {"outputs": tf.zeros_like(examples, tf.float32)[:, None] + [0.5, 0.5]}
    )
    with pytest.raises(DataError, match="record 1 is damaged"):
        evaluate(CONFIG, "sex", both, examples=garbage)
    heads = [served(name, lambda examples, names=names: {  # type: ignore[misc]
        output: tf.zeros_like(examples, tf.float32)[:, None] for output in names
    }) for name, names in (("three", ("sex", "species", "age")), ("two", ("sex", "species")))]  # fmt: skip
    config = "model_specs: [{label_keys: {sex: male, species: species_id}}]\n"
    metrics = "metrics_specs: [{output_names: [sex], metrics: [{class_name: AUC}]}]"
    with pytest.raises(DataError, match="record 1 is damaged"):
        evaluate(config + metrics, *heads, examples=garbage)


def test_the_type_of_predictions(evaluate: Evaluate, served: Callable[..., str], garbage: str) -> None:
    texts = served("texts", lambda examples: {"outputs": examples[:, None]})
    with pytest.raises(ModelError, match="its prediction is text, the model's numbers"):
        evaluate(CONFIG, "sex", texts, examples=garbage)


def parsing(name: str, feature: tf.io.FixedLenFeature) -> Callable[[tf.Tensor], Outputs]:
    return lambda examples: {
        "outputs": tf.cast(tf.io.parse_example(examples, {name: feature})[name], tf.float32)[:, None]
    }


def test_a_feature_that_only_the_baseline_needs(evaluate: Evaluate, served: Callable[..., str], garbage: str) -> None:
    old = served("old", parsing("beak", tf.io.FixedLenFeature([], tf.float32)))
    expected = f"model at .* cannot take these examples: it needs the feature 'beak', which .* do not have{ADVICE}"
    with pytest.raises(ModelError, match=expected):
        evaluate(CONFIG, "sex", old, examples=garbage)


def test_a_feature_of_another_type(evaluate: Evaluate, served: Callable[..., str], garbage: str) -> None:
    old = served("old", parsing("year", tf.io.FixedLenFeature([], tf.float32)))
    with pytest.raises(ModelError, match="it takes the feature 'year' as float32, the model as int64; for a different"):
        evaluate(CONFIG, "sex", old, examples=garbage)


def test_a_feature_that_may_be_missing_is_warned_of(
    evaluate: Evaluate, served: Callable[..., str], garbage: str, caplog: pytest.LogCaptureFixture
) -> None:
    old = served("old", parsing("beak", tf.io.FixedLenFeature([], tf.float32, 0.0)))
    with pytest.raises(DataError, match="record 1 is damaged"):
        evaluate(CONFIG, "sex", old, examples=garbage)
    assert "uses 'beak', which no example has: it counts as missing" in caplog.text


@pytest.mark.parametrize("baseline", [False, True])
def test_an_output_that_is_one_value(
    baseline: bool, evaluate: Evaluate, served: Callable[..., str], garbage: str
) -> None:
    scalar = served(
        "scalar", lambda examples: {"outputs": tf.reduce_mean(tf.cast(tf.strings.length(examples), tf.float32))}
    )
    expected = (
        "model.*: signature 'serving_default': output 'outputs': expected a value for each example, received one value "
        "for the whole batch"
    )
    with pytest.raises(ModelError, match=expected) as raised:
        evaluate(CONFIG, *(("sex", scalar) if baseline else (scalar,)), examples=garbage)
    assert (ADVICE in raised.value.message) == baseline
