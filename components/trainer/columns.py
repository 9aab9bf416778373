"""What the model without code took the columns for, and why: of the plan.json in a training's model_run."""

import html
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core import page
from penstock.core.artifacts import ModelRun
from penstock.core.page import numbers

_FEW = 20  # columns that are shown without a click
_SHOWN = 10  # classes of a label, names of columns in a line


def line(folder: Path) -> str:
    """Returns what is learnt from what, as one sentence; "" if the folder holds no plan of the model without code."""
    return _rendered(folder, _line)


def _line(plan: dict[str, Any]) -> str:
    kinds: dict[str, dict[str, None]] = {}
    for made in plan["features"]:
        kinds.setdefault(made["name"], {})[made["kind"]] = None
    counts = Counter(" and ".join(of_column) for of_column in kinds.values())
    counted = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    left_out = f"; left out: {_some(list(plan['ignored']))}" if plan["ignored"] else ""
    return f"{plan['label']['name']} ({_label(plan['label'])}) is learnt from columns: {counted}{left_out}"


def label(folder: Path) -> str:
    """Returns the name of the label; "" if there is no plan."""
    return _rendered(folder, lambda plan: str(plan["label"]["name"]))


def section(folder: Path) -> str:
    """Returns a table with a row for each column of the data; nothing if there is no plan."""
    return _rendered(folder, _section)


def _section(plan: dict[str, Any]) -> str:
    target, missing, notes = plan["label"]["name"], plan.get("missing", {}), plan["notes"]
    classes = [_some(plan["label"]["classes"])] if plan["label"]["classes"] else []
    sentences = [*classes, *_noted(notes, target)]
    rows = [_row(target, f"label, {plan['label']['problem']}", sentences, missing.get(target))]
    names = dict.fromkeys(feature["name"] for feature in plan["features"])
    for name in names:
        features = [feature for feature in plan["features"] if feature["name"] == name]
        kinds = ", ".join(dict.fromkeys(feature["kind"] for feature in features))
        sentences = list(
            dict.fromkeys(_feature(feature, plan.get("vocabularies", {})) for feature in _merged(features))
        )
        rows.append(_row(name, kinds, [*sentences, *_noted(notes, name)], missing.get(name)))
    for name, reason in plan["ignored"].items():
        rows.append(_row(name, "left out", [reason, *_noted(notes, name)], missing.get(name)))
    header = '<th>column</th><th>taken for</th><th class="number">missing</th><th>how</th>'
    count = len(names) + len(plan["ignored"])
    summary = f"{count:,} column{'s' if count != 1 else ''}" + (
        f", {len(plan['ignored']):,} of them left out" if plan["ignored"] else ""
    )
    state = " open" if count <= _FEW else ""
    return f"<details{state}><summary>{summary}</summary>{page.table(''.join(rows), header, sort=True)}</details>"


def _noted(notes: dict[str, str], name: str) -> list[str]:
    return [notes[name]] if name in notes else []


def _row(name: str, kind: str, sentences: list[str], missing: float | None) -> str:
    muted = " muted" if kind == "left out" else ""
    share = "" if missing is None else numbers.percentage(missing) if missing else "none"
    return (
        f'<tr><td class="name">{page.breakable(name)}</td><td class="name{muted}">{html.escape(kind)}</td>'
        f'<td class="number" data-value="{"" if missing is None else missing}">{share}</td>'
        f'<td class="long{muted}">{html.escape("; ".join(sentences))}</td></tr>'
    )


def _merged(features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The numbers of one column that holds several in a row are told once, what of a row they are together."""
    numbers = [feature for feature in features if feature["kind"] == "numeric"]
    others = [feature for feature in features if feature["kind"] != "numeric"]
    of = [feature["of"] for feature in numbers]
    return [*({**feature, "of": of} for feature in numbers[:1]), *others]


def _feature(feature: dict[str, Any], vocabularies: dict[str, int]) -> str:
    """Returns how a feature reaches the model; a kind that is not known here tells its name only."""
    match feature["kind"]:
        case "numeric":
            of, scale = feature["of"], f"its place between {feature['bins']} quantiles"
            scale = scale if feature["transform"] == "quantiles" else "its deviations from the mean"
            if of == ["value"]:
                return scale
            return f"{', '.join(of) if isinstance(of[0], str) else f'{len(of)} in each row'}, each {scale}"
        case "categorical":
            size = vocabularies.get(feature["output"])
            count = f"{size:,}" if size is not None else f"up to {feature['vocabulary_size']:,}"
            occur = "value that occurs" if size == 1 else "values that occur"
            others, bag = feature["oov_buckets"], f", up to {feature['width']} in a row" if feature["width"] > 1 else ""
            return (
                f"{count} {occur} {feature['frequency_threshold']} times or more{bag}, "
                f"{others:,} bucket{'s' if others != 1 else ''} for all others"
            )
        case "text":
            words = "words" if feature["ngrams"] == 1 else f"words and up to {feature['ngrams']} in a row"
            return f"{words}, hashed into {feature['hash_buckets']:,} buckets, {feature['width']} of a row at most"
        case "date":
            parts = ["days since 1970" if part == "days" else f"where in the {part}" for part in feature["parts"]]
            return f"{', '.join(parts)} (format {feature['format']})"
        case "sparse":
            return f"{feature['size']:,} {'ids' if feature['width'] else 'numbers'}"
        case kind:
            return str(kind)


def _label(label: dict[str, Any]) -> str:
    return str(label["problem"]) + (f" of {_some(label['classes'])}" if label["classes"] else "")


def _some(names: list[Any]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(map(str, names[:_SHOWN])) + more


def _rendered(folder: Path, render: Callable[[dict[str, Any]], str]) -> str:
    """Returns what a plan is rendered as; "" if there is none, or a damaged one, or a user's file of the same name."""
    try:
        return render(json.loads(ModelRun(folder).plan.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return ""
