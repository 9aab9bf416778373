"""The Trainer's executor: it makes FnArgs of the artifacts, and calls the user's run_fn."""

import json
import shutil
import sys
from pathlib import Path

from penstock.components.trainer import inputs
from penstock.components.trainer.arguments import parse_custom_config, parse_step_args
from penstock.core import artifacts, progress, user_modules
from penstock.core.artifacts import DataCleaning, Examples, ExampleStatistics, Model, SavedModel, Schema, TaskResult
from penstock.core.files import atomic
from penstock.core.legacy import keras_version
from penstock.trainer import autograph
from penstock.trainer import run_fn as training
from penstock.trainer.fn_args import FnArgs
from penstock.trainer.hardware import devices, distribution


def run(
    *,
    model: str,
    model_run: str,
    examples: str,
    transform_graph: str | None = None,
    schema: str | None = None,
    statistics: str | None = None,
    base_model: str | None = None,
    hyperparameters: str | None = None,
    cleaning: str | None = None,
    module_file: str = "",
    run_fn: str = "",
    train_args: str = "",
    eval_args: str = "",
    custom_config: str = "",
    accelerator: str = "preferred",
    precision: str = "auto",
    keras: int = 0,
    payload_format: str = "",
) -> TaskResult:
    """Trains with the user's run_fn, which must write a SavedModel to `<model>/Format-Serving`.

    The arguments are those of the component, and the examples' payload_format; artifacts are paths of folders. Random
    generators are seeded before the user's module is imported (training.set_seeds). The model of an earlier, killed
    attempt is removed. Its model_run is kept, so that run_fn can resume from its checkpoints. Of several workers
    (TF_CONFIG) only the chief gets these folders; the others get temporary ones.

    Raises a ConfigError for a wrong parameter, a UserError if an accelerator is required and none works, and a
    DataError for a split that is missing or empty. Raises a ModuleError if the module has no such function, if that
    raises, or if it writes no model.
    """
    keras_version.use(keras)
    with progress.task("Trainer") as counts:
        train = parse_step_args("train_args", train_args, "train")
        evaluate = parse_step_args("eval_args", eval_args, "eval")
        fn_args = FnArgs(custom_config=parse_custom_config(custom_config))
        worker = distribution.Distribution(cluster=distribution.cluster())
        inputs.set_examples(fn_args, Examples(Path(examples)), train, evaluate, payload_format)
        inputs.set_artifacts(fn_args, transform_graph, schema, base_model, hyperparameters)
        _set_outputs(fn_args, Model(worker.folder(Path(model))), worker.folder(Path(model_run)))
        if statistics is not None:
            inputs.set_statistics(fn_args, ExampleStatistics(Path(statistics)))
            counts.show(rows=sum(fn_args.num_examples.get(split, 0) for split in train.splits))  # type: ignore[attr-defined]
        fn_args.device = devices.prepare(accelerator, precision)
        devices.set_precision(precision, fn_args.device)
        autograph.skip_libraries()
        training.set_seeds()
        training.train(user_modules.find(module_file, run_fn, "run_fn"), fn_args, writes=worker.is_chief)
        if schema is not None and worker.is_chief:
            _put_schema_beside(Model(Path(model)), Schema(Path(schema)))
        if cleaning is not None and worker.is_chief:
            _put_cleaning_beside(Model(Path(model)), DataCleaning(Path(cleaning)))
    return TaskResult({"model": artifacts.metadata(), "model_run": artifacts.metadata()})


def _put_schema_beside(model: Model, schema: Schema) -> None:
    """Lets the schema travel with a SavedModel: servers encode rows by it. One that run_fn has written stays."""
    folder = model.serving_model()
    if folder and SavedModel(folder).exists and not SavedModel(folder).schema.exists():
        atomic.write_bytes(SavedModel(folder).schema, schema.path.read_bytes())


def _put_cleaning_beside(model: Model, cleaning: DataCleaning) -> None:
    """Lets the rules of cleaning travel with a SavedModel: servers apply them to rows before they ask it."""
    folder = model.serving_model()
    if folder and SavedModel(folder).exists:
        atomic.write_bytes(SavedModel(folder).cleaning, cleaning.path.read_bytes())


def _set_outputs(fn_args: FnArgs, model: Model, model_run: Path) -> None:
    for path in (model.serving, model.evaluation):
        shutil.rmtree(path, ignore_errors=True)
    model.root.mkdir(parents=True, exist_ok=True)
    model_run.mkdir(parents=True, exist_ok=True)
    fn_args.serving_model_dir = str(model.serving)
    fn_args.eval_model_dir = str(model.evaluation)
    fn_args.model_run_dir = str(model_run)


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
