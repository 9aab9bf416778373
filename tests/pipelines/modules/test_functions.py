"""Functions in modules of their own, as TFX's templates have them, and one module file for all of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ConfigError, ModuleError
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules import functions
from penstock.pipelines.modules.functions import UserFunction

Load = Callable[..., Config]


@pytest.fixture
def template(project: Path, values: dict[str, Any]) -> Path:
    """A project of TFX's template: `models`, a package beside the configuration."""
    del values["module_file"]
    files = {
        "models/__init__.py": "",
        "models/features.py": "LABEL = 'label'\n",
        "models/preprocessing.py": "from models import features\n\n\ndef preprocessing_fn(inputs): ...\n",
        "models/keras_model/__init__.py": "",
        "models/keras_model/model.py": "from models import features\n\n\ndef run_fn(fn_args): ...\n"
        "def tuner_fn(fn_args): ...\ndef custom_extractors(a, b, c): ...\n",
    }
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    return project


DOTTED = (
    "transform.preprocessing_fn=models.preprocessing.preprocessing_fn",
    "training.run_fn=models.keras_model.model.run_fn",
)
FILES = ("transform.module_file=models/preprocessing.py", "training.module_file=models/keras_model/model.py")


def placed(function: UserFunction | None, project: Path) -> tuple[str, str] | None:
    return function and (function.module.source.relative_to(project).as_posix(), function.name)


@pytest.mark.parametrize("settings", [DOTTED, FILES, (DOTTED[0], FILES[1])])
def test_functions_by_dotted_path_and_by_file(load: Load, template: Path, settings: tuple[str, ...]) -> None:
    user = functions.of(load([*settings, "tuning={}"]))
    assert placed(user.preprocessing_fn, template) == ("models/preprocessing.py", "preprocessing_fn")
    assert placed(user.run_fn, template) == ("models/keras_model/model.py", "run_fn")
    assert placed(user.tuner_fn, template) == ("models/keras_model/model.py", "tuner_fn")
    assert user.evaluator
    assert user.evaluator.source == template / "models" / "keras_model" / "model.py"
    assert [module.source.name for module in user.modules()] == ["model.py", "preprocessing.py"]


def test_a_module_for_all_and_one_for_transform(load: Load, template: Path) -> None:
    settings = ["module_path=models.keras_model.model", DOTTED[0]]
    user = functions.of(load(settings))
    assert placed(user.run_fn, template) == ("models/keras_model/model.py", "run_fn")
    assert placed(user.preprocessing_fn, template) == ("models/preprocessing.py", "preprocessing_fn")
    assert all(not module.module_path for module in user.modules()), "a package beside the configuration is published"


def test_without_a_preprocessing_fn_there_is_no_transform(load: Load, template: Path) -> None:
    assert functions.of(load([DOTTED[1]])).preprocessing_fn is None
    with pytest.raises(ModuleError, match=r"model.py: expected a function 'preprocessing_fn'"):
        functions.of(load([DOTTED[1], "transform.module_file=models/keras_model/model.py"]))


@pytest.mark.parametrize("setting", [DOTTED[0], FILES[0]])
def test_without_training_a_pipeline_ends_with_transform(load: Load, template: Path, setting: str) -> None:
    user = functions.of(load([setting, "training=null", "evaluation=null", "push=null"]))
    assert placed(user.preprocessing_fn, template) == ("models/preprocessing.py", "preprocessing_fn")
    assert user.run_fn is None


def test_an_installed_package_is_no_file_of_the_project(load: Load, template: Path) -> None:
    name = "tfx.examples.chicago_taxi_pipeline.taxi_utils"
    user = functions.of(load([DOTTED[1], f"transform.preprocessing_fn={name}.preprocessing_fn"]))
    assert user.preprocessing_fn
    assert user.preprocessing_fn.module.module_path == name


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            ["training.run_fn=models.nix.run_fn"],
            ModuleError,
            r"training.run_fn: no module 'models.nix': .*models/nix.py does not exist\.?$",
        ),
        (
            ["training.run_fn=models.keras_model.modl.run_fn"],
            ModuleError,
            r"run_fn: no module 'models.keras_model.modl'; did you mean 'models.keras_model.model'\?$",
        ),
        (
            ["training.run_fn=model.kerasmodel.model.run_fn"],
            ModuleError,
            r"no module 'model.kerasmodel.model'; did you mean 'models.keras_model.model'\?$",
        ),
        (["module_path=models.featurs"], ModuleError, r"no module 'models.featurs'; did you mean 'models.features'\?$"),
        (["module_path=penstock.core.eror"], ModuleError, r"exist; did you mean 'penstock.core.errors'\?; a module"),
        (["module_path=nix.model"], ModuleError, r"install it, such as `pip install nix`; a module beside"),
        (
            [DOTTED[1], FILES[1]],
            ConfigError,
            r"training.run_fn: expected the name of a function in training.module_file",
        ),
        (
            [*DOTTED, "transform.stats_options_updater_fn=models.other.update"],
            ModuleError,
            r"transform.stats_options_updater_fn: no module 'models.other'",
        ),
        (
            [*DOTTED, "transform.stats_options_updater_fn=models.keras_model.model.run_fn"],
            ConfigError,
            r"transform.stats_options_updater_fn: expected a function in the module of the preprocessing_fn",
        ),
        (
            [DOTTED[1], "evaluation.module_file=models/features.py"],
            ModuleError,
            r"custom_eval_shared_model or custom_ex",
        ),
        (["training.run_fn=a/b.run_fn"], ConfigError, r"a function's name, or its dotted path"),
        (
            ["training.run_fn=models.keras_model.model"],
            ConfigError,
            r"models.keras_model.model is a module: expected its function, models.keras_model.model.run_fn",
        ),
        ([FILES[0]], ConfigError, r"transform.module_file: there is no run_fn, .*: expected a dotted path as training"),
        ([DOTTED[0]], ConfigError, r"transform.preprocessing_fn: there is no run_fn, .* training: null stops after T"),
        (
            [DOTTED[0], "training.train_steps=3"],
            ConfigError,
            r"transform.preprocessing_fn: there is no run_fn, .* expected a dotted path as training.run_fn, or tr",
        ),
        (["training.run_fn=f"], ConfigError, r"training.run_fn: there is no module_file .*; expected a dotted path"),
        (["keras=2"], ConfigError, r"keras: 2 is for a module: the model without code is one of Keras 3"),
        ([DOTTED[1], "keras=4"], ConfigError, r"keras: expected 2 or 3, received 4"),
    ],
)
def test_what_is_not_there(
    load: Load, template: Path, settings: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        functions.of(load(settings))
