"""How a page that is written for a person looks: one HTML file that needs nothing but a browser, and no network.

`html` and `write` make the page of parts: `table`, `mark`, `chart`, `legend` and `choice`. It carries its style, and
scripts only where a part needs them: script.js for tables that are sorted and for choices, Vega's bundle for charts.
"""

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path

from penstock.core.files import atomic
from penstock.core.page.charts import CHART, COLOURS, chart
from penstock.core.page.stitching import Part, marked, next_part

__all__ = ["FILE", "Part", "breakable", "chart", "choice", "html", "legend", "mark", "next_part", "table", "write"]

FILE = "report.html"
_SORTED = "sorted-by-click"  # the classes that script.js looks for
_CHOICE = "choice"
_MOST = 30  # rows of a folded table, as in style.css
# Nothing is loaded, and nothing is evaluated. (A frame inherits this, so a page with frames has no policy of its own.)
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">"
)


def write(path: Path, title: str, body: str, part: Part | None = None) -> Path:
    """Writes a page, whose `body` is HTML; returns where. A folder at `path` gets it as report.html."""
    path = path / FILE if path.is_dir() else path
    atomic.write_text(path, html(title, body, part))
    return path


def html(title: str, body: str, part: Part | None = None) -> str:
    """Returns a page, whose `body` is HTML. `part` says which part of a run's report it is, if it is one.

    Where another part begins in the body, `next_part` says so.
    """
    charts = f'class="{CHART}"' in body
    scripts = [_file("vega.js")] if charts else []
    scripts += [_file("script.js")] if charts or _SORTED in body or f'class="{_CHOICE}"' in body else []
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{'' if '<iframe' in body else _POLICY}{marked(part) if part else ''}"
        f"<style>{_file('style.css')}</style></head><body><main>\n{body}\n</main>"
        f"{''.join(f'<script>{script}</script>' for script in scripts)}</body></html>\n"
    )


def table(rows: str, header: str = "", sort: bool = False, fold: bool = False) -> str:
    """Returns a table of `<tr>` rows below the `<th>` cells of a header; one that is too wide scrolls.

    With `sort`, a click on a cell of the header sorts the rows by that column: by `data-value` of its cells, else by
    their text; as numbers if all are. With `fold`, only the first 30 rows are shown until somebody asks for all.
    """
    head = f"<thead><tr>{header}</tr></thead>" if header else ""
    kind = f' class="{_SORTED}"' if sort else ""
    count = rows.count("<tr")
    more = (
        f'<label class="more"><input type="checkbox"> show all {count:,} rows</label>' if fold and count > _MOST else ""
    )
    return f'<div class="table"><table{kind}>{head}<tbody>{rows}</tbody></table>{more}</div>'


def choice(label: str, options: dict[str, str]) -> str:
    """Returns a list to choose from, such as slices, and of what each option stands for (HTML) the one that is chosen.

    Charts in it are drawn when they are chosen. Without scripts, the first option is shown.
    """
    names = "".join(f"<option>{escape(name)}</option>" for name in options)
    shown = "".join(f"<div{' hidden' if index else ''}>{part}</div>" for index, part in enumerate(options.values()))
    return f'<div class="{_CHOICE}"><label>{escape(label)} <select>{names}</select></label>{shown}</div>'


def legend(names: Sequence[str]) -> str:
    """Returns which colour is whose, for several charts: the first is `var(--plot-1)`, and so on."""
    keys = (
        f'<span><i style="background:var(--plot-{index % COLOURS + 1})"></i>{escape(name)}</span>'
        for index, name in enumerate(names)
    )
    return f'<p class="legend">{"".join(keys)}</p>'


def breakable(name: str) -> str:
    """Returns a name as HTML that is broken after its signs, where there is no room for it in a line."""
    return re.sub(r"[_./=,-](?=[^\W\d])", r"\g<0><wbr>", escape(name))


def mark(text: str, good: bool) -> str:
    """Returns a word of praise or blame in its colour."""
    return f'<span class="mark {"good" if good else "bad"}">{escape(text)}</span>'


@cache
def _file(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
