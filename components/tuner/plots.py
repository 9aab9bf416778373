"""Plots of a search as SVG: the scores over the trials, and against a parameter."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from penstock.trainer.tuning.results import Parameter, Results, Trial
from penstock.trainer.tuning.settings import Value

_MARGIN = (58, 14, 10, 24)  # left, right, top, bottom, for the labels of the axes
_LONGEST = 12  # characters of a label


@dataclass(frozen=True)
class _Axis:
    """A scale from values to pixels, with labels: categories side by side, or numbers on a linear or log scale.

    If all values are equal, they are shown in the middle.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    categories: tuple[str, ...] = ()

    def place(self, value: Value) -> float:
        if self.categories:
            share = (self.categories.index(_label(value)) + 0.5) / len(self.categories)
        else:
            low, high, at = (math.log(number) if self.log else number for number in (self.low, self.high, float(value)))
            share = 0.5 if low == high else (at - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> Sequence[Value]:
        if self.categories:
            return list(self.categories)
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return [self.low] if self.low == self.high else [self.low, middle, self.high]


def over_trials(results: Results, width: int = 820, height: int = 240) -> str:
    """Returns a plot of the scores in the order in which trials started.

    A line shows the best score so far; failed trials are at the bottom. width, height: in pixels.
    """
    left, right, _, bottom = _MARGIN
    completed = [trial for trial in results.trials if trial.score is not None]
    across = _Axis(1, max(len(results.trials), 2), left, width - right)
    up = _scores(completed, height)
    line, best = [], None
    for trial in completed:
        score = trial.score or 0.0
        best = score if best is None else max(best, score) if results.direction == "max" else min(best, score)
        line.append(f"{across.place(trial.number):.1f},{up.place(best):.1f}")
    steps = " ".join(
        f"H{point.split(',')[0]} V{point.split(',')[1]}" if index else f"M{point}" for index, point in enumerate(line)
    )
    parts = [_frame(width, height), _up_labels(up), f'<path class="so-far" d="{steps} H{width - right}"/>']
    parts += [_dot(across.place(trial.number), trial, up, results) for trial in completed]
    parts += [
        f'<circle class="dot failed" cx="{across.place(trial.number):.1f}" cy="{height - bottom}" r="3.5">'
        f"<title>{escape(trial.trial_id)}: {escape(trial.error)}</title></circle>"
        for trial in results.trials
        if trial.score is None
    ]
    parts += [
        f'<text x="{across.place(number):.1f}" y="{height - 8}" text-anchor="middle">{number}</text>'
        for number in sorted({1, (len(results.trials) + 1) // 2, len(results.trials)})
    ]
    return _svg(width, height, "Scores over the trials", parts)


def against(results: Results, parameter: Parameter, width: int = 300, height: int = 200) -> str:
    """Returns a plot of the scores against the values of a parameter, for the completed trials that have it.

    width, height: in pixels.
    """
    left, right, _, _ = _MARGIN
    trials = [trial for trial in results.best if parameter.name in trial.values]
    across = _values([trial.values[parameter.name] for trial in trials], parameter.log, left, width - right)
    up = _scores(trials, height)
    parts = [_frame(width, height), _up_labels(up)]
    # The best last, so that it lies on top.
    parts += [_dot(across.place(trial.values[parameter.name]), trial, up, results) for trial in reversed(trials)]
    for index, tick in enumerate(ticks := across.ticks()):
        anchor = "middle" if across.categories or 0 < index < len(ticks) - 1 else "start" if index == 0 else "end"
        parts.append(
            f'<text x="{across.place(tick):.1f}" y="{height - 8}" text-anchor="{anchor}">{escape(_short(tick))}</text>'
        )
    return _svg(width, height, f"Scores against {parameter.name}", parts)


def _values(values: Sequence[Value], log: bool, start: float, end: float) -> _Axis:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        return _Axis(0, 0, start, end, categories=tuple(dict.fromkeys(_label(value) for value in values)))
    return _Axis(min(numbers), max(numbers), start, end, log and min(numbers) > 0)


def _scores(trials: Sequence[Trial], height: int) -> _Axis:
    _, _, top, bottom = _MARGIN
    scores = [trial.score for trial in trials if trial.score is not None]
    spread = [trial.deviation or 0.0 for trial in trials]
    low = min(score - part for score, part in zip(scores, spread, strict=True))
    high = max(score + part for score, part in zip(scores, spread, strict=True))
    return _Axis(low, high, height - bottom - 8, top + 6)


def _dot(x: float, trial: Trial, up: _Axis, results: Results) -> str:
    score, spread = trial.score or 0.0, ""
    if trial.deviation:
        ends = f'y1="{up.place(score - trial.deviation):.1f}" y2="{up.place(score + trial.deviation):.1f}"'
        spread = f'<line class="spread" x1="{x:.1f}" x2="{x:.1f}" {ends}/>'
    top = " top" if trial is results.best[0] else ""
    values = ", ".join(f"{name} {_short(value)}" for name, value in trial.values.items())
    return (
        f'{spread}<circle class="dot{top}" cx="{x:.1f}" cy="{up.place(score):.1f}" r="{4.5 if top else 3.5}">'
        f"<title>{escape(f'{trial.trial_id}: {score:.5g}; {values}')}</title></circle>"
    )


def _frame(width: int, height: int) -> str:
    left, right, top, bottom = _MARGIN
    return f'<path class="axis" fill="none" d="M{left - 6} {top} V{height - bottom} H{width - right + 6}"/>'


def _up_labels(up: _Axis) -> str:
    return "".join(
        f'<text x="{_MARGIN[0] - 10}" y="{up.place(tick) + 4:.1f}" text-anchor="end">{_short(tick)}</text>'
        for tick in up.ticks()
    )


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _label(value: Value) -> str:
    return str(value)


def _short(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
