"""What a reader does with the page of an evaluation, in Chromium, and names that nobody meant."""

import time
from pathlib import Path

import pytest

from penstock.components.evaluator.report import report
from tests.components.evaluator.report import summaries
from tests.servers.browser import Browser

pytestmark = pytest.mark.slow

_CELLS = (
    "[...document.querySelectorAll('figure.chart')[0].querySelectorAll('.mark-text text')]"
    ".map((one) => one.textContent).slice(0, 4)"
)
_MOVE = """{ const range = document.querySelector('input[type=range]'); range.value = %s;
  range.dispatchEvent(new Event('input', { bubbles: true })); }"""
_SHOWN = "[...document.querySelectorAll('#slices tbody tr')].filter((row) => row.checkVisibility()).length"


def test_the_threshold_of_the_confusion_matrix_can_be_moved(chromium: Browser, tmp_path: Path) -> None:
    late = summaries.binary()
    plot = late["slices"][0]["plot"]
    assert plot["kind"] == "binary"
    tab = chromium.open(report.write(tmp_path / "page.html", late, summaries.verdict(True)))
    tab.drawn()
    for threshold, bucket in ((0.5, 500), (0.8, 800)):
        tab.evaluate(_MOVE % threshold)
        hits, alarms = sum(plot["positive"][bucket:]), sum(plot["negative"][bucket:])
        missed, right = sum(plot["positive"][:bucket]), sum(plot["negative"][:bucket])
        expected = [f"{count:,.0f}" for count in (hits, missed, alarms, right)]
        end = time.monotonic() + 10
        while sorted(tab.evaluate(_CELLS)) != sorted(expected) and time.monotonic() < end:
            time.sleep(0.05)
        assert sorted(tab.evaluate(_CELLS)) == sorted(expected)
    assert tab.errors == []


def test_hundreds_of_slices_are_shown_on_request(chromium: Browser, tmp_path: Path) -> None:
    tab = chromium.open(report.write(tmp_path / "page.html", summaries.many_slices(), summaries.verdict(True)))
    tab.evaluate("document.querySelector('.more').closest('.table').id = 'slices'")
    assert tab.evaluate(_SHOWN) == 30
    tab.evaluate("document.querySelectorAll('#slices th button')[1].click()")
    assert tab.evaluate(_SHOWN) == 30, "also when they are sorted"
    tab.evaluate("document.querySelector('#slices .more input').click()")
    assert tab.evaluate(_SHOWN) == 401
    assert tab.errors == []


def test_names_that_nobody_meant(chromium: Browser, tmp_path: Path) -> None:
    reasons = [summaries.reason(name, None, False) for name in summaries.HOSTILE]
    page = report.write(tmp_path / "page.html", summaries.hostile(), summaries.verdict(False, reasons))
    tab = chromium.open(page)
    for width in (1280, 400):
        tab.look(width)
        assert tab.drawn() > 6
        assert tab.too_wide() == []
    assert tab.errors == []
    assert tab.requests == [page.as_uri()]
