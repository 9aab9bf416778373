"""The Trainer's work: the artifacts become FnArgs, and the user's run_fn trains."""

import json
import logging
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.components import artifacts, modules, progress, records
from penstock.components.artifacts import Examples, ExampleStatistics, HyperParameters, Model, Schema, TransformGraph
from penstock.components.errors import ConfigError, DataError, SchemaError, UserError
from penstock.components.trainer.arguments import StepArgs, parse_custom_config, parse_step_args
from penstock.trainer import devices, distribution, reader, training
from penstock.trainer.fn_args import FnArgs

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """Metadata of `model` and `model_run`."""

    metadata: dict[str, dict[str, Any]]


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
    module_file: str = "",
    run_fn: str = "",
    train_args: str = "",
    eval_args: str = "",
    custom_config: str = "",
    accelerator: str = "preferred",
    precision: str = "auto",
) -> Result:
    """Trains with the user's run_fn, which must write a SavedModel to `<model>/Format-Serving`.

    The arguments are the component's (component.py describes them), artifacts being folders. Seeds are set before the
    user's module is imported (training.set_seeds). What an earlier, killed attempt left of a model in the output
    folder is removed; its model_run is kept, so that run_fn may go on from its checkpoints. Of several workers
    (TF_CONFIG) only the chief is given these folders, the others temporary ones.

    Raises a ConfigError for a wrong parameter, a UserError if an accelerator is required and none works, a DataError
    for a split that is missing or empty, a ModuleError if the module has no such function, if it raises, or if it
    writes no model.
    """
    with progress.task("Trainer") as counts:
        train, evaluate = (
            parse_step_args("train_args", train_args, "train"),
            parse_step_args("eval_args", eval_args, "eval"),
        )
        fn_args = FnArgs(custom_config=parse_custom_config(custom_config))
        worker = distribution.Distribution(cluster=distribution.cluster())
        _set_examples(fn_args, Examples(Path(examples)), train, evaluate)
        _set_inputs(fn_args, transform_graph, schema, base_model, hyperparameters)
        _set_outputs(fn_args, Model(worker.folder(Path(model))), worker.folder(Path(model_run)))
        if statistics is not None:
            fn_args.statistics_path = statistics
            fn_args.num_examples = _num_examples(ExampleStatistics(Path(statistics)))  # type: ignore[attr-defined]
            counts.show(rows=sum(fn_args.num_examples.get(split, 0) for split in train.splits))  # type: ignore[attr-defined]
        fn_args.device = devices.prepare(accelerator, precision)
        devices.set_precision(precision, fn_args.device)
        training.set_seeds()
        training.train(modules.find(module_file, run_fn, "run_fn"), fn_args, writes=worker.is_chief)
    return Result({"model": artifacts.metadata(), "model_run": artifacts.metadata()})


def _set_examples(fn_args: FnArgs, examples: Examples, train: StepArgs, evaluate: StepArgs) -> None:
    for parameter, args in (("train_args", train), ("eval_args", evaluate)):
        for split in args.splits:
            _check_split(examples, split, parameter)
        if args.num_steps is None:
            logger.info("%s has no num_steps: run_fn must end its passes over the data by itself", parameter)
    fn_args.train_files = [str(examples.split(split) / "*") for split in train.splits]
    fn_args.eval_files = [str(examples.split(split) / "*") for split in evaluate.splits]
    fn_args.train_steps, fn_args.eval_steps = train.num_steps, evaluate.num_steps
    fn_args.data_accessor = reader.data_accessor()


def _check_split(examples: Examples, split: str, parameter: str) -> None:
    found = examples.splits()
    if split not in found:
        raise DataError(
            f"{parameter}.splits: the examples at {examples.root} have no split {split!r}: expected one of "
            f"{', '.join(found) or 'none'}"
        )
    if not _any(record for path in examples.files(split) for record in records.read(path, batch_size=1)):
        raise DataError(
            f"{parameter}.splits: split {split!r} of the examples at {examples.root} holds no example: check the "
            "source and the split's share of it"
        )


def _any(items: Iterable[object]) -> bool:
    return next(iter(items), None) is not None


def _set_inputs(
    fn_args: FnArgs,
    transform_graph: str | None,
    schema: str | None,
    base_model: str | None,
    hyperparameters: str | None,
) -> None:
    if transform_graph is not None:
        graph = TransformGraph(Path(transform_graph))
        if not graph.transformed_metadata.is_dir():
            raise UserError(f"transform_graph: {graph.root} holds no transformed_metadata: expected Transform's output")
        fn_args.transform_graph_path = fn_args.transform_output = transform_graph
    if schema is not None:
        path = Schema(Path(schema)).path
        if not path.is_file():
            raise SchemaError(f"schema file {path} does not exist")
        fn_args.schema_path = fn_args.schema_file = str(path)
    if base_model is not None:
        fn_args.base_model = str(Model(Path(base_model)).require_serving())
    if hyperparameters is not None:
        fn_args.hyperparameters = _hyperparameters(HyperParameters(Path(hyperparameters)))


def _hyperparameters(artifact: HyperParameters) -> Any:
    try:
        return artifact.read()
    except FileNotFoundError:
        raise ConfigError(f"hyperparameters: {artifact.path} does not exist") from None
    except ValueError as error:
        raise ConfigError(f"hyperparameters: expected JSON in {artifact.path}: {error}") from None


def _set_outputs(fn_args: FnArgs, model: Model, model_run: Path) -> None:
    for path in (model.serving, model.evaluation):
        shutil.rmtree(path, ignore_errors=True)
    model.root.mkdir(parents=True, exist_ok=True)
    model_run.mkdir(parents=True, exist_ok=True)
    fn_args.serving_model_dir = str(model.serving)
    fn_args.eval_model_dir = str(model.evaluation)
    fn_args.model_run_dir = str(model_run)


def _num_examples(statistics: ExampleStatistics) -> dict[str, int]:
    """Returns the rows of every split that the statistics cover."""
    return {split: statistics.read(split).datasets[0].num_examples for split in statistics.splits()}


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
