"""What a run's report tells of the columns: of the plan.json of a real table."""

import json
import re
from html import unescape
from pathlib import Path

import pytest

from penstock.components.trainer import columns, report
from penstock.pipelines.local.records.record import RunRecord, TaskRecord
from penstock.pipelines.local.report import learnt
from penstock.trainer.fn_args import FnArgs
from penstock.trainer.plan import plan as features
from penstock.trainer.plan import plan_file
from tests.trainer import tables

ROWS = 150
COLUMNS = {
    "key": [f"a{row}" for row in range(ROWS)],
    "fare": [None if row % 10 == 0 else row / 3 for row in range(ROWS)],
    "hour": [row % 24 for row in range(ROWS)],
    "carrier": ["AA", "<b>", "UA"] * (ROWS // 3),
    "seat": [f"{row}C" for row in range(ROWS)],
    "one": ["a", "b", "b"] * (ROWS // 3),
    "remark": [f"word{row} and more of it" for row in range(ROWS)],
    "when": [f"2013-01-{row % 28 + 1:02d}T08:05" for row in range(ROWS)],
    "sizes": [[row / 7, 2.5, 3.5] for row in range(ROWS)],
    "late": ["no", "yes"] * (ROWS // 2),
}


@pytest.fixture(scope="module")
def model_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    config = {
        "label": "late",
        "features": {"carrier": {"oov_buckets": 2}, "seat": {"kind": "categorical"}, "one": {"vocabulary_size": 1}},
    }
    table = tables.write(folder / "table", COLUMNS).transform(config)
    fn_args = FnArgs(
        custom_config=config,
        schema_path=str(next((table.root / "schema").iterdir())),
        statistics_path=str(table.root / "statistics"),
    )
    (folder / "model_run").mkdir()
    made = features.planned(config, table.schema, table.statistics)
    plan_file.write(folder / "model_run", made, table.transform_output, fn_args)
    return folder / "model_run"


@pytest.mark.slow
def test_each_column_has_a_row(model_run: Path) -> None:
    text = columns.section(model_run)
    rows = {}
    for row in re.findall(r"<tr><td.*?</tr>", text):
        name, *cells = (unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row))
        rows[name] = cells
    assert rows == {
        "late": ["label, binary", "none", "no, yes"],
        "fare": ["numeric", "10%", "its place between 48 quantiles"],
        "hour": [
            "numeric, categorical",
            "none",
            "its place between 48 quantiles; 24 values that occur 2 times or more, 1 bucket for all others",
        ],
        "carrier": ["categorical", "none", "3 values that occur 2 times or more, 2 buckets for all others"],
        "seat": ["categorical", "none", "0 values that occur 2 times or more, 1 bucket for all others"],
        "one": ["categorical", "none", "1 value that occurs 2 times or more, 1 bucket for all others"],
        "remark": [
            "text",
            "none",
            "words and up to 2 in a row, hashed into 8,192 buckets, 16 of a row at most",
        ],
        "when": [
            "date",
            "none",
            "days since 1970, where in the year, where in the week, where in the day (format iso)",
        ],
        "sizes": ["numeric", "none", "3 in each row, each its place between 48 quantiles"],
        "key": ["left out", "none", "150 of its 150 values differ, as keys do"],
    }
    assert "<details open><summary>9 columns, 1 of them left out</summary>" in text


@pytest.mark.slow
def test_a_category_of_which_no_value_is_known_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    columns = {name: COLUMNS[name] for name in ("late", "carrier", "seat")}
    config = {"label": "late", "features": {"seat": {"kind": "categorical"}}}
    table = tables.write(tmp_path / "table", columns).transform(config)
    made = features.planned(config, table.schema, table.statistics)
    plan_file.write(tmp_path, made, table.transform_output, FnArgs())
    warned = [record.getMessage() for record in caplog.records if record.name == plan_file.__name__]
    assert warned == [
        "feature seat: none of its values occurs 2 times, so it tells the model nothing: is it a category? if so, "
        "features: {seat: {frequency_threshold: 1}}"
    ]


def test_the_end_of_a_run_counts_each_column_once_in_a_line(model_run: Path, tmp_path: Path) -> None:
    outputs = {"model_run": {"uri": str(model_run), "metadata": {}}}
    run = RunRecord("taxi", tmp_path, {}, "done", tasks=[TaskRecord("trainer", "done", outputs=outputs)])
    assert list(learnt.lines(run)) == [
        "trainer: late (binary of no, yes) is learnt from columns: 3 categorical, 2 numeric, "
        "1 numeric and categorical, 1 text, 1 date; "
        "left out: key"
    ]
    training = report.write(tmp_path / "page", model_run)
    assert columns.section(model_run) in training.read_text()


def test_many_columns_are_folded_and_text_is_text(model_run: Path, tmp_path: Path) -> None:
    plan = json.loads((model_run / "plan.json").read_text())
    plan["ignored"] |= {f"<i>{number}": "<script>" for number in range(20)}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    text = columns.section(tmp_path)
    assert "<details><summary>29 columns, 21 of them left out</summary>" in text
    assert "<script" not in text
    assert "<i>" not in text
    assert ", <i>8 and 11 more" in columns.line(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"features": []}'])
def test_a_users_file_of_that_name_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.json").write_text(content)
    assert columns.section(tmp_path) == columns.line(tmp_path) == ""
