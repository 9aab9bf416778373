"""The tuning section: what it makes of the graph, and every mistake in it, told when the configuration is read."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.components.tuner import launcher
from penstock.core.errors import ConfigError, ModuleError
from penstock.pipelines.compiling.compile import compile_config
from penstock.pipelines.config import training_pipeline as configs
from penstock.pipelines.config import tuning
from penstock.pipelines.config.tuning import Tuning
from penstock.pipelines.modules import published
from penstock.pipelines.targets import target as targets
from penstock.trainer.network.hyperparameters import Hyperparameters
from penstock.trainer.network.losses import Head, metrics
from penstock.trainer.tuning import space
from penstock.trainer.tuning.settings import MEASURED, Search

LIST = "{values: [0, 0.1, 0.2]}"
RATE = "{min: 1e-4, max: 1e-2, scale: log}"
Tasks = dict[str, Any]


@pytest.fixture
def load(tmp_path: Path, penguins_csv: Path) -> Callable[..., configs.Config]:
    """Returns a function that reads a configuration of penguins with these lines."""

    def load(*lines: str) -> configs.Config:
        path = tmp_path / "pipeline.yaml"
        data = f"data: {{path: {penguins_csv}, csv: {{null_values: [NA]}}}}"
        path.write_text("\n".join([data, "label: species", *lines]))
        return configs.load(path)

    return load


@pytest.fixture
def tasks(load: Callable[..., configs.Config], tmp_path: Path) -> Callable[..., Tasks]:
    def compiled(*lines: str) -> Tasks:
        path = compile_config(load(*lines), targets.LOCAL, tmp_path / "ir.yaml").path
        return dict(yaml.safe_load(path.read_text())["root"]["dag"]["tasks"])

    return compiled


def constant(task: Any, name: str) -> Any:
    return json.loads(task["inputs"]["parameters"][name]["runtimeValue"]["constant"])


def producer(task: Any, artifact: str) -> str | None:
    return task["inputs"]["artifacts"].get(artifact, {}).get("taskOutputArtifact", {}).get("producerTask")


def test_a_search_without_code(tasks: Callable[..., Tasks]) -> None:
    found = tasks(f"tuning: {{parameters: {{learning_rate: {RATE}}}, trials: 7, minutes: 0.5, parallel_trials: 3}}")
    tuner = found["tuner"]
    assert producer(found["trainer"], "hyperparameters") == "tuner"
    assert producer(tuner, "examples") == "transform"
    assert producer(tuner, "statistics") == "statistics-gen"
    assert producer(tuner, "raw_examples") is None
    assert constant(tuner, "tune_args") == {"num_parallel_trials": 3}
    given = constant(tuner, "custom_config")
    assert given["label"] == "species"
    assert given["tuning"] == {
        "parameters": {"learning_rate": {"min": 1e-4, "max": 1e-2, "scale": "log", "values": []}},
        "algorithm": "bayesian",
        "objective": "",
        "direction": "min",
        "trials": 7,
        "minutes": 0.5,
        "early_stopping": True,
        "seed": 1,
        "accelerator": "preferred",
        "precision": "auto",
    }


def test_without_the_section_there_is_no_tuner(tasks: Callable[..., Tasks], tmp_path: Path) -> None:
    given = tmp_path / "best.json"
    given.write_text('{"learning_rate": 0.01}')
    found = tasks(f"training: {{hyperparameters: {given}}}")
    assert "tuner" not in found
    assert str(producer(found["trainer"], "hyperparameters")).startswith("importer")
    assert producer(tasks()["trainer"], "hyperparameters") is None


def test_folds_by_a_feature_take_the_raw_examples(tasks: Callable[..., Tasks]) -> None:
    folds = "cross_validation: {method: group, feature: island, folds: 3}"
    found = tasks(f"tuning: {{parameters: {{learning_rate: {RATE}}}, {folds}}}")
    assert producer(found["tuner"], "raw_examples") == "csv-example-gen"
    assert constant(found["tuner"], "custom_config")["tuning"]["cross_validation"] == {
        "method": "group",
        "feature": "island",
        "folds": 3,
    }


@pytest.mark.parametrize(
    ("objective", "direction"),
    [("val_auc", "max"), ("val_accuracy", "max"), ("val_r2", "max"), ("val_log_loss", "min"), ("val_loss", "min")],
)
def test_the_direction_of_an_objective(load: Callable[..., configs.Config], objective: str, direction: str) -> None:
    tuning = load(f"tuning: {{parameters: {{learning_rate: {RATE}}}, objective: {objective}}}").tuning
    assert tuning is not None
    assert tuning.search()["direction"] == direction


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ("parameters: {lerning_rate: {min: 1, max: 2}}", "did you mean 'learning_rate'?"),
        ("parameters: {learning_rate: {min: 1e-2, max: 1e-4}}", "min: expected less than max, received min 0.01 and"),
        ("parameters: {learning_rate: {min: 1e-2, max: 1e-2}}", "min: expected less than max"),
        ("parameters: {learning_rate: {min: 0, max: 1, scale: log}}", "expected more than 0 on a logarithmic scale"),
        ("parameters: {learning_rate: {min: 1e-4, max: 1, scale: cubic}}", "expected 'linear' or 'log', received"),
        ("parameters: {learning_rate: {min: 1e-4, max: 1, scale: log, step: 0.5}}", "expected a factor above 1"),
        ("parameters: {learning_rate: {min: 1e-4}}", "expected min and max, such as"),
        ("parameters: {learning_rate: {values: [1], min: 1}}", "expected either values or a range, received both"),
        ("parameters: {dropout: {min: 0, max: 1.5}}", "dropout: expected from 0 to less than 1, received 1.5"),
        ("parameters: {width: {values: [8.5]}}", "width: expected a whole number, received 8.5"),
        ("parameters: {width: {min: 8, max: 64, step: 1.5}}", "width.step: expected a whole number, received 1.5"),
        (
            "algorithm: grid, parameters: {learning_rate: {min: 1e-300, max: 1e300, step: 1e-300}}",
            "more than the 20 trials",
        ),
        (f"minutes: .inf, parameters: {{dropout: {LIST}}}", "minutes: expected a finite number, received inf"),
        (f"seed: 4294967296, parameters: {{dropout: {LIST}}}", "seed: expected less than 4294967296, received 429"),
        (f"trials: 0, parameters: {{learning_rate: {RATE}}}", "trials: expected greater than 0, received 0"),
        (f"algorithm: genetic, parameters: {{learning_rate: {RATE}}}", "'hyperband', received 'genetic'"),
        (f"cross_validation: {{folds: 1}}, parameters: {{learning_rate: {RATE}}}", "or equal to 2, received 1"),
        (f"cross_validation: {{method: group}}, parameters: {{learning_rate: {RATE}}}", "holds the groups"),
        (f"cross_validation: {{feature: x}}, parameters: {{learning_rate: {RATE}}}", "none for method k_fold"),
        ("algorithm: hyperband, parameters: {epochs: {min: 1, max: 9}}", "which decides on the epochs itself"),
        (
            f"objective: val_acuracy, parameters: {{dropout: {LIST}}}",
            "measure 'val_acuracy'; did you mean 'val_accuracy'?",
        ),
        (f"objective: auc, parameters: {{dropout: {LIST}}}", "does not measure 'auc'; did you mean 'val_auc'?"),
        (
            f"objective: val_auc, direction: min, parameters: {{dropout: {LIST}}}",
            "direction: expected max or none, as more",
        ),
        (f"direction: max, parameters: {{dropout: {LIST}}}", "direction: expected none without an objective"),
        (
            "algorithm: grid, parameters: {learning_rate: {min: 1e-4, max: 1}}",
            "expected a step, or values: a grid has no",
        ),
        ("algorithm: grid, parameters: {width: {min: 8, max: 64, scale: log}}", "width: expected a step, or values"),
        (
            f"algorithm: grid, trials: 11, parameters: {{dropout: {LIST}, depth: {{min: 1, max: 4}}}}",
            "the grid has 12 points, more than the 11 trials: expected trials: 12, or algorithm: random, which",
        ),
        ("parameters: {dropout: {values: []}}", "expected min and max, such as"),
        (f"tuner_fn: tune, parameters: {{dropout: {LIST}}}", "tuner_fn: expected none without a module"),
        (f"custom_config: {{a: 1}}, parameters: {{dropout: {LIST}}}", "custom_config: expected none without a module"),
        ("trials: 3", "parameters: expected some, such as learning_rate: {min: 1e-4, max: 1e-2, scale: log}"),
    ],
)
def test_mistakes_are_told_at_once(load: Callable[..., configs.Config], section: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as told:
        load(f"tuning: {{{section}}}")
    assert sentence in told.value.message
    assert re.match(r"pipeline.yaml(:3)?: tuning", told.value.message)


@pytest.mark.parametrize(
    ("training", "tuning", "sentence"),
    [
        ("{problem: binary}", "objective: val_accuracy", "tuning.objective: expected one of val_loss, val_log_loss, "
            "val_auc for binary, received 'val_accuracy'"),
        ("{problem: regression}", "cross_validation: {method: stratified}", "method: stratified is for classes"),
        ("{problem: regression, class_weight: 1}", "trials: 3", "training.class_weight: expected none for a"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_the_problem(
    load: Callable[..., configs.Config], training: str, tuning: str, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        load(f"training: {training}", f"tuning: {{parameters: {{dropout: {LIST}}}, {tuning}}}")


@pytest.mark.parametrize(
    "parameters",
    [
        f"{{dropout: {LIST}, depth: {{min: 1, max: 4}}}}",
        "{learning_rate: {min: 1e-4, max: 1e-2, scale: log, step: 10}, width: {min: 8, max: 64, scale: log, step: 2}}",
        "{dropout: {min: 0, max: 0.5, step: 0.1}, width: {min: 10, max: 19, step: 9}}",
    ],
)
def test_the_points_of_a_grid_are_kerastuners(load: Callable[..., configs.Config], parameters: str) -> None:
    config = load(f"tuning: {{algorithm: grid, trials: 12, parameters: {parameters}}}")
    assert config.tuning is not None
    ranges = Search.from_json(config.tuning.search()).parameters
    kinds = {name: type(value) for name, value in vars(Hyperparameters()).items()}
    points = [entry.points(kinds[name] is int) for name, entry in config.tuning.parameters.items()]
    assert math.prod(filter(None, points)) == space.size(space.hyperparameters(ranges, kinds)) == 12


def test_keys_of_a_search_without_code_say_so() -> None:
    told = {name for name, field in Tuning.model_fields.items() if str(field.description).startswith("Without a mod")}
    assert told == set(tuning._WITHOUT_CODE)


@pytest.mark.parametrize("problem", MEASURED)
def test_objectives_are_what_the_model_measures(problem: Any) -> None:
    names = [metric.name for metric in metrics(Head(problem, 2))]
    assert list(MEASURED[problem]) == ["val_loss", *(f"val_{name}" for name in names)]


def test_what_divides_the_folds_is_a_column(load: Callable[..., configs.Config]) -> None:
    folds = "cross_validation: {method: group, feature: iland, folds: 3}"
    with pytest.raises(ConfigError, match=r"feature: the data has no column 'iland'; did you mean 'island'\?"):
        published.check(load(f"tuning: {{parameters: {{learning_rate: {RATE}}}, {folds}}}"))


def test_a_tuner_or_hyperparameters(load: Callable[..., configs.Config], tmp_path: Path) -> None:
    (tmp_path / "best.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"expected either a tuning section or training.hyperparameters"):
        load("training: {hyperparameters: best.json}", f"tuning: {{parameters: {{learning_rate: {RATE}}}}}")


def test_a_tuner_needs_a_model(load: Callable[..., configs.Config]) -> None:
    with pytest.raises(ConfigError, match="tuning: there is no model: expected a training section"):
        load("training: null", f"tuning: {{parameters: {{learning_rate: {RATE}}}}}")


MODULE = "def run_fn(fn_args): pass\ndef tuner_fun(fn_args): pass\n"


def test_of_a_module(load: Callable[..., configs.Config], tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(MODULE)
    lines = ("module_file: module.py", "training: {train_steps: 1}")
    with pytest.raises(ConfigError, match="expected none with a module, whose tuner_fn says what is searched"):
        load(*lines, f"tuning: {{parameters: {{learning_rate: {RATE}}}}}")
    with pytest.raises(ConfigError, match=r"tuning.trials: expected none with a module, whose tuner_fn says"):
        load(*lines, "tuning: {trials: 3}")
    with pytest.raises(ModuleError, match=r"expected a function 'tuner_fn'; did you mean 'tuner_fun'\?"):
        published.check(load(*lines, "tuning: {}"))
    published.check(load(*lines, "tuning: {tuner_fn: tuner_fun}"))


SERVICE = "vertex: {project: p, tuning_service: true}"


@pytest.fixture
def tuners(load: Callable[..., configs.Config], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Returns a function that compiles for a target, and returns the Tuner's container."""

    def compiled(target: str, *lines: str) -> dict[str, Any]:
        path = compile_config(load(*lines), targets.named(target), tmp_path / "ir.yaml").path
        spec = next(yaml.safe_load_all(path.read_text()))
        return dict(spec["deploymentSpec"]["executors"]["exec-tuner"]["container"])

    return compiled


@pytest.mark.parametrize("target", ["local", "kubeflow"])
def test_the_service_is_vertexs_alone(tuners: Callable[..., dict[str, Any]], target: str) -> None:
    assert "env" not in tuners(target, f"tuning: {{parameters: {{learning_rate: {RATE}}}}}", SERVICE)


def test_the_service_has_the_tuners_machine_and_the_task_has_not(tuners: Callable[..., dict[str, Any]]) -> None:
    """Its settings are those of the golden file (test_golden.py)."""
    resources = "resources: {default: {cpu: 2}, tuner: {cpu: 8, memory: 30G, accelerator: {type: T4, count: 2}}}"
    search = f"tuning: {{parameters: {{learning_rate: {RATE}}}}}"
    found = tuners("vertex", search, SERVICE, resources)
    assert found["resources"] == {"cpuLimit": 2, "resourceCpuLimit": "2"}
    (variable,) = found["env"]
    assert variable["name"] == launcher.SERVICE
    job = json.loads(variable["value"])["job"]
    assert job["parallelTrialCount"] == 1
    (pool,) = job["trialJobSpec"]["workerPoolSpecs"]
    expected = {"machineType": "n1-standard-8", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 2}
    assert pool["machineSpec"] == expected
    assert "env" not in tuners("vertex", search, "vertex: {project: p}")


def test_the_service_needs_a_project(tuners: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match=r"vertex.project is missing: vertex.tuning_service needs it there or in"):
        tuners("vertex", f"tuning: {{parameters: {{learning_rate: {RATE}}}}}", "vertex: {tuning_service: true}")


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (
            f"algorithm: hyperband, parameters: {{learning_rate: {RATE}}}",
            "tuning.algorithm: Vertex AI's tuning service has no hyperband: expected one of bayesian, random, grid, or "
            "vertex.tuning_service: false",
        ),
        (
            "parameters: {dropout: {min: 0, max: 0.5, step: 1e-7}}",
            "tuning.parameters.dropout: expected 1,000 values at most",
        ),
        (
            "parameters: {weight_decay: {values: [1e-12, 1e-11]}}",
            "tuning.parameters.weight_decay: expected values at least 1e-10 apart",
        ),
    ],
)
def test_what_the_service_cannot_search(load: Callable[..., configs.Config], section: str, sentence: str) -> None:
    load(f"tuning: {{{section}}}")
    with pytest.raises(ConfigError) as told:
        load(f"tuning: {{{section}}}", SERVICE)
    assert sentence in told.value.message
    assert "\n" not in told.value.message


def test_a_modules_search_is_not_the_services(load: Callable[..., configs.Config], tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(MODULE)
    with pytest.raises(ConfigError, match=r"vertex.tuning_service: it searches tuning.parameters, and a module's"):
        load("module_file: module.py", "training: {train_steps: 1}", "tuning: {tuner_fn: tuner_fun}", SERVICE)
