"""What a person may edit is copied by content before anything runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.core.errors import ConfigError, ModuleError
from penstock.core.files import module_files, object_stores
from penstock.pipelines.cli import main
from penstock.pipelines.compiling import compile
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules import published as publishing
from penstock.pipelines.targets import target
from tests.servers.object_stores import ObjectStore

Load = Callable[..., Config]


def test_module_is_copied_with_its_siblings(load: Load, project: Path) -> None:
    (project / "sibling.py").write_text("X = 1\n")
    published = publishing.publish(load())
    copy = Path(published.module_file)
    assert copy.read_text() == (project / "module.py").read_text()
    assert (copy.parent / "sibling.py").exists()
    assert copy.parent.parent == project / "runs" / "small" / "modules"
    assert published.sources == {str(copy.parent): str(project)}


def test_changed_sibling_is_another_module_file(load: Load, project: Path) -> None:
    first = publishing.publish(load()).module_file
    assert publishing.publish(load()).module_file == first
    (project / "sibling.py").write_text("X = 2\n")
    assert publishing.publish(load()).module_file != first


@pytest.mark.parametrize(
    ("source", "transforms", "customizes"),
    [
        ("def run_fn(a): ...", False, False),
        ("def run_fn(a): ...\ndef preprocessing_fn(inputs): ...", True, False),
        ("def run_fn(a): ...\ndef custom_extractors(a, b, c): ...", False, True),
    ],
)
def test_functions_decide_what_is_in_the_pipeline(
    load: Load, project: Path, source: str, transforms: bool, customizes: bool
) -> None:
    (project / "module.py").write_text(source)
    published = publishing.publish(load())
    assert (published.preprocessing_fn is not None, published.evaluator is not None) == (transforms, customizes)


def test_transform_can_be_left_out_and_renamed(load: Load, project: Path) -> None:
    assert publishing.publish(load(["transform=null"])).preprocessing_fn is None
    with pytest.raises(ModuleError, match=r"expected a function 'preprocess'; did you mean 'preprocessing_fn'"):
        publishing.publish(load(["transform.preprocessing_fn=preprocess"]))


def test_missing_run_fn_is_told_before_anything_is_written(load: Load, project: Path) -> None:
    (project / "module.py").write_text("def run(fn_args): ...\n")
    with pytest.raises(ModuleError, match=r"module.py: expected a function 'run_fn'; did you mean 'run'\?"):
        publishing.publish(load())
    assert not (project / "runs").exists()


def test_dotted_path_is_pinned_by_content(load: Load) -> None:
    config = load(["module_file=null", "module_path=tfx.examples.chicago_taxi_pipeline.taxi_utils"])
    published = publishing.publish(config)
    name, _, digest = published.module_file.partition("@")
    assert name == config.module_path
    assert len(digest) == 16
    assert published.preprocessing_fn


def test_schema_and_hyperparameters_are_alone_in_their_folders(load: Load, project: Path) -> None:
    (project / "my.pbtxt").write_text('feature { name: "a" type: INT }\n')
    (project / "best.json").write_text('{"rate": 0.1}')
    published = publishing.publish(load(["schema.file=my.pbtxt", "training.hyperparameters=best.json"]))
    schema, folder = Path(published.schema_file), Path(published.hyperparameters)
    assert schema.name == "schema.pbtxt"
    assert published.sources[published.schema_file] == str(project / "my.pbtxt")
    assert [path.name for path in schema.parent.iterdir()] == ["schema.pbtxt"]
    assert json.loads((folder / "best_hyperparameters.txt").read_text()) == {"rate": 0.1}
    (project / "my.pbtxt").write_text('feature { name: "b" type: INT }\n')
    assert publishing.publish(load(["schema.file=my.pbtxt"])).schema_file != published.schema_file


def test_hyperparameters_have_to_be_json(load: Load, project: Path) -> None:
    (project / "best.json").write_text("rate: 0.1")
    for step in (publishing.publish, publishing.check):
        with pytest.raises(ConfigError, match=r"training.hyperparameters: .*best.json: expected JSON"):
            step(load(["training.hyperparameters=best.json"]))


def test_a_file_beside_the_module_travels_or_is_told(
    load: Load, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The runs, the data and pushed models are beside the module as well, and are none of it."""
    (project / "words.txt").write_text("a b")
    (project / "large.bin").write_bytes(b"0" * 101)
    module = project / "module.py"
    module.write_text(f"HERE = __file__\n{module.read_text()}")
    monkeypatch.setattr(module_files, "LARGEST", 100)
    load()
    assert main.main(["validate", str(project / "pipeline.yaml")]) == 0
    assert "warning: module_file: the module may read files beside it, and these are" in capsys.readouterr().err
    for _ in range(2):
        published = publishing.publish(load())
        copies = sorted(path.name for path in Path(published.module_file).parent.iterdir())
        assert copies == ["module.py", "words.txt"]
        assert "travel with it: large.bin: " in published.left_out
        (project / "serving" / "1").mkdir(parents=True, exist_ok=True)
        (project / "serving" / "1" / "model.bin").touch()
    assert len(list((project / "runs" / "small" / "modules").iterdir())) == 1


@pytest.mark.parametrize("path", ["data", "data/*.csv", "data/{SPAN}.csv", "data/1.csv"])
def test_data_is_none_of_the_module_but_what_is_beside_it_may_be(load: Load, project: Path, path: str) -> None:
    (project / "module.py").write_text(f"HERE = __file__\n{(project / 'module.py').read_text()}")
    (project / "data").mkdir()
    (project / "data.csv").rename(project / "data" / "1.csv")
    (project / "data" / "words.txt").write_text("a b")
    folder = Path(publishing.publish(load([f"data.path={path!r}", "data.format=csv"])).module_file).parent
    assert not (folder / "data" / "1.csv").exists()
    assert (folder / "data" / "words.txt").exists() == (path != "data")


def test_a_pipeline_root_that_is_the_modules_folder(load: Load, project: Path) -> None:
    (project / "module.py").write_text(f"HERE = __file__\n{(project / 'module.py').read_text()}")
    first = publishing.publish(load(["pipeline_root=."])).module_file
    (project / "small-20260101-000000").mkdir()
    (project / "small-20260101-000000" / "run.json").write_text("{}")
    assert publishing.publish(load(["pipeline_root=."])).module_file == first


def test_check_writes_nothing(load: Load, project: Path) -> None:
    publishing.check(load())
    assert not (project / "runs").exists()


def test_a_pipeline_root_in_an_object_store_is_published_to(
    load: Load, project: Path, object_store: ObjectStore
) -> None:
    (project / "my.pbtxt").write_text('feature { name: "a" type: INT }\n')
    (project / "best.json").write_text('{"rate": 0.1}')
    root = object_store.uri("runs", "small")
    settings = [f"pipeline_root={root}", "schema.file=my.pbtxt", "training.hyperparameters=best.json"]
    published = publishing.publish(load(settings))
    assert publishing.publish(load(settings)) == published
    folder = published.module_file.removesuffix("/module.py")
    assert published.sources == {folder: str(project), published.schema_file: str(project / "my.pbtxt")}
    with object_stores.open_store(root) as store:
        assert store.read(published.module_file) == (project / "module.py").read_bytes()
        assert store.read(published.schema_file) == (project / "my.pbtxt").read_bytes()
        assert store.read(f"{published.hyperparameters}/best_hyperparameters.txt") == b'{"rate": 0.1}'
        assert all(name.startswith(("modules/", "files/")) for name in store.files(root))
    assert not (project / "runs").exists()


def test_a_run_on_this_machine_needs_a_local_pipeline_root(load: Load, project: Path) -> None:
    with pytest.raises(ConfigError, match=r"pipeline_root: expected a local folder .* received 'gs://bucket/runs'"):
        compile.compile_for_run(load(["pipeline_root=gs://bucket/runs"]), target.LOCAL)


def test_the_module_file_of_a_configuration_is_local(load: Load, project: Path) -> None:
    with pytest.raises(ConfigError, match=r"module_file: expected a local file, .* received 'gs://bucket/module.py'"):
        publishing.check(load(["module_file=gs://bucket/module.py"]))


def test_data_in_a_package_that_this_environment_lacks(
    load: Load, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cluster's image may have it; a run on this machine cannot."""
    config = load(["data.path=package:no_such/trips.csv"])
    assert main.main(["validate", str(project / "pipeline.yaml"), "--data", config.data.path]) == 0
    assert capsys.readouterr().err == "data.path: not looked at, for 'no_such' is not installed here\n"
    compiled = compile.compile_config(config, target.KUBEFLOW, project / "compiled.yaml")
    assert compiled.arguments["input_base"] == "package:no_such/trips.csv"
    with pytest.raises(ConfigError, match=r"data.path: no package 'no_such' in this environment: install it"):
        compile.compile_for_run(config, target.LOCAL)


def test_columns_of_data_in_a_package_are_looked_at(load: Load) -> None:
    at = "package:tfx/examples/chicago_taxi_pipeline/data/simple"
    for path in (at, f"{at}/data.csv", f"{at}/*.csv"):
        publishing.check(load([f"data.path='{path}'", "label=fare"]))
        with pytest.raises(ConfigError, match="label: the data has no column 'fares'; did you mean 'fare'"):
            publishing.check(load([f"data.path='{path}'", "label=fares"]))


def test_two_modules_of_a_package_are_published_and_named(load: Load, project: Path, values: dict[str, Any]) -> None:
    """As TFX's templates have them; what the Trainer gets is the pipeline's parameter, Transform's is a constant."""
    (project / "models").mkdir()
    (project / "models" / "features.py").write_text("LABEL = 'label'\n")
    (project / "models" / "preprocessing.py").write_text("from models import features\ndef preprocess(inputs): ...\n")
    (project / "models" / "model.py").write_text("import tf_keras\nfrom . import features\ndef run_fn(fn_args): ...\n")
    del values["module_file"]
    settings = ["transform.preprocessing_fn=models.preprocessing.preprocess", "training.module_file=models/model.py"]
    config = load(settings)
    assert publishing.check(config).keras_note.startswith("keras: 2, for model.py:1 uses tf_keras, which Keras 3")
    compiled = compile.compile_config(config, target.KUBEFLOW, project / "compiled.yaml")
    module_file, published = compiled.arguments["module_file"], compiled.published
    assert module_file.endswith("/models/model.py")
    assert published.sources == {str(Path(module_file).parent.parent): str(project)}
    assert (Path(module_file).parent / "features.py").is_file()
    tasks = yaml.safe_load(compiled.path.read_text())["root"]["dag"]["tasks"]
    transform, trainer = (tasks[name]["inputs"]["parameters"] for name in ("transform", "trainer"))
    assert transform["module_file"]["runtimeValue"]["constant"] == module_file.replace("model.py", "preprocessing.py")
    assert transform["preprocessing_fn"]["runtimeValue"]["constant"] == "preprocess"
    assert trainer["module_file"] == {"componentInputParameter": "module_file"}
    assert [task["keras"]["runtimeValue"]["constant"] for task in (transform, trainer)] == [2.0, 2.0]
    assert "keras" not in tasks["evaluator"]["inputs"]["parameters"], "it calls nothing of the module"


def test_estimators_are_told_before_anything_is_written(
    load: Load, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load()
    (project / "module.py").write_text("import tensorflow as tf\ndef run_fn(a):\n    tf.estimator.Estimator()\n")
    for command in (["validate"], ["compile", "-o", str(project / "compiled.yaml")], ["run"]):
        assert main.main([command[0], str(project / "pipeline.yaml"), *command[1:]]) == 2
        assert (
            "module.py:3 uses tf.estimator.Estimator: estimators ended with TensorFlow 2.16" in capsys.readouterr().err
        )
    (project / "module.py").write_text("def trainer_fn(trainer_fn_args, schema): ...\n")
    assert main.main(["validate", str(project / "pipeline.yaml")]) == 2
    assert "expected a function 'run_fn', found trainer_fn: estimators ended with" in capsys.readouterr().err
    assert not (project / "runs").exists()
