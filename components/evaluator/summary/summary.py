"""Puts the summary of an evaluation together."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator.defaults.target import Target
from penstock.components.evaluator.summary import main_metric, measures, scores
from penstock.components.evaluator.summary.measures import Features, SliceMeasures
from penstock.components.evaluator.summary.one_pass import Observed
from penstock.components.evaluator.summary.probe import Answer
from penstock.components.evaluator.summary.scores import Scores
from penstock.components.evaluator.tfma.undefined import Undefined
from penstock.components.evaluator.trivial import LabelTotals, TrivialModel
from penstock.core.artifacts.evaluation_summary import EvaluatedModel as ModelName
from penstock.core.artifacts.evaluation_summary import EvaluationSummary, Measure, Numbers, Plot, SliceSummary

_THRESHOLDED = ("precision", "recall", "f1_score")


def of_evaluation(
    config: EvalConfig,
    predicted: Target,
    splits: Sequence[str],
    trained_on: Sequence[str],
    evaluation: str,
    undefined: Undefined,
    observed: Observed,
) -> EvaluationSummary:
    """Returns the summary of TFMA's results in the folder `evaluation`, which are over these splits together."""
    slices = measures.read(config, evaluation, undefined, observed.examples, observed.evidence)
    computed = list(dict.fromkeys(name for part in slices for name in part.candidate))
    matters = observed.matters
    return EvaluationSummary(
        problem=predicted.problem,
        label=predicted.label,
        classes=list(predicted.classes),
        main_metric=main_metric.choose(config, predicted.problem, computed),
        lower_is_better=main_metric.lower_is_better(config, computed),
        splits=list(splits),
        numbers=[*_evaluated(slices, splits), *_sampled(config, predicted, splits, trained_on, observed.answers)],
        slices=[_slice(each, observed.plots) for each in slices],
        importance=matters.importance if matters else [],
        effects=matters.effects if matters else [],
        sampled_rows=matters.rows if matters else 0,
    )


def _evaluated(slices: Sequence[SliceMeasures], splits: Sequence[str]) -> Iterator[Numbers]:
    """Yields the numbers of the overall slice, if that is evaluated and of one split."""
    overall = next((part for part in slices if not part.features), None)
    if overall is None or len(splits) > 1:
        return
    of_models: tuple[tuple[ModelName, dict[str, Measure]], ...] = (
        ("candidate", overall.candidate),
        ("baseline", overall.baseline),
    )
    for model, measured in of_models:
        if measured:
            yield Numbers(model=model, split=splits[0], examples=overall.examples, metrics=measured)


def _sampled(
    config: EvalConfig, predicted: Target, splits: Sequence[str], trained_on: Sequence[str], answers: Sequence[Answer]
) -> Iterator[Numbers]:
    """Yields the numbers of the other splits, and those of the trivial model, both on samples."""
    trivial = _trivial(predicted, [answer for answer in answers if answer.split in trained_on])
    scored = Scores(scores.of_model(config), predicted.problem)
    for answer in answers:
        count = answer.examples
        if answer.split not in splits or len(splits) > 1:
            yield Numbers(model="candidate", split=answer.split, examples=count, metrics=answer.metrics)
        if trivial is not None:
            of_logits = predicted.problem != "regression" and not answer.probable
            predictions = (trivial.logits() if of_logits else trivial).predictions(count)
            everything: np.ndarray = np.zeros(count, np.int64)
            (measured,) = scored.of(answer.compared, predictions, everything, 1)
            if predicted.problem == "multiclass":  # shares below one half predict no class, by TFMA's threshold
                measured = {name: value for name, value in measured.items() if name.split()[0] not in _THRESHOLDED}
            values = {name: Measure(value=one["value"]) for name, one in measured.items()}  # no formula fits a constant
            yield Numbers(model="trivial", split=answer.split, examples=count, metrics=values)


def _trivial(predicted: Target, answers: Sequence[Answer]) -> TrivialModel | None:
    """Returns what is learnt from samples of the splits of training; None if labels are not of a known problem."""
    if predicted.problem == "other":
        return None
    totals = LabelTotals(len(predicted.classes) if predicted.problem == "multiclass" else 1)
    for answer in answers:
        labels, weights = answer.compared.labels, answer.compared.weights
        if isinstance(labels, np.ndarray):
            totals.add(labels, weights if isinstance(weights, np.ndarray) else None)
    return totals.model()


def _slice(part: SliceMeasures, plots: Mapping[Features, Plot]) -> SliceSummary:
    summary = SliceSummary(
        features=list(part.features), examples=part.examples, metrics=part.candidate, baseline=part.baseline
    )
    if part.features in plots:
        summary["plot"] = plots[part.features]
    return summary
