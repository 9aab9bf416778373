"""The page of an evaluation: what it says, and that its charts are drawn."""

import copy
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import altair
import numpy as np
import pytest
import vl_convert

from penstock.components.evaluator.report import binary, importance, models, multiclass, regression, report, slices
from penstock.components.evaluator.report.charts import Figure
from penstock.components.evaluator.report.curves import Curves
from penstock.core import page
from penstock.core.artifacts import Reason
from penstock.core.artifacts.evaluation_summary import Effect, EvaluationSummary, MulticlassPlot
from penstock.core.page.metrics import Scale
from tests.components.evaluator.report import summaries

PRICE = Scale("regression", "price")
_MOST_BYTES = 2_000_000
_VERSION = vl_convert.get_vegalite_versions()[-1]


def _svg(spec: dict[str, Any]) -> str:
    altair.Chart.from_dict(spec)  # validates
    return str(vl_convert.vegalite_to_svg(spec, vl_version=_VERSION))


def _texts(figure: Figure) -> list[str]:
    return [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", _svg(figure.with_data()))]


def _plain(body: str) -> str:
    """What a reader sees of HTML, without scripts; blanks are one."""
    without = re.sub(r"<script.*?</script>", "", body, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", without).split())


def _row(body: str, beginning: str) -> str:
    """The row of a table that begins so, as text."""
    return next(row for row in map(_plain, re.findall(r"<tr>.*?</tr>", body)) if row.startswith(beginning))


@pytest.fixture(scope="module")
def late() -> EvaluationSummary:
    return summaries.binary()


@pytest.fixture(scope="module")
def houses() -> EvaluationSummary:
    return summaries.regression()


def test_the_charts_of_a_binary_problem(late: EvaluationSummary) -> None:
    plot = late["slices"][0]["plot"]
    assert plot["kind"] == "binary"
    figures = {figure.title: figure for figure in binary.figures(plot, late["classes"], {})}
    auc = late["slices"][0]["metrics"]["auc"]["value"]
    assert list(figures) == [
        "Confusion matrix",
        "Precision, recall, F1 by threshold",
        f"ROC curve (area {auc:.3f})",
        "Precision against recall",
        "Calibration",
        "Predictions by actual class",
    ]
    drawn = {title: _texts(figure) for title, figure in figures.items()}
    assert {"late", "on time", "451", "43.9%", "2,669", "89.8%"} <= set(drawn["Confusion matrix"])
    assert all("100%" in drawn[title] for title in list(figures)[1:5])


def test_a_slice_of_one_class_has_the_scores_alone() -> None:
    plot = summaries.binary_plot(*map(np.array, ([1.0, 1.0], [0.2, 0.7])))
    (figure,) = binary.figures(plot, ["no", "yes"], {})
    assert {"yes", "50%"} <= set(_texts(figure))


@pytest.mark.parametrize(("off", "is_told"), [(0.002, True), (0.1, False)])
def test_the_area_of_the_curve_is_the_metric_of_the_tables(late: EvaluationSummary, off: float, is_told: bool) -> None:
    """But for another metric of that name, such as that of a curve of precision and recall."""
    plot = late["slices"][0]["plot"]
    assert plot["kind"] == "binary"
    drawn = Curves.of(plot).area() or 0
    titles = {figure.title for figure in binary.figures(plot, late["classes"], {"auc": {"value": drawn - off}})}
    assert f"ROC curve (area {drawn - off if is_told else drawn:.3f})" in titles


def test_the_charts_of_several_classes() -> None:
    trees = summaries.multiclass()
    plot = trees["slices"][0]["plot"]
    assert plot["kind"] == "multiclass"
    matrix, by_class = multiclass.figures(plot, trees["classes"])
    assert {*trees["classes"], f"{plot['confusion'][0][0]:,.0f}"} <= set(_texts(matrix))
    worst = multiclass.scores(np.array(plot["confusion"]), trees["classes"])[0]
    drawn = _texts(by_class)
    assert min(trees["classes"], key=drawn.index) == worst.name


def test_a_class_that_is_never_predicted_has_its_place() -> None:
    """It is the worst, though it has no precision."""
    figure = multiclass.figures(
        MulticlassPlot(kind="multiclass", confusion=[[9, 1, 0], [2, 8, 0], [3, 0, 0]]), ["a", "b", "c"]
    )[1]
    assert [text for text in _texts(figure) if text in "abc"] == ["c", "a", "b"]
    assert figure.rows[0] == {"class": "c", "precision": None, "recall": 0.0, "rows": 3.0}


def test_metrics_of_all_classes_come_before_those_of_one() -> None:
    names = ["accuracy", "recall for class 1", "mean_label", "recall as macro average", "example_count"]
    assert models.listed_metrics(names) == ["accuracy", "recall as macro average", "recall for class 1", "mean_label"]


def test_many_classes_with_long_names() -> None:
    trees = summaries.multiclass([f"a class of trees with a long name {number}" for number in range(50)])
    plot = trees["slices"][0]["plot"]
    assert plot["kind"] == "multiclass"
    matrix, by_class = multiclass.figures(plot, trees["classes"])
    rows = {row["row"] for row in matrix.rows}
    assert len(rows) == 30
    assert "30 · 21 others" in rows
    assert sum(float(row["rows"] or 0) for row in matrix.rows) == pytest.approx(6000, abs=20)
    assert len(by_class.rows) == 30
    assert "The other 20 are better" in by_class.note
    assert _texts(matrix)
    assert _texts(by_class)


def test_the_charts_of_a_regression(houses: EvaluationSummary) -> None:
    plot = houses["slices"][0]["plot"]
    assert plot["kind"] == "regression"
    against, residuals = regression.figures(plot, "price")
    assert {"mean actual price", "200,000"} <= set(_texts(against))
    assert "actual minus predicted price" in _texts(residuals)
    assert sum(float(row["rows"] or 0) for row in residuals.rows) == 5000


def test_the_charts_of_slices_and_columns(late: EvaluationSummary, houses: EvaluationSummary) -> None:
    for summary in (late, houses, summaries.multiclass()):
        scale = Scale(summary["problem"], summary["label"])
        for body in (slices.section(summary, scale), importance.section(summary, scale)):
            specs = re.findall(r'<script type="application/json">(.*?)</script>', body)
            assert specs
            drawn = [_svg(json.loads(spec)) for spec in specs]
            assert all("<text" in svg for svg in drawn)
    assert "probability of pine" in drawn[-1]  # the class that the column moves most
    assert "30% rough" in drawn[-1]


def test_the_model_in_numbers(late: EvaluationSummary) -> None:
    body = report.body(late, summaries.verdict(True, [summaries.reason("overall", 0.8, True)]))
    assert _plain(body).startswith("The model is blessed ✓ auc over all examples is 0.8 (required: at least 0.7)")
    header = "metric this model eval this model train this model test the baseline eval the trivial model eval"
    assert header in _plain(body)
    auc = {(one["model"], one["split"]): one["metrics"]["auc"]["value"] or 0 for one in late["numbers"]}
    best = re.findall(r'<strong class="good">([^<]*)</strong>', re.findall(r"<tr><td><strong>AUC.*?</tr>", body)[0])
    assert [float(value) for value in best] == [pytest.approx(auc["candidate", "eval"], abs=5e-4)]
    assert "not defined" in _row(body, "precision")  # the trivial model calls nothing positive
    assert _row(body, "rows").split()[1:] == ["4,000", "16,000", "4,000", "4,000", "4,000"]


def test_splits_that_were_evaluated_together(late: EvaluationSummary) -> None:
    both = copy.copy(late)
    both["splits"], both["numbers"] = ["eval", "test"], [one for one in late["numbers"] if one["split"] == "train"]
    body = report.body(both, summaries.verdict(True))
    assert "this model eval+test this model train the baseline eval+test" in _plain(body)
    assert _row(body, "rows").split()[1:] == ["4,000", "16,000", "4,000"]


def test_errors_are_in_the_unit_of_the_label(houses: EvaluationSummary) -> None:
    body = report.body(houses, summaries.verdict(False))
    value = houses["numbers"][1]["metrics"]["root_mean_squared_error"]["value"] or 0
    assert f"{float(f'{value:.3g}'):,.0f}" in _row(body, "RMSE in price")
    assert "%" in _row(body, "MAPE")
    assert "always predicts the mean of the label" in body


def test_the_importance_of_further_columns_is_in_the_unit_of_the_chart(houses: EvaluationSummary) -> None:
    squared = copy.copy(houses)
    squared["main_metric"] = "mean_squared_error"
    squared["importance"] = [{"column": f"c{rank}", "worse_by": [100.0 - rank] * 2} for rank in range(17)]
    body = importance.section(squared, PRICE)
    assert "MSE in price²: worse by" in body
    assert [_row(body, "c15"), _row(body, "c16")] == ["c15 +85", "c16 +84"]


def test_the_effect_of_a_year_has_years_on_its_axis(houses: EvaluationSummary) -> None:
    effect: Effect = {"column": "built", "values": [1990, 2000, 2010], "predictions": [1, 2, 3], "shares": [0.2] * 3}
    houses = copy.copy(houses)
    houses["effects"] = [effect, {**effect, "values": [1990.5, 2000, 2010]}]
    specs = re.findall(
        '<script type="application/json">(.*?)</script>', importance.section(houses, Scale("regression", "price"))
    )
    years, amounts = (_svg(json.loads(spec)) for spec in specs[-2:])
    assert ">2000</text>" in years
    assert ">2,000</text>" in amounts


def test_the_effect_of_a_date_is_drawn_over_time(houses: EvaluationSummary) -> None:
    days = ["2019-02-01", "2023-03-01", "2021-01-01"]
    effect: Effect = {"column": "sold", "values": days, "predictions": [1, 2, 3], "shares": [0.2] * 3}
    houses = copy.copy(houses)
    houses["effects"] = [effect, {**effect, "values": [*days[:2], "soon"]}]
    specs = re.findall('<script type="application/json">(.*?)</script>', importance.section(houses, PRICE))
    over_time, names = (_svg(json.loads(spec)) for spec in specs[-2:])
    assert ">2020</text>" in over_time, "which is between them"
    assert "2019-02-01</text>" not in over_time
    assert "20% soon</text>" in names


def test_without_a_threshold_the_page_says_how_one_is_added(houses: EvaluationSummary) -> None:
    body = report.body(houses, summaries.verdict(False))
    value = houses["slices"][0]["metrics"]["root_mean_squared_error"]["value"] or 0
    (bound,) = re.findall(r"root_mean_squared_error: \{max: (\d+)\}", body)
    assert value <= float(bound) < 1.1 * value
    assert "nothing is blessed" in _plain(body)


def test_what_is_not_met_comes_first_and_the_worst_of_it(late: EvaluationSummary) -> None:
    slices_missed = [
        summaries.reason(f"dest={number}", 0.4 + number / 100, False, missed_by=(30 - number) / 70)
        for number in range(25)
    ]
    reasons: list[Reason] = [
        summaries.reason("overall", 0.8, True),
        *reversed(slices_missed),
        summaries.reason("overall", 0.9, False, "binary_crossentropy", "at most 0.5"),
        summaries.reason("dest=x", None, False),
        *(summaries.reason(f"dest={number}", 0.9, True) for number in range(30, 80)),
    ]
    body = report.body(late, summaries.verdict(False, reasons))
    text = _plain(body)
    assert "27 of 78 thresholds are not met" in text
    shown, folded = body.split("<details>")[:2]
    marks = re.findall(r">(✗|✓)</td><td class=\"long\">(.*?) is", shown)
    assert [sentence for _, sentence in marks][:4] == [
        "binary_crossentropy over all examples",
        "auc for dest=x",
        "auc for dest=0",
        "auc for dest=1",
    ]
    assert len(marks) == 10
    assert folded.startswith("<summary>17 more that are not met")
    assert "50 met in slices" in text


def test_large_thresholds_are_compared_by_their_value(houses: EvaluationSummary) -> None:
    errors = [(f"town={name}", 1e9 * rank) for rank, name in ((5, "a"), (9, "b"), (7, "c"))]
    reasons = [
        summaries.reason(name, value, False, "mean_squared_error", "at most 4,600,000,000", missed_by=value / 4.6e9 - 1)
        for name, value in errors
    ]
    body = report.body(houses, summaries.verdict(False, reasons))
    assert re.findall(r"for (town=.) is", body) == ["town=b", "town=c", "town=a"]


def test_no_overall_slice(late: EvaluationSummary) -> None:
    """An EvalConfig need not ask for it."""
    parts = copy.copy(late)
    parts["slices"] = late["slices"][1:]
    body = report.body(parts, summaries.verdict(False))
    assert "overall" not in body.split("<h2>Slices</h2>")[1].split("<h2>")[0].replace("vs. overall", "")
    assert "No threshold was given" in body


def test_slices_are_in_the_order_of_their_main_metric(late: EvaluationSummary, houses: EvaluationSummary) -> None:
    for summary, worst in ((late, min), (houses, max)):
        every = slices.judged(summary)
        values = [each.measure["value"] or 0 for each in every]
        assert values == sorted(values, reverse=worst is max)
        assert len(every) == len(summary["slices"]) - 1
    body = report.body(late, summaries.verdict(True))
    first = re.findall(r'<td class="long">(.*?)</td>', body.split("<h2>Slices</h2>")[1])[:2]
    assert first == ["overall", f"<strong>{slices.name(slices.judged(late)[0].part)}</strong>"]


def test_a_slice_is_surely_worse_only_beyond_its_interval(late: EvaluationSummary) -> None:
    overall = late["slices"][0]["metrics"]["auc"]["value"] or 0
    for each in slices.judged(late):
        assert each.surely == (each.measure["high"] < overall)


def test_a_slice_of_several_features_has_a_line_for_each(houses: EvaluationSummary) -> None:
    scale = Scale(houses["problem"], houses["label"])
    (spec,) = re.findall(r'<script type="application/json">(.*?)</script>', slices.section(houses, scale))
    drawn = _svg(json.loads(spec))
    assert ">town=Ames<" in drawn
    assert ">kind=house<" in drawn


def test_slices_without_intervals(late: EvaluationSummary) -> None:
    bare = copy.deepcopy(late)
    for part in bare["slices"]:
        part["metrics"] = {name: {"value": one["value"]} for name, one in part["metrics"].items()}
    section = slices.section(bare, Scale(bare["problem"], bare["label"]))
    assert "The worst slice comes first" in section
    assert "95%" not in section
    (spec,) = re.findall(r'<script type="application/json">(.*?)</script>', section)
    assert len(json.loads(spec)["layer"]) == 2


def test_slices_without_an_interval_are_not_counted_among_those_with_one() -> None:
    many = summaries.many_slices()
    every = slices.judged(many)
    (worse, *_), surely = [each for each in every if each.surely], [each.surely for each in every].count(True)
    assert f"{surely:,} of {len(every):,} slices are worse" in slices.section(
        many, Scale(many["problem"], many["label"])
    )
    for each in every:
        if each.part is not worse.part:
            each.part["metrics"][many["main_metric"]] = {"value": each.measure["value"]}
    section = slices.section(many, Scale(many["problem"], many["label"]))
    assert "1 of 1 slices with an interval is worse than overall" in section
    assert "by chance alone" not in section


def test_hundreds_of_slices_are_folded() -> None:
    many = summaries.many_slices()
    body = page.html("Evaluation", report.body(many, summaries.verdict(True)))
    assert "show all 401 rows" in body
    assert len(body.encode()) < _MOST_BYTES
    assert "The 20 worst slices" in body


def test_slices_with_plots_are_on_choice(late: EvaluationSummary) -> None:
    body = report.body(late, summaries.verdict(True))
    options = re.findall(r"<option>(.*?)</option>", body)
    assert options == ["overall", "dest=LAX", "dest=ATL", "dest=ORD", "dest=SEA", "dest=DEN"]
    assert body.count("ROC curve") == len(options)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)


def test_names_are_escaped_and_shortened(tmp_path: Path) -> None:
    hostile = summaries.hostile()
    reasons = [summaries.reason(name, None, False) for name in summaries.HOSTILE]
    written = report.write(tmp_path / "page.html", hostile, summaries.verdict(False, reasons)).read_text()
    body = written[written.index("<main>") : written.index("</main>")]
    assert "<script>alert" not in body
    assert "&lt;script&gt;alert" in body
    assert "dest=" + "x" * 41 not in body
    parser = _Tags()
    parser.feed(body)
    expected = {"h1", "h2", "h4", "p", "table", "section", "figure", "select", "option", "details"}
    assert parser.tags - {"script"} >= expected - {"details"}
    for spec in re.findall(r'<script type="application/json">(.*?)</script>', body)[-6:]:
        assert _svg(json.loads(spec))


def test_a_summary_with_nothing_but_a_metric() -> None:
    """Of a model of a kind that is not known: no plot, no slice, no other model."""
    bare = EvaluationSummary(
        problem="other",
        label="y",
        classes=[],
        main_metric="",
        lower_is_better=[],
        splits=["eval"],
        numbers=[],
        slices=[{"features": [], "examples": 3, "metrics": {"custom": {"value": 1.5}}, "baseline": {}}],
        importance=[],
        effects=[],
        sampled_rows=0,
    )
    assert "The model is" in _plain(report.body(bare, summaries.verdict(False)))
