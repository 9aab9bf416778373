"""The trials of a search as one HTML page: the best trial, plots, and a table of all."""

from html import escape
from pathlib import Path

from penstock.components.tuner import plots
from penstock.core import page
from penstock.core.page import numbers
from penstock.trainer.tuning.results import Parameter, Results, Trial
from penstock.trainer.tuning.settings import Value

_DIGITS = 5  # of scores, which differ little


def write(path: Path, results: Results) -> Path:
    """Writes the page to `path`, or as report.html into a folder there; returns the path of the file."""
    varied = _varied(results)
    against = "".join(
        page.chart(
            plots.against(results, parameter),
            f"{results.objective} against {parameter.name}{', logarithmic' if parameter.log else ''}",
        )
        for parameter in varied
    )
    over = page.chart(
        plots.over_trials(results), "every trial in the order of their starts; the line is the best so far"
    )
    body = (
        f"<h1>Hyperparameter search</h1>\n{_summary(results)}\n<h2>Scores over the trials</h2>{over}\n"
        + (f'<h2>Scores against the parameters</h2><div class="plots">{against}</div>\n' if against else "")
        + f"<h2>Trials</h2>{_table(results)}\n{_failures(results)}"
    )
    return page.write(path, "Hyperparameter search", body, "search")


def _varied(results: Results) -> list[Parameter]:
    """Returns the parameters that do not have the same value in all completed trials."""
    return [
        parameter
        for parameter in results.parameters
        if len({repr(trial.values.get(parameter.name)) for trial in results.best}) > 1
    ]


def _summary(results: Results) -> str:
    best, failed = results.best[0], sum(trial.score is None for trial in results.trials)
    stopped = sum(trial.stopped for trial in results.trials)
    counts = [f"{len(results.trials):,} trial{'s' if len(results.trials) != 1 else ''}"]
    counts += [f"{stopped:,} stopped early"] if stopped else []
    counts += [f"{failed:,} failed"] if failed else []
    values = "".join(
        f'<tr><td><code>{escape(name)}</code></td><td class="number">{_value(value)}</td></tr>'
        for name, value in best.values.items()
    )
    return (
        f'<p class="muted">{", ".join(counts)}; {escape(results.objective)} is '
        f"{'maximized' if results.direction == 'max' else 'minimized'}.</p>"
        f"<p>{page.mark(f'best: {_score(best)}', good=True)} in trial {escape(best.trial_id)}</p>{page.table(values)}"
    )


def _table(results: Results) -> str:
    names = list(dict.fromkeys(name for trial in results.trials for name in trial.values))
    header = "".join(f'<th class="number"><code>{escape(name)}</code></th>' for name in names)
    failed = [trial for trial in results.trials if trial.score is None]
    rows = [_row(trial, names, rank) for rank, trial in enumerate(results.best, 1)]
    rows += [_row(trial, names, None) for trial in failed]
    header = f'<th class="number">rank</th><th>trial</th><th class="number">score</th><th></th>{header}'
    return page.table("".join(rows), header, sort=True)


def _failures(results: Results) -> str:
    """Returns a table of the failed trials and their errors, with a row for each different error."""
    alike: dict[str, list[str]] = {}
    for trial in results.trials:
        if trial.score is None:
            alike.setdefault(trial.error, []).append(escape(trial.trial_id))
    rows = "".join(f"<tr><td>{', '.join(names)}</td><td>{escape(error)}</td></tr>" for error, names in alike.items())
    return f"<h2>Failed trials</h2>{page.table(rows, '<th>trial</th><th>failed of</th>')}" if rows else ""


def _row(trial: Trial, names: list[str], rank: int | None) -> str:
    cells = "".join(_cell(trial.values.get(name)) for name in names)
    note = '<span class="muted">stopped early</span>' if trial.stopped else ""
    note = page.mark("failed", good=False) if trial.score is None else note
    return (
        f'<tr{" class=top" if rank == 1 else ""}><td class="number">{rank or ""}</td><td>{escape(trial.trial_id)}</td>'
        f'<td class="number" data-value="{"" if trial.score is None else trial.score}">{_score(trial)}</td>'
        f"<td{' class="name"' if note else ''}>{note}</td>{cells}</tr>"
    )


def _score(trial: Trial) -> str:
    if trial.score is None:
        return ""
    return numbers.number(trial.score, _DIGITS) + (
        f" ± {numbers.number(trial.deviation, 2)}" if trial.deviation is not None else ""
    )


def _cell(value: Value | None) -> str:
    """Returns a cell that is sorted by its value: text with commas would be no number."""
    key = f' data-value="{value}"' if isinstance(value, float) else ""
    return f'<td class="number"{key}>{_value(value)}</td>'


def _value(value: Value | None) -> str:
    if value is None:
        return ""
    return numbers.number(value, 4) if isinstance(value, float) else escape(str(value))
