"""A training as one HTML page: its learning curves and epochs, and what the columns were taken for."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

import altair as alt

from penstock.components.trainer import columns, epochs
from penstock.components.trainer.epochs import VALIDATION, History
from penstock.core import page
from penstock.core.page import numbers
from penstock.core.page.metrics import Scale


def write(path: Path, model_run: Path) -> Path:
    """Writes the page of what is in a model_run; returns where. A folder at `path` gets it as report.html."""
    history, learnt_from = epochs.read(model_run), columns.section(model_run)
    label = columns.label(model_run)
    training = _training(history, epochs.scale(history.measures, label)) if history else _NO_HISTORY
    body = f"<h1>Training</h1>{training}"
    if learnt_from:
        body += f"{page.next_part('data')}<h1>What the columns were taken for</h1>{learnt_from}"
    return page.write(path, "Training", body, "training")


_NO_HISTORY = (
    '<p class="muted">No learning curves: the module that has trained this model has not logged its epochs. Keras\'s '
    "<code>callbacks.TensorBoard(fn_args.model_run_dir)</code> in <code>fit</code> logs them.</p>"
)


def _training(history: History, scale: Scale) -> str:
    how = ", ".join(filter(None, (history.device, history.precision, history.backend)))
    ended = f"; ended by {history.finished}" if history.finished else ""
    start = f'<p>{escape(epochs.summary(history, scale))}</p><p class="muted">{escape(how + ended)}</p>'
    if len(history.epochs) == 1:  # there would be a point in each chart
        return start + _table(history, scale)
    names = dict.fromkeys(name.removeprefix(VALIDATION) for name in history.measures)
    curves = "".join(page.chart(_curve(history, name, scale), scale.name(name)) for name in names)
    table = f"<details><summary>{epochs.count(history)}</summary>{_table(history, scale)}</details>"
    return f'{start}<div class="plots">{curves}</div>{table}'


def _curve(history: History, measure: str, scale: Scale) -> alt.LayerChart:
    """Returns a measure over the epochs, of training and of the eval split, with the best epoch marked."""
    values = [
        {"epoch": epoch.epoch, "split": split, "value": _number(epoch.measured[name], measure, scale)}
        for epoch in history.epochs
        for split, name in (("train", measure), ("eval", VALIDATION + measure))
        if name in epoch.measured
    ]
    form = scale.format(measure)
    lines = (
        alt.Chart(alt.Data(values=values))
        .mark_line(point={"size": 20})
        .encode(
            x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d", title="epoch", grid=False)),
            y=alt.Y("value:Q", scale=alt.Scale(zero=False), title=None, axis=alt.Axis(format=form)),
            color=alt.Color("split:N", title=None, scale=alt.Scale(domain=["train", "eval"])),
            tooltip=["epoch:Q", "split:N", alt.Tooltip("value:Q", title=scale.name(measure), format=form)],
        )
    )
    best = [{"epoch": history.best_epoch}] if history.best_epoch is not None else []
    rule = alt.Chart(alt.Data(values=best)).mark_rule(strokeDash=[3, 3])
    marked = rule.encode(x="epoch:Q", tooltip=[alt.Tooltip("epoch:Q", title="best epoch")])
    return alt.LayerChart(layer=[lines, marked])


def _table(history: History, scale: Scale) -> str:
    """Returns a table of the epochs, the best one marked; a column for all that is known of any."""
    shown = [(title, cells) for title, cells in _columns(history, scale) if any(cells)]
    rows = ""
    for place, epoch in enumerate(history.epochs):
        kind = "number good" if epoch.epoch == history.best_epoch else "number"
        rows += "<tr>" + "".join(f'<td class="{kind}">{cells[place]}</td>' for _, cells in shown) + "</tr>"
    return page.table(rows, "".join(f'<th class="number">{escape(title)}</th>' for title, _ in shown))


def _columns(history: History, scale: Scale) -> Iterator[tuple[str, list[str]]]:
    """Yields columns of texts, with a text for each epoch."""
    yield "epoch", [str(epoch.epoch) for epoch in history.epochs]
    for name in history.measures:
        measure = name.removeprefix(VALIDATION)
        values = (_number(epoch.measured.get(name), measure, scale) for epoch in history.epochs)
        title = f"{'eval ' if name != measure else ''}{scale.name(measure)}"
        yield title, [numbers.number(value, digits=4) for value in values]
    yield "batch size", [numbers.count(epoch.batch_size) for epoch in history.epochs]
    yield "examples per second", [numbers.count(epoch.examples_per_second) for epoch in history.epochs]
    yield "seconds", [numbers.number(epoch.seconds) for epoch in history.epochs]
    for device in dict.fromkeys(device for epoch in history.epochs for device in epoch.utilisation):
        yield (
            device,
            [
                numbers.percentage(epoch.utilisation[device]) if device in epoch.utilisation else ""
                for epoch in history.epochs
            ],
        )


def _number(value: float | None, measure: str, scale: Scale) -> float | None:
    return None if value is None else scale.number(measure, value)
