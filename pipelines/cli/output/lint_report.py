"""What `penstock lint` tells: each finding with its severity and its line, as text, as a record, and as SARIF."""

import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

from penstock.core.files.yaml_documents import Location, Yaml
from penstock.pipelines.lint.rule import Finding, Rule, Severity

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


class LintFinding(TypedDict):
    """A finding. `allow` is what lets it pass, for --allow; `line` is the nearest one in the file, from 1."""

    rule: str
    name: str
    severity: Severity
    message: str
    line: int
    allow: str


class LintReport(TypedDict):
    """What was found in a compiled pipeline, for a target."""

    file: str
    target: str
    findings: list[LintFinding]


def report(file: Path, target: str, findings: Sequence[Finding], documents: Sequence[Yaml]) -> LintReport:
    """Returns the record; `documents` are those of the file, with their lines."""
    lines = [{_spelled(location): line for location, line in document.lines.items()} for document in documents]
    records = [
        LintFinding(
            rule=finding.rule,
            name=finding.name,
            severity=finding.severity,
            message=finding.sentence,
            line=_line(finding.path, lines),
            allow=finding.tag,
        )
        for finding in findings
    ]
    return LintReport(file=str(file), target=target, findings=records)


def text(report: LintReport) -> str:
    """Returns a line for each finding, as compilers write them."""
    lines = [
        f"{report['file']}:{one['line']}: {one['severity']}: {one['message']} [{one['allow']}]"
        for one in report["findings"]
    ]
    return "\n".join(lines) or f"{report['file']}: nothing found"


def sarif(report: LintReport, rules: Sequence[Rule]) -> dict[str, Any]:
    """Returns a log of SARIF 2.1.0, the form in which code hosts take findings."""
    ids = [rule.id for rule in rules]
    uri = quote(Path(report["file"]).as_posix())
    results = [
        {
            "ruleId": one["rule"],
            "ruleIndex": ids.index(one["rule"]),
            "level": one["severity"],
            "message": {"text": one["message"]},
            "locations": [
                {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": one["line"]}}}
            ],
            "partialFingerprints": {"penstock/v1": one["allow"]},
        }
        for one in report["findings"]
    ]
    descriptions = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.meaning},
            "defaultConfiguration": {"level": rule.severity(report["target"])},
        }
        for rule in rules
    ]
    driver = {"name": "penstock", "version": metadata.version("penstock"), "rules": descriptions}
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _line(path: Location, lines: Sequence[Mapping[Location, int]]) -> int:
    """Returns the line of a place, or of the nearest one above it."""
    if not path or not isinstance(path[0], int) or path[0] >= len(lines):
        return 1
    known, inside = lines[path[0]], _spelled(path[1:])
    return next((known[inside[:end]] for end in range(len(inside), 0, -1) if inside[:end] in known), 1)


def _spelled(path: Location) -> Location:
    """Returns a path in one spelling of its keys: a file may have those of the protocol, `root_dag` for `rootDag`."""
    return tuple(re.sub(r"_([a-z])", lambda match: match[1].upper(), str(key)) for key in path)
