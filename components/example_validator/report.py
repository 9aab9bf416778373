"""The anomalies as one HTML page that needs nothing else: no script, no network."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2

from penstock.components.example_validator.findings import Evidence, Finding, Table
from penstock.core import page

_LONGEST = 160  # characters of a value
_MEASURES = {"L_INFTY": "L-infinity distance", "JENSEN_SHANNON_DIVERGENCE": "Jensen-Shannon divergence"}


def write(
    path: Path,
    findings: Mapping[str, Sequence[Finding]],
    evidence: Mapping[str, Evidence],
    anomalies: Mapping[str, anomalies_pb2.Anomalies],
    unmeasured: Sequence[str] = (),
) -> Path:
    """Writes the page; returns where. A folder at `path` gets it as report.html.

    `unmeasured` holds sentences about drift and skew that could not be measured.
    """
    total = sum(map(len, findings.values()))
    summary = "No anomalies were found." if not total else f"{_several(total, 'anomaly', 'anomalies')} found."
    sections = [_split(split, of_split, anomalies[split]) for split, of_split in findings.items()]
    body = (
        "<h1>Anomalies in the data</h1>\n"
        f'<p class="muted">Every split against the schema. {summary}</p>\n'
        f"{_overview(findings, evidence)}\n{_unmeasured(unmeasured)}{''.join(sections)}"
    )
    return page.write(path, "Anomalies", body, "anomalies")


def _overview(findings: Mapping[str, Sequence[Finding]], evidence: Mapping[str, Evidence]) -> str:
    rows = []
    for split, of_split in findings.items():
        current = evidence[split].current
        features = {finding.feature for finding in of_split}
        text = _several(len(of_split), "anomaly", "anomalies") if of_split else "no anomalies"
        if features - {""}:
            text += f" in {_several(len(features - {''}), 'feature', 'features')}"
        rows.append(
            f'<tr><td><a href="#{escape(split)}">{escape(split)}</a></td>'
            f'<td class="number">{current.num_examples:,}</td><td class="number">{len(current.features):,}</td>'
            f"<td>{page.mark(text, good=not of_split)}</td></tr>"
        )
    header = '<th>Split</th><th class="number">Examples</th><th class="number">Features</th><th>Result</th>'
    return page.table("".join(rows), header)


def _unmeasured(sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<h2>Not measured</h2>\n<ul>{items}</ul>\n"


def _split(split: str, findings: Sequence[Finding], anomalies: anomalies_pb2.Anomalies) -> str:
    parts = [f'<h2 id="{escape(split)}">Split <code>{escape(split)}</code></h2>']
    if not findings:
        parts.append('<p class="muted">This split meets the schema.</p>')
    for feature in dict.fromkeys(finding.feature for finding in findings):
        name = f"<code>{escape(feature)}</code>" if feature else "The whole split"
        reasons = "".join(_reason(finding) for finding in findings if finding.feature == feature)
        parts.append(f"<article><h3>{name}</h3>{reasons}</article>")
    return "\n".join([*parts, _measurements(anomalies)]) + "\n"


def _reason(finding: Finding) -> str:
    table = _table(finding.table) if finding.table else ""
    return (
        f"<section><p>{page.mark(finding.title, good=False)}</p>"
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
    return page.table(body, header) + more


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
                    f"<td>{page.mark('above' if exceeded else 'within', good=not exceeded)}</td></tr>"
                )
    if not rows:
        return ""
    header = (
        "<th>Feature</th><th>Compared</th><th>Measure</th>"
        '<th class="number">Value</th><th class="number">Threshold</th><th></th>'
    )
    return f"<h4>Measured drift and skew</h4>{page.table(''.join(rows), header)}"


def _several(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"
