"""TFX's side of the benchmark: the same pipeline by TFX's own components and LocalDagRunner.

Run by side_by_side.py in a process of its own. Writes the seconds of each component to --times as JSON.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_model_analysis.proto import config_pb2
from tfx import v1 as tfx
from tfx.orchestration.portable import launcher

# TFMA 0.52 does not re-export its configuration messages, and TFX's Evaluator takes them from there.
for message in ("EvalConfig", "ModelSpec", "SlicingSpec", "MetricsSpec", "Options"):
    if not hasattr(tfma, message):
        setattr(tfma, message, getattr(config_pb2, message))


def create_pipeline(arguments: argparse.Namespace) -> tfx.dsl.Pipeline:
    examples = tfx.components.CsvExampleGen(input_base=arguments.data)
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=True)
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    transform = tfx.components.Transform(
        examples=examples.outputs["examples"], schema=schema.outputs["schema"], module_file=arguments.module_file
    )
    trainer = tfx.components.Trainer(
        module_file=arguments.module_file,
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        train_args=tfx.proto.TrainArgs(num_steps=arguments.train_steps),
        eval_args=tfx.proto.EvalArgs(num_steps=arguments.eval_steps),
    )
    baseline = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("LatestBlessedModel")
    evaluator = tfx.components.Evaluator(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        eval_config=json_format.Parse(arguments.eval_config, config_pb2.EvalConfig()),
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=f"{arguments.root}/serving_model")
        ),
    )
    return tfx.dsl.Pipeline(
        pipeline_name="benchmark",
        pipeline_root=f"{arguments.root}/pipeline",
        components=[examples, statistics, schema, validator, transform, trainer, baseline, evaluator, pusher],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            f"{arguments.root}/metadata.sqlite"
        ),
    )


def time_components() -> dict[str, float]:
    """Returns the seconds of each component, filled while the pipeline runs.

    LocalDagRunner logs when a component starts and ends, but some components turn the log level down.
    """
    seconds: dict[str, float] = {}
    launch = launcher.Launcher.launch

    def timed_launch(self: launcher.Launcher) -> object:
        started = time.monotonic()
        try:
            return launch(self)
        finally:
            seconds[self._pipeline_node.node_info.id] = time.monotonic() - started

    launcher.Launcher.launch = timed_launch
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "module-file", "eval-config", "root", "times"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("train-steps", "eval-steps"):
        parser.add_argument(f"--{name}", type=int, required=True)
    arguments = parser.parse_args()
    seconds = time_components()
    tfx.orchestration.LocalDagRunner().run(create_pipeline(arguments))
    Path(arguments.times).write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()
