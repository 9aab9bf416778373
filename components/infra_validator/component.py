"""The InfraValidator component."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Model, Output

from penstock.components.wrapper import component


@component(imports=["penstock.components.infra_validator.executor"])
def infra_validator(
    blessing: Output[Artifact],
    infra_validation: Output[Artifact],
    report: Output[HTML],
    model: Input[Model],
    examples: Input[Dataset] = None,
    serving_spec: str = "",
    validation_spec: str = "",
    request_spec: str = "",
    budgets: str = "",
    server_url: str = "",
    label: str = "",
) -> bool:
    """Tries a model in a model server before it is pushed, and blesses it if the server answers with it.

    It starts Penstock's model server as a process of its own, and needs no Docker. With examples and a request_spec
    the server is asked about examples, and its answers are compared with the model's own; else the model is only
    loaded. What the server says at the end, and how fast and how large it was, is in the report. A model that is no
    SavedModel is blessed unchecked: no model server of TensorFlow's takes it.

    Args:
        model: The candidate: its serving model is tried.
        examples: Examples that the server is asked about.
        serving_spec: TFX's ServingSpec as JSON. `model_name` and plain variables of the environment count. Images of
            TensorFlow Serving, Docker and Kubernetes are not started: Penstock's model server takes their place.
        validation_spec: TFX's ValidationSpec as JSON: `max_loading_time_seconds` (300) and `num_tries` (5).
        request_spec: TFX's RequestSpec as JSON: `split_name`, `num_examples`, `make_warmup`, and
            `tensorflow_serving.signature_names`. With `make_warmup` the blessing holds the model with these requests,
            which a model server asks before it is ready.
        budgets: JSON with what the server may need: `latency_p50_ms`, `latency_p95_ms`, `memory` (such as 2Gi, of the
            server's process) and `cold_start_seconds`.
        server_url: The URL of the model in a server that runs already: http://host:8501/v1/models/NAME (TensorFlow
            Serving's REST, KServe V1) or http://host:8080/v2/models/NAME (Open Inference Protocol).
        label: The feature that requests lack, as in serving.

    Returns:
        blessing: An empty file INFRA_BLESSED or INFRA_NOT_BLESSED and, with warm-up requests, `stamped_model/`;
            metadata `blessed` and `has_model`.
        infra_validation: `infra_validation.json`: the verdict, what was measured, the server's last lines.
        report: The same for a person to read.
        Output: Whether the model is blessed.
    """
    from penstock.components.infra_validator import executor

    result = executor.run(
        blessing=blessing.path,
        infra_validation=infra_validation.path,
        report=report.path,
        model=model.path,
        examples=examples.path if examples else None,
        serving_spec=serving_spec,
        validation_spec=validation_spec,
        request_spec=request_spec,
        budgets=budgets,
        server_url=server_url,
        label=label,
        model_uri=model.uri,
    )
    blessing.metadata.update(result.metadata["blessing"])
    infra_validation.metadata.update(result.metadata["infra_validation"])
    return result.blessed
