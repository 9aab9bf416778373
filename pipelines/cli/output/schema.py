"""Writes docs/output.schema.json, the form of what commands write with --json.

python -m penstock.pipelines.cli.output.schema
"""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from penstock.pipelines.cli.output import of_runs, records
from penstock.pipelines.cli.output.answer import Document
from penstock.pipelines.cli.output.lint_report import LintReport

FILE = Path(__file__).resolve().parents[3] / "docs" / "output.schema.json"
RESULTS: dict[str, Any] = {
    "run": of_runs.Run,
    "runs": of_runs.Runs,
    "diff": of_runs.Diff,
    "explain": of_runs.Explained,
    "compile": records.Compiled,
    "components": records.WrittenFiles,
    "init": records.WrittenFiles,
    "validate": records.Validated,
    "lint": LintReport,
    "predict": records.ShownPredictions | records.Scored,
    "monitor": records.MonitoredRequests,
    "retrain": records.Retrainings,
    "submit": records.RemoteRun,
    "watch": records.RemoteRun,
    "cancel": records.CancelledRun,
    "schedule create": records.CreatedSchedule,
    "schedule list": records.Schedules,
    "schedule pause": records.ChangedSchedules,
    "schedule resume": records.ChangedSchedules,
    "schedule delete": records.ChangedSchedules,
    "endpoints": records.Endpoints,
    "promote": records.ChangedDestinations,
    "rollback": records.ChangedDestinations,
}


def schema() -> dict[str, Any]:
    """Returns the JSON Schema of a document: its `result` is by its `command`, or null."""
    forms = {**RESULTS, "": Document}
    places, definitions = TypeAdapter.json_schemas(
        ((command, "serialization", TypeAdapter(form)) for command, form in forms.items()),
        ref_template="#/$defs/{model}",
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": FILE.name,
        **definitions["$defs"].pop(Document.__name__),
        "allOf": [_choice(command, places[command, "serialization"]) for command in RESULTS],
        "$defs": definitions["$defs"],
    }


def _choice(command: str, form: Any) -> dict[str, Any]:
    result = {"anyOf": [form, {"type": "null"}]}
    return {
        "if": {"properties": {"command": {"const": command}}},
        "then": {"properties": {"result": result}},
    }


def text() -> str:
    """Returns docs/output.schema.json."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
