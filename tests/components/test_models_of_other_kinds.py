"""Models that are no SavedModel, and those that estimators export: what TFX takes, every component takes."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl

from penstock.components.evaluator import executor as evaluator
from penstock.components.latest_blessed_model import executor as latest_blessed_model
from penstock.components.latest_blessed_model import remote
from penstock.components.pusher import executor as pusher
from penstock.components.trainer import executor as trainer
from penstock.components.trainer import inputs
from penstock.core.artifacts import Examples, Model, SavedModel, Schema
from penstock.core.errors import ModelError
from penstock.core.examples import records
from penstock.core.files import object_stores
from penstock.core.models import predict
from penstock.trainer.fn_args import FnArgs
from tests.conftest import package_folder
from tests.servers.object_stores import ObjectStore

# As in TFX's penguin_pipeline_sklearn_gcp.py, with a bound that 200 steps reach.
CONFIG = """
model_specs: [{label_key: species}]
slicing_specs: [{}]
metrics_specs: [{metrics: [{class_name: Accuracy, threshold: {value_threshold: {lower_bound: 0.1},
  change_threshold: {direction: HIGHER_IS_BETTER, absolute: -1.0}}}]}]
"""


@pytest.fixture(scope="module")
def example() -> Path:
    """The modules of TFX's example of scikit-learn."""
    return package_folder("tfx") / "examples" / "penguin" / "experimental"


@pytest.fixture(scope="module")
def penguins(penguins_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The penguins with the columns that the example knows, and their schema."""
    table = pd.read_csv(penguins_csv).dropna(subset=["body_mass_g"]).sample(frac=1, random_state=1)
    columns: Mapping[str, pd.Series] = {
        "culmen_length_mm": table.bill_length_mm, "culmen_depth_mm": table.bill_depth_mm,
        "flipper_length_mm": table.flipper_length_mm, "body_mass_g": table.body_mass_g,
        "species": table.species.astype("category").cat.codes.astype(int),
    }  # fmt: skip
    lists = [
        pa.array([[value] for value in values], pa.list_(pa.int64() if name == "species" else pa.float32()))
        for name, values in columns.items()
    ]
    batch = pa.RecordBatch.from_arrays(lists, list(columns))
    root, rows = tmp_path_factory.mktemp("penguins"), records.encode(batch)
    records.write(Examples(root).shard("train", 0, 1), rows[:228])
    records.write(Examples(root).shard("eval", 0, 1), rows[228:])
    statistics = stats_impl.generate_statistics_in_memory(batch, tfdv.StatsOptions())
    Schema(root).write(tfdv.infer_schema(statistics, infer_feature_shape=True))
    return root


@pytest.fixture
def train(example: Path, penguins: Path, tmp_path: Path) -> Callable[..., Path]:
    def train(name: str, steps: int = 200, **arguments: Any) -> Path:
        trainer.run(
            model=str(tmp_path / name / "model"), model_run=str(tmp_path / name / "run"), examples=str(penguins),
            schema=str(penguins), module_file=str(example / "penguin_utils_sklearn.py"),
            train_args=json.dumps({"num_steps": steps}), eval_args="{}", **arguments,
        )  # fmt: skip
        return tmp_path / name / "model"

    return train


@pytest.fixture
def evaluate(example: Path, penguins: Path, tmp_path: Path) -> Callable[..., bool]:
    def evaluate(model: Path, baseline: Path | None = None, **arguments: Any) -> bool:
        folder = tmp_path / "runs" / model.parent.name / "evaluator"
        outputs = {name: str(folder / name) for name in ("evaluation", "blessing", "validation", "report")}
        defaults = {"module_file": str(example / "sklearn_predict_extractor.py"), "schema": str(penguins)}
        return evaluator.run(
            **outputs, model=str(model), baseline_model=str(baseline) if baseline else None, examples=str(penguins),
            eval_config=CONFIG, engine="local:1", **{**defaults, **arguments},
        ).blessed  # fmt: skip

    return evaluate


def save(folder: Path) -> Path:
    folder.mkdir(parents=True)
    tf.saved_model.save(tf.Module(), str(folder))
    return folder


def push(model: Path, base: Path, copy: Path) -> dict[str, Any]:
    destination = json.dumps({"filesystem": {"base_directory": str(base)}})
    result = pusher.run(pushed_model=str(copy), model=str(model), push_destination=destination)
    return result.metadata["pushed_model"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # scikit-learn's, that 200 steps are few
def test_tfx_example_of_scikit_learn(
    train: Callable[..., Path], evaluate: Callable[..., bool], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its modules, unmodified: a pickle is trained, evaluated, found as the baseline, and pushed."""
    first = train("first")
    assert [path.name for path in Model(first).require_serving().iterdir()] == ["model.pkl"]
    assert "the model is no SavedModel (model.pkl): its signatures are not checked" in caplog.text
    assert evaluate(first)
    second = train("second", 300, base_model=str(first))
    found = latest_blessed_model.run(candidate=str(second), pipeline_root=str(tmp_path / "runs"), model="none")
    assert found.uri == str(first)
    assert evaluate(second, baseline=first)
    verdict = json.loads((tmp_path / "runs" / "second" / "evaluator" / "validation" / "validation.json").read_text())
    assert [reason["sentence"].split()[0] for reason in verdict["reasons"]] == ["accuracy", "accuracy"]
    assert verdict["reasons"][0]["value"] > 0.1
    pushed = push(second, tmp_path / "serving", tmp_path / "pushed")
    version = Path(pushed["pushed_destination"])
    assert [path.name for path in version.iterdir()] == ["model.pkl"]
    again = push(second, tmp_path / "serving", tmp_path / "pushed-again")
    assert again["pushed_version"] == pushed["pushed_version"]
    assert push(first, tmp_path / "serving", tmp_path / "other")["pushed_version"] > pushed["pushed_version"]
    with pytest.raises(ModelError, match=r"the model is no SavedModel \(model\.pkl\): expected a module_file with"):
        evaluate(second, module_file="")
    saved = save(tmp_path / "saved" / "model" / "Format-Serving").parent
    with pytest.raises(ModelError, match=r"baseline model at .* is of another kind \(saved_model\.pb.*\(model\.pkl\)"):
        evaluate(second, baseline=saved)


def test_the_model_that_an_estimator_exported_is_found_as_tfx_finds_it(tmp_path: Path) -> None:
    from tfx.utils import path_utils

    model, plain = Model(tmp_path / "model"), Model(tmp_path / "plain")
    exported = save(model.serving / "export" / "chicago-taxi" / "1700000000")
    (model.serving / "checkpoint").write_text("what the estimator left beside it")
    save(plain.serving)
    for each, folder in ((model, exported), (plain, plain.serving)):
        assert str(each.require_serving()) == path_utils.serving_model_path(str(each.root)) == str(folder)
    assert predict.saved_model_folder(model.root) == exported
    pushed = push(model.root, tmp_path / "serving", tmp_path / "pushed")
    assert SavedModel(Path(pushed["pushed_destination"])).digest() == SavedModel(exported).digest()
    assert SavedModel(tmp_path / "pushed").exists
    fn_args = FnArgs()
    inputs.set_artifacts(fn_args, None, None, str(model.root), None)
    assert fn_args.base_model == str(exported)
    save(model.serving / "export" / "chicago-taxi" / "1700000001")
    with pytest.raises(ModelError, match="expected one exported model, found export/chicago-taxi/1700000000, export/"):
        model.require_serving()


@pytest.mark.parametrize("below", ["", "export/taxi/17/"])
def test_models_in_an_object_store_are_compared_by_their_own_files(
    object_store: ObjectStore, tmp_path: Path, below: str
) -> None:
    for folder, content in (("same", "1"), ("other", "2")):
        object_store.write({f"Format-Serving/{below}model.bst": content}, "runs", folder)
    candidate = tmp_path / "Format-Serving"
    candidate.mkdir()
    (candidate / "model.bst").write_text("1")
    digest = SavedModel(candidate).digest()
    with object_stores.open_store(object_store.uri("runs")) as store:
        same, other, none = (object_store.uri("runs", name) for name in ("same", "other", "none"))
        assert not remote.differs(store, same, candidate, digest)
        assert remote.differs(store, other, candidate, digest)
        with pytest.raises(ModelError, match="no model at"):
            remote.differs(store, none, candidate, digest)
    destination = json.dumps({"filesystem": {"base_directory": object_store.uri("serving")}})
    versions = [
        pusher.run(
            pushed_model=str(tmp_path / f"pushed-{index}"), model=str(tmp_path), push_destination=destination
        ).metadata["pushed_model"]["pushed_version"]
        for index in range(2)
    ]
    assert versions[0] == versions[1]
