"""The EvalConfig: read from its three notations, and completed with TFMA's defaults as in TFX."""

from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format, text_format
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.proto.config_pb2 import (
    CrossSlicingSpec,
    EvalConfig,
    MetricThreshold,
    ModelSpec,
    SlicingSpec,
)
from tensorflow_model_analysis.utils import config_util

from penstock.core.errors import ConfigError
from penstock.core.files import documents, yaml_documents

CANDIDATE_SIGNATURE = "serving_default"


def parse(text: str) -> EvalConfig:
    """Returns the EvalConfig in a text: YAML, JSON or protobuf's text form. A ConfigError says what is wrong with it.

    parse("model_specs: [{label_key: tips}]")
    """
    if not text.strip():
        return EvalConfig()
    try:
        document = _document(text)
        if document is None:
            return text_format.Parse(text, EvalConfig())
        try:
            return json_format.ParseDict(document, EvalConfig())
        except json_format.ParseError:
            # The text form `model_specs: {...}` is also YAML, but a mapping where a list is expected.
            try:
                return text_format.Parse(text, EvalConfig())
            except text_format.ParseError:
                pass
            raise
    except (json_format.ParseError, text_format.ParseError) as error:
        reason = str(error).splitlines()[0]  # the other lines name all fields
        raise ConfigError(f"eval_config: expected a tfma.EvalConfig: {reason}") from None


def _document(text: str) -> dict[str, Any] | None:
    """Returns the mapping in a JSON or YAML text; None if the text is neither, or not a mapping.

    JSON is tried first, because it may be indented with tabs, which YAML forbids.
    """
    try:
        document = documents.parse_json(text)
    except documents.DocumentError as error:
        raise ConfigError(f"eval_config: {error}") from None
    except ValueError:
        try:
            [document] = yaml_documents.parse_compiled(text, "eval_config")
        except ValueError:  # also for a key that is there twice, which the text form has for a list
            return None
    return document if isinstance(document, dict) else None


def complete(config: EvalConfig, has_baseline: bool) -> EvalConfig:
    """Returns the config with TFMA's defaults, and without change thresholds if there is no baseline.

    Raises a ConfigError for a contradiction, also for one that would fail only in a later run with a baseline.
    """
    _check_models(config)
    for _, threshold in thresholds(config):
        change = threshold.change_threshold
        if threshold.HasField("change_threshold") and not change.direction:
            raise ConfigError(
                "eval_config: change_threshold: direction: expected HIGHER_IS_BETTER or LOWER_IS_BETTER, received none"
            )
    if not config.model_specs:
        config.model_specs.add(signature_name=CANDIDATE_SIGNATURE)
    if has_baseline and len(config.model_specs) == 1 and config_util.has_change_threshold(config):
        # TFMA ignores the name of a single model_spec, but fails when it looks for that model's baseline.
        config.model_specs[0].name = ""
        for spec in config.metrics_specs:
            del spec.model_names[:]
    completed = config_util.update_eval_config_with_defaults(config, has_baseline=has_baseline, rubber_stamp=True)
    try:
        config_util.verify_eval_config(completed)
    except ValueError as error:
        raise ConfigError(f"eval_config: {error}") from None
    return completed


def _check_models(config: EvalConfig) -> None:
    specs = config.model_specs
    if len(specs) > 2:
        raise ConfigError(f"eval_config: expected one or two model_specs, received {len(specs)}")
    if specs and all(spec.is_baseline for spec in specs):
        raise ConfigError("eval_config: model_specs: expected one that is not a baseline: the model to evaluate")
    if len({spec.name for spec in specs}) < len(specs):
        raise ConfigError("eval_config: model_specs: expected two different names")
    names = {spec.name for spec in specs}
    for spec in config.metrics_specs:
        unknown = sorted(set(spec.model_names) - names)
        if unknown and len(specs) > 1:  # TFMA accepts any name for the only model
            existing = ", ".join(sorted(names))
            raise ConfigError(f"eval_config: model_names: no model_spec is named {unknown[0]!r}: expected {existing}")


def candidate(config: EvalConfig) -> ModelSpec:
    """Returns the spec of the model to evaluate."""
    return next(spec for spec in config.model_specs if not spec.is_baseline)


def candidate_name(config: EvalConfig) -> str:
    """Returns its name in TFMA's extracts and results, which name no model that is the only one."""
    return candidate(config).name if len(config.model_specs) > 1 else ""


def thresholds(config: EvalConfig) -> Iterator[tuple[SlicingSpec | CrossSlicingSpec | None, MetricThreshold]]:
    """Yields each threshold with the slices it is for; None stands for the overall slice."""
    for spec in config.metrics_specs:
        sliced = [part for metric in spec.metrics for part in metric.per_slice_thresholds]
        crossed = [part for metric in spec.metrics for part in metric.cross_slice_thresholds]
        sliced += [part for parts in spec.per_slice_thresholds.values() for part in parts.thresholds]
        crossed += [part for parts in spec.cross_slice_thresholds.values() for part in parts.thresholds]
        overall = [metric.threshold for metric in spec.metrics if metric.HasField("threshold")]
        yield from ((None, threshold) for threshold in [*overall, *spec.thresholds.values()])
        yield from ((slicing, part.threshold) for part in sliced for slicing in part.slicing_specs)
        yield from ((crossing, part.threshold) for part in crossed for crossing in part.cross_slicing_specs)


def has_thresholds(config: EvalConfig) -> bool:
    """Whether TFMA finds a threshold in the config; without one, no model is blessed."""
    return bool(metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config))
