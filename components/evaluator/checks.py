"""Checks an EvalConfig against the models, the schema and TFMA, before any example is read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import ModuleType

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.extractors import sql_slice_key_extractor
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto.config_pb2 import (
    CrossSlicingSpec,
    EvalConfig,
    MetricConfig,
    SlicingSpec,
)

from penstock.components.evaluator import agreement
from penstock.components.evaluator import eval_config as eval_configs
from penstock.components.evaluator.models import EvaluatedModel
from penstock.core import user_modules
from penstock.core.errors import ConfigError, ModelError
from penstock.core.suggestions import did_you_mean, nearest


def check(
    config: EvalConfig,
    models: Sequence[EvaluatedModel],
    schema: schema_pb2.Schema | None,
    module: ModuleType | None = None,
) -> None:
    """Raises a ModelError or ConfigError if the config names what the models, the schema or TFMA do not have.

    The same if the models do not fit each other. Nothing is checked that the module may define: models and their
    metrics if it loads the models, features if it extracts them.
    """
    loads, extracts = (
        module is not None and user_modules.optional_function(module, name) is not None
        for name in ("custom_eval_shared_model", "custom_extractors")
    )
    kinds = {feature.name: feature.type for feature in schema.feature} if schema is not None and not extracts else None
    produced: set[str] = set()
    if not loads and not extracts:
        agreement.check_labels(models)
        for model in models:
            _check_model(model, config, kinds)
            produced |= model.produced
        agreement.check(models, kinds)
    if loads and any(spec.preprocessing_function_names for spec in config.model_specs):
        kinds = None  # only the module knows which features these functions produce
    for field, slicing in _slices(config):
        _check_feature(field, [*slicing.feature_keys, *slicing.feature_values], kinds, produced)
    for spec in config.metrics_specs:
        _check_feature("query_key", [spec.query_key], kinds, set())
    has_sql = isinstance(sql_slice_key_extractor.sql_util, ModuleType)  # where it is missing, `import tfx` puts a mock
    if any(spec.slice_keys_sql for spec in config.slicing_specs) and not has_sql:
        raise ConfigError(
            "eval_config: slice_keys_sql: this tfx-bsl has no SQL: expected feature_keys or feature_values"
        )
    _check_metrics(config, in_graph=loads)
    _check_sliced_thresholds(config)


def _check_model(model: EvaluatedModel, config: EvalConfig, kinds: Mapping[str, int] | None) -> None:
    spec, outputs, produced = model.spec, set(model.predicting.outputs), model.produced
    for field in ("label_key", "example_weight_key"):
        names = [getattr(spec, field), *getattr(spec, f"{field}s").values()]
        _check_feature(field if names[0] else f"{field}s", names, kinds, produced, model)
    weights = [spec.example_weight_key, *spec.example_weight_keys.values()]
    text = [name for name in weights if name and kinds and name not in produced and kinds.get(name) == schema_pb2.BYTES]
    if text:
        raise ModelError(f"eval_config: example_weight_key: feature {text[0]!r} holds text: expected numbers")
    if len(outputs) > 1:  # TFMA accepts any name for the only output
        _check_output("prediction_key", [spec.prediction_key, *spec.prediction_keys.values()], outputs, model)
        named = outputs | set(spec.prediction_keys)
        _check_output("label_keys", spec.label_keys, named, model)
        _check_output("example_weight_keys", spec.example_weight_keys, named, model)
        for metrics in config.metrics_specs:
            if spec.name in metrics.model_names:
                _check_output("output_names", metrics.output_names, named, model)
    _check_shapes(model)


def _check_shapes(model: EvaluatedModel) -> None:
    """Checks that outputs have a value for each example: TFMA looks at the first dimension of all of them."""
    predicting = {model.spec.signature_name or eval_configs.CANDIDATE_SIGNATURE: model.predicting}
    for name, signature in (predicting | model.preprocessing).items():
        takes_any = all(tensor.shape and tensor.shape[0] is None for tensor in signature.inputs.values())
        for output, tensor in signature.outputs.items():
            batch = tensor.shape[0] if tensor.shape else None
            if tensor.shape == () or (takes_any and batch is not None and batch > 1):
                received = f"{batch} values for any batch" if batch else "one value for the whole batch"
                raise ModelError(
                    f"{model.title}: signature {name!r}: output {output!r}: expected a value for each example, "
                    f"received {received}: give it the shape [batch, …], or leave it out of the signature{model.advice}"
                )


def _check_output(field: str, names: Iterable[str], outputs: set[str], model: EvaluatedModel) -> None:
    for name in names:
        if name and name not in outputs:
            hint = did_you_mean(name, sorted(outputs))
            raise ModelError(f"eval_config: {field}: {model.title} has no output {name!r}; {hint}{model.advice}")


def _check_feature(
    field: str,
    names: Iterable[str],
    kinds: Mapping[str, int] | None,
    produced: set[str],
    model: EvaluatedModel | None = None,
) -> None:
    """Checks that the examples or the preprocessing functions of the model, or of any model, have these features."""
    for name in names:
        if name and kinds is not None and name not in kinds and name not in produced:
            source = "the examples"
            if produced:
                baseline = model is not None and model.spec.is_baseline
                source += f" and {'the baseline' if baseline else 'the model'}'s preprocessing functions"
            hint = did_you_mean(name, sorted({*kinds, *produced}), "they have") + (model.advice if model else "")
            raise ModelError(f"eval_config: {field}: {source} have no feature {name!r}; {hint}")


def _slices(config: EvalConfig) -> Iterator[tuple[str, SlicingSpec]]:
    """Yields every SlicingSpec with the name of its field."""
    yield from (("slicing_specs", slicing) for slicing in config.slicing_specs)
    for crossing in config.cross_slicing_specs:
        yield from (("cross_slicing_specs", slicing) for slicing in (crossing.baseline_spec, *crossing.slicing_specs))
    for slicing, _ in eval_configs.thresholds(config):
        if isinstance(slicing, CrossSlicingSpec):
            parts = (slicing.baseline_spec, *slicing.slicing_specs)
            yield from (("cross_slice_thresholds", part) for part in parts)
        elif slicing is not None:
            yield "per_slice_thresholds", slicing


def _check_metrics(config: EvalConfig, in_graph: bool) -> None:
    """Checks that the metrics exist, accept their settings, and have a single number for a threshold to bound.

    TFMA has its own metrics in a registry, and takes the others from Keras. `in_graph` says that models may bring
    metrics of their own.
    """
    keras = {name for name in dir(tf.keras.metrics) if isinstance(getattr(tf.keras.metrics, name), type)}
    names = sorted(keras | set(metric_types.registered_metrics()))
    for spec in config.metrics_specs:
        for metric in spec.metrics:
            if not metric.module and metric.class_name not in names:
                near = nearest(metric.class_name, names)
                hint = f"did you mean {near!r}?" if near else "expected a metric of Keras or TFMA, such as AUC"
                raise ConfigError(f"eval_config: unknown metric {metric.class_name!r}; {hint}")
    try:
        computations = metric_specs.to_computations(list(config.metrics_specs), eval_config=config)
    except Exception as error:  # the constructor of a metric may raise anything
        raise ConfigError(f"eval_config: metrics_specs: {error}") from error
    keys = (key for computation in computations for key in computation.keys)
    computed = {key for key in keys if isinstance(key, metric_types.MetricKey)}
    thresholds = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    for key in thresholds:
        if not in_graph and key not in computed and key._replace(is_diff=False) not in computed:
            raise ConfigError(
                f"eval_config: {key.name!r} has a threshold but is not a metric that is computed: expected `threshold` "
                "beside the class_name of one"
            )
    for spec in config.metrics_specs:
        for metric in spec.metrics:
            limits = metric.HasField("threshold") or metric.per_slice_thresholds or metric.cross_slice_thresholds
            if limits and _is_several_numbers(metric):
                raise ConfigError(
                    f"eval_config: {metric.class_name} has a threshold but is several numbers: expected a metric that "
                    "is one number, such as Recall with one value in `thresholds`"
                )


def _is_several_numbers(metric: MetricConfig) -> bool:
    """Whether the metric is an array, a table or a plot, which TFMA's validation cannot compare with a threshold."""
    if metric.class_name.endswith(("ConfusionMatrixAtThresholds", "Plot")):
        return True
    thresholds = metric_specs._metric_config(metric.config).get("thresholds")
    return isinstance(thresholds, list) and len(thresholds) > 1


def _check_sliced_thresholds(config: EvalConfig) -> None:
    """Checks that thresholds are for slices that a slicing spec defines: TFMA fails those for any other slice."""
    if any(spec.slice_keys_sql for spec in config.slicing_specs):
        return
    slices = {_features(spec) for spec in config.slicing_specs} or {frozenset()}
    pairs = set()
    for crossing in config.cross_slicing_specs:
        slices |= {_features(crossing.baseline_spec), *map(_features, crossing.slicing_specs)}
        pairs |= {(_features(crossing.baseline_spec), _features(spec)) for spec in crossing.slicing_specs}
    for slicing, _ in eval_configs.thresholds(config):
        if isinstance(slicing, CrossSlicingSpec):
            compared = [(_features(slicing.baseline_spec), _features(spec)) for spec in slicing.slicing_specs]
            if not pairs & set(compared):
                raise ConfigError(
                    "eval_config: cross_slice_thresholds: expected a pair of slices of cross_slicing_specs, received "
                    + " or ".join(f"{_named(features)} against {_named(baseline)}" for baseline, features in compared)
                )
        elif slicing is not None and _features(slicing) not in slices:
            raise ConfigError(
                "eval_config: per_slice_thresholds: expected a slice that slicing_specs make, received "
                f"{_named(_features(slicing))}"
            )


def _features(slicing: SlicingSpec) -> frozenset[str]:
    return frozenset([*slicing.feature_keys, *slicing.feature_values])


def _named(features: frozenset[str]) -> str:
    return ", ".join(sorted(features)) or "the overall slice"
