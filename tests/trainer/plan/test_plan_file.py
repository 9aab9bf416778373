"""plan.json's shares of rows that lack a column."""

from collections.abc import Callable
from typing import Any

from penstock.trainer.fn_args import FnArgs
from penstock.trainer.plan import plan_file
from tests.trainer.plan.plans import plan

Tables = Callable[..., Any]


def test_words_among_numbers_are_missing(table: Tables) -> None:
    rows = 100
    columns = {
        "x": ["n/a" if row % 5 == 0 else None if row % 5 == 1 else f"{row}.5" for row in range(rows)],
        "name": [None if row % 4 == 0 else f"name {row % 7}" for row in range(rows)],
        "y": [row % 2 for row in range(rows)],
    }
    data = table(columns)
    fn_args = FnArgs(schema_path=str(data.root / "schema" / "schema.pbtxt"))
    fn_args.statistics_path = str(data.root / "statistics")
    assert plan_file._missing(plan(data, "y"), fn_args) == {"x": 0.4, "name": 0.25, "y": 0.0}
