"""The parts that every section of the page is made of."""

from collections.abc import Iterable
from html import escape

from penstock.components.monitoring import words
from penstock.core import page
from penstock.core.artifacts.monitoring import Finding
from penstock.core.page import metrics, numbers


def section(title: str, header: str, lines: Iterable[str], sort: bool = False, fold: bool = False) -> str:
    """Returns a table below its title; "" without lines."""
    rows = "".join(lines)
    return f"<h2>{title}</h2>{page.table(rows, header, sort=sort, fold=fold)}" if rows else ""


def table(title: str, header: str, lines: Iterable[str], lead: str) -> str:
    """Returns a table that is a part of a section, below its title and a sentence; "" without lines."""
    rows = "".join(lines)
    above = f'<h3>{title}</h3><p class="muted">{lead}</p>'
    return above + page.table(rows, header, sort=True, fold=True) if rows else ""


def measure(one: Finding) -> str:
    """Returns what a finding's measure is called."""
    plain = words.MEASURES.get(one["measure"], one["measure"])
    return f"{plain}, from the window before" if one.get("compared_with") == "window" else plain


def limit(one: Finding) -> str:
    """Returns from which value on a finding alerts."""
    threshold = one["threshold"]
    return "never" if threshold is None else f"{one.get('side', 'above')} {numbers.number(threshold)}"


def bullets(sentences: Iterable[str]) -> str:
    """Returns sentences as a list; "" without any."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def metric(name: str) -> str:
    """Returns what people call a metric of an evaluation."""
    return metrics.Scale("other", "").name_of_differences(name)
