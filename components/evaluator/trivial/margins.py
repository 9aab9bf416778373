"""By how much metrics must be better than the trivial model's: a threshold that EvalConfig has no place for."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.metrics.metric_types import MetricKey
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, MetricConfig
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from penstock.components.evaluator import verdict
from penstock.components.evaluator.eval_config import candidate_name
from penstock.components.evaluator.summary import main_metric
from penstock.components.evaluator.tfma.undefined import Undefined
from penstock.core import arguments, metrics
from penstock.core.artifacts import Reason
from penstock.core.artifacts.gates import OVERALL
from penstock.core.errors import ConfigError
from penstock.core.page import numbers
from penstock.core.suggestions import did_you_mean
from penstock.core.text import printable

_PARAMETER = "better_than_trivial"
_EXAMPLE = '{"auc": {"absolute": 0.05}}'


@dataclass(frozen=True)
class Margin:
    """How much better a metric must be: by an amount, and by a share of the trivial model's. None is no amount.

    `metric` is the name of a metric in the results, or of its class.
    """

    metric: str
    absolute: float | None = None
    relative: float | None = None
    every_slice: bool = False

    def names(self, metric: MetricConfig) -> bool:
        """Whether it is of a metric of this class or with this name of its own."""
        own = metric_specs._metric_config(metric.config).get("name")
        return _plain(self.metric) in (_plain(metric.class_name), own and _plain(own))

    def is_of(self, key: MetricKey) -> bool:
        """Whether this is the metric."""
        return not key.is_diff and _plain(key.name) == _plain(self.metric)

    def reason(
        self, key: MetricKey, lower: bool, slice_name: str, value: float | None, trivial: float | None, undefined: str
    ) -> Reason:
        """Returns whether the model is better by the margin than the trivial one, and why.

        `lower` says whether the metric is better the lower it is.
        """
        if trivial is None or not math.isfinite(trivial):
            sentence = f"{verdict.qualified(key)} of the trivial model is not defined: expected another metric"
            return {**verdict.objection(sentence, slice_name), "metric": key.name}
        bound, words = self._bound(lower, trivial)
        if value is None or not math.isfinite(value) or undefined:
            return verdict.reason_of(key, slice_name, value, words, False, undefined)
        gain = bound - value if lower else value - bound
        passed = gain > 0 or (gain == 0 and bound != trivial)
        missed_by = verdict.shortfall(value, bound, lower=lower)
        return verdict.reason_of(key, slice_name, value, words, passed, missed_by=missed_by)

    def _bound(self, lower: bool, trivial: float) -> tuple[float, str]:
        """Returns the value to reach, and the threshold in words."""
        sign = -1 if lower else 1
        distance = max(self.absolute or 0, (self.relative or 0) * abs(trivial))
        bound = trivial + sign * distance
        theirs = f"the trivial model's {numbers.number(trivial, 4)}"
        if bound == trivial:
            return bound, f"{'below' if lower else 'above'} {theirs}"
        by = numbers.percentage(self.relative) if distance != self.absolute else numbers.number(self.absolute, 4)
        word = "at most" if lower else "at least"
        return bound, f"{word} {numbers.number(bound, 4)} to be {by} better than {theirs}"


def parse(text: str) -> list[Margin]:
    """Returns the margins in a parameter; a ConfigError says what is wrong with it.

    parse('{"auc": 0.05, "root_mean_squared_error": {"relative": 0.1, "every_slice": true}}')
    """
    return [_margin(name, value) for name, value in arguments.parse_object(_PARAMETER, text, example=_EXAMPLE).items()]


def _margin(metric: str, value: object) -> Margin:
    name = f"{_PARAMETER}.{metric}"
    if isinstance(value, int | float):
        value = {"absolute": value}
    settings = arguments.check_object(name, value, ("absolute", "relative", "every_slice"), '{"relative": 0.1}')
    amounts = {key: settings[key] for key in ("absolute", "relative") if settings.get(key) is not None}
    for key, amount in amounts.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < math.inf:
            raise ConfigError(f"{name}.{key}: expected a number, 0 or more, received {printable.value(amount)}")
    if not amounts:
        raise ConfigError(f'{name}: expected absolute or relative, such as {{"relative": 0.1}}')
    every_slice = settings.get("every_slice")
    if not isinstance(every_slice, bool | None):
        raise ConfigError(f"{name}.every_slice: expected true or false, received {printable.value(every_slice)}")
    return replace(Margin(metric, every_slice=bool(every_slice)), **amounts)


def check(margins: Sequence[Margin], config: EvalConfig) -> None:
    """Raises a ConfigError for a metric that is not computed."""
    computations = metric_specs.to_computations(list(config.metrics_specs), eval_config=config)
    keys = [key for computation in computations for key in computation.keys if isinstance(key, MetricKey)]
    public = sorted({key.name for key in keys if not key.name.startswith("_")})
    for margin in margins:
        if not any(map(margin.is_of, keys)):
            hint = did_you_mean(margin.metric, public, "computed are")
            raise ConfigError(f"{_PARAMETER}: {margin.metric!r} is no metric that is computed; {hint}")


def reasons(
    margins: Sequence[Margin], config: EvalConfig, evaluation: str, trivial: str, undefined: Undefined
) -> Iterator[Reason]:
    """Yields a reason for each margin in each slice that it applies to.

    The evaluations are TFMA's results in these folders; `config` is that of the first.
    """
    candidate, directions = candidate_name(config), main_metric.directions(config)
    of_trivial = {verdict.name_of(part): part for part in writer.load_and_deserialize_metrics(trivial)}
    found = set()
    for part in writer.load_and_deserialize_metrics(evaluation):
        name = verdict.name_of(part)
        if part.HasField("cross_slice_key") or name not in of_trivial:
            continue
        keys = [MetricKey.from_proto(entry.key) for entry in part.metric_keys_and_values]
        names = verdict.names(keys)
        for key, margin in _bounded(margins, keys, candidate, name):
            theirs = verdict.value_of(of_trivial[name], key._replace(model_name="").to_proto())
            lower = directions.get(names[key], metrics.lower_is_better(key.name))
            why = undefined.why(key, verdict.slice_keys(part))
            found.add(margin)
            yield margin.reason(key, lower, name, verdict.value_of(part, key.to_proto()), theirs, why)
    for margin in margins:
        if margin not in found:
            yield verdict.objection(f"{margin.metric} was not computed over all examples, and has a threshold")


def _bounded(
    margins: Sequence[Margin], keys: Sequence[MetricKey], candidate: str, slice_name: str
) -> Iterator[tuple[MetricKey, Margin]]:
    """Yields those of a slice's metrics that have a margin there."""
    for margin in margins:
        if margin.every_slice or slice_name == OVERALL:
            yield from ((key, margin) for key in keys if key.model_name == candidate and margin.is_of(key))


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
