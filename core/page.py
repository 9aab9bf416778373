"""How a page that a task writes for a person looks: HTML that needs nothing else, no script and no network."""

from html import escape

_STYLE = """
:root { color-scheme: light dark; --line: #d8dce2; --soft: #f5f6f8; --muted: #5c6673; --text: #1d232b;
  --back: #fff; --bad: #a4262c; --bad-soft: #fdf1f1; --good: #20713c; --good-soft: #eff8f1; }
@media (prefers-color-scheme: dark) { :root { --line: #3a414b; --soft: #20252c; --muted: #9aa5b3; --text: #e4e8ee;
  --back: #171b20; --bad: #f2888d; --bad-soft: #34201f; --good: #7fcf98; --good-soft: #1c2f22; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; }
h4 { font-size: .95rem; margin: 1.25rem 0 .25rem; }
h3 { font-size: 1rem; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h3 code { font-weight: 600; font-size: 1rem; } p { margin: .25rem 0; }
a { color: inherit; } .muted { color: var(--muted); }
table { display: block; overflow-x: auto; border-collapse: collapse; max-width: 100%;
  font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem 1.25rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--muted); font-size: .85rem; } td code { overflow-wrap: anywhere; }
td.number, th.number { text-align: right; }
.mark { display: inline-block; padding: 0 .5rem; border-radius: .25rem; font-size: .85rem; font-weight: 600; }
.bad { color: var(--bad); background: var(--bad-soft); } .good { color: var(--good); background: var(--good-soft); }
figure { margin: 0; } svg { display: block; max-width: 100%; height: auto; }
figcaption { font-size: .85rem; color: var(--muted); }
article { border: 1px solid var(--line); border-radius: .4rem; padding: .8rem 1rem; margin: 0 0 .8rem; }
article section + section { border-top: 1px solid var(--line); margin-top: .7rem; padding-top: .6rem; }
article table { margin-top: .5rem; }
code { font: .9em ui-monospace, monospace; background: var(--soft); padding: .05rem .3rem; border-radius: .2rem;
  white-space: pre-wrap; }
"""


def document(title: str, body: str) -> str:
    """Returns a page; `body` is HTML."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>\n{body}</main></body></html>\n"
    )
