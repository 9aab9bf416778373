"""The page: what it says of each rule, and that names and values of the data cannot do anything in it."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.components.example_cleaner.conftest import Clean
from tests.servers.browser import Browser, chromium

__all__ = ["chromium"]
EVIL = "<script>document.title = 'evil'</script>"


def frames() -> dict[str, pd.DataFrame]:
    texts = [EVIL, " a ", "b" * 300, None] * 5
    rows = {EVIL: texts, "n": [1.0, 2.0, -5.0, None] * 5, "none": [None] * 20, "key": range(20)}
    frame = pd.DataFrame(rows).astype({"none": object})
    return {"train": frame[:12], "eval": frame[12:]}


RULES: list[dict[str, Any]] = [
    {"rule": "text", "columns": [EVIL], "case": "upper", "spaces": "trim", "name": EVIL},
    {"rule": "range", "columns": ["n"], "min": 0, "otherwise": "drop"},
    {"rule": "missing", "columns": ["none"], "action": "drop_column"},
    {"rule": "missing", "columns": ["n"], "action": "median"},
    {"rule": "duplicates", "columns": [EVIL, "key"]},
]


def test_what_the_page_says(clean: Clean) -> None:
    page = clean(frames(), *RULES).page
    assert "Of 20 rows " in page
    assert "a server answers for every row, so none is dropped" in page
    assert "Left out: none." in page
    assert "Learned: n 1.5" in page
    assert EVIL not in page
    assert page.count("&lt;script&gt;") > 3


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_how_it_looks(clean: Clean, chromium: Browser, width: int) -> None:
    root = clean(frames(), *RULES).root
    tab = chromium.open(Path(root / "report.html"), width=width)
    assert tab.drawn() == 2
    assert tab.too_wide() == []
    assert tab.evaluate("document.title") == "Cleaning"
