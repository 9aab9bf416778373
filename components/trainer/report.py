"""A training as one HTML page: its learning curves and epochs, and what the columns were taken for."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import altair as alt

from penstock.components.trainer import columns, epochs
from penstock.core import page

_VALIDATION = "val_"


def write(path: Path, model_run: Path) -> Path:
    """Writes the page of what is in a model_run; returns where. A folder at `path` gets it as report.html."""
    history, learnt_from = epochs.read(model_run), columns.section(model_run)
    body = "<h1>Training</h1>" + (_training(history) if history else _NO_HISTORY)
    if learnt_from:
        body += f"{page.next_part('data')}<h1>What the columns were taken for</h1>{learnt_from}"
    return page.write(path, "Training", body, "training")


_NO_HISTORY = (
    '<p class="muted">The module that has trained this model logs its epochs, if it does, into model_run, which '
    "<code>tensorboard --logdir</code> shows.</p>"
)


def _training(history: Mapping[str, Any]) -> str:
    how = ", ".join(str(history[name]) for name in ("device", "precision", "backend") if history.get(name))
    ended = f"; ended by {history['finished']}" if history.get("finished") else ""
    curves = "".join(page.chart(_curve(history, name), name.replace("_", " ")) for name in _measured(history))
    return (
        f'<p>{escape(epochs.best(history))}</p><p class="muted">{escape(how + ended)}</p>'
        f'<div class="plots">{curves}</div>'
        f"<details><summary>{len(history['epochs'])} epochs</summary>{epochs.table(history)}</details>"
    )


def _measured(history: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(name.removeprefix(_VALIDATION) for name in epochs.measures(history)))


def _curve(history: Mapping[str, Any], measure: str) -> alt.LayerChart:
    """Returns a measure over the epochs, of training and of the eval split, with the best epoch marked."""
    values = [
        {"epoch": epoch["epoch"], "split": split, "value": epoch[name]}
        for epoch in history["epochs"]
        for split, name in (("train", measure), ("eval", _VALIDATION + measure))
        if name in epoch
    ]
    lines = (
        alt.Chart(alt.Data(values=values))
        .mark_line(point={"size": 20})
        .encode(
            x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d", title="epoch", grid=False)),
            y=alt.Y("value:Q", scale=alt.Scale(zero=False), title=None),
            color=alt.Color("split:N", title=None, scale=alt.Scale(domain=["train", "eval"])),
            tooltip=["epoch:Q", "split:N", alt.Tooltip("value:Q", title=measure)],
        )
    )
    best = alt.Chart(alt.Data(values=[{"epoch": history["best_epoch"]}])).mark_rule(strokeDash=[3, 3])
    marked = best.encode(x="epoch:Q", tooltip=[alt.Tooltip("epoch:Q", title="best epoch")])
    return alt.LayerChart(layer=[lines, marked])
