"""The training pipeline, from the data to a pushed model: the graph, and nothing else.

    input_resolver -> example_gen -> example_cleaner -> statistics_gen -> schema_gen -> example_validator
      -> transform -> tuner -> trainer
      -> latest_blessed_model -> evaluator -> if blessed: infra_validator -> if blessed: pusher -> model_monitor
                                           -> bulk_inferrer

Components whose section the configuration leaves out are left out, and so is latest_blessed_model where no evaluation
is asked for. The evaluator decides whether the model is pushed, and asked by the bulk_inferrer, if it has a threshold.
The model_monitor needs no push, unless the endpoint's own service is to watch it. What looks at the world or changes it
is never cached: the input_resolver, latest_blessed_model, pusher, and the model_monitor with a service.
"""

import contextlib
from typing import Any

from kfp import dsl
from kfp.dsl import base_component

from penstock.components.bulk_inferrer.component import bulk_inferrer
from penstock.components.evaluator.component import evaluator
from penstock.components.example_cleaner.component import example_cleaner
from penstock.components.example_gen.component import (
    csv_example_gen,
    file_example_gen,
    import_example_gen,
    input_resolver,
    parquet_example_gen,
    source_example_gen,
)
from penstock.components.example_validator.component import example_validator
from penstock.components.infra_validator.component import infra_validator
from penstock.components.latest_blessed_model.component import latest_blessed_model
from penstock.components.model_monitor.component import model_monitor
from penstock.components.pusher.component import pusher
from penstock.components.schema_gen.component import import_schema_gen, schema_gen
from penstock.components.statistics_gen.component import statistics_gen
from penstock.components.trainer.component import trainer
from penstock.components.transform.component import transform
from penstock.components.tuner.component import tuner
from penstock.pipelines.config.cleaning import Cleaning
from penstock.pipelines.config.components import BulkInference, InfraValidation, Training, Transform
from penstock.pipelines.config.data import Splits
from penstock.pipelines.config.section import json_text
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.config.tuning import Tuning
from penstock.pipelines.modules import default_trainer
from penstock.pipelines.modules.published import Function, Published, source_classes

type _Channel = Any  # a parameter of the pipeline: KFP's placeholder for a value
_EXAMPLE_GENS = {"csv": csv_example_gen, "parquet": parquet_example_gen, "tfrecord": import_example_gen}


def parameters(config: Config, published: Published) -> dict[str, Any]:
    """Returns the pipeline's parameters as the configuration sets them, by TFX's names; "" stands for none."""
    training, push = config.training, config.push
    return {
        **data_parameters(config),
        "schema_file": published.schema_file,
        "module_file": published.module_file,
        "train_steps": training.train_steps if training else 0,
        "eval_steps": training.eval_steps if training else 0,
        "push_destination": json_text(push.destination if push else None),
        "pipeline_root": config.pipeline_root,
    }


def data_parameters(config: Config) -> dict[str, str]:
    """Returns those that say where the data is."""
    return {
        "input_base": config.data.input_base_text(config.without_code, source_classes(config)),
        "input_config": config.data.input_config_text,
        "range_config": config.data.range_config_text,
    }


def training_pipeline(config: Config, published: Published) -> base_component.BaseComponent:
    """Returns the pipeline of a configuration. Its parameters are what changes from run to run, with defaults."""
    default = parameters(config, published)

    def pipeline(
        input_base: str = default["input_base"],
        input_config: str = default["input_config"],
        range_config: str = default["range_config"],
        schema_file: str = default["schema_file"],
        module_file: str = default["module_file"],
        train_steps: int = default["train_steps"],
        eval_steps: int = default["eval_steps"],
        push_destination: str = default["push_destination"],
        pipeline_root: str = default["pipeline_root"],
    ) -> None:
        graph = _Graph(config, published)
        graph.read(input_base, input_config, range_config, pipeline_root)
        if config.cleaning:
            graph.clean(config.cleaning)
        graph.validate(schema_file)
        if config.transform and (config.without_code or published.preprocessing_fn):
            graph.transform(module_file)
        if config.tuning:
            graph.tune(module_file, train_steps, eval_steps, pipeline_root)
        if config.training:
            graph.train(module_file, train_steps, eval_steps)
            graph.evaluate(module_file, pipeline_root, push_destination)
        if config.bulk_inference:
            graph.infer(config.bulk_inference)
        if config.monitoring and not config.monitoring_service:
            graph.monitor()
        if config.push or config.tries_servers:
            graph.push(push_destination)

    return dsl.pipeline(name=config.name, description="Trains, evaluates and pushes a model.")(pipeline)


class _Graph:
    """The tasks of a pipeline, added in their order, and the artifacts that later tasks take."""

    def __init__(self, config: Config, published: Published) -> None:
        self.config, self.published = config, published
        self.validator: dsl.PipelineTask | None = None
        self.transformed: dsl.PipelineTask | None = None
        self.gate: dsl.PipelineTask | None = None
        self.hyperparameters: dict[str, Any] = {}
        self.cleaning: dict[str, Any] = {}
        self.evaluated: dict[str, Any] = {}

    def read(
        self, input_base: _Channel, input_config: _Channel, range_config: _Channel, pipeline_root: _Channel
    ) -> None:
        data, splits = self.config.data, self.config.splits or Splits()
        state = {} if data.of_files else {"state": f"{pipeline_root}/sources"}
        resolved = input_resolver(input_base=input_base, input_config=input_config, range_config=range_config, **state)
        resolved.set_caching_options(False)
        output = splits.output_config("auto" if self.config.without_code else "content")
        arguments: dict[str, Any] = {}
        reader = _EXAMPLE_GENS.get(data.file_format or "", file_example_gen if data.of_files else source_example_gen)
        options = data.file_options(self.config.without_code)
        if data.columns or data.partitions or reader is file_example_gen:
            reader, arguments["file_format"] = file_example_gen, data.file_format
        if options:
            arguments["file_options" if reader is file_example_gen else "csv_options"] = json_text(options)
        if data.payload_format:
            arguments["payload_format"] = data.payload_format
        if len(data.splits) < 2:  # data that comes in splits keeps them
            arguments["output_config"] = json_text({"split_config": output})
        self.examples = reader(
            input_base=input_base,
            resolved_input=resolved.outputs["resolved_input"],
            fingerprint=resolved.outputs["fingerprint"],
            span=resolved.outputs["span"],
            version=resolved.outputs["version"],
            label=self.config.label or "",
            engine=self.config.engine,
            **arguments,
        ).outputs["examples"]

    def clean(self, settings: Cleaning) -> None:
        """What comes after has the cleaned examples; the model carries the rules to those who ask it."""
        config = self.config
        training = config.training or Training()
        task = example_cleaner(
            examples=self.examples,
            **settings.arguments(config.label or "", training.train_splits),
            engine=config.engine,
        )
        self.examples = task.outputs["cleaned_examples"]
        self.cleaning = {"cleaning": task.outputs["cleaning"]}

    def validate(self, schema_file: _Channel) -> None:
        config, curated = self.config, {}
        if self.published.schema_file:
            self.schema = import_schema_gen(schema_file=schema_file).outputs["schema"]
            curated = {"schema": self.schema}
        options = dict(config.statistics.stats_options)
        if config.statistics.sample_rate is not None:
            options["sample_rate"] = config.statistics.sample_rate
        self.statistics = statistics_gen(
            examples=self.examples,
            stats_options=json_text(options or None),
            exclude_splits=config.statistics.exclude_splits,
            engine=config.engine,
            label=config.label or "",
            **curated,
        ).outputs["statistics"]
        if not curated:
            self.schema = schema_gen(
                statistics=self.statistics,
                infer_feature_shape=config.schema_.infer_feature_shape,
                label=config.label or "",
            ).outputs["schema"]
        validation = config.validation
        if validation:
            self.validator = example_validator(
                statistics=self.statistics,
                schema=self.schema,
                exclude_splits=validation.exclude_splits,
                fail_on_anomalies=validation.fail_on_anomalies,
                label=config.label or "",
                **_imported(previous_statistics=validation.previous_statistics),
                **_imported(serving_statistics=validation.serving_statistics),
            )

    def transform(self, module_file: _Channel) -> None:
        settings = self.config.transform or Transform()
        splits = {"analyze": settings.analyze, "transform": settings.transform or self.config.split_names}
        function, custom_config, more = self.published.preprocessing_fn, settings.custom_config, self._keras()
        if self.config.without_code:
            custom_config = default_trainer.transform_config(self.config)
        if self.published.takes_statistics:
            more["statistics"] = self.statistics
        self.transformed = transform(
            examples=self.examples,
            schema=self.schema,
            module_file=self._module_file(function, module_file),
            preprocessing_fn=function.name if function else default_trainer.PREPROCESSING_FN,
            splits_config=json_text(splits),
            materialize=settings.materialize,
            disable_analyzer_cache=settings.disable_analyzer_cache,
            custom_config=json_text(custom_config),
            disable_statistics=settings.disable_statistics,
            stats_options_updater_fn=self.published.updater,
            engine=self.config.engine,
            **more,
            **_imported(analyzer_cache=settings.analyzer_cache),
        )
        self._after_validation(self.transformed)

    def tune(self, module_file: _Channel, train_steps: _Channel, eval_steps: _Channel, pipeline_root: _Channel) -> None:
        training, settings = self.config.training or Training(), self.config.tuning or Tuning()
        task = tuner(
            schema=self.schema,
            statistics=self.statistics,
            **self._trained_on(),
            **({"raw_examples": self.examples} if settings.divides else {}),
            **settings.function(
                self._module_file(self.published.tuner_fn, module_file),
                self.published.tuner_fn.name if self.published.tuner_fn else "",
                self._custom_config(training),
                training.model_dump(include={"accelerator", "precision"}),
            ),
            train_args=_step_args(training.train_splits, train_steps),
            eval_args=_step_args(training.eval_splits, eval_steps),
            tune_args=json_text({"num_parallel_trials": settings.parallel_trials}),
            working_dir=f"{pipeline_root}/tuning",
            workers=settings.workers,
            **_imported(dsl.Model, base_model=training.base_model),
        )
        self.hyperparameters = {"hyperparameters": task.outputs["best_hyperparameters"]}
        self._after_validation(task)

    def train(self, module_file: _Channel, train_steps: _Channel, eval_steps: _Channel) -> None:
        settings, function = self.config.training or Training(), self.published.run_fn
        task = trainer(
            schema=self.schema,
            statistics=self.statistics,
            module_file=self._module_file(function, module_file),
            run_fn=function.name if function else default_trainer.RUN_FN,
            train_args=_step_args(settings.train_splits, train_steps),
            eval_args=_step_args(settings.eval_splits, eval_steps),
            custom_config=json_text(self._custom_config(settings)),
            accelerator=settings.accelerator,
            precision=settings.precision,
            workers=settings.workers,
            **self.cleaning,
            **self._keras(),
            **self._trained_on(),
            **(self.hyperparameters or _imported(hyperparameters=self.published.hyperparameters)),
            **_imported(dsl.Model, base_model=settings.base_model),
        )
        self.model = task.outputs["model"]
        self._after_validation(task)

    def _module_file(self, function: Function | None, parameter: _Channel) -> _Channel:
        """Returns the pipeline's parameter, or the function's own module where it is another."""
        if function is None or function.module_file == self.published.module_file:
            return parameter
        return function.module_file

    def _keras(self) -> dict[str, int]:
        return {"keras": self.published.keras} if self.published.keras else {}

    def _custom_config(self, training: Training) -> dict[str, Any] | None:
        return default_trainer.trainer_config(self.config) if self.config.without_code else training.custom_config

    def _trained_on(self) -> dict[str, Any]:
        """The examples that the Tuner and the Trainer learn from, and what Transform has made of them."""
        if self.transformed is None:
            return {"examples": self.examples}
        materialized = self.config.transform and self.config.transform.materialize
        return {
            "examples": self.transformed.outputs["transformed_examples"] if materialized else self.examples,
            "transform_graph": self.transformed.outputs["transform_graph"],
        }

    def evaluate(self, module_file: _Channel, pipeline_root: _Channel, push_destination: _Channel) -> None:
        config, evaluator_ = self.config, self.published.evaluator
        settings, training = config.evaluation, config.training or Training()
        if settings is None:
            return
        baseline: dict[str, Any] = {}
        if config.compares_models:
            serves = {"push_destination": push_destination} if config.retrains and config.push else {}
            task = latest_blessed_model(candidate=self.model, pipeline_root=pipeline_root, **serves)
            task.set_caching_options(False)
            baseline = {"baseline_model": task.outputs["model"]}
        task = evaluator(
            examples=self.examples,
            model=self.model,
            schema=self.schema,
            eval_config=settings.text(config.label, config.label if evaluator_ else None),
            label="" if settings.eval_config else config.label or "",
            example_splits=config.evaluated_splits,
            train_splits=training.train_splits,
            eval_splits=training.eval_splits,
            better_than_trivial=settings.margins,
            **({} if settings.importance_rows is None else {"importance_rows": settings.importance_rows}),
            module_file=self._module_file(evaluator_, module_file) if evaluator_ else "",
            **baseline,
            **(self._keras() if evaluator_ else {}),
            engine=config.engine,
        )
        self.evaluated = {"evaluation": task.outputs["evaluation"]}
        if config.gates:
            self.gate = task

    def infer(self, settings: BulkInference) -> None:
        """The BulkInferrer needs no condition: of a model that is not blessed it writes nothing, which is no error."""
        blessing = {"model_blessing": self.gate.outputs["blessing"]} if self.gate else {}
        bulk_inferrer(
            examples=self.examples, model=self.model, engine=self.config.engine, **settings.arguments(), **blessing
        )

    def monitor(self, pushed_model: Any = None) -> None:
        """What requests are compared with later. It needs no blessing: the model may be pushed by hand.

        With the pushed model it tells the service that serves it to compare requests, and is never cached.
        """
        config, watching = self.config, {}
        if pushed_model is not None:
            watching = {"pushed_model": pushed_model, "service": json_text(config.monitoring_service)}
        task = model_monitor(
            examples=self.examples,
            schema=self.schema,
            model=self.model,
            **self.evaluated,
            **config.baseline_arguments,
            engine=config.engine,
            **watching,
        )
        if watching:
            task.set_caching_options(False)

    def push(self, push_destination: _Channel) -> None:
        """A model is pushed if each gate that the pipeline has blesses it: the Evaluator, then a model server."""
        blessings: dict[str, Any] = {}
        with contextlib.ExitStack() as conditions:
            if self.gate is not None:
                conditions.enter_context(dsl.If(self.gate.outputs["Output"] == True, name="blessed"))  # noqa: E712  (KFP's condition)
                blessings["model_blessing"] = self.gate.outputs["blessing"]
            served = self._try_server() if self.config.tries_servers else None
            if not self.config.push:
                return
            if served is not None:
                conditions.enter_context(dsl.If(served.outputs["Output"] == True, name="servable"))  # noqa: E712
                blessings["infra_blessing"] = served.outputs["blessing"]
            pushed = pusher(model=self.model, push_destination=push_destination, **blessings)
            pushed.set_caching_options(False)
            if self.config.monitoring_service:
                self.monitor(pushed.outputs["pushed_model"])

    def _try_server(self) -> dsl.PipelineTask:
        settings = self.config.infra_validation or InfraValidation()
        task = infra_validator(
            model=self.model,
            examples=self.examples,
            label=self.config.label or "",
            **settings.arguments(self.config.split_names),
        )
        if settings.server_url:  # it looks at the world
            task.set_caching_options(False)
        return task

    def _after_validation(self, task: dsl.PipelineTask) -> None:
        """Nothing is learnt from data that the validator refuses: a constant label, or fail_on_anomalies."""
        if self.validator is not None:
            task.after(self.validator)


def _step_args(splits: list[str], steps: _Channel) -> str:
    return f'{{"num_steps": {steps}, "splits": {json_text(splits)}}}'


def _imported(kind: type[dsl.Artifact] = dsl.Artifact, **uris: str | None) -> dict[str, Any]:
    """Returns artifacts that exist already, as inputs; nothing for those that are not given."""
    return {
        name: dsl.importer(artifact_uri=uri, artifact_class=kind, reimport=False).output
        for name, uri in uris.items()
        if uri
    }
