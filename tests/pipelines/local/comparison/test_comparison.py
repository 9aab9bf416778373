"""Two runs beside each other: what is known to differ, on the terminal, for programs and as a page."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from penstock.core.artifacts import ModelEvaluation
from penstock.pipelines.cli import main
from penstock.pipelines.cli.output import schema
from penstock.pipelines.local import results
from penstock.pipelines.local.comparison import page, rows, text
from penstock.pipelines.local.comparison.comparison import compare
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.origin import Origin
from penstock.pipelines.local.records.record import RunRecord

Recorded = Callable[..., RunRecord]
Told = pytest.CaptureFixture[str]


@pytest.fixture
def two(recorded: Recorded, tmp_path: Path) -> tuple[RunRecord, RunRecord]:
    """Two runs, of which the second has more epochs, another column, data and code, and another password."""
    runs = []
    for number, code in ((1, "def run_fn(fn_args):\n    pass\n"), (2, "def run_fn(fn_args):\n    train()\n")):
        copy = tmp_path / "project" / "modules" / str(number)
        copy.mkdir(parents=True)
        (copy / "module.py").write_text(code)
        (copy / "same.py").write_text("NAME = 1\n")
        configuration = {
            "label": "label",
            "training": {"epochs": 1 + number, "custom_config": {"password": f"hunter{number}"}},
        }
        runs.append(
            recorded(
                number,
                auc=0.8 + number / 20,
                losses=[0.7, 0.5, 0.4][: 1 + number],
                columns=["a", "label", "b"][: 1 + number],
                origin=Origin(configuration, {str(copy): "/home/me/project"}),
            )
        )
    for run, fingerprint in zip(runs, ("1", "2"), strict=True):
        run.tasks[0].key = Key("csv_example_gen", "", "", {"fingerprint": fingerprint}, {})
        run.tasks[2].key = Key("trainer", "", "", {}, {"examples": fingerprint})
        run.write()
    return runs[0], runs[1]


def test_what_differs(two: tuple[RunRecord, RunRecord]) -> None:
    comparison = compare(*two)
    auc, *others = comparison["metrics"]
    assert (auc["metric"], auc["better"]) == ("auc", True)
    assert [one["better"] for one in others] == [None, None], "a count, and a metric that is not defined"
    assert comparison["configuration"] == [{"key": "training.epochs", "first": 2, "second": 3}]
    assert comparison["columns"] == [{"column": "b", "first": None, "second": "int"}]
    assert comparison["tasks"] == [{"task": "csv-example-gen", "changed": "the data changed"}]
    curves = {curve["measure"]: (curve["first"], curve["second"]) for curve in comparison["curves"]}
    assert curves["loss"] == ([0.7, 0.5], [0.7, 0.5, 0.4])
    (module,) = comparison["files"]
    assert module["file"] == "/home/me/project/module.py"
    assert module["diff"].splitlines()[3:] == [" def run_fn(fn_args):", "-    pass", "+    train()"]


def test_a_file_that_is_too_large_is_not_told_as_deleted(two: tuple[RunRecord, RunRecord], tmp_path: Path) -> None:
    (tmp_path / "project" / "modules" / "2" / "module.py").write_text("# long\n" * 200_000)
    (module,) = compare(*two)["files"]
    assert module["diff"] == "/home/me/project/module.py: not compared, for it is larger than 1 MiB or cannot be read"


def test_the_other_way_round_it_is_worse(two: tuple[RunRecord, RunRecord]) -> None:
    comparison = compare(two[1], two[0])
    assert comparison["metrics"][0]["better"] is False
    assert comparison["columns"] == [{"column": "b", "first": "int", "second": None}]


def test_metrics_are_in_the_labels_unit_and_by_the_classes_names(two: tuple[RunRecord, RunRecord]) -> None:
    for run, error in zip(two, (16e8, 9e8), strict=True):
        evaluation = ModelEvaluation(run.folder / "evaluator" / "evaluation")
        summary = evaluation.read_summary()
        summary["classes"] = ["oak", "ash"]
        summary["slices"][0]["metrics"] |= {
            "mean_squared_error": {"value": error},
            "recall for class 1": {"value": 0.5},
        }
        evaluation.write_summary(summary)
    comparison = compare(*two)
    by_name = {row.name: row for row in rows.results(comparison)}
    assert by_name["root_mean_squared_error"] == ("root_mean_squared_error", "40,000", "30,000", "-10,000", True)
    assert by_name["recall for class ash"].second == "0.5"
    summary = evaluation.read_summary()
    summary["main_metric"] = "recall for class 1"
    evaluation.write_summary(summary)
    assert results.shown(results.result(two[1])).startswith("recall for class ash 0.5, ")
    summary["slices"][0]["metrics"]["root_mean_squared_error"] = {"value": 3e4}
    evaluation.write_summary(summary)
    names = [row.name for row in rows.results(compare(two[1], two[1]))]
    assert names.count("root_mean_squared_error") == 1
    assert "mean_squared_error" not in names


def test_a_run_against_itself(two: tuple[RunRecord, RunRecord]) -> None:
    comparison = compare(two[0], two[0])
    assert not any(comparison[key] for key in ("configuration", "columns", "tasks", "files"))  # type: ignore[literal-required]
    assert "nothing is known to differ" in text.text(comparison)


def test_the_command(two: tuple[RunRecord, RunRecord], config: Path, capsys: Told) -> None:
    first, second = two
    assert main.main(["diff", "--config", str(config)]) == 0
    told = capsys.readouterr().out
    lines = [re.sub(" +", " ", line).strip() for line in told.splitlines()]
    assert lines[:3] == ["first second", f"run {first.folder.name} {second.folder.name}", "status done done"]
    assert {"auc 0.85 0.9 +0.05 better", "training.epochs 2 3", "b - int", "+ train()"} <= set(lines)
    written = second.folder / f"against-{first.folder.name}.html"
    assert lines[-1] == f"page {written}"
    assert written.read_text() == page.html(compare(first, second))
    assert main.main(["diff", first.folder.name, str(second.folder), "--config", str(config)]) == 0
    assert capsys.readouterr().out == told
    assert (
        main.main(["diff", str(first.folder), str(second.folder), "--json", "-o", str(config.parent / "x.html")]) == 0
    )
    document = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(schema.schema()).validate(document)
    assert document["result"]["page"] == str(config.parent / "x.html")
    assert (config.parent / "x.html").is_file()
    assert "hunter" not in json.dumps(document) + told + written.read_text()


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        (["small-2026-01-01"], "diff: expected two runs, or none for the two newest, received 1"),
        (["small-2026-01-01", "small-2026-01-03"], "small-2026-01-03: no such run; did you mean 'small-2026-01-01'?"),
        ([], "expected two runs of small in "),
    ],
)
def test_what_it_expects(runs: list[str], told: str, recorded: Recorded, config: Path, capsys: Told) -> None:
    recorded(1)
    assert main.main(["diff", *runs, "--config", str(config)]) == 2
    assert told in capsys.readouterr().err


def test_the_page(two: tuple[RunRecord, RunRecord]) -> None:
    """Its chart has the curves of both runs; what others wrote is no HTML."""
    two[1].origin.configuration["label"] = "<script>alert(1)</script>"
    html = page.html(compare(*two))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html.replace("<wbr>", "")
    (spec,) = (json.loads(found) for found in re.findall(r'<script type="application/json">(.*?)</script>', html))
    points = _points(spec)
    assert {(point["run"], point["split"]) for point in points} == {
        (run, split) for run in ("first", "second") for split in ("train", "eval")
    }
    assert [point["value"] for point in points if (point["run"], point["split"]) == ("second", "train")] == [
        0.7,
        0.5,
        0.4,
    ]


def _points(spec: dict[str, Any]) -> list[dict[str, Any]]:
    values: list[dict[str, Any]] = spec["data"]["values"]
    return values
