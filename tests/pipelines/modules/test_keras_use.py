"""Which Keras a module means is read from what only one of them has."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

from penstock.pipelines.modules import keras_names, keras_use
from penstock.pipelines.modules.keras_use import KerasUse, Use

BARE = "of a path without Keras's suffix"
ONLY_2 = {
    "import tf_keras as keras": "tf_keras",
    "import importlib\nkeras = importlib.import_module('tf_keras')": "tf_keras",
    "from importlib import import_module as im\ndef run_fn(a):\n    im(name='tf_keras.layers')": "tf_keras.layers",
    "tf = __import__('tensorflow')\ntf.keras.layers.DenseFeatures(c)": "tf.keras.layers.DenseFeatures",
    "import importlib\nimportlib.import_module('tensorflow').keras.layers.DenseFeatures(c)": (
        "tf.keras.layers.DenseFeatures"
    ),
    "import tensorflow_decision_forests as tfdf": "tensorflow_decision_forests",
    "import tensorflow_hub as hub\nlayer = hub.KerasLayer(url)": "tensorflow_hub.KerasLayer",
    "import tensorflow as tf\ntf.keras.layers.DenseFeatures(columns)": "tf.keras.layers.DenseFeatures",
    "from tensorflow.keras.layers import DenseFeatures": "tf.keras.layers.DenseFeatures",
    "from tensorflow.keras.layers.experimental import preprocessing": "tf.keras.layers.experimental.preprocessing",
    "from tensorflow import keras as K\nL = K.layers\nL.LocallyConnected1D(1, 1)": "tf.keras.layers.LocallyConnected1D",
    "import tensorflow.compat.v2 as tf\ntf.optimizers.legacy.Adam()": "tf.keras.optimizers.legacy.Adam",
    "import tensorflow.compat.v1 as tf\ntf.layers.dense(x, 1)": "tensorflow.compat.v1.layers.dense",
    "def run_fn(a):\n    model.save(a.serving_model_dir, save_format='tf')": "save(save_format=…)",
    "def run_fn(a):\n    model.save(a.serving_model_dir, signatures=s)": "save(signatures=…)",
    "def run_fn(a):\n    model.save(a.serving_model_dir)": f"save() {BARE}",
    "import os\ndef run_fn(a):\n    d = os.path.join(a.serving_model_dir, '1')\n    m.save(d)": f"save() {BARE}",
    "import tensorflow as tf\ndef run_fn(a):\n    tf.keras.models.save_model(m, a.serving_model_dir)": (
        f"save_model() {BARE}"
    ),
    "from tensorflow import keras\ndef run_fn(a):\n    m = keras.models.load_model(a.base_model)": (
        f"load_model() {BARE}"
    ),
    "from tensorflow import keras\nkeras.callbacks.ModelCheckpoint(filepath=f'{a.model_run_dir}/best')": (
        f"ModelCheckpoint() {BARE}"
    ),
    "import tensorflow as tf\nclass Net(tf.keras.Model): ...\ndef run_fn(a):\n    Net().save(a.serving_model_dir)": (
        f"save() {BARE}"
    ),
    "class T:\n    def build(self): ...\ndef run_fn(a):\n    T().build().save(a.serving_model_dir)": f"save() {BARE}",
    "class T: ...\ndef run_fn(a):\n    t = T()\n    m = t.model\n    m.save(a.serving_model_dir)": f"save() {BARE}",
    "class T:\n    def keep(self, a):\n        self.model.save(a.serving_model_dir)": f"save() {BARE}",
    "from base import Net\nclass Net2(Net):\n    def keep(self, a):\n        self.save(a.serving_model_dir)": (
        f"save() {BARE}"
    ),
    "import keras_tuner as kt\ndef run_fn(a):\n    t = kt.Hyperband()\n    m = t.get_best_models()[0]\n"
    "    m.save(a.serving_model_dir)": f"save() {BARE}",
    "import os\nmodel.save_weights(os.path.join(a.model_run_dir, 'last'))": f"save_weights() {BARE}",
    "import tensorflow as tf\ntf.keras.optimizers.Adam(lr=0.1)": "Adam(lr=…)",
    "def run_fn(a):\n    model.fit(x, workers=4, use_multiprocessing=True)": "fit(use_multiprocessing=…)",
    "def run_fn(a):\n    model.fit_generator(g)": "fit_generator()",
    "from tensorflow import keras\n\ndef build(out):\n    layer = out.transform_features_layer()\n"
    "    inputs = {'a': keras.Input((1,))}\n    return keras.Model(inputs, head(layer(inputs)))": (
        "a TransformFeaturesLayer in a model"
    ),
    "from tensorflow import keras\n\ndef build(out):\n    self.t = out.transform_features_layer()\n"
    "    return keras.Sequential([self.t, head])": "a TransformFeaturesLayer in a model",
}
EITHER = [
    "import os\nname = 'model.keras'\ndef run_fn(a):\n    model.save(os.path.join(a.serving_model_dir, name))",
    "from tensorflow import keras\nkeras.callbacks.ModelCheckpoint(a.model_run_dir + '/best.keras')",
    "import tensorflow as tf\nckpt = tf.train.Checkpoint()\nckpt.save(a.serving_model_dir)",
    "import tensorflow as tf\ndef run_fn(a):\n    tf.train.Checkpoint(model=m).save(a.serving_model_dir)",
    "import tensorflow as tf\nclass A:\n    def f(self, a):\n        self.c = tf.train.CheckpointManager(m, d, 3)\n"
    "        self.c.save(a.serving_model_dir)",
    "from tensorflow.train import Checkpoint\ndef keep(c: Checkpoint, a):\n    c.save(a.serving_model_dir)",
    "from tensorflow.train import Checkpoint\nclass C(Checkpoint): ...\nC().save(a.serving_model_dir)",
    "import lightgbm as lgb\nlgb.LGBMClassifier().fit(x, y).booster_.save_model('m', a.serving_model_dir)",
    "import lightgbm as lgb\nc: object = lgb.LGBMClassifier()\nb = c.booster_\nb.save_weights(a.serving_model_dir)",
    "import joblib\njoblib.load(p).save(a.serving_model_dir)",
    "class Scaler:\n    def save(self, path): ...\ndef run_fn(a):\n    Scaler().save(a.serving_model_dir)",
    "class Scaler:\n    def save(self, path): ...\ndef run_fn(a):\n    s = Scaler()\n    s.save(a.serving_model_dir)",
    "import abc\nclass B(abc.ABC):\n    def keep(self, a):\n        self.save(a.serving_model_dir)",
    "class B: ...\nclass C(B):\n    def save(self, a):\n        super().save(a.serving_model_dir)",
    "def save(path): ...\ndef run_fn(a):\n    save(a.serving_model_dir)",
    "model.save_weights(f'{a.model_run_dir}/last.weights.h5')",
    "import tensorflow as tf\ndef run_fn(a):\n    tf.saved_model.save(model, a.serving_model_dir, signatures=s)",
    "from tensorflow import saved_model\ndef run_fn(a):\n    saved_model.save(m, a.serving_model_dir, signatures=s)",
    "import os\ndef run_fn(a):\n    model.save(os.path.join(a.serving_model_dir, 'model.keras'))",
    "import torch\ndef run_fn(a):\n    torch.save(model, a.serving_model_dir)",
    "def run_fn(a):\n    model.save(path, save_format='h5')",
    "def run_fn(a):\n    model.export(a.serving_model_dir)",
    "def run_fn(a):\n    booster.save_model(a.serving_model_dir)",
    "import os, pickle\nwith open(os.path.join(a.serving_model_dir, 'model.pkl'), 'wb') as f: pickle.dump(m, f)",
    "import sklearn\nsklearn.fit(x, workers=3)",
    "def sign(model, out):\n    model.tft_layer = out.transform_features_layer()\n    inputs = keras.Input((1,))\n"
    "    @tf.function\n    def serve(x):\n        return model(model.tft_layer(x))\n    return serve",
]


def of(tmp_path: Path, source: str) -> KerasUse:
    path = tmp_path / "module.py"
    path.write_text(source)
    return keras_use.of([path])


@pytest.mark.parametrize("source", ONLY_2)
def test_what_only_keras_2_has(tmp_path: Path, source: str) -> None:
    use = of(tmp_path, source)
    assert use.only_2 is not None
    assert use.only_2.what == ONLY_2[source]
    assert use.version == 2


@pytest.mark.parametrize("source", EITHER)
def test_what_both_have(tmp_path: Path, source: str) -> None:
    assert of(tmp_path, source).version == 0


def test_what_only_keras_3_has(tmp_path: Path) -> None:
    assert of(tmp_path, "import tensorflow as tf\ntf.keras.ops.relu(x)").version == 3
    assert of(tmp_path, "from keras import ops").version == 3
    both = of(tmp_path, "import tf_keras\nfrom tensorflow.keras import ops")
    assert (both.version, str(both.only_3)) == (0, "module.py:2 uses tf.keras.ops")


@pytest.mark.parametrize(
    ("chosen", "use", "version", "note"),
    [
        (None, KerasUse(), 0, ""),
        (None, KerasUse(only_3=Use(Path("m.py"), 1, "ops")), 3, ""),
        (None, KerasUse(Use(Path("m.py"), 1, "tf_keras")), 2, "keras: 2, for m.py:1 uses tf_keras, which Keras 3 does"),
        (3, KerasUse(Use(Path("m.py"), 1, "tf_keras")), 3, "keras: m.py:1 uses tf_keras, which Keras 3 does not have"),
        (2, KerasUse(Use(Path("m.py"), 1, "tf_keras")), 2, ""),
        (2, KerasUse(only_3=Use(Path("m.py"), 1, "ops")), 2, "keras: m.py:1 uses ops, which Keras 2 does not have"),
        (None, KerasUse(Use(Path("m.py"), 1, "a"), Use(Path("m.py"), 2, "b")), 0, "expected keras: 2 or 3"),
        (None, KerasUse(Use(Path("m.py"), 1, "a"), plain=Use(Path("m.py"), 2, "import keras")), 2, "that is Keras 3: "),
    ],
)
def test_the_configuration_decides_and_then_the_module(
    chosen: int | None, use: KerasUse, version: int, note: str
) -> None:
    decided, sentence = keras_use.decide(chosen, use, tunes=False)
    assert decided == version
    assert note in sentence
    assert bool(note) == bool(sentence)


def test_the_tuner_keeps_keras_3() -> None:
    _, sentence = keras_use.decide(None, KerasUse(Use(Path("m.py"), 1, "tf_keras")), tunes=True)
    assert "the Tuner keeps Keras 3" in sentence


def test_tfxs_own_modules() -> None:
    spec = importlib.util.find_spec("tfx")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    versions = {
        "examples/chicago_taxi_pipeline/taxi_utils.py": 0,
        "examples/chicago_taxi_pipeline/taxi_utils_native_keras.py": 0,
        "examples/penguin/penguin_utils_keras.py": 0,
        "examples/penguin/penguin_utils_cloud_tuner.py": 2,
        "examples/penguin/penguin_utils_tfdf_experimental.py": 2,
        "examples/bert/cola/bert_cola_utils.py": 2,
        "experimental/templates/penguin/models/model.py": 2,
        "experimental/templates/taxi/models/keras_model/model.py": 0,
    }
    assert {name: keras_use.of([folder / name]).version for name in versions} == versions


def test_the_names_are_those_of_the_installed_packages(python: str) -> None:
    script = """
import functools, json, sys, types
import penstock.components
from tf_keras.api._v2 import keras as two
from keras._tf_keras import keras as three
def has(module, name):
    return functools.reduce(lambda value, part: getattr(value, part, None), name.split("."), module) is not None
def only(module, other, prefix=""):
    for name in dir(module):
        value = getattr(module, name, None)
        if name.startswith("_") or prefix + name in ("estimator", "saving", "version"):
            continue
        if not hasattr(other, name):
            yield prefix + name
        elif isinstance(value, types.ModuleType) and value.__name__.startswith(module.__name__ + "."):
            yield from only(value, getattr(other, name), f"{prefix}{name}.")
names = json.loads(sys.argv[1])
print(json.dumps([list(only(two, three)), [name for name in names if has(three, name) and not has(two, name)]]))
"""
    names = json.dumps(sorted(keras_names.ONLY_3))
    done = subprocess.run([python, "-c", script, names], capture_output=True, text=True, check=True)
    only_2, only_3 = map(set, json.loads(done.stdout))
    assert keras_names.ONLY_2 - {"optimizers.legacy"} == {name for name in only_2 if "optimizers.legacy" not in name}
    assert only_3 == keras_names.ONLY_3
