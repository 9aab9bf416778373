"""The monitoring pipeline: a window of a model's requests beside its baseline, who is told what moved, and retraining.

It is the same on every target, and is run again for each window: by a schedule, or by hand for one that is over.
Without a policy on retraining there is no Retrainer.
"""

from typing import Any

from kfp import dsl
from kfp.dsl import base_component

from penstock.components.alerter.component import alerter
from penstock.components.retrainer.component import retrainer
from penstock.components.serving_baseline.component import serving_baseline
from penstock.components.window_monitor.component import window_monitor
from penstock.core.files import object_stores
from penstock.pipelines.config.monitoring import Monitoring
from penstock.pipelines.config.section import json_text
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.training import data_parameters

SUFFIX = "-monitoring"  # of the pipeline's name


def parameters(config: Config, training_pipeline: str = "") -> dict[str, Any]:
    """Returns the pipeline's parameters as the configuration sets them; "" and 0 stand for none.

    `training_pipeline` is the URI of the compiled one, which a Retrainer starts.
    """
    settings = config.monitoring or Monitoring.model_validate({}, context={"folder": config.folder})
    folder = object_stores.join(config.pipeline_root, "monitoring")
    return {
        "baseline": settings.baseline or "",
        "requests": settings.requests,
        "window_length": settings.window,
        "begin": "",
        "end": "",
        "model": settings.model,
        "version": settings.version or 0,
        "history": f"{folder}/history",
        **config.window_arguments(),
        "alert_state": f"{folder}/alerts",
        "alert_settings": settings.alerts.settings,
        "training_pipeline": training_pipeline,
        "retraining_state": retraining_state(config),
        "retraining_policy": settings.retraining.policy if settings.retraining else "",
        **data_parameters(config),
        "push_destination": json_text(config.push.destination if config.push else None),
        "pipeline_root": config.pipeline_root,
    }


def retraining_state(config: Config) -> str:
    """Returns the folder that remembers the pipeline's retrainings."""
    return object_stores.join(config.pipeline_root, "monitoring/retraining")


def monitoring_pipeline(config: Config, training_pipeline: str = "") -> base_component.BaseComponent:
    """Returns the pipeline of a configuration. Which window it looks at is its parameters'."""
    default = parameters(config, training_pipeline)

    def pipeline(
        baseline: str = default["baseline"],
        requests: str = default["requests"],
        window_length: str = default["window_length"],
        begin: str = default["begin"],
        end: str = default["end"],
        model: str = default["model"],
        version: int = default["version"],
        instances: str = default["instances"],
        history: str = default["history"],
        labels: str = default["labels"],
        performance: str = default["performance"],
        drift: str = default["drift"],
        alert_state: str = default["alert_state"],
        alert_settings: str = default["alert_settings"],
        training_pipeline: str = default["training_pipeline"],
        retraining_state: str = default["retraining_state"],
        retraining_policy: str = default["retraining_policy"],
        input_base: str = default["input_base"],
        input_config: str = default["input_config"],
        range_config: str = default["range_config"],
        push_destination: str = default["push_destination"],
        pipeline_root: str = default["pipeline_root"],
    ) -> None:
        serves = serving_baseline(pipeline_root=pipeline_root, push_destination=push_destination, baseline=baseline)
        serves.set_caching_options(False)  # another model may serve by now
        window = window_monitor(
            baseline=serves.outputs["current"],
            requests=requests,
            window_length=window_length,
            begin=begin,
            end=end,
            model=model,
            version=version,
            instances=instances,
            history=history,
            labels=labels,
            performance=performance,
            drift=drift,
            engine=config.engine,
        )
        window.set_caching_options(False)  # requests come in all the time
        alerts = alerter(
            window=window.outputs["window"],
            report=window.outputs["report"],
            state=alert_state,
            settings=alert_settings,
        )
        alerts.set_caching_options(False)
        if config.retrains:
            decided = retrainer(
                window=window.outputs["window"],
                report=window.outputs["report"],
                baseline=serves.outputs["current"],
                state=retraining_state,
                pipeline=training_pipeline,
                policy=retraining_policy,
                alert_state=alert_state,
                alert_settings=alert_settings,
                input_base=input_base,
                input_config=input_config,
                range_config=range_config,
            )
            decided.set_caching_options(False)

    description = "Compares a window of requests with the training data, tells what moved, and has the model retrained."
    return dsl.pipeline(name=f"{config.name}{SUFFIX}", description=description)(pipeline)
