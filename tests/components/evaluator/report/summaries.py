"""Summaries of evaluations as a run writes them, of models that are numpy: their numbers are computed from the rows."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from penstock.core.artifacts import Reason, Verdict
from penstock.core.artifacts.evaluation_summary import (
    BinaryPlot,
    Effect,
    EvaluationSummary,
    Importance,
    Measure,
    MulticlassPlot,
    Numbers,
    RegressionPlot,
    SliceSummary,
)

type Floats = NDArray[np.float64]
type Metrics = Callable[[NDArray[np.float64], Floats], dict[str, Measure]]

HOSTILE = ['<script>alert("x")</script>', "出発空港" * 50, "x" * 200, 'it\'s "so" & so', ""]


def binary(
    rows: int = 4000, slices: Sequence[str] = (), classes: Sequence[str] = ("on time", "late")
) -> EvaluationSummary:
    """Whether a flight is late, with twelve slices by default, a baseline and the trivial model."""
    random = np.random.default_rng(1)
    labels, better = _late(random, rows)
    worse = np.clip(better + random.normal(0, 0.08, rows), 0, 1)
    airports = np.array(slices or ["LAX", "ATL", "ORD", "SEA", "DEN", "MIA", "BOS", "PHX", "IAH", "SLC", "CLT"])
    airport = airports[random.integers(0, len(airports), rows)]
    parts = [_slice([], labels, better, worse, binary_metrics, binary_plot(labels, better))]
    for index, name in enumerate(airports):
        rows_of = airport == name
        plot = binary_plot(labels[rows_of], better[rows_of]) if index < 5 else None
        parts.append(
            _slice([("dest", str(name))], labels[rows_of], better[rows_of], worse[rows_of], binary_metrics, plot)
        )
    trivial = np.zeros(rows)
    return EvaluationSummary(
        problem="binary",
        label="arrival",
        classes=list(classes),
        main_metric="auc",
        lower_is_better=["binary_crossentropy"],
        splits=["eval"],
        numbers=[
            _numbers("candidate", "train", *_late(random, 4 * rows), binary_metrics),
            _numbers("candidate", "eval", labels, better, binary_metrics),
            _numbers("candidate", "test", *_late(random, rows), binary_metrics),
            _numbers("baseline", "eval", labels, worse, binary_metrics),
            _numbers("trivial", "eval", labels, trivial, binary_metrics),
        ],
        slices=parts,
        importance=_importance(["dep_delay", "hour", "carrier", "dest", "distance", "wind_speed"], 0.21),
        effects=[
            Effect(
                column="dep_delay",
                values=[-10, 0, 15, 30, 60, 120],
                predictions=[0.1, 0.12, 0.3, 0.5, 0.8, 0.93],
                shares=[0.2, 0.4, 0.2, 0.1, 0.07, 0.03],
            ),
            Effect(
                column="hour",
                values=[5, 8, 11, 14, 17, 20, 23],
                predictions=[0.1, 0.13, 0.19, 0.25, 0.31, 0.3, 0.22],
                shares=[0.1, 0.2, 0.15, 0.15, 0.2, 0.15, 0.05],
            ),
            Effect(
                column="carrier",
                values=["UA", "B6", "EV", "DL", "AA"],
                predictions=[0.2, 0.25, 0.31, 0.18, 0.19],
                shares=[0.25, 0.2, 0.2, 0.2, 0.15],
            ),
            Effect(
                column="dest",
                values=["ATL", "ORD", "LAX", "BOS", "other"],
                predictions=[0.21, 0.26, 0.22, 0.2, 0.23],
                shares=[0.1, 0.1, 0.1, 0.1, 0.6],
            ),
        ],
        sampled_rows=1000,
    )


def multiclass(
    classes: Sequence[str] = ("beech", "oak", "pine", "fir", "larch", "maple", "ash", "elm"),
) -> EvaluationSummary:
    """Which tree stands there: the classes are of different sizes, and neighbours are taken for each other."""
    random, rows, count = np.random.default_rng(2), 6000, len(classes)
    sizes = 1 / np.arange(1, count + 1)
    labels = random.choice(count, rows, p=sizes / sizes.sum()).astype(float)

    def predicted(error: float, labels: Floats) -> Floats:
        moved = random.random(len(labels)) < error
        return np.where(moved, (labels + random.integers(1, 3, len(labels))) % count, labels)

    better, worse = predicted(0.2, labels), predicted(0.27, labels)
    metrics, plot = multiclass_metrics(count), multiclass_plot
    regions = np.array(["north", "south", "east", "west"])[random.integers(0, 4, rows)]
    parts = [_slice([], labels, better, worse, metrics, plot(labels, better, count))]
    for name in ("north", "south", "east", "west"):
        here = regions == name
        parts.append(
            _slice(
                [("region", name)],
                labels[here],
                better[here],
                worse[here],
                metrics,
                plot(labels[here], better[here], count),
            )
        )
    return EvaluationSummary(
        problem="multiclass",
        label="species",
        classes=list(classes),
        main_metric="sparse_categorical_accuracy",
        lower_is_better=["sparse_categorical_crossentropy"],
        splits=["eval"],
        numbers=[
            _numbers("candidate", "train", labels, predicted(0.15, labels), metrics),
            _numbers("candidate", "eval", labels, better, metrics),
            _numbers("baseline", "eval", labels, worse, metrics),
            _numbers("trivial", "eval", labels, np.zeros(rows), metrics),
        ],
        slices=parts,
        importance=_importance(["bark", "leaf_length", "height"], 0.4),
        effects=[
            Effect(
                column="bark",
                predicted_class=2,
                values=["smooth", "rough", "peeling"],
                predictions=[0.05, 0.3, 0.12],
                shares=[0.5, 0.3, 0.2],
            )
        ],
        sampled_rows=1000,
    )


def regression(rows: int = 5000) -> EvaluationSummary:
    """The price of a house, in the tens and hundreds of thousands: no baseline, and slices that cross two features."""
    random = np.random.default_rng(3)
    labels, better = _prices(random, rows)
    town = np.array(["Ames", "Boone", "Nevada"])[random.integers(0, 3, rows)]
    kind = np.array(["house", "flat"])[random.integers(0, 2, rows)]
    parts = [_slice([], labels, better, None, regression_metrics, regression_plot(labels, better))]
    for a in ("Ames", "Boone", "Nevada"):
        for b in ("house", "flat"):
            here = (town == a) & (kind == b)
            plot = regression_plot(labels[here], better[here])
            parts.append(_slice([("town", a), ("kind", b)], labels[here], better[here], None, regression_metrics, plot))
    return EvaluationSummary(
        problem="regression",
        label="price",
        classes=[],
        main_metric="root_mean_squared_error",
        lower_is_better=["root_mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error"],
        splits=["eval"],
        numbers=[
            _numbers("candidate", "train", *_prices(random, 3 * rows), regression_metrics),
            _numbers("candidate", "eval", labels, better, regression_metrics),
            _numbers("trivial", "eval", labels, np.full(rows, labels.mean()), regression_metrics),
        ],
        slices=parts,
        importance=_importance(["area", "rooms", "year_built", "garage"], 21_000),
        effects=[
            Effect(
                column="area",
                values=[40, 80, 120, 160, 240],
                predictions=[42_000, 71_000, 98_000, 131_000, 190_000],
                shares=[0.2, 0.3, 0.3, 0.15, 0.05],
            ),
            Effect(
                column="rooms",
                values=[1, 2, 3, 4],
                predictions=[82_000, 91_000, 96_000, 99_000],
                shares=[0.2, 0.3, 0.3, 0.2],
            ),
        ],
        sampled_rows=1000,
    )


def hostile() -> EvaluationSummary:
    """Names that break pages, a slice without a metric that is defined, and empty ones."""
    summary = binary(slices=[*HOSTILE, "ATL"], classes=HOSTILE[:2])
    summary["label"] = HOSTILE[0]
    summary["slices"].append(
        SliceSummary(features=[("dest", HOSTILE[2])], examples=1, metrics={"auc": Measure(value=None)}, baseline={})
    )
    for effect, name in zip(summary["effects"], HOSTILE, strict=False):
        effect["column"] = name
    summary["effects"][2]["values"] = HOSTILE
    summary["importance"] = _importance(HOSTILE, 0.2)
    return summary


def many_slices(count: int = 400) -> EvaluationSummary:
    return binary(rows=20_000, slices=[f"slice {number}" for number in range(count)])


def verdict(blessed: bool, reasons: Sequence[Reason] = ()) -> Verdict:
    return Verdict(
        blessed=blessed,
        model="runs/1/model",
        baseline_model=None,
        created="2026-05-01T10:00:00Z",
        reasons=list(reasons),
    )


def reason(
    slice_name: str,
    value: float | None,
    passed: bool,
    metric: str = "auc",
    bound: str = "at least 0.7",
    missed_by: float = 0.0,
) -> Reason:
    where = "over all examples" if slice_name == "overall" else f"for {slice_name}"
    end = f" (required: {bound})" if passed else f", but it must be {bound}"
    sentence = f"{metric} {where} is {value}{end}"
    return Reason(
        metric=metric,
        slice=slice_name,
        value=value,
        threshold=bound,
        passed=passed,
        sentence=sentence,
        missed_by=missed_by,
    )


def area(labels: Floats, scores: Floats) -> float | None:
    """The area under the ROC curve: how often a positive row has the higher score, ties counting half."""
    positive, negative = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    if not len(positive) or not len(negative):
        return None
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.sum() / (2 * len(positive) * len(negative)))


def binary_metrics(labels: Floats, scores: Floats) -> dict[str, Measure]:
    predicted = scores > 0.5
    hits = float((predicted & (labels == 1)).sum())
    loss = -np.mean(np.log(np.clip(np.where(labels == 1, scores, 1 - scores), 1e-7, 1)))
    value = area(labels, scores)
    auc = (
        Measure(value=value)
        if value is None
        else Measure(value=value, low=value - 0.9 / len(labels) ** 0.5, high=value + 0.8 / len(labels) ** 0.5)
    )
    return {
        "example_count": Measure(value=len(labels)),
        "auc": auc,
        "binary_accuracy": _bounded(predicted == labels),
        "precision": Measure(value=hits / predicted.sum() if predicted.any() else None),
        "recall": Measure(value=hits / labels.sum() if labels.any() else None),
        "binary_crossentropy": Measure(value=float(loss)),
        "mean_label": Measure(value=float(labels.mean())),
        "mean_prediction": Measure(value=float(scores.mean())),
    }


def multiclass_metrics(count: int) -> Metrics:
    def metrics(labels: Floats, predicted: Floats) -> dict[str, Measure]:
        scores = []
        for number in range(count):
            hits = float(((labels == number) & (predicted == number)).sum())
            scores.append(2 * hits / max(1, float((labels == number).sum() + (predicted == number).sum())))
        return {
            "example_count": Measure(value=len(labels)),
            "sparse_categorical_accuracy": _bounded(labels == predicted),
            "macro_f1_score": Measure(value=float(np.mean(scores))),
        }

    return metrics


def regression_metrics(labels: Floats, predictions: Floats) -> dict[str, Measure]:
    error = predictions - labels
    rmse = float(np.sqrt((error**2).mean()))
    return {
        "example_count": Measure(value=len(labels)),
        "root_mean_squared_error": Measure(value=rmse, low=rmse * 0.97, high=rmse * 1.03),
        "mean_absolute_error": Measure(value=float(np.abs(error).mean())),
        "mean_absolute_percentage_error": Measure(value=float(100 * np.abs(error / labels).mean())),
        "mean_label": Measure(value=float(labels.mean())),
        "mean_prediction": Measure(value=float(predictions.mean())),
    }


def binary_plot(labels: Floats, scores: Floats, buckets: int = 1000) -> BinaryPlot:
    edges = np.linspace(0, 1, buckets + 1)

    def histogram(weights: Floats) -> list[float]:
        return [float(value) for value in np.histogram(scores, edges, weights=weights)[0]]

    return BinaryPlot(
        kind="binary",
        edges=edges.tolist(),
        positive=histogram(labels),
        negative=histogram(1 - labels),
        predictions=histogram(scores),
    )


def multiclass_plot(labels: Floats, predicted: Floats, count: int) -> MulticlassPlot:
    matrix = np.zeros((count, count))
    np.add.at(matrix, (labels.astype(int), predicted.astype(int)), 1)
    return MulticlassPlot(kind="multiclass", confusion=matrix.tolist())


def regression_plot(labels: Floats, predictions: Floats, buckets: int = 30) -> RegressionPlot:
    residuals, residual_edges = np.histogram(labels - predictions, 40)
    edges = np.linspace(predictions.min(), predictions.max(), buckets + 1)
    examples = np.histogram(predictions, edges)[0]

    def means(values: Floats) -> list[float | None]:
        sums = np.histogram(predictions, edges, weights=values)[0]
        return [float(total / count) if count else None for total, count in zip(sums, examples, strict=True)]

    return RegressionPlot(
        kind="regression",
        residual_edges=residual_edges.tolist(),
        residuals=[float(count) for count in residuals],
        edges=edges.tolist(),
        examples=[float(count) for count in examples],
        mean_predictions=means(predictions),
        mean_labels=means(labels),
    )


def _late(random: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """Labels and scores of a model that knows some of what makes a flight late, and is a little too sure."""
    signal = random.normal(-1.4, 1.5, rows)
    labels = (random.random(rows) < 1 / (1 + np.exp(-signal))).astype(float)
    return labels, 1 / (1 + np.exp(-1.3 * (signal + random.normal(0, 0.6, rows))))


def _prices(random: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    labels = np.exp(random.normal(11.4, 0.45, rows))
    return labels, labels * np.exp(random.normal(-0.02, 0.14, rows)) + 4_000


def _bounded(right: NDArray[np.bool_]) -> Measure:
    share = float(right.mean())
    spread = 1.96 * (share * (1 - share) / len(right)) ** 0.5
    return Measure(value=share, low=share - spread, high=share + spread)


def _numbers(model: str, split: str, labels: Floats, predictions: Floats, metrics: Metrics) -> Numbers:
    return Numbers(model=model, split=split, examples=len(labels), metrics=metrics(labels, predictions))


def _slice(
    features: list[tuple[str, str]],
    labels: Floats,
    better: Floats,
    worse: Floats | None,
    metrics: Metrics,
    plot: BinaryPlot | MulticlassPlot | RegressionPlot | None,
) -> SliceSummary:
    baseline = {} if worse is None else metrics(labels, worse)
    part = SliceSummary(features=features, examples=len(labels), metrics=metrics(labels, better), baseline=baseline)
    if plot is not None:
        part["plot"] = plot
    return part


def _importance(columns: Sequence[str], largest: float) -> list[Importance]:
    random = np.random.default_rng(4)
    return [
        Importance(
            column=column, worse_by=[float(value) for value in random.normal(largest / 2**rank, largest / 30, 5)]
        )
        for rank, column in enumerate(columns)
    ]
