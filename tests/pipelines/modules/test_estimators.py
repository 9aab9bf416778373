"""Estimators are found before anything runs, where they would run."""

from pathlib import Path

import pytest

from penstock.pipelines.modules import estimators

HEAD = "import tensorflow as tf\n"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (HEAD + "def run_fn(a):\n    tf.estimator.train_and_evaluate(a)", 3),
        (HEAD + "def run_fn(a):\n    make()\ndef make():\n    return tf.compat.v1.estimator.Estimator(fn)", 5),
        (HEAD + "def make() -> tf.estimator.Estimator: ...\ndef run_fn(a): ...", 2),
        (HEAD + "class Model(tf.estimator.Estimator): ...", 2),
        ("from tensorflow import estimator\ndef run_fn(a): ...", 1),
        ("import tensorflow_estimator as est\ndef run_fn(a): ...", 1),
        (HEAD + "def run_fn(a):\n    return tf.keras.estimator.model_to_estimator(model)", 3),
        (HEAD + "def make():\n    tf.contrib.learn\nrun_fn = make", 3),
    ],
)
def test_what_would_run(tmp_path: Path, source: str, line: int) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    use = estimators.used([path], ["run_fn"])
    assert use is not None
    assert (use.path, use.line) == (path, line)


@pytest.mark.parametrize(
    "source",
    [
        "from sklearn import estimator\nestimator.fit()",
        HEAD + "def trainer_fn(a):\n    return tf.estimator.Estimator(a)\ndef run_fn(a): ...",
        HEAD + "if hasattr(tf, 'estimator'):\n    base = tf.estimator.Estimator\ndef run_fn(a): ...",
        HEAD + "try:\n    Base = tf.estimator.Estimator\nexcept AttributeError:\n    Base = object",
        HEAD + "def run_fn(a):\n    a.estimator.fit()",
    ],
)
def test_what_would_not(tmp_path: Path, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert estimators.used([path], ["run_fn"]) is None


def test_a_long_chain_of_conditions(tmp_path: Path) -> None:
    chain = "".join(f"    elif a == {number}:\n        pass\n" for number in range(3000))
    path = tmp_path / "module.py"
    path.write_text(HEAD + f"def run_fn(a):\n    if a:\n        pass\n{chain}    tf.estimator.Estimator(a)\n")
    use = estimators.used([path], ["run_fn"])
    assert use is not None
    assert use.what == "tf.estimator.Estimator"
