"""The EvalConfig: read from its three notations, completed as TFX completes it, and checked before any data is read."""

import difflib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf
import yaml
from google.protobuf import json_format, text_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import config_util

from penstock.components.errors import ConfigError, ModelError

CANDIDATE_SIGNATURE = "serving_default"


def parse(text: str) -> Any:
    """Returns the EvalConfig written as YAML, JSON or protobuf's text form; a ConfigError says what does not fit."""
    if not text.strip():
        raise ConfigError("eval_config is empty: expected a tfma.EvalConfig with model_specs and metrics_specs")
    message = config_pb2.EvalConfig()
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        document = None
    try:
        if isinstance(document, dict):
            return json_format.ParseDict(document, message)
        return text_format.Parse(text, message)
    except (json_format.ParseError, text_format.ParseError) as error:
        reason = str(error).splitlines()[0]  # the others list the names of all fields
        raise ConfigError(f"eval_config: expected a tfma.EvalConfig: {reason}") from None


def complete(config: Any, has_baseline: bool) -> Any:
    """Returns the config with TFMA's defaults. Change thresholds are dropped while there is no baseline."""
    if not config.model_specs:
        config.model_specs.add(signature_name=CANDIDATE_SIGNATURE)
    completed = config_util.update_eval_config_with_defaults(config, has_baseline=has_baseline, rubber_stamp=True)
    if len(completed.model_specs) > 2:
        raise ConfigError(f"eval_config: expected one or two model_specs, received {len(completed.model_specs)}")
    try:
        config_util.verify_eval_config(completed)
    except ValueError as error:
        raise ConfigError(f"eval_config: {error}") from None
    return completed


def has_thresholds(config: Any) -> bool:
    return bool(metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config))


def check(config: Any, model: Path, schema: schema_pb2.Schema | None) -> None:
    """Raises a ModelError or ConfigError for what the model, the schema or TFMA does not have."""
    signatures = model_signatures(model)
    features = {feature.name for feature in schema.feature} if schema else None
    for spec in config.model_specs:
        _check_signature(spec.signature_name or CANDIDATE_SIGNATURE, signatures, "signature_name")
        produced: set[str] = set()
        for name in spec.preprocessing_function_names:
            _check_signature(name, signatures, "preprocessing_function_names")
            produced |= signatures.get(name, set())
        known = None if features is None else features | produced
        for field in ("label_key", "example_weight_key"):
            _check_feature(field, [getattr(spec, field)], known, produced)
            _check_feature(f"{field}s", getattr(spec, f"{field}s").values(), known, produced)
    slices = [("slicing_specs", slicing) for slicing in config.slicing_specs]
    for crossing in config.cross_slicing_specs:
        slices += [("cross_slicing_specs", slicing) for slicing in (crossing.baseline_spec, *crossing.slicing_specs)]
    for field, slicing in slices:
        _check_feature(field, [*slicing.feature_keys, *slicing.feature_values], features, set())
    _check_metrics(config, schema)


def model_signatures(model: Path) -> dict[str, set[str]]:
    """Returns the SavedModel's signatures and the names of their outputs, without loading it."""
    saved = saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    graphs = [graph for graph in saved.meta_graphs if tf.saved_model.SERVING in graph.meta_info_def.tags]
    found = graphs[0].signature_def.items() if graphs else []
    return {name: set(signature.outputs) for name, signature in found if not name.startswith("__")}


def _check_signature(name: str, signatures: Collection[str], field: str) -> None:
    if name not in signatures:
        found = ", ".join(sorted(signatures)) or "none"
        raise ModelError(f"eval_config: {field}: the model has no signature {name!r}: expected one of {found}")


def _check_feature(field: str, names: Iterable[str], known: set[str] | None, produced: set[str]) -> None:
    for name in names:
        if name and known is not None and name not in known:
            source = "the examples and the model's preprocessing functions" if produced else "the examples"
            raise ModelError(f"eval_config: {field}: {source} have no feature {name!r}{nearest(name, known)}")


def _check_metrics(config: Any, schema: schema_pb2.Schema | None) -> None:
    """TFMA's registry has its own metrics; the other ones it takes from Keras. Both say what settings they refuse."""
    keras = {name for name in dir(tf.keras.metrics) if isinstance(getattr(tf.keras.metrics, name), type)}
    known = keras | set(metric_types.registered_metrics())
    for spec in config.metrics_specs:
        for metric in spec.metrics:
            if not metric.module and metric.class_name not in known:
                hint = nearest(metric.class_name, known)
                raise ConfigError(f"eval_config: unknown metric {metric.class_name!r}{hint}")
    try:
        metric_specs.to_computations(list(config.metrics_specs), eval_config=config, schema=schema)
    except Exception as error:  # whatever a metric's own constructor raises
        raise ConfigError(f"eval_config: metrics_specs: {error}") from error


def nearest(name: str, known: Collection[str]) -> str:
    """Returns `; did you mean 'x'?`, or nothing where no name is near."""
    by_lower_case = {candidate.lower(): candidate for candidate in sorted(known)}
    found = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return f"; did you mean {by_lower_case[found[0]]!r}?" if found else ""
