"""The epochs of a training: of the history.json in its model_run, which the model without code writes."""

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.core import metrics, page
from penstock.core.artifacts import ModelRun
from penstock.core.page import numbers

_OF_THE_MACHINE = ("batch_size", "examples_per_second", "seconds")
_NO_MEASURE = ("epoch", "utilisation", *_OF_THE_MACHINE)


def read(folder: Path) -> dict[str, Any] | None:
    """Returns what a history.json holds; None if there is none, or a damaged one, or a user's file of that name."""
    try:
        history = json.loads(ModelRun(folder).history.read_text())
        best(history), table(history)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return None
    return dict(history)


def best(history: Mapping[str, Any]) -> str:
    """Returns the best epoch, and what was measured on the eval split after it, as one sentence."""
    epoch = {epoch["epoch"]: epoch for epoch in history["epochs"]}[history["best_epoch"]]
    in_units = (metrics.in_the_labels_unit(name, value) for name, value in epoch.items() if name.startswith("val_"))
    measured = ", ".join(f"{name} {numbers.number(value, 4)}" for name, value in in_units)
    return f"best epoch {history['best_epoch']} of {len(history['epochs'])}: {measured}"


def measures(history: Mapping[str, Any]) -> list[str]:
    """Returns the names of what was measured after each epoch, such as `loss` and `val_loss`."""
    return [name for name in history["epochs"][0] if name not in _NO_MEASURE]


def table(history: Mapping[str, Any]) -> str:
    """Returns a table of the epochs, the best one marked."""
    epochs, names = history["epochs"], measures(history)
    shares = list(dict.fromkeys(name for epoch in epochs for name in epoch["utilisation"]))
    header = "".join(
        f'<th class="number">{html.escape(name.replace("_", " "))}</th>'
        for name in ["epoch", *names, *_OF_THE_MACHINE, *shares]
    )
    rows = ""
    for epoch in epochs:
        cells = [str(epoch["epoch"]), *(numbers.number(epoch[name], digits=4) for name in names)]
        cells += [f"{epoch['batch_size']:,}", f"{epoch['examples_per_second']:,}", f"{epoch['seconds']:.1f}"]
        cells += [f"{epoch['utilisation'][name]:.0%}" if name in epoch["utilisation"] else "" for name in shares]
        kind = "number good" if epoch["epoch"] == history["best_epoch"] else "number"
        rows += "<tr>" + "".join(f'<td class="{kind}">{html.escape(cell)}</td>' for cell in cells) + "</tr>"
    return page.table(rows, header)
