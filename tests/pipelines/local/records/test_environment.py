"""What of the environment is in a task's key: all that changes what it computes, and nothing that only differs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.pusher import pusher
from penstock.components.trainer import trainer
from penstock.pipelines.local.processes.task import Task
from penstock.pipelines.local.records import cache, environment

Change = Callable[..., bool]


def source_of(component: Any) -> str:
    return str(component.component_spec.implementation.container.command[-1])


@pytest.fixture
def changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """Returns a function that says whether a variable changes the key of a task: from unset to a value, and back."""

    def changed(name: str, source: str = source_of(trainer), image: str = "", **parameters: object) -> bool:
        task = Task("f", source, {"inputs": {"parameterValues": parameters}}, {})
        monkeypatch.delenv(name, raising=False)
        digests = [cache.key(task, tmp_path, {}, image).digest]
        monkeypatch.setenv(name, "1")
        digests.append(cache.key(task, tmp_path, {}, image).digest)
        monkeypatch.delenv(name)
        assert cache.key(task, tmp_path, {}, image).digest == digests[0]
        return digests[0] != digests[1]

    return changed


@pytest.mark.parametrize(
    "name",
    [
        *("TF_USE_LEGACY_KERAS", "KERAS_BACKEND", "TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "XLA_FLAGS"),
        *("TF_CONFIG", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "JAX_ENABLE_X64", "KERASTUNER_TUNER_ID"),
        *("PYTHONHASHSEED", "PYTHONPATH", "TZ", "LD_PRELOAD"),
    ],
)
def test_what_a_library_reads_is_in_the_key_of_what_trains(changes: Change, name: str) -> None:
    assert changes(name)
    assert changes(name, source="import keras\n"), "a person's own component may use it"
    assert not changes(name, image="sha256:1"), "a container is not given it"


@pytest.mark.parametrize("name", ["TMUX_PANE", "SSH_TTY", "TERM", "TF_CPP_MIN_LOG_LEVEL", "PYTHONDONTWRITEBYTECODE"])
def test_what_differs_between_terminals_is_not(changes: Change, name: str) -> None:
    assert not changes(name)


def test_what_pushes_does_not_depend_on_tensorflow(changes: Change) -> None:
    assert not changes("KERAS_BACKEND", source=source_of(pusher))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("steps = int(os.environ['EPOCHS'])", "EPOCHS"),
        ("steps = int(os.getenv(\"EPOCHS\", '3'))", "EPOCHS"),
        ("for name in ('A_1', 'B_1'):\n    values.append(os.environ.get(name))", "B_1"),
        ("value = os.environ[f'MY_{name}']", "MY_RATE"),
        ("own = {k: v for k, v in os.environ.items() if k.startswith('MY_')}", "MY_RATE"),
    ],
)
def test_what_the_users_module_names_is_in_the_key(changes: Change, tmp_path: Path, line: str, name: str) -> None:
    module, sibling = tmp_path / "model" / "model.py", tmp_path / "model" / "deep" / "settings.py"
    sibling.parent.mkdir(parents=True)
    module.write_text("from deep import settings\n")
    (sibling.parent / "__init__.py").touch()
    sibling.write_text(f"import os\n{line}\n")
    assert changes(name, module_file=str(module))
    assert not changes("OTHER", module_file=str(module))


def test_what_a_component_of_ones_own_names_is_in_the_key(changes: Change) -> None:
    assert changes("STAGE", source="def f():\n    import os\n    os.environ['STAGE']\n")


def test_what_a_package_of_the_environment_names_is_in_the_key(
    changes: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_models").mkdir()
    (tmp_path / "my_models" / "__init__.py").write_text("RATE = 'MY_RATE'\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert changes("MY_RATE", run_fn="my_models.keras_model.run_fn@0123456789abcdef")


def test_a_password_is_not_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "open sesame")
    facts = environment.of_task("os.environ['DB_PASSWORD']", [], slow=False)
    assert environment.is_secret(facts["environment variable DB_PASSWORD"])
    assert "sesame" not in json.dumps(facts)


def test_kerass_own_settings_and_the_packages_are_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    none = environment.of_task("", [], slow=True)
    defaults = {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow", "image_data_format": "channels_last"}
    (tmp_path / "keras.json").write_text(json.dumps(defaults))
    assert environment.of_task("", [], slow=True) == none, "Keras writes this by itself"
    (tmp_path / "keras.json").write_text(json.dumps(defaults | {"floatx": "float16"}))
    assert environment.of_task("", [], slow=True) == none | {"keras.json": '{"floatx": "float16"}'}
    assert {"Python", "package tensorflow", "package keras", "package kfp", "text encoding"} <= none.keys()
