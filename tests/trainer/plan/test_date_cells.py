"""What a model without code tells of its dates."""

from pathlib import Path

import pytest

from penstock.trainer.plan import date_cells
from penstock.trainer.plan.date_cells import DateCells
from penstock.trainer.plan.features import Categorical, Date


@pytest.mark.parametrize(
    ("form", "example", "read", "unread"),
    [
        (
            "iso",
            "2013-01-31",
            ["2024-02-29", "2024-02-29T08:05:30Z", "", "  ", "n/a"],
            ["2023-02-29", "29.2.2024", "N"],
        ),
        ("%d.%m.%Y", "31.01.2013", ["3.4.2024", "03.04.2024 8:05", "n/a"], ["2024-04-03", "4/3/2024"]),
        ("%Y%m%d", "20130131", ["20240229"], ["20230229", "2024"]),
    ],
)
def test_values_that_are_no_dates_are_told_apart(form: str, example: str, read: list[str], unread: list[str]) -> None:
    cells = DateCells(form, ("n/a",))
    assert cells.example() == example
    is_read = cells.reader()
    assert [value for value in [*read, *unread] if is_read(value)] == read


def test_they_stand_beside_the_model(tmp_path: Path) -> None:
    features = [
        Categorical("code", "code_xf"),
        Date("day", "day_xf", format="%d/%m/%Y", missing=("öffen",)),
        Date("moment", "moment_xf", format="unix"),
    ]
    columns = date_cells.of(features)
    assert columns == {"day": DateCells("%d/%m/%Y", ("öffen",))}
    date_cells.write(tmp_path / "none", {})
    assert date_cells.read(tmp_path / "none") == {}
    date_cells.write(tmp_path, columns)
    assert date_cells.read(tmp_path) == columns
