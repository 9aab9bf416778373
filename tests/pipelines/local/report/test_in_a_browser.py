"""The report of each kind of problem in Chromium: narrow and wide, light and dark, on screen and printed."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from penstock.components.evaluator.report import report as evaluation_page
from penstock.components.trainer import report as training_page
from penstock.components.tuner import report as search_page
from penstock.core import page
from penstock.core.artifacts import Examples, ModelRun
from penstock.core.artifacts.evaluation_summary import EvaluationSummary
from penstock.core.examples import records
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.record import RunRecord, TaskRecord
from penstock.pipelines.local.report import run_page
from penstock.trainer.tuning.results import Parameter, Results, Trial
from tests.components.evaluator.report import summaries
from tests.servers.browser import Browser, Tab

pytestmark = pytest.mark.slow

COLUMNS, ROWS = 50, 3000
MOST_BYTES = 2_000_000
DATES = (  # what the axes of the dates' first chart say
    "[...document.querySelectorAll('figure.chart')].filter((one) => one.querySelector('figcaption')?.textContent == "
    "'day').slice(0, 1).map((one) => [...one.querySelectorAll('svg text')].map((text) => text.textContent))"
)
OF_OTHERS = "<!DOCTYPE html><html><body><h1>A page of a user's component</h1></body></html>"
SUMMARIES: dict[str, Callable[[], EvaluationSummary]] = {
    "binary": summaries.binary,
    "multiclass": summaries.multiclass,
    "regression": summaries.regression,
}


@pytest.fixture(scope="module")
def data_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """StatisticsGen's page of fifty columns, by split and by label."""
    from penstock.components.statistics_gen import executor

    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(1)
    columns: dict[str, object] = {
        "label": random.choice(["no", "yes"], ROWS),
        "day": np.datetime_as_string(np.datetime64("2019-01-01") + random.integers(0, 1800, ROWS)),
    }
    for number in range(COLUMNS // 2):
        columns[f"amount_of_{number}"] = random.lognormal(number / 9, 1, ROWS)
        columns[f"<kind>_{number}"] = random.choice([f"value {value} of a longer name" for value in range(12)], ROWS)
    table = pa.table(columns)
    for split, rows in (("train", table.slice(0, 2000)), ("eval", table.slice(2000))):
        file = Examples(folder / "examples").shard(split, 0, 1)
        arrays = [pa.array([[value] for value in column.to_pylist()]) for column in rows.columns]
        records.write(file, records.encode(pa.RecordBatch.from_arrays(arrays, rows.column_names)))
    executor.run(
        statistics=str(folder / "statistics"),
        examples=str(folder / "examples"),
        report=str(folder / "page"),
        label="label",
        engine="local:1",
    )
    return folder / "page"


def _written(folder: Path, name: str, content: str) -> TaskRecord:
    (folder / name).mkdir(parents=True)
    (folder / name / "report").write_text(content)
    key = Key(name, "", "0.1", {}, {})
    outputs = {"report": {"uri": str(folder / name / "report"), "metadata": {}}}
    return TaskRecord(name, "done", seconds=3.0, waited=1.0, key=key, outputs=outputs, reason="first run of this task")


def _training(folder: Path) -> str:
    epochs = [
        {"epoch": epoch, "loss": 1 / epoch, "val_loss": 1 / epoch + epoch / 50, "batch_size": 64}
        | {"examples_per_second": 12_345, "seconds": 1.5, "utilisation": {"cpu": 0.8}}
        for epoch in range(1, 11)
    ]
    folder.mkdir()
    ModelRun(folder).history.write_text(json.dumps({"best_epoch": 7, "device": "a processor", "epochs": epochs}))
    return training_page.write(folder.with_name("training.html"), folder).read_text()


def _search(folder: Path) -> str:
    trials = [Trial(f"{n:02}", n, 1 / n, {"rate": 0.1**n, "kind": "ab"[n % 2]}, deviation=0.1) for n in range(1, 9)]
    results = Results("val_loss", "min", trials, [Parameter("rate", log=True), Parameter("kind")])
    return search_page.write(folder / "search.html", results).read_text()


def _report(folder: Path, summary: EvaluationSummary, data: Path | None) -> Path:
    evaluation = evaluation_page.write(folder / "evaluation.html", summary, summaries.verdict(blessed=True)).read_text()
    run = folder / "taxi-2026"
    tasks = [
        *([_written(run, "statistics_gen", data.read_text())] if data else []),
        _written(run, "tuner", _search(folder)),
        _written(run, "trainer", _training(folder / "model_run")),
        _written(run, "evaluator", evaluation),
        _written(run, "of_others", OF_OTHERS),
    ]
    run_page.write(RunRecord("taxi", run, {"train_steps": 100}, "done", seconds=30.0, tasks=tasks))
    return run / page.FILE


@pytest.fixture(params=SUMMARIES)
def report(request: pytest.FixtureRequest, tmp_path: Path, data_page: Path) -> Path:
    """A run's report; that of the binary problem has the data of fifty columns in it."""
    data = data_page if request.param == "binary" else None
    return _report(tmp_path, SUMMARIES[request.param](), data)


def _choose_all(tab: Tab) -> int:
    """Chooses each option of each list in turn, and unfolds all; returns how many charts have been drawn in all."""
    options = tab.evaluate("[...document.querySelectorAll('select')].map((select) => select.options.length)")
    for number, count in enumerate(options):
        for option in range(count):
            tab.evaluate(
                f"{{ const select = document.querySelectorAll('select')[{number}]; select.selectedIndex = {option}; "
                "select.dispatchEvent(new Event('change')); }"
            )
            tab.drawn()
    tab.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    tab.drawn()
    return int(tab.evaluate("document.querySelectorAll('figure.chart[data-drawn=done]').length"))


def test_it_is_whole_quiet_and_fits(chromium: Browser, report: Path, tmp_path: Path) -> None:
    assert report.stat().st_size < MOST_BYTES
    tab = chromium.open(report)
    assert tab.drawn() > 6
    assert tab.too_wide() == []
    for width, dark in ((1280, True), (400, True), (400, False)):
        tab.look(width, dark)
        tab.drawn()
        assert tab.too_wide() == [], f"at {width} pixels"
    assert _choose_all(tab) == tab.evaluate("document.querySelectorAll('figure.chart').length")
    assert (
        tab.evaluate(
            "[...document.querySelectorAll('.chart svg text')].filter((one) => /NaN|undefined|null/"
            ".test(one.textContent)).map((one) => one.textContent)"
        )
        == []
    )
    assert tab.too_wide() == []
    if tab.evaluate("document.body.textContent.includes('Distributions')"):
        (shown,) = tab.evaluate(DATES)
        assert {"2020", "2021", "2022", "2023"} <= set(shown)
    tab.print(tmp_path / "printed.pdf")
    assert (tmp_path / "printed.pdf").read_bytes().startswith(b"%PDF")
    assert tab.errors == []
    assert set(tab.requests) - {"about:srcdoc"} == {report.as_uri()}
