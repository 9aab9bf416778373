"""The part of a run's report that tells of what and how a model was trained, of the files in a task's model_run."""

import html
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from penstock.core import metrics, page
from penstock.core.artifacts import ModelRun
from penstock.core.page import numbers
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.report import column_table

_OF_THE_MACHINE = ("batch_size", "examples_per_second", "seconds")


def lines(run: RunRecord) -> Iterator[str]:
    """Yields what each model without code learnt from, its best epoch, and what was measured on the eval split."""
    for artifact in run.artifacts():
        if artifact.name == "model_run":
            for line in (column_table.line(artifact.path), _rendered(artifact.path, _best)):
                if line:
                    yield f"{artifact.task.name}: {line}"


def section(folder: Path) -> str:
    """Returns the best epoch, what the columns were taken for, and the epochs, folded; nothing if there is neither."""
    columns = column_table.section(folder)
    whole = _rendered(folder, lambda history: _section(history, columns))
    return whole or (f"<h2>Training</h2>{columns}" if columns else "")


def _section(history: dict[str, Any], columns: str) -> str:
    how = ", ".join(str(history[name]) for name in ("device", "precision", "backend") if history.get(name))
    return (
        f'<h2>Training</h2><p>{html.escape(_best(history))}</p><p class="muted">{html.escape(how)}</p>'
        f"{columns}{_epochs(history)}"
    )


def _best(history: dict[str, Any]) -> str:
    best = {epoch["epoch"]: epoch for epoch in history["epochs"]}[history["best_epoch"]]
    told = (metrics.in_the_labels_unit(name, value) for name, value in best.items() if name.startswith("val_"))
    measured = ", ".join(f"{name} {numbers.number(value, 4)}" for name, value in told)
    return f"best epoch {history['best_epoch']} of {len(history['epochs'])}: {measured}"


def _epochs(history: dict[str, Any]) -> str:
    """Returns a table of the epochs, the best one marked."""
    epochs = history["epochs"]
    names = [name for name in epochs[0] if name not in ("epoch", "utilisation", *_OF_THE_MACHINE)]
    shares = list(dict.fromkeys(name for epoch in epochs for name in epoch["utilisation"]))
    header = "".join(
        f'<th class="number">{html.escape(name)}</th>' for name in ["epoch", *names, *_OF_THE_MACHINE, *shares]
    )
    rows = ""
    for epoch in epochs:
        cells = [str(epoch["epoch"]), *(f"{epoch[name]:.4f}" for name in names)]
        cells += [f"{epoch['batch_size']:,}", f"{epoch['examples_per_second']:,}", f"{epoch['seconds']:.1f}"]
        cells += [f"{epoch['utilisation'][name]:.0%}" if name in epoch["utilisation"] else "" for name in shares]
        kind = "number good" if epoch["epoch"] == history["best_epoch"] else "number"
        rows += "<tr>" + "".join(f'<td class="{kind}">{html.escape(cell)}</td>' for cell in cells) + "</tr>"
    return f"<details><summary>{len(epochs)} epochs</summary>{page.table(rows, header)}</details>"


def _rendered(folder: Path, render: Callable[[dict[str, Any]], str]) -> str:
    """Returns what a history is rendered as; "" if there is none, or a damaged one, or a user's file of that name."""
    try:
        return render(json.loads(ModelRun(folder).history.read_text()))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return ""
