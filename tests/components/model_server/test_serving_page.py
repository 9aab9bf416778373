"""The commands of docs/serving.md that ask a model, run as they stand there; answers have the form that it shows."""

import contextlib
import csv
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from penstock.components.model_server.settings import ModelSettings
from tests.servers.model_server import Client, serving

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "serving.md").read_text()
ASKING = PAGE[PAGE.index("## Asking it") : PAGE.index("## Operating it")]
COMMANDS = re.findall(r"```sh\n((?:curl|printf) .*?)```\n\n```(?:json|text)\n(.*?)\n```", ASKING, re.DOTALL)
FEATURES = {
    "bill_depth_mm": tf.io.VarLenFeature(tf.float32),
    "bill_length_mm": tf.io.VarLenFeature(tf.float32),
    "body_mass_g": tf.io.VarLenFeature(tf.int64),
    "flipper_length_mm": tf.io.VarLenFeature(tf.int64),
    "island": tf.io.FixedLenFeature([1], tf.string),
    "sex": tf.io.VarLenFeature(tf.string),
    "year": tf.io.FixedLenFeature([1], tf.int64),
}


class Birds(tf.Module):
    """Takes and gives what the page's model does, and has learned nothing."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.shape(tf.io.parse_example(examples, FEATURES)["year"])[0]
        return {
            "classes": tf.tile([["Adelie", "Chinstrap", "Gentoo"]], [rows, 1]),
            "scores": tf.tile([[0.5, 0.25, 0.25]], [rows, 1]),
        }


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("birds")
    model = Birds()
    tf.saved_model.save(model, str(folder / "1"), signatures={"serving_default": model.serving_default})
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIP_PREDICT_ROUTE", "/predict")
            settings = ModelSettings("birds", str(folder))
            client = stack.enter_context(serving(settings, grpc=True, grpc_port=0))
        yield client


def _form(value: Any) -> Any:
    """Returns a value of JSON with the names of types in the place of texts and numbers."""
    if isinstance(value, dict):
        return {name: _form(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_form(one) for one in value]
    return type(value).__name__


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize(("command", "shown"), COMMANDS)
def test_commands(birds: Client, command: str, shown: str) -> None:
    command = re.sub(r"http://127\.0\.0\.1:(8501|8080)", birds.url, command)
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60).stdout
    if shown.startswith("{"):
        assert _form(json.loads(answer)) == _form(json.loads(shown))
    else:
        assert [len(row) for row in csv.reader(answer.splitlines())] == [6, 6]
        assert answer.splitlines()[0].split(",")[:3] == shown.splitlines()[0].split(",")[:3]


def test_there_are_commands() -> None:
    assert len(COMMANDS) == 4


def test_a_client_of_tensorflow_serving(birds: Client, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", ASKING, re.DOTALL)
    exec(code.replace("127.0.0.1:8500", birds.grpc), {})
    assert capsys.readouterr().out == "[b'Adelie', b'Chinstrap', b'Gentoo']\n"
