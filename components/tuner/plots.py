"""Charts of a search: the scores over the trials, and against a parameter."""

from collections.abc import Iterable
from typing import Any

import altair as alt

from penstock.trainer.tuning.results import Parameter, Results, Trial
from penstock.trainer.tuning.settings import Value

_GOOD, _BAD = "var(--good)", "var(--bad)"
_HEIGHT = 240


def over_trials(results: Results) -> alt.LayerChart:
    """Returns a chart of the scores in the order in which trials started.

    A line shows the best score so far; crosses at the bottom are failed trials.
    """
    completed = [trial for trial in results.trials if trial.score is not None]
    better = max if results.direction == "max" else min
    so_far: list[dict[str, Any]] = []
    for trial in completed:
        score = trial.score or 0.0
        so_far.append({"trial": trial.number, "score": better(score, so_far[-1]["score"]) if so_far else score})
    so_far.append({"trial": len(results.trials), "score": so_far[-1]["score"]})
    line = (
        alt.Chart(alt.Data(values=so_far))
        .mark_line(interpolate="step-after", color=_GOOD, strokeWidth=1.5)
        .encode(x=_trial_axis(results), y=_score_axis(results))
    )
    failed = [
        {"trial": trial.number, "name": trial.trial_id, "error": trial.error}
        for trial in results.trials
        if trial.score is None
    ]
    crosses = (
        alt.Chart(alt.Data(values=failed))
        .mark_point(shape="cross", color=_BAD, size=60)
        .encode(x="trial:Q", y=alt.YValue("height"), tooltip=["name:N", "error:N"])
    )
    dots = _layers(completed, results, x=_trial_axis(results))
    return alt.LayerChart(layer=[line, *dots, *([crosses] if failed else [])]).properties(height=_HEIGHT)


def against(results: Results, parameter: Parameter) -> alt.LayerChart:
    """Returns a chart of the scores against the values of a parameter, for the completed trials that have it."""
    name = parameter.name
    trials = [trial for trial in reversed(results.best) if name in trial.values]  # the best last, so on top
    values = [trial.values[name] for trial in trials]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        numbers = [float(value) for value in values]
        log = parameter.log and min(numbers) > 0
        kind: dict[str, Any] = {"type": "log"} if log else {"zero": False}
        scale = alt.Scale(**kind, nice=False, padding=10)
        across = alt.X("value:Q", title=None, scale=scale, axis=alt.Axis(grid=False, format="~g"))
    else:
        across = alt.X("value:N", title=None, axis=alt.Axis(labelAngle=0, labelLimit=90))
    return alt.LayerChart(layer=_layers(trials, results, x=across, parameter=name))


def _layers(trials: Iterable[Trial], results: Results, x: alt.X, parameter: str = "") -> list[alt.Chart]:
    """Returns a dot for each trial, the best in another colour, and its deviation over the folds."""
    trials = list(trials)
    names = list(dict.fromkeys(name for trial in trials for name in trial.values))
    rows = [_row(trial, results, parameter) for trial in trials]
    base = alt.Chart(alt.Data(values=rows)).encode(x=x)
    details = [alt.Tooltip("name:N", title="trial"), alt.Tooltip("score:Q", title=results.objective)]
    # A dot in a field's name would be a step into an object: [ ] take the name as it is.
    details += [alt.Tooltip(f"values.{_quoted(name)}", type="nominal", title=name) for name in names]
    dots = base.mark_point(opacity=0.8).encode(
        y=_score_axis(results),
        color=alt.condition(alt.datum["best"], alt.value(_GOOD), alt.value("var(--plot)")),
        size=alt.condition(alt.datum["best"], alt.value(90), alt.value(45)),
        tooltip=details,
    )
    if not any("low" in row for row in rows):
        return [dots]
    spread = base.transform_filter("isValid(datum.low)").mark_rule(opacity=0.5, color="var(--plot)")
    return [spread.encode(y=alt.Y("low:Q", scale=alt.Scale(zero=False)), y2="high:Q"), dots]


def _row(trial: Trial, results: Results, parameter: str) -> dict[str, Any]:
    score = trial.score or 0.0
    row: dict[str, Any] = {
        "trial": trial.number,
        "name": trial.trial_id,
        "score": score,
        "best": trial is results.best[0],
        "values": {name: _shown(value) for name, value in trial.values.items()},
    }
    if parameter:
        value = trial.values[parameter]
        row["value"] = str(value) if isinstance(value, bool) else value
    if trial.deviation:
        row |= {"low": score - trial.deviation, "high": score + trial.deviation}
    return row


def _trial_axis(results: Results) -> alt.X:
    scale = alt.Scale(domain=[1, max(len(results.trials), 2)], nice=False, padding=10)
    return alt.X("trial:Q", title="trial", scale=scale, axis=alt.Axis(grid=False, tickMinStep=1, format="d"))


def _score_axis(results: Results) -> alt.Y:
    return alt.Y("score:Q", title=None, scale=alt.Scale(zero=False, padding=8))


def _shown(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _quoted(name: str) -> str:
    return "['" + name.replace("\\", "\\\\").replace("'", "\\'") + "']"
