"""The evaluation section: an EvalConfig of TFMA, whole, or in a short form that expands to one.

metrics: [auc, binary_accuracy]                  short names or class names of Keras's and TFMA's metrics
slices: [hour, [hour, day], {company: Flash}]    the overall slice is always there
thresholds:
  auc: {min: 0.7, change: {absolute: -0.01}}     the change is against the newest blessed model

A threshold of the short form is for all examples together; `every_slice: true` asks the same of every slice.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from penstock.core import metrics
from penstock.core.errors import ConfigError
from penstock.core.files import documents
from penstock.core.suggestions import nearest
from penstock.pipelines.config import file
from penstock.pipelines.config.section import NO_BOOL, ExistingFile, Number, Section, is_remote, json_text

# The names that TFMA 0.52 and tf_keras 2.21 know, so that a misspelt one is found at once. Checked by a test.
METRICS = """
AUC AUCPrecisionRecall BalancedAccuracy BinaryAccuracy BinaryCrossEntropy BinaryCrossentropy BooleanFlipRates
Calibration CalibrationPlot CategoricalAccuracy CategoricalCrossEntropy CategoricalCrossentropy CategoricalHinge
CoefficientOfDiscrimination ConfusionMatrixAtThresholds ConfusionMatrixPlot CosineSimilarity DiagnosticOddsRatio
ExactMatch ExampleCount F1Score FN FNR FP FPR FallOut FalseDiscoveryRate FalseNegatives FalseOmissionRate FalsePositives
FowlkesMallowsIndex Hinge Informedness KLDivergence LogCoshError Markedness MatthewsCorrelationCoefficient MaxRecall
MeanAbsoluteError MeanAbsolutePercentageError MeanLabel MeanPrediction MeanRelativeError MeanSquaredError
MeanSquaredLogarithmicError MinLabelPosition MissRate MultiClassConfusionMatrixAtThresholds
MultiClassConfusionMatrixPlot NDCG NPV NegativeLikelihoodRatio NegativePredictiveValue PPV Poisson
PositiveLikelihoodRatio Precision PrecisionAtRecall PredictedPositiveRate Prevalence PrevalenceThreshold
QueryStatistics Recall RecallAtFalsePositiveRate RecallAtPrecision RelativeCoefficientOfDiscrimination
RootMeanSquaredError ScoreDistributionPlot SensitivityAtSpecificity SparseCategoricalAccuracy
SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy Specificity SpecificityAtSensitivity SquaredHinge
SquaredPearsonCorrelation SymmetricPredictionDifference TN TNR TP TPR ThreatScore ThresholdAtRecall
TopKCategoricalAccuracy TrueNegatives TruePositives WeightedExampleCount
""".split()  # noqa: SIM905  (a list of names, not of lines)
_CLASSES = {name.lower(): name for name in METRICS}
_TEXT_FORM = (".pbtxt", ".textproto", ".txt")
_TRANSFORMED = "transform_features"


class Change(Section):
    """A bound on the difference from the baseline, which is the newest blessed model; ignored while there is none."""

    absolute: Number | None = Field(
        default=None, description="Bound on the difference: -0.01 lets it be worse by up to 0.01."
    )
    relative: Number | None = Field(
        default=None, description="Bound on the difference divided by the baseline's value."
    )
    direction: Literal["higher_is_better", "lower_is_better"] | None = Field(
        default=None, description="By default, lower is better for errors and losses, higher for all others."
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.absolute is None and self.relative is None:
            raise ValueError("expected `absolute` or `relative`, such as {absolute: -0.01}")
        return self


class Threshold(Section):
    """What a metric has to reach for the model to be blessed: over all examples, and on request in every slice."""

    min: Number | None = Field(default=None, description="The lowest value that is good enough.")
    max: Number | None = Field(default=None, description="The highest value that is good enough.")
    change: Change | None = Field(default=None, description="Bound on the difference from the newest blessed model.")
    every_slice: bool = Field(default=False, description="Whether every slice has to reach it too.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None and self.change is None:
            raise ValueError("expected at least one of `min`, `max` and `change`, such as {min: 0.6}")
        return self


class Evaluation(Section):
    """How the model is evaluated and when it is blessed: the short form, or `eval_config`."""

    metrics: list[str | dict[str, Any]] = Field(
        default=[],
        description="Metrics by name (auc, BinaryAccuracy), or as MetricConfig mappings with class_name and config.",
    )
    slices: list[str | list[str] | dict[str, str | Annotated[int, NO_BOOL]]] = Field(
        default=[],
        description="Slices beside the overall one: a feature, a list of features to cross, or {feature: value}.",
    )
    thresholds: dict[str, Threshold] = Field(default={}, description="Thresholds by the name of the metric.")
    label_key: str | None = Field(
        default=None,
        description="The label that the model is evaluated against, by default the label, which without a module is "
        "taken as the default trainer transforms it; another name is taken from the transformed features.",
    )
    signature_name: str = Field(default="serving_default", description="The signature of the model that predicts.")
    prediction_key: str = Field(default="", description="The output to evaluate, where the signature has several.")
    example_weight_key: str = Field(default="", description="The feature that weighs the examples.")
    preprocessing_function_names: list[str] | None = Field(
        default=None,
        description="Signatures applied to the features before evaluation; by default transform_features where "
        "label_key is a transformed feature.",
    )
    eval_config: ExistingFile | dict[str, Any] | None = Field(
        default=None,
        description="A whole tfma.EvalConfig instead of the short form: a mapping, or a .yaml, .json or .pbtxt file.",
        union_mode="left_to_right",
    )
    splits: list[str] = Field(default=[], description="The splits to evaluate, by default eval.")
    module_file: ExistingFile | None = Field(
        default=None,
        description="The Python file with custom_eval_shared_model or custom_extractors, where it is another than the "
        "pipeline's module_file.",
    )

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, metrics: list[str | dict[str, Any]]) -> list[str | dict[str, Any]]:
        for metric in metrics:
            if isinstance(metric, str):
                class_name(metric)
            elif not metric.get("class_name") or not isinstance(metric["class_name"], str):
                raise ValueError(f"expected the name of a metric, or a mapping with class_name, received {metric!r}")
            elif not metric.get("module"):
                class_name(metric["class_name"])
        return metrics

    @field_validator("eval_config")
    @classmethod
    def _parsed(cls, eval_config: str | dict[str, Any] | None, info: ValidationInfo) -> str | dict[str, Any] | None:
        if eval_config is not None and not (isinstance(eval_config, str) and is_remote(eval_config)):
            _check(_text(eval_config))
        return eval_config

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        short = [name for name in ("metrics", "slices", "thresholds") if getattr(self, name)]
        if self.eval_config is not None and short:
            raise ValueError(f"expected either eval_config or the short form, received eval_config and {short[0]}")
        if self.eval_config is None and not self.metrics and not self.thresholds:
            raise ValueError("expected metrics, such as `metrics: [auc]`, or an eval_config")
        known = {_key(metric) for metric in self.metrics}
        for name in self.thresholds:
            if _key(name) not in known:
                class_name(name)
        return self

    @property
    def has_thresholds(self) -> bool:
        """Whether any model can be blessed."""
        return bool(self.thresholds) or self.eval_config is not None

    def text(self, label: str | None, transformed_label: str | None = None) -> str:
        """Returns the EvalConfig as the Evaluator takes it: JSON, or the text of the file.

        `transformed_label` is what it is evaluated against unless label_key says otherwise, by default the label.
        """
        if self.eval_config is not None:
            return _text(self.eval_config)
        return json_text(self._expanded(label, transformed_label or label))

    def _expanded(self, label: str | None, default_label: str | None) -> dict[str, Any]:
        model: dict[str, Any] = {"signature_name": self.signature_name}
        label_key = self.label_key or default_label
        if label_key:
            model["label_key"] = label_key
        names = self.preprocessing_function_names
        if names is None and label_key != label:
            names = [_TRANSFORMED]
        for key in ("prediction_key", "example_weight_key"):
            if getattr(self, key):
                model[key] = getattr(self, key)
        if names:
            model["preprocessing_function_names"] = names
        return {
            "model_specs": [model],
            "slicing_specs": [{}, *map(_slicing_spec, self.slices)],
            "metrics_specs": [{"metrics": self._metrics()}],
        }

    def _metrics(self) -> list[dict[str, Any]]:
        configs: dict[str, dict[str, Any]] = {}
        for metric in self.metrics:
            config: dict[str, Any] = {"class_name": class_name(metric)} if isinstance(metric, str) else dict(metric)
            if isinstance(config.get("config"), dict):
                config["config"] = json_text(config["config"])
            configs[_key(metric)] = config
        for name, threshold in self.thresholds.items():
            key = _key(name)
            config = configs.setdefault(key, {"class_name": key})
            spec = _metric_threshold(threshold, config["class_name"])
            if threshold.every_slice or not self.slices:
                config["threshold"] = spec  # TFMA applies it to all slices
            else:
                config["per_slice_thresholds"] = [{"slicing_specs": [{}], "threshold": spec}]
        return list(configs.values())


def class_name(metric: str) -> str:
    """Returns the class of a metric given by its class name or in snake case; a ValueError names the nearest one."""
    if metric in METRICS:
        return metric
    plain = metric.replace("_", "").lower()
    if plain in _CLASSES:
        return _CLASSES[plain]
    near = nearest(plain, _CLASSES, cutoff=0.5)
    hint = f"did you mean {_CLASSES[near]!r}?" if near else "expected a metric of Keras or TFMA, such as AUC"
    raise ValueError(f"unknown metric {metric!r}; {hint}")


def _key(metric: str | dict[str, Any]) -> str:
    """Returns what a threshold names a metric by: its own name where it has one, else its class."""
    if isinstance(metric, str):
        return _CLASSES.get(metric.replace("_", "").lower(), metric)
    config = metric.get("config")
    return str(config["name"]) if isinstance(config, dict) and "name" in config else str(metric["class_name"])


def _slicing_spec(part: str | list[str] | dict[str, str | int]) -> dict[str, Any]:
    if isinstance(part, dict):
        return {"feature_values": {feature: str(value) for feature, value in part.items()}}
    return {"feature_keys": [part] if isinstance(part, str) else part}


def _metric_threshold(threshold: Threshold, metric: str) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if threshold.min is not None or threshold.max is not None:
        bounds = {"lower_bound": threshold.min, "upper_bound": threshold.max}
        spec["value_threshold"] = {key: bound for key, bound in bounds.items() if bound is not None}
    change = threshold.change
    if change is not None:
        default = "lower_is_better" if metrics.lower_is_better(metric) else "higher_is_better"
        bounds = {"absolute": change.absolute, "relative": change.relative}
        spec["change_threshold"] = {"direction": (change.direction or default).upper()} | {
            key: bound for key, bound in bounds.items() if bound is not None
        }
    return spec


def _text(eval_config: str | dict[str, Any]) -> str:
    """Returns an EvalConfig as JSON, or in protobuf's text form where it was written so."""
    if isinstance(eval_config, dict):
        return json_text(eval_config)
    path = Path(eval_config)
    try:
        text = documents.read_text(path)
    except documents.DocumentError as error:
        raise ConfigError(f"evaluation.eval_config: {error}") from None
    return text if path.suffix in _TEXT_FORM else json_text(file.parse(text, path.name))


def _check(text: str) -> None:
    """Raises a ValueError if the text is no EvalConfig. Without the runtime installed that is left to the Evaluator."""
    message = _eval_config()
    if message is None:
        return
    from google.protobuf import json_format, text_format

    try:
        if text.startswith("{"):
            json_format.Parse(text, message)
        else:
            text_format.Parse(text, message)
    except (json_format.ParseError, text_format.ParseError) as error:
        raise ValueError(f"expected a tfma.EvalConfig: {str(error).splitlines()[0]}") from None


def _eval_config() -> Any:
    """Returns an empty EvalConfig from TFMA's generated module, loaded alone: the package would import TensorFlow."""
    from google.protobuf import wrappers_pb2  # noqa: F401  (the module needs it in the descriptor pool)

    name = "penstock.pipelines.tfma_config_pb2"
    if name not in sys.modules:
        package = importlib.util.find_spec("tensorflow_model_analysis")
        if package is None or package.origin is None:
            return None
        path = Path(package.origin).parent / "proto" / "config_pb2.py"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            return None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name].EvalConfig()
