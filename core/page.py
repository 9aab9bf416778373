"""How a page that is written for a person looks: HTML that needs nothing else, neither scripts nor a network."""

from html import escape
from pathlib import Path

from penstock.core.files import atomic

FILE = "report.html"
_STYLE = """
:root { color-scheme: light dark; --line: #d8dce2; --soft: #f5f6f8; --muted: #5c6673; --text: #1d232b;
  --back: #fff; --bad: #a4262c; --bad-soft: #fdf1f1; --good: #20713c; --good-soft: #eff8f1; --plot: #4a7ebb; }
@media (prefers-color-scheme: dark) { :root { --line: #3a414b; --soft: #20252c; --muted: #9aa5b3; --text: #e4e8ee;
  --back: #171b20; --bad: #f2888d; --bad-soft: #34201f; --good: #7fcf98; --good-soft: #1c2f22; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h3 code { font-weight: 600; font-size: 1rem; }
h4 { font-size: .95rem; margin: 1.25rem 0 .25rem; }
p { margin: .25rem 0; } a { color: inherit; } .muted { color: var(--muted); }
.bad { color: var(--bad); } .good { color: var(--good); }
.mark { display: inline-block; padding: 0 .5rem; border-radius: .25rem; font-size: .85rem; font-weight: 600; }
.mark.bad { background: var(--bad-soft); } .mark.good { background: var(--good-soft); }
.table { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem 1.25rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--muted); font-size: .85rem; } td code { overflow-wrap: anywhere; }
.number { text-align: right; } .number, .name { white-space: nowrap; }
.long { overflow-wrap: anywhere; min-width: 14rem; }
.bar { background: var(--plot); opacity: .55; height: .6rem; margin-top: .45rem; border-radius: 2px; min-width: 1px; }
article { border: 1px solid var(--line); border-radius: .4rem; padding: .8rem 1rem; margin: 0 0 .8rem; }
article section + section { border-top: 1px solid var(--line); margin-top: .7rem; padding-top: .6rem; }
article .table { margin-top: .5rem; }
code, pre { font: .9em ui-monospace, monospace; background: var(--soft); border-radius: .2rem; }
code { padding: .05rem .3rem; white-space: pre-wrap; } pre { padding: .6rem .8rem; overflow-x: auto; }
details { margin: .5rem 0; } summary { cursor: pointer; }
iframe { width: 100%; height: 75vh; border: 1px solid var(--line); margin-top: .5rem; }
figure { margin: 0; } figcaption { font-size: .85rem; color: var(--muted); }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1.25rem 1.5rem; }
.wide { overflow-x: auto; } .wide svg { min-width: 34rem; }
svg { display: block; max-width: 100%; height: auto; color: var(--muted); font: 11px system-ui, sans-serif; }
svg text { fill: currentColor; } .axis { stroke: var(--line); }
.dot { fill: var(--plot); fill-opacity: .75; } .spread { stroke: var(--plot); stroke-opacity: .45; }
.dot.top { fill: var(--good); fill-opacity: 1; } .dot.failed { fill: var(--bad); }
.so-far { fill: none; stroke: var(--good); stroke-width: 1.5; } tr.top td { font-weight: 600; }
@media (max-width: 40rem) { main { padding: 1.25rem 1rem 3rem; } th, td { padding-right: .5rem; }
  .bar { display: none; } .long { min-width: 9rem; }
  .name { white-space: normal; overflow-wrap: anywhere; min-width: 5.5rem; } }
"""


def write(path: Path, title: str, body: str) -> Path:
    """Writes a page, whose `body` is HTML; returns where. A folder at `path` gets it as report.html."""
    path = path / FILE if path.is_dir() else path
    atomic.write_text(path, html(title, body))
    return path


def html(title: str, body: str) -> str:
    """Returns a page, whose `body` is HTML."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>\n{body}\n</main></body></html>\n"
    )


def table(rows: str, header: str = "") -> str:
    """Returns a table of `<tr>` rows below the `<th>` cells of a header; one that is too wide scrolls."""
    head = f"<thead><tr>{header}</tr></thead>" if header else ""
    return f'<div class="table"><table>{head}<tbody>{rows}</tbody></table></div>'


def mark(text: str, good: bool) -> str:
    """Returns a word of praise or blame in its colour."""
    return f'<span class="mark {"good" if good else "bad"}">{escape(text)}</span>'
