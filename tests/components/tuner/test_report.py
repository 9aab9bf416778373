"""The page of a search: its charts and its table."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from penstock.components.tuner import report
from penstock.trainer.tuning.results import Parameter, Results, Trial

TRIALS = [
    Trial("00", 1, 0.5, {"rate": 0.1, "opt's.kind": "sgd", "wide": True}),
    Trial("01", 2, None, {"rate": 0.01, "opt's.kind": "adam", "wide": True}, error="ValueError: <no>"),
    Trial("02", 3, 0.3, {"rate": 0.001, "opt's.kind": "adam", "wide": True}, deviation=0.1),
    Trial("03", 4, 0.4, {"rate": 12300.0, "opt's.kind": "adam", "wide": True}, stopped=True),
]
PARAMETERS = [Parameter("rate", log=True), Parameter("opt's.kind"), Parameter("wide")]


@pytest.fixture
def page(tmp_path: Path) -> str:
    results = Results("val_loss", "min", TRIALS, PARAMETERS)
    text, _, _ = report.write(tmp_path / "page", results).read_text().partition("</main>")
    return text


def _layers(page: str) -> list[list[dict[str, Any]]]:
    """Returns the layers of each chart, each with its data: Altair puts what several share above them."""
    specs = [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)]
    return [[{"data": spec.get("data"), **layer} for layer in spec["layer"]] for spec in specs]


def test_the_scores_over_the_trials(page: str) -> None:
    line, spread, dots, crosses = _layers(page)[0]
    assert [(row["trial"], row["score"]) for row in line["data"]["values"]] == [(1, 0.5), (3, 0.3), (4, 0.3), (4, 0.3)]
    assert [(row["trial"], row["best"]) for row in dots["data"]["values"]] == [(1, False), (3, True), (4, False)]
    assert [(row["low"], row["high"]) for row in spread["data"]["values"] if "low" in row] == [(0.2, 0.4)]
    assert [row["error"] for row in crosses["data"]["values"]] == ["ValueError: <no>"]


def test_the_scores_against_the_parameters_that_vary(page: str) -> None:
    _, rate, kind = _layers(page)
    assert "opt&#x27;s.kind" in page
    assert rate[-1]["encoding"]["x"]["scale"]["type"] == "log"
    assert kind[-1]["encoding"]["x"]["type"] == "nominal"
    assert [row["value"] for row in kind[-1]["data"]["values"]] == ["sgd", "adam", "adam"], "the best on top"


def test_the_trials_are_a_table_best_first(page: str) -> None:
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page[page.index("<h2>Trials</h2>") : page.index("<h2>Failed")])[1:]
    cells = [[re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", row)] for row in rows]
    assert [row[:4] for row in cells] == [
        *(["1", "02", "0.3 ± 0.1", ""], ["2", "03", "0.4", "stopped early"]),
        *(["3", "00", "0.5", ""], ["", "01", "", "failed"]),
    ]
    assert "ValueError: &lt;no&gt;" in page
    assert '<td class="number" data-value="12300.0">12,300</td>' in rows[1], "a comma makes it no number to sort by"
