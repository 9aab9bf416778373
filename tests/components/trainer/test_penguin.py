"""TFX's penguin module for Keras, unmodified, with and without hyperparameters."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tensorflow as tf

from penstock.components.trainer import launcher
from penstock.core.artifacts import Examples, HyperParameters, Model
from penstock.core.models import predict

# What TFX's import and Keras warn of is theirs.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def module_file() -> Path:
    spec = importlib.util.find_spec("tfx")
    assert spec is not None
    return Path(str(spec.origin)).parent / "examples" / "penguin" / "penguin_utils_keras.py"


@pytest.fixture(scope="module")
def penguins(penguins_csv: Path, module_file: Path, upstream: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The columns and values that the module expects: species as a number, measurements between 0 and 1."""
    table = pd.read_csv(penguins_csv).dropna().sample(frac=1, random_state=1)
    names = {"bill_length_mm": "culmen_length_mm", "bill_depth_mm": "culmen_depth_mm"}
    numbers = table.rename(columns=names)[[*names.values(), "flipper_length_mm", "body_mass_g"]]
    numbers = (numbers - numbers.min()) / (numbers.max() - numbers.min())
    table = numbers.assign(species=table["species"].astype("category").cat.codes.astype("int64"))
    return upstream(tmp_path_factory.mktemp("penguins"), table, module_file)


def train(penguins: Any, module_file: Path, outputs: dict[str, str], **arguments: Any) -> Model:
    steps = {"train_args": '{"num_steps": 100}', "eval_args": '{"num_steps": 5}'}
    report = str(Path(outputs["model"]).with_name("report"))
    files = {**penguins.inputs(), **outputs, "report": report, "module_file": str(module_file)}
    launcher.run(workers=1, **files, **steps, **arguments)
    return Model(Path(outputs["model"]))


@pytest.mark.slow
def test_it_learns_the_species(penguins: Any, module_file: Path, outputs: dict[str, str]) -> None:
    model = train(penguins, module_file, outputs)
    assert set(tf.saved_model.load(str(model.serving)).signatures) == {"serving_default", "transform_features"}
    file = Examples(penguins.root / "examples").files("eval")[0]
    rows = predict.predict_rows(model.root, file, rows=200)
    right = [
        max(range(3), key=lambda index, row=row: row["prediction"]["outputs"][index]) == row["features"]["species"]
        for row in rows
    ]
    assert len(rows) == 111
    assert sum(right) / len(right) > 0.9
    report = model.root.with_name("report").read_text()
    assert re.search("<p>1 epoch, on the eval split: .*accuracy [0-9.]+%", report), "of its TensorBoard callback"


@pytest.mark.slow
def test_hyperparameters_reach_the_module(
    penguins: Any, module_file: Path, outputs: dict[str, str], tmp_path: Path
) -> None:
    from keras_tuner import HyperParameters as KerasTuner

    chosen = KerasTuner()
    chosen.Fixed("learning_rate", 0.01)
    chosen.Fixed("num_layers", 3)
    artifact = HyperParameters(tmp_path)
    artifact.path.write_text(json.dumps(chosen.get_config()))
    model = train(penguins, module_file, outputs, hyperparameters=str(artifact.root))
    checkpoint = tf.train.load_checkpoint(str(model.serving / "variables" / "variables"))
    shapes = [tuple(shape) for shape in checkpoint.get_variable_to_shape_map().values()]
    # Two hidden layers by default; each has a kernel, and Adam's two moments of it.
    assert sum(shape == (8, 8) for shape in shapes) == 2 * 3
