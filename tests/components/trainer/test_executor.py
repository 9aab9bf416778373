"""FnArgs against those that TFX's Trainer makes of the same artifacts, and every mistake a person can make."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from tfx.components.trainer.executor import GenericExecutor
from tfx.types import standard_artifacts
from tfx_bsl.public.tfxio import RecordBatchesOptions, TensorFlowDatasetOptions

from penstock.components.trainer import executor
from penstock.core.artifacts import Examples, HyperParameters, Model, SavedModel, Schema
from penstock.core.errors import ConfigError, DataError, ModelError, ModuleError, PenstockError, SchemaError, UserError
from penstock.core.examples import records

SAVES = "    tf.saved_model.save(tf.Module(), fn_args.serving_model_dir)\n"


def tfx_fn_args(inputs: dict[str, str], outputs: dict[str, str], **parameters: str) -> Any:
    """What TFX's executor passes to run_fn."""

    def artifact(kind: type, uri: str, **properties: Any) -> list[Any]:
        made = kind()
        made.uri = uri
        made.set_string_custom_property("tfx_version", "1.21.0")
        for name, value in properties.items():
            setattr(made, name, value)
        return [made]

    kinds = {
        "examples": (standard_artifacts.Examples, {"split_names": '["eval", "train"]'}),
        "transform_graph": (standard_artifacts.TransformGraph, {}),
        "schema": (standard_artifacts.Schema, {}),
        "statistics": (standard_artifacts.ExampleStatistics, {"split_names": '["eval", "train"]'}),
        "base_model": (standard_artifacts.Model, {}),
        "hyperparameters": (standard_artifacts.HyperParameters, {}),
    }
    given = {name: artifact(kinds[name][0], uri, **kinds[name][1]) for name, uri in inputs.items()}
    written = {
        "model": artifact(standard_artifacts.Model, outputs["model"]),
        "model_run": artifact(standard_artifacts.ModelRun, outputs["model_run"]),
    }
    defaults = {"train_args": "{}", "eval_args": "{}", "custom_config": "null"}
    return GenericExecutor()._GetFnArgs(given, written, {**defaults, **parameters})


@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"train_args": '{"num_steps": 7}', "eval_args": '{"num_steps": 0}'},
        {"train_args": '{"splits": ["eval", "train"], "numSteps": "9"}', "eval_args": '{"splits": ["train"]}'},
        {"custom_config": '{"layers": [3, 4], "name": "x"}'},
        {"custom_config": "null"},
        {"custom_config": "{}"},
    ],
)
def test_fn_args_are_tfx(
    seen: Callable[..., Any],
    taxi: Any,
    outputs: dict[str, str],
    tmp_path: Path,
    parameters: dict[str, str],
    optional: bool,
) -> None:
    inputs: dict[str, str] = taxi.inputs()
    if optional:
        tf.saved_model.save(tf.Module(), str(Model(tmp_path / "base").serving))
        HyperParameters(tmp_path / "tuned").root.mkdir()
        HyperParameters(tmp_path / "tuned").path.write_text('{"space": [], "values": {"units": 8}}')
        inputs |= {"base_model": str(tmp_path / "base"), "hyperparameters": str(tmp_path / "tuned")}
    else:
        inputs = {"examples": inputs["examples"]}
    absent = dict.fromkeys({"transform_graph", "schema", "statistics"} - set(inputs))
    ours, theirs = vars(seen(**absent, **inputs, **parameters)), vars(tfx_fn_args(inputs, outputs, **parameters))
    assert ("num_examples" in ours) == optional
    assert ours.pop("device").kind == "cpu"  # TFX says nothing of it, nor of where the statistics lie
    assert ours.pop("statistics_path") == inputs.get("statistics")
    assert ours.pop("payload_format") == "FORMAT_TF_EXAMPLE"
    # The accessors are compared by what they read, below.
    assert {**ours, "data_accessor": None} == {**theirs, "data_accessor": None}


def test_the_values_are_right(seen: Callable[..., Any], taxi: Any, outputs: dict[str, str]) -> None:
    fn_args = seen(train_args='{"num_steps": 5}')
    assert fn_args.num_examples == {"train": 2000, "eval": 1000}
    assert (fn_args.train_steps, fn_args.eval_steps) == (5, None)
    assert fn_args.train_files == [f"{taxi.root}/transformed_examples/Split-train/*"]
    assert fn_args.eval_files == [f"{taxi.root}/transformed_examples/Split-eval/*"]
    assert fn_args.schema_file == fn_args.schema_path == f"{taxi.root}/schema/schema.pbtxt"
    assert fn_args.transform_output == fn_args.transform_graph_path == f"{taxi.root}/transform_graph"
    assert fn_args.serving_model_dir == f"{outputs['model']}/Format-Serving"
    assert fn_args.eval_model_dir == f"{outputs['model']}/Format-TFMA"
    assert fn_args.model_run_dir == outputs["model_run"]


@pytest.mark.parametrize("own", [False, True])
def test_the_schema_travels_with_the_model(
    taxi: Any, outputs: dict[str, str], module: Callable[[str], str], own: bool
) -> None:
    writes_one = "    import pathlib; folder = pathlib.Path(fn_args.serving_model_dir) / 'assets.extra'\n"
    writes_one += "    folder.mkdir(); (folder / 'schema.pbtxt').write_text('# mine')\n"
    path = module(f"import tensorflow as tf\n\ndef run_fn(fn_args):\n{SAVES}{writes_one if own else ''}")
    executor.run(**taxi.inputs(), **outputs, module_file=path)
    schema = SavedModel(Model(Path(outputs["model"])).serving).schema
    assert schema.read_text() == ("# mine" if own else Schema(Path(taxi.inputs()["schema"])).path.read_text())


def test_a_model_of_another_kind_gets_no_schema(
    taxi: Any, outputs: dict[str, str], module: Callable[[str], str]
) -> None:
    path = module(
        "import pathlib\n\ndef run_fn(fn_args):\n    folder = pathlib.Path(fn_args.serving_model_dir)\n"
        "    folder.mkdir(parents=True); (folder / 'model.pkl').touch()\n"
    )
    executor.run(**taxi.inputs(), **outputs, module_file=path)
    assert SavedModel(Model(Path(outputs["model"])).serving).names() == ["model.pkl"]


@pytest.mark.parametrize(("precision", "policy"), [("auto", "float32"), ("bfloat16", "mixed_bfloat16")])
def test_an_explicit_precision_is_the_policy_of_the_users_layers(
    taxi: Any, outputs: dict[str, str], module: Callable[[str], str], precision: str, policy: str
) -> None:
    path = module(
        "import keras\nimport tensorflow as tf\n\nlayer = keras.layers.Dense(1)\n\ndef run_fn(fn_args):\n"
        f"    assert layer.dtype_policy.name == '{policy}', layer.dtype_policy\n{SAVES}"
    )
    try:
        executor.run(**taxi.inputs(), **outputs, module_file=path, precision=precision)
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("index", [0, 1])
def test_of_several_workers_the_chief_alone_writes(
    seen: Callable[..., Any], outputs: dict[str, str], monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    cluster = {"worker": ["127.0.0.1:2222", "127.0.0.1:2223"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}))
    fn_args = seen()
    written = [fn_args.serving_model_dir.startswith(outputs["model"]), fn_args.model_run_dir == outputs["model_run"]]
    assert written == [index == 0] * 2
    assert os.path.exists(f"{outputs['model']}/Format-Serving/saved_model.pb") == (index == 0)
    if index:
        assert os.path.isdir(fn_args.model_run_dir)
        for folder in (Path(fn_args.serving_model_dir).parent, Path(fn_args.model_run_dir)):
            shutil.rmtree(folder)


def test_a_worker_need_not_write_a_model(
    taxi: Any, outputs: dict[str, str], module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = {"chief": ["127.0.0.1:2222"], "worker": ["127.0.0.1:2223"]}
    path = module("def run_fn(fn_args):\n    pass\n")
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}}))
    executor.run(**taxi.inputs(), **outputs, module_file=path)
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "chief", "index": 0}}))
    with pytest.raises(ModuleError, match="run_fn did not write a model"):
        executor.run(**taxi.inputs(), **outputs, module_file=path)
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(ConfigError, match="TF_CONFIG: expected JSON such as"):
        executor.run(**taxi.inputs(), **outputs, module_file=path)


def test_the_data_accessor_reads_what_tfx_reads(seen: Callable[..., Any], taxi: Any, outputs: dict[str, str]) -> None:
    import tensorflow_transform as tft

    ours, theirs = seen(), tfx_fn_args(taxi.inputs(), outputs)
    schema = tft.TFTransformOutput(ours.transform_graph_path).transformed_metadata.schema
    once = TensorFlowDatasetOptions(batch_size=250, num_epochs=1, shuffle=False, label_key="tips_xf")
    read = [args.data_accessor.tf_dataset_factory(args.eval_files, once, schema) for args in (ours, theirs)]
    assert read[0].element_spec == read[1].element_spec
    elements = [[tf.nest.map_structure(lambda t: t.numpy().tolist(), e) for e in dataset] for dataset in read]
    assert elements[0] == elements[1]
    assert len(elements[0]) == 4
    options = RecordBatchesOptions(batch_size=250, num_epochs=1, shuffle=False)
    batches = [
        list(args.data_accessor.record_batch_factory(args.eval_files, options, schema)) for args in (ours, theirs)
    ]
    assert batches[0] == batches[1]


def test_a_function_by_its_name_or_its_dotted_path(
    taxi: Any, outputs: dict[str, str], module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "import tensorflow as tf\n\ndef fit(fn_args):\n    open(fn_args.model_run_dir + '/fit', 'w').close()\n" + SAVES
    )
    inputs, mark = taxi.inputs(), Path(outputs["model_run"]) / "fit"
    path = module(source)
    executor.run(**inputs, **outputs, module_file=path, run_fn="fit")
    assert mark.is_file()
    mark.unlink()
    monkeypatch.syspath_prepend(str(Path(path).parent))
    for dotted in (f"{Path(path).stem}.fit", f"{Path(path).stem}.fit@0123456789abcdef"):
        executor.run(**inputs, **outputs, run_fn=dotted)
        assert mark.is_file()
        mark.unlink()


def test_siblings_of_the_module_file_are_importable(
    taxi: Any, outputs: dict[str, str], module: Callable[[str], str]
) -> None:
    sibling = module("import tensorflow as tf\n\ndef export(fn_args):\n" + SAVES)
    path = module(f"def run_fn(fn_args):\n    from {Path(sibling).stem} import export\n    export(fn_args)\n")
    executor.run(**taxi.inputs(), **outputs, module_file=path)
    assert Model(Path(outputs["model"])).require_serving()


def test_a_killed_attempt_leaves_no_model_but_its_checkpoints(
    taxi: Any, outputs: dict[str, str], module: Callable[[str], str]
) -> None:
    model, checkpoint = Model(Path(outputs["model"])), Path(outputs["model_run"]) / "checkpoint"
    for folder in (model.serving, model.evaluation):
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"half")
    checkpoint.write_bytes(b"step 100")
    with pytest.raises(ModuleError, match="did not write a model"):
        executor.run(**taxi.inputs(), **outputs, module_file=module("def run_fn(fn_args):\n    pass\n"))
    assert checkpoint.read_bytes() == b"step 100"
    assert os.listdir(model.root) == []


def test_what_run_fn_raises_is_shown_with_its_own_lines(
    taxi: Any, outputs: dict[str, str], module: Callable[[str], str]
) -> None:
    path = module("def run_fn(fn_args):\n    layers = {}\n    return layers['units']\n")
    with pytest.raises(ModuleError, match=r"^run_fn raised KeyError: 'units'") as raised:
        executor.run(**taxi.inputs(), **outputs, module_file=path)
    assert raised.value.details.splitlines() == [
        f'  File "{path}", line 3, in run_fn',
        "    return layers['units']",
        "           ~~~~~~^^^^^^^^^",
    ]
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("def run_fun(fn_args):\n    pass\n", r"expected a function 'run_fn'; did you mean 'run_fun'\?"),
        ("def other():\n    pass\n", "expected a function 'run_fn'; it defines other"),
        ("import no_such_package\n", "import raised ModuleNotFoundError: No module named 'no_such_package'"),
        ("def run_fn(fn_args:\n", "import raised SyntaxError"),
    ],
)
def test_a_module_without_run_fn(
    taxi: Any, outputs: dict[str, str], module: Callable[[str], str], source: str, error: str
) -> None:
    with pytest.raises(ModuleError, match=error):
        executor.run(**taxi.inputs(), **outputs, module_file=module(source))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"train_args": "{num_steps: 5}"}, ConfigError, "train_args: expected JSON such as .* line 1 column 2"),
        ({"train_args": "[5]"}, ConfigError, r"train_args: expected an object .*, received \[5\]"),
        ({"eval_args": '{"num_step": 5}'}, ConfigError, "eval_args: unknown key 'num_step'; did you mean 'num_steps'"),
        ({"eval_args": '{"num_steps": -1}'}, ConfigError, r"eval_args\.num_steps: expected a whole number .* -1"),
        ({"eval_args": '{"num_steps": 1.5}'}, ConfigError, r"eval_args\.num_steps: expected a whole number .* 1\.5"),
        ({"eval_args": '{"num_steps": true}'}, ConfigError, r"eval_args\.num_steps: expected a whole number .* True"),
        ({"eval_args": '{"num_steps": "many"}'}, ConfigError, r"eval_args\.num_steps: .* 'many'"),
        ({"train_args": '{"splits": "train"}'}, ConfigError, r"train_args\.splits: expected a list of names"),
        ({"train_args": '{"splits": ["../x"]}'}, PenstockError, "split name: expected letters"),
        ({"train_args": '{"splits": ["test"]}'}, DataError, "have no split 'test': expected one of eval, train"),
        ({"custom_config": "[1]"}, ConfigError, r"custom_config: expected an object, received \[1\]"),
        ({"custom_config": "{"}, ConfigError, "custom_config: expected JSON, .* line 1 column 2"),
        ({"module_file": ""}, ConfigError, "run_fn: expected either module_file or a dotted path"),
        ({"module_file": "", "run_fn": "run_fn"}, ConfigError, "expected either .* received '' and 'run_fn'"),
        ({"run_fn": "package.module.fit"}, ConfigError, "run_fn: expected either module_file or a dotted path"),
        ({"module_file": "/no/such/module.py"}, ModuleError, r"module_file: /no/such/module\.py does not exist"),
        ({"schema": "/no/such/folder"}, SchemaError, r"schema file /no/such/folder/schema\.pbtxt does not exist"),
        ({"transform_graph": "/no/such/folder"}, PenstockError, "transform_graph: .* holds no transformed_metadata"),
        ({"base_model": "/no/such/folder"}, ModelError, "no model at /no/such/folder/Format-Serving"),
        ({"hyperparameters": "/no/such/folder"}, ConfigError, r"hyperparameters: .* does not exist"),
        ({"accelerator": "gpu"}, ConfigError, "accelerator: expected one of none, preferred, required, received 'gpu'"),
        ({"precision": "half"}, ConfigError, "precision: expected one of auto, float32, .*, received 'half'"),
        ({"accelerator": "required"}, UserError, "accelerator: required, but none can be used: .* hides all of them"),
    ],
)
def test_mistakes(
    taxi: Any,
    outputs: dict[str, str],
    module: Callable[[str], str],
    arguments: dict[str, str],
    error: type[PenstockError],
    message: str,
) -> None:
    path = module("def run_fn(fn_args):\n    raise AssertionError('the mistake must be found before')\n")
    with pytest.raises(error, match=message) as raised:
        executor.run(**{**taxi.inputs(), **outputs, "module_file": path, **arguments})
    assert raised.value.exit_code == 2


def test_hyperparameters_that_are_no_json(taxi: Any, outputs: dict[str, str], tmp_path: Path) -> None:
    HyperParameters(tmp_path).path.write_text("units=8")
    with pytest.raises(ConfigError, match="hyperparameters: expected JSON in"):
        executor.run(**taxi.inputs(), **outputs, hyperparameters=str(tmp_path), module_file="unused.py")


@pytest.mark.parametrize("split", ["train", "eval"])
def test_a_split_without_examples(taxi: Any, outputs: dict[str, str], tmp_path: Path, split: str) -> None:
    examples = Examples(tmp_path / "examples")
    shutil.copytree(taxi.root / "transformed_examples", examples.root)
    (file,) = examples.files(split)
    records.write(file, [])
    with pytest.raises(DataError, match=rf"{split}_args\.splits: split '{split}' of the examples at .* no example"):
        executor.run(**{**taxi.inputs(), "examples": str(examples.root)}, **outputs, module_file="unused.py")


def test_the_log_tells_rows_and_missing_steps(seen: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="penstock")
    seen(train_args=json.dumps({"num_steps": 3, "splits": ["train", "eval"]}))
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == "Trainer: started"
    assert messages[-1].startswith("Trainer: finished in ")
    assert messages[-1].endswith("(3,000 rows)")
    assert [m for m in messages if "num_steps" in m] == [
        "eval_args has no num_steps: the function decides itself how long it trains"
    ]
