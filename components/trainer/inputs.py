"""Sets those fields of FnArgs that come from the input artifacts, for the Trainer and the Tuner."""

import logging
from pathlib import Path
from typing import Any

from penstock.components.trainer.arguments import StepArgs
from penstock.core.artifacts import Examples, ExampleStatistics, HyperParameters, Model, Schema, TransformGraph
from penstock.core.errors import ConfigError, DataError, SchemaError, UserError
from penstock.core.examples import payloads, records
from penstock.core.examples.payloads import PayloadFormat
from penstock.trainer.data import reader
from penstock.trainer.fn_args import FnArgs

logger = logging.getLogger(__name__)


def set_examples(fn_args: FnArgs, examples: Examples, train: StepArgs, evaluate: StepArgs, payload_format: str) -> None:
    """Sets the files and steps of training and evaluation, and the data_accessor for records of this format.

    Raises a DataError for a split that is missing or empty, a ConfigError for a format that cannot be read.
    """
    fn_args.payload_format = payloads.parse(payload_format)
    fn_args.data_accessor = reader.data_accessor(fn_args.payload_format)
    for parameter, args in (("train_args", train), ("eval_args", evaluate)):
        for split in args.splits:
            _check_split(examples, split, parameter, fn_args.payload_format)
        if args.num_steps is None:
            logger.info("%s has no num_steps: the function decides itself how long it trains", parameter)
    fn_args.train_files = list(map(examples.pattern, train.splits))
    fn_args.eval_files = list(map(examples.pattern, evaluate.splits))
    fn_args.train_steps, fn_args.eval_steps = train.num_steps, evaluate.num_steps


def _check_split(examples: Examples, split: str, parameter: str, payload_format: PayloadFormat) -> None:
    splits = examples.splits()
    if split not in splits:
        raise DataError(
            f"{parameter}.splits: the examples at {examples.root} have no split {split!r}: expected one of "
            f"{', '.join(splits) or 'none'}"
        )
    if not records.any_record(examples.files(split), payload_format):
        raise DataError(
            f"{parameter}.splits: split {split!r} of the examples at {examples.root} holds no example: check the "
            "source and the split's share of it"
        )


def set_statistics(fn_args: FnArgs, statistics: ExampleStatistics) -> None:
    """Sets `statistics_path`, and `num_examples` to the number of rows of each split in the statistics."""
    fn_args.statistics_path = str(statistics.root)
    rows = {split: statistics.read(split).datasets[0].num_examples for split in statistics.splits()}
    fn_args.num_examples = rows  # type: ignore[attr-defined]


def set_artifacts(
    fn_args: FnArgs,
    transform_graph: str | None,
    schema: str | None,
    base_model: str | None,
    hyperparameters: str | None,
) -> None:
    """Sets the paths of the artifacts, and the hyperparameters, which it reads; the arguments are folders or None.

    Raises a UserError for a folder that does not hold such an artifact.
    """
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
