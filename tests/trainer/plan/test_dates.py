"""Columns of dates: how they are written, and integers that are moments."""

from collections.abc import Callable
from typing import Any

import pytest

from penstock.trainer.plan.features import Date, Numeric
from tests.trainer.plan.plans import plan

Tables = Callable[..., Any]


@pytest.mark.parametrize(
    ("values", "form", "note"),
    [
        (["17.03.2024", "01.04.2024"], "%d.%m.%Y", None),
        (["3.4.2024", "1.4.2024 8:05"], "%d.%m.%Y", None),  # dots: the day is first
        (["03/17/2024", "04/01/2024"], "%m/%d/%Y", None),  # one day above 12 decides
        (["17/03/2024", "04/01/2024"], "%d/%m/%Y", None),
        (["3/4/2024 8:05 PM", "4/1/2024 12:00 AM"], "%m/%d/%Y",
            "its dates, such as '4/1/2024 12:00 AM', are read as '%m/%d/%Y', and none shows that they are not "
            "'%d/%m/%Y': features: {when: {kind: date, format: ...}} decides"),
        (["5-Jan-2024", "6-FEB-2024"], "%d-%b-%Y", None),
        ([f"1/{day}/2024 8:{minute:02} PM" for day in range(1, 31) for minute in range(5)], "%m/%d/%Y", None),
        ([f"2024-01-{day:02}" for day in range(1, 21)] + ["n/a"], "iso",
            "it holds dates beside 'n/a': those are taken for missing"),
        (["17/03/2024", "03/17/2024"], None, "its values, such as '17/03/2024', look like dates, but no one format"),
        (["10.4.11", "10.4.12"], None, "its values, such as '10.4.12', look like dates"),  # versions
        (["2013-02-30", "2013-02-31"], None, "its values, such as '2013-02-31', look like dates"),
    ],
)  # fmt: skip
def test_dates_are_recognised_or_told(table: Tables, values: list[str], form: str | None, note: str | None) -> None:
    rows = 20 * len(values)
    columns = {"when": [values[row % len(values)] for row in range(rows)], "y": [row // 3 % 2 for row in range(rows)]}
    data = table(columns)
    made = plan(data, "y")
    (feature,) = made.features
    assert (feature.format if isinstance(feature, Date) else None) == form
    assert (feature.missing if isinstance(feature, Date) else ()) == (("n/a",) if "n/a" in values else ())
    assert made.notes.get("when", "").startswith(note or "")
    assert ("when" in made.notes) == (note is not None)
    if note and form != "iso":
        assert not plan(
            data, "y", when={"kind": "date", "format": "%d/%m/%Y"} if "/" in note else {"kind": "text"}
        ).notes


@pytest.mark.parametrize(
    ("step", "form"), [(1, "unix"), (10**3, "unix_ms"), (10**6, "unix_us"), (10**9, "unix_ns"), (0, "%Y%m%d")]
)
def test_integers_that_are_moments(table: Tables, step: int, form: str) -> None:
    """In a column whose name says so they are dates; in another one a note says how to make them so."""
    start = 1362683700
    values = [(start + 40_007 * row) * step if step else 20130101 + row % 12 * 100 + row % 28 for row in range(200)]
    columns = dict.fromkeys(("created_at", "pickupTime", "amount", "flat", "birthdate"), values)
    made = plan(table({**columns, "y": [row % 2 for row in range(200)]}), "y", birthdate={"kind": "numeric"})
    kinds = {feature.name: feature for feature in made.features}
    for name in ("created_at", "pickupTime"):
        date = kinds[name]
        assert isinstance(date, Date)
        assert date.format == form
        assert ("day" in date.parts) == bool(step)
    assert all(isinstance(kinds[name], Numeric) for name in ("amount", "flat", "birthdate"))
    assert list(made.notes) == ["amount", "flat"]
    assert made.notes["amount"] == (
        f"its integers may be moments of 2013: if they are, features: {{amount: {{kind: date, format: {form!r}}}}}"
    )
    said = plan(table({**columns, "y": [row % 2 for row in range(200)]}), "y", amount={"kind": "date"})
    assert [feature.format for feature in said.features if feature.name == "amount"] == [form]  # type: ignore[union-attr]


def test_all_words_among_dates_are_known_for_missing_ones(table: Tables) -> None:
    """However many there are; but dates that are written otherwise are none of them."""
    words = ["n/a", "open", "unknown", "to be decided", "-"]
    values = [*(f"{1 + row % 28:02}.03.2024" for row in range(80)), *words, "2024-03-01"]
    data = table({"when": values, "y": [row % 2 for row in range(len(values))]})
    (feature,) = plan(data, "y", when={"kind": "date", "format": "%d.%m.%Y"}).features
    assert isinstance(feature, Date)
    assert sorted(feature.missing) == sorted(words)
