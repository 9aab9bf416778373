"""Data and a label are enough: the configuration without a module, and the graph that comes of it."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from penstock.core.errors import ConfigError
from penstock.pipelines.compiling.compile import compile_config
from penstock.pipelines.config.features import KINDS, OPTIONS, Feature
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules import default_trainer
from penstock.pipelines.targets import target
from penstock.trainer.plan import dates, features

Load = Callable[..., Config]
BASE = "name: small\ndata:\n  path: data.csv\nlabel: label\n"


def compiled(config: Config, folder: Path) -> dict[str, dict[str, Any]]:
    spec = yaml.safe_load(compile_config(config, target.LOCAL, folder / "ir.yaml").path.read_text())
    found: dict[str, dict[str, Any]] = spec["root"]["dag"]["tasks"]
    return found


def constants(task: dict[str, Any]) -> dict[str, Any]:
    parameters = task["inputs"]["parameters"]
    return {name: entry["runtimeValue"]["constant"] for name, entry in parameters.items() if "runtimeValue" in entry}


def test_data_and_label_are_enough(load: Load, tmp_path: Path) -> None:
    tasks = compiled(load(text=BASE), tmp_path)
    assert {"transform", "trainer"} <= set(tasks)
    transform, trainer = tasks["transform"], tasks["trainer"]
    assert constants(transform)["preprocessing_fn"] == "penstock.trainer.default.preprocessing_fn"
    assert constants(trainer)["run_fn"] == "penstock.trainer.default.run_fn"
    assert json.loads(constants(transform)["custom_config"]) == {"label": "label"}
    assert json.loads(constants(trainer)["custom_config"]) == {"label": "label", "split": "train"}
    assert transform["inputs"]["artifacts"]["statistics"]["taskOutputArtifact"]["producerTask"] == "statistics-gen"


def test_what_a_person_says_reaches_the_functions(load: Load, tmp_path: Path) -> None:
    text = BASE + (
        "features:\n  a: {kind: categorical, embedding_dim: 3}\n"
        "training: {epochs: 3, seed: 7, problem: binary, class_weight: 0.5}\n"
    )
    tasks = compiled(load(text=text), tmp_path)
    common = {"label": "label", "problem": "binary", "features": {"a": {"kind": "categorical", "embedding_dim": 3}}}
    assert json.loads(constants(tasks["transform"])["custom_config"]) == common
    training = {"epochs": 3, "seed": 7, "class_weight": 0.5}
    assert json.loads(constants(tasks["trainer"])["custom_config"]) == common | {"split": "train", "training": training}


def test_the_evaluator_decides_what_is_made_of_the_label(load: Load, tmp_path: Path, project: Path) -> None:
    evaluator = constants(compiled(load(text=BASE + "evaluation: {metrics: [auc]}\n"), tmp_path)["evaluator"])
    assert evaluator["label"] == "label"
    assert json.loads(evaluator["eval_config"])["model_specs"] == [{"signature_name": "serving_default"}]


def test_ejecting_tells_the_name_of_the_label(load: Load, project: Path) -> None:
    (project / "data.csv").write_text("a,is late?\n1,0\n2,1\n")
    config = load(text=BASE.replace("label: label", "label: is late?"))
    assert default_trainer.transformed_label(config) == "is_late__xf"


def test_a_module_gets_statistics_only_if_it_asks(load: Load, project: Path, tmp_path: Path) -> None:
    assert "statistics" not in compiled(load(), tmp_path)["transform"]["inputs"]["artifacts"]
    text = (project / "module.py").read_text()
    (project / "module.py").write_text(text.replace("preprocessing_fn(inputs)", "preprocessing_fn(inputs, statistics)"))
    assert "statistics" in compiled(load(), tmp_path)["transform"]["inputs"]["artifacts"]


def test_training_null_trains_nothing(load: Load, tmp_path: Path) -> None:
    assert not {"transform", "trainer"} & set(compiled(load(text=BASE + "training: null\n"), tmp_path))


def test_the_section_is_the_trainers_own() -> None:
    assert set(Feature.model_fields) == {field.name for field in dataclasses.fields(features.Override)}
    assert KINDS == features.KINDS
    for kind, options in OPTIONS.items():
        (trained,) = [known for known in get_args(features.Feature) if known.kind == kind]
        known = {field.name for field in dataclasses.fields(trained)} & set(Feature.model_fields)
        assert set(options) == known
    for form in ("iso", *dates.UNITS, "%m/%d/%y %I:%M %p"):
        assert Feature(kind="date", format=form).format == form


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("module_file: module.py\nfeatures: {a: {ignore: true}}\n", "features: it is for the model without code"),
        ("module_file: module.py\ntraining: {epochs: 3}\n", "training.epochs: it is for the model without code"),
        ("training: {run_fn: run}\n", "training.run_fn: there is no module_file whose function it is for"),
        ("training: {custom_config: {a: 1}}\n", "training.custom_config: there is no module_file"),
        ("transform: {preprocessing_fn: f}\n", "transform.preprocessing_fn: there is no module_file"),
        ("transform: {materialize: false}\n", "transform.materialize: the model without code is trained on"),
        ("transform: null\n", "transform: the model without code needs it"),
        ("statistics: {exclude_splits: [train]}\n", "statistics.exclude_splits: the model without code is made of"),
        ("training: null\nfeatures: {a: {ignore: true}}\n", "features: there is no model: expected a label"),
        ("features: {label: {kind: text}}\n", "features.label: it is the label; training.problem says"),
        ("features: {a: {kind: numerical}}\n", "features.a.kind: unknown kind 'numerical'; did you mean 'numeric'?"),
        ("features: {a: {vocabulary: 3}}\n", "features.a.vocabulary'; did you mean 'vocabulary_size'?"),
        ("features: {a: {kind: numeric, format: iso}}\n", "features.a.format: it is of date columns, and kind is "
            "numeric: expected some of transform, bins"),
        ("features: {a: {ngrams: 2, bins: 3}}\n", "features.a.bins: it is of numeric and date columns, and no kind has"
            " ngrams beside it"),
        ("features: {a: {kind: date, format: '%d.%m.%G'}}\n", "features.a.format: expected some of %Y %y %m %b %d %H"),
        ("features: {a: {kind: date, format: unix_min}}\n", "features.a.format: expected iso, unix, or %Y with others"),
        ("features: {a: {embedding_dim: 0}}\n", "features.a.embedding_dim: expected greater than 0, received 0"),
        ("features: {a: {bins: 1}}\n", "features.a.bins: expected greater than or equal to 2, received 1"),
        ("features: {a: {embedding_dim: 1.5}}\n", "features.a.embedding_dim: expected a"),
        ("features: {a: {kind: text, embedding_dim: 4}}\n", "features.a.embedding_dim: it is of categorical columns"),
        ("training: {epochs: 0}\n", "training.epochs: expected greater than 0, received 0"),
        ("training: {learning_rate: .inf}\n", "training.learning_rate: expected a finite number, received inf"),
        ("training: {seed: 4294967296}\n", "training.seed: expected less than 4294967296, received"),
    ],
)  # fmt: skip
def test_mistakes(load: Load, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text=BASE + text)
    assert sentence in caught.value.message
    assert "\n" not in str(caught.value)
