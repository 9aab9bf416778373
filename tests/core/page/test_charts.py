"""Charts in pages: what a browser is given, and what it makes of it."""

import json
import re
from pathlib import Path
from typing import Any

import altair
import pytest

from penstock.core import page
from tests.servers import browser


def _chart(values: list[dict[str, Any]]) -> altair.Chart:
    return altair.Chart(altair.Data(values=values)).mark_point().encode(x="x:Q", y="y:Q", tooltip=["name:N"])


def _spec(figure: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json">(.*?)</script>', figure)
    return dict(json.loads(text))


def test_a_chart_is_data_with_short_numbers() -> None:
    spec = _spec(page.chart(_chart([{"x": 1 / 3, "y": float("nan")}, {"x": 2.0, "y": 123456789}])))
    assert spec["data"]["values"] == [{"x": 0.3333333, "y": None}, {"x": 2, "y": 123456789}]
    assert spec["width"] == "container"
    assert not {"config", "$schema"} & set(spec), "the page's, once for all charts"


def test_what_a_chart_says_of_its_size_holds() -> None:
    assert _spec(page.chart(_chart([]).properties(width=99, height=77)))["width"] == 99
    assert "min-height:77px" in page.chart(_chart([]).properties(height=77))


def test_what_the_data_says_ends_no_script() -> None:
    hostile = "</script><script>alert(1)</script><!--"
    figure = page.chart(_chart([{"x": 1, "y": 1, "name": hostile}]), "<caption>")
    assert figure.count("<script") == 1
    assert _spec(figure)["data"]["values"][0]["name"] == hostile
    assert "<figcaption>&lt;caption&gt;</figcaption>" in figure


@pytest.mark.slow
def test_a_browser_draws_charts_in_the_readers_colours(chromium: browser.Browser, tmp_path: Path) -> None:
    shown = _chart([{"x": 1, "y": 2, "name": "a"}])
    folded = f"<details><summary>more</summary>{page.chart(shown)}</details>"
    far = f'<div style="height:5000px"></div>{page.chart(shown)}'
    tab = chromium.open(page.write(tmp_path / "page.html", "Charts", page.chart(shown) + folded + far))
    assert tab.drawn() == 2, "also the one that is far below"
    fill = "getComputedStyle(document.querySelector('figure .mark-symbol path')).fill"
    assert tab.evaluate(fill) == "rgb(59, 115, 185)"
    tab.look(400, dark=True)
    assert tab.evaluate(fill) == "rgb(122, 169, 224)"
    assert tab.too_wide() == []
    tab.evaluate("document.querySelector('details').open = true")
    tab.evaluate("document.querySelector('details').scrollIntoView()")
    assert tab.drawn() == 3
    assert tab.errors == []
    assert [url.rpartition("/")[2] for url in tab.requests] == ["page.html"]


@pytest.mark.slow
def test_a_browser_sorts_and_chooses(chromium: browser.Browser, tmp_path: Path) -> None:
    cells = [("b", "2%", 2), ("", "", ""), ("a", "10%", 10)]
    rows = "".join(f'<tr><td>{name}</td><td data-value="{value}">{text}</td></tr>' for name, text, value in cells)
    table = page.table(rows, "<th>name</th><th>share</th>", sort=True)
    slices = page.choice("Slice", {"all": "<p>everything</p>", "one": page.chart(_chart([{"x": 1, "y": 2}]))})
    tab = chromium.open(page.write(tmp_path / "page.html", "Table", table + slices))
    column = "[...document.querySelectorAll('tbody tr')].map((row) => row.cells[%d].textContent).join()"
    tab.evaluate("document.querySelectorAll('th button')[1].click()")
    assert tab.evaluate(column % 1) == "2%,10%,"
    tab.evaluate("document.querySelectorAll('th button')[1].click()")
    assert tab.evaluate(column % 1) == "10%,2%,", "what is empty comes last"
    tab.evaluate("document.querySelectorAll('th button')[0].click()")
    assert tab.evaluate(column % 0) == "a,b,"
    assert tab.drawn() == 0
    choose = "select.selectedIndex = 1; select.dispatchEvent(new Event('change'))"
    tab.evaluate(f"{{ const select = document.querySelector('select'); {choose} }}")
    assert tab.drawn() == 1
    assert "everything" not in tab.evaluate("document.querySelector('.choice').innerText")
    assert tab.errors == []
