"""The evaluation section: an EvalConfig of TFMA, whole, or in a short form that expands to one.

metrics: [auc, binary_accuracy]                  short names or class names of Keras's and TFMA's metrics
slices: [hour, [hour, day], {company: Flash}]    the overall slice is always there
thresholds:
  auc: {min: 0.7, change: {absolute: -0.01}}     the change is against the newest blessed model
  rmse: {better_than_trivial: {relative: 0.1}}   than that of the mean

Without metrics, the Evaluator adds those that suit the model: it stands for a MetricsSpec that is empty. A threshold of
the short form is for all examples together; `every_slice: true` asks the same of every slice.
"""

from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from penstock.pipelines.config.evaluation import eval_config as eval_configs
from penstock.pipelines.config.evaluation.eval_config import text_of
from penstock.pipelines.config.evaluation.metric_names import class_name, plain
from penstock.pipelines.config.evaluation.thresholds import Threshold
from penstock.pipelines.config.section import NO_BOOL, ExistingFile, PositiveWhole, Section, is_remote, json_text

_TRANSFORMED = "transform_features"
_SHORT_FORM = ("metrics", "slices", "thresholds", "confidence_intervals", "min_slice_size")
_INTERVALS = {"jackknife": "JACKKNIFE", "bootstrap": "POISSON_BOOTSTRAP"}


class Importance(Section):
    """Of how many examples it is found out which columns matter to the model."""

    rows: PositiveWhole | None = Field(
        default=None,
        description="The examples to ask the model about, five times for each column; left out, as many as take about "
        "a second, 1,000 at most.",
    )


class Evaluation(Section):
    """How the model is evaluated and when it is blessed: the short form, or `eval_config`."""

    metrics: list[str | dict[str, Any]] = Field(
        default=[],
        description="Metrics by name (auc, BinaryAccuracy, rmse), or as MetricConfig mappings with class_name and "
        "config. Left out, those that suit the model.",
    )
    slices: list[str | list[str] | dict[str, str | Annotated[int, NO_BOOL]]] = Field(
        default=[],
        description="Slices beside the overall one: a feature, a list of features to cross, or {feature: value}.",
    )
    thresholds: dict[str, Threshold] = Field(default={}, description="Thresholds by the name of the metric.")
    label_key: str | None = Field(
        default=None,
        description="What the model is evaluated against: the label or a transformed feature. Left out, the label as "
        "the model's transform_features makes it, under its own name or with _xf at the end, else as the data has it.",
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
    confidence_intervals: Literal["jackknife", "bootstrap"] | None = Field(
        default=None,
        description="How 95 % confidence intervals of the metrics are resampled; left out, formulas give them.",
    )
    min_slice_size: PositiveWhole | None = Field(
        default=None, description="The fewest examples of which a slice is told; smaller ones are left out."
    )
    importance: Importance | None = Field(
        default=Importance(),
        description="Which columns matter to the model: how much worse it gets when a column's values are permuted. "
        "null leaves it out.",
    )
    splits: list[str] = Field(
        default=[],
        description="The splits to evaluate, by default one that training does not see, test if there is one, else "
        "eval.",
    )
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
            elif not _is_of_module(metric):
                class_name(metric["class_name"])
        return metrics

    @field_validator("eval_config")
    @classmethod
    def _parsed(cls, eval_config: str | dict[str, Any] | None, info: ValidationInfo) -> str | dict[str, Any] | None:
        if eval_config is not None and not (isinstance(eval_config, str) and is_remote(eval_config)):
            eval_configs.check(text_of(eval_config))
        return eval_config

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        short = [name for name in _SHORT_FORM if getattr(self, name)]
        if self.eval_config is not None and short:
            raise ValueError(f"expected either eval_config or the short form, received eval_config and {short[0]}")
        known = {_key(metric) for metric in self.metrics}
        for name in self.thresholds:
            if _key(name) not in known:
                class_name(name)
        return self

    @cached_property
    def _eval_config_text(self) -> str | None:
        """The EvalConfig that is written here; None without one, or if only the pipeline will read it."""
        if self.eval_config is None or (isinstance(self.eval_config, str) and is_remote(self.eval_config)):
            return None
        return text_of(self.eval_config)

    def named_metrics(self, label: str) -> list[tuple[str, str]]:
        """Returns the metrics of Keras and TFMA that compare with this label: the key that names each, and its class.

        Of an EvalConfig none if it is about anything else.
        """
        if self._eval_config_text is not None:
            others = set(eval_configs.label_keys(self._eval_config_text)) - {label}
            named = [] if others else eval_configs.metrics(self._eval_config_text)
            return [("evaluation.eval_config", metric) for metric in named]
        metrics = [metric for metric in self.metrics if not _is_of_module(metric)]
        written = [metric if isinstance(metric, str) else str(metric["class_name"]) for metric in metrics]
        known = {_key(metric) for metric in self.metrics}
        more = [name for name in self.thresholds if _key(name) not in known]
        keys = {"evaluation.metrics": written, "evaluation.thresholds": more}
        return [(key, plain(name)) for key, names in keys.items() for name in names]

    @property
    def has_thresholds(self) -> bool:
        """Whether models are blessed, or are not."""
        return bool(self.thresholds) or self.eval_config is not None

    @property
    def blesses_none(self) -> bool:
        """Whether there is an EvalConfig without a threshold, so that no model is ever blessed, as in TFX."""
        return self._eval_config_text is not None and not eval_configs.has_threshold(self._eval_config_text)

    def text(self, label: str | None, default_label: str | None = None) -> str:
        """Returns the EvalConfig as the Evaluator takes it: JSON, or the text of the file.

        `default_label` is what it has for a label_key that is left out; without one, the Evaluator decides what is made
        of the label.
        """
        if self.eval_config is not None:
            return text_of(self.eval_config)
        return json_text(self._expanded(label, default_label))

    @property
    def margins(self) -> str:
        """By how much metrics must be better than the trivial model's, as the Evaluator takes it; "" if none must."""
        margins = {_key(name): threshold.margin for name, threshold in self.thresholds.items() if threshold.margin}
        return json_text(margins or None)

    @property
    def importance_rows(self) -> int | None:
        """Of how many examples importance is computed, 0 for none; None leaves it to the Evaluator."""
        return 0 if self.importance is None else self.importance.rows

    def _expanded(self, label: str | None, default_label: str | None) -> dict[str, Any]:
        model: dict[str, Any] = {"signature_name": self.signature_name}
        label_key = self.label_key or default_label
        names = self.preprocessing_function_names
        if names is None and label_key not in (None, label):
            names = [_TRANSFORMED]
        if label_key:
            model["label_key"] = label_key
        for key in ("prediction_key", "example_weight_key"):
            if getattr(self, key):
                model[key] = getattr(self, key)
        if names:
            model["preprocessing_function_names"] = names
        expanded = {
            "model_specs": [model],
            "slicing_specs": [{}, *map(_slicing_spec, self.slices)],
            "metrics_specs": self._metrics_specs(),
        }
        return expanded | ({"options": self._options()} if self._options() else {})

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.confidence_intervals:
            options["compute_confidence_intervals"] = True
            options["confidence_intervals"] = {"method": _INTERVALS[self.confidence_intervals]}
        if self.min_slice_size is not None:
            options["min_slice_size"] = self.min_slice_size
        return options

    def _metrics_specs(self) -> list[dict[str, Any]]:
        """Returns MetricsSpecs; without metrics that a person names, an empty one stands for those that suit."""
        metrics = self._metrics()
        return ([{"metrics": metrics}] if metrics else []) + ([] if self.metrics else [{}])

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
            spec = threshold.metric_threshold(config["class_name"])
            if spec and (threshold.every_slice or not self.slices):
                config["threshold"] = spec  # TFMA applies it to all slices
            elif spec:
                config["per_slice_thresholds"] = [{"slicing_specs": [{}], "threshold": spec}]
        return list(configs.values())


def _is_of_module(metric: str | dict[str, Any]) -> bool:
    """Whether a metric is of the user's own module."""
    return not isinstance(metric, str) and bool(metric.get("module"))


def _key(metric: str | dict[str, Any]) -> str:
    """Returns what a threshold names a metric by: its own name where it has one, else its class."""
    if isinstance(metric, str):
        return plain(metric)
    config = metric.get("config")
    return str(config["name"]) if isinstance(config, dict) and "name" in config else str(metric["class_name"])


def _slicing_spec(part: str | list[str] | dict[str, str | int]) -> dict[str, Any]:
    if isinstance(part, dict):
        return {"feature_values": {feature: str(value) for feature, value in part.items()}}
    return {"feature_keys": [part] if isinstance(part, str) else part}
