"""The anomalies as one HTML page that needs nothing else: no script, no network."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2

from penstock.components import storage
from penstock.components.example_validator.findings import Evidence, Finding, Table

_LONGEST = 160  # characters of a value
_MEASURES = {"L_INFTY": "L-infinity distance", "JENSEN_SHANNON_DIVERGENCE": "Jensen-Shannon divergence"}
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
article { border: 1px solid var(--line); border-radius: .4rem; padding: .8rem 1rem; margin: 0 0 .8rem; }
article section + section { border-top: 1px solid var(--line); margin-top: .7rem; padding-top: .6rem; }
article table { margin-top: .5rem; }
code { font: .9em ui-monospace, monospace; background: var(--soft); padding: .05rem .3rem; border-radius: .2rem;
  white-space: pre-wrap; }
"""


def write(
    path: Path,
    findings: Mapping[str, Sequence[Finding]],
    evidence: Mapping[str, Evidence],
    anomalies: Mapping[str, anomalies_pb2.Anomalies],
) -> Path:
    """Writes the page; returns where. A folder at `path` gets it as report.html."""
    path = path / "report.html" if path.is_dir() else path
    total = sum(map(len, findings.values()))
    summary = "No anomalies were found." if not total else f"{_several(total, 'anomaly', 'anomalies')} found."
    sections = [_split(split, found, anomalies[split]) for split, found in findings.items()]
    storage.write_text(
        path,
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Anomalies</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>\n<h1>Anomalies in the data</h1>\n"
        f'<p class="muted">Every split against the schema. {summary}</p>\n'
        f"{_overview(findings, evidence)}\n{''.join(sections)}</main></body></html>\n",
    )
    return path


def _overview(findings: Mapping[str, Sequence[Finding]], evidence: Mapping[str, Evidence]) -> str:
    rows = []
    for split, found in findings.items():
        current = evidence[split].current
        features = {finding.feature for finding in found}
        text = _several(len(found), "anomaly", "anomalies") if found else "no anomalies"
        if features - {""}:
            text += f" in {_several(len(features - {''}), 'feature', 'features')}"
        rows.append(
            f'<tr><td><a href="#{escape(split)}">{escape(split)}</a></td>'
            f'<td class="number">{current.num_examples:,}</td><td class="number">{len(current.features):,}</td>'
            f'<td><span class="mark {"bad" if found else "good"}">{text}</span></td></tr>'
        )
    header = '<th>Split</th><th class="number">Examples</th><th class="number">Features</th><th>Result</th>'
    return f"<table><thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _split(split: str, found: Sequence[Finding], anomalies: anomalies_pb2.Anomalies) -> str:
    parts = [f'<h2 id="{escape(split)}">Split <code>{escape(split)}</code></h2>']
    if not found:
        parts.append('<p class="muted">This split meets the schema.</p>')
    for feature in dict.fromkeys(finding.feature for finding in found):
        name = f"<code>{escape(feature)}</code>" if feature else "The whole split"
        reasons = "".join(_reason(finding) for finding in found if finding.feature == feature)
        parts.append(f"<article><h3>{name}</h3>{reasons}</article>")
    return "\n".join([*parts, _measurements(anomalies)]) + "\n"


def _reason(finding: Finding) -> str:
    table = _table(finding.table) if finding.table else ""
    return (
        f'<section><p><span class="mark bad">{escape(finding.title)}</span></p>'
        f"<p>{escape(_short(finding.description, 1000))}</p>{table}</section>"
    )


def _table(table: Table) -> str:
    """Cells that are figures are set right; a first column named `value` or `figure` holds the data's own values."""
    named = table.header[0] in ("value", "figure")
    classes = ["" if named and column == 0 else ' class="number"' for column in range(len(table.header))]
    header = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(classes, table.header, strict=True))
    rows = []
    for row in table.rows:
        cells = [escape(_short(cell, _LONGEST)) for cell in row]
        if table.header[0] == "value":
            cells[0] = f"<code>{cells[0]}</code>" if cells[0] else '<span class="muted">(empty)</span>'
        rows.append("".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(classes, cells, strict=True)))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    more = (
        f'<p class="muted">… and {_several(table.left_out, "more value", "more values")}.</p>' if table.left_out else ""
    )
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>{more}"


def _measurements(anomalies: anomalies_pb2.Anomalies) -> str:
    """What the schema's comparators measured, within their thresholds or not."""
    rows = []
    for info in anomalies.drift_skew_info:
        for kind, measurements in (("drift", info.drift_measurements), ("skew", info.skew_measurements)):
            for measurement in measurements:
                exceeded = measurement.value > measurement.threshold
                name = anomalies_pb2.DriftSkewInfo.Measurement.Type.Name(measurement.type)
                name = _MEASURES.get(name, name.replace("_", " ").lower())
                feature, value, threshold = ".".join(info.path.step), measurement.value, measurement.threshold
                rows.append(
                    f"<tr><td><code>{escape(feature)}</code></td><td>{kind}</td><td>{escape(name)}</td>"
                    f'<td class="number">{value:.4g}</td><td class="number">{threshold:.4g}</td>'
                    f'<td><span class="mark {"bad" if exceeded else "good"}">{"above" if exceeded else "within"}'
                    "</span></td></tr>"
                )
    if not rows:
        return ""
    header = (
        "<th>Feature</th><th>Compared</th><th>Measure</th>"
        '<th class="number">Value</th><th class="number">Threshold</th><th></th>'
    )
    body = "".join(rows)
    return f"<h4>Measured drift and skew</h4><table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def _several(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"
