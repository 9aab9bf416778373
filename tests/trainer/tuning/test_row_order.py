"""What rows of a time series are ordered by: dates by the moments that they tell, however they are written."""

import numpy as np
import pytest

from penstock.core.errors import DataError
from penstock.trainer.tuning import row_order


@pytest.mark.parametrize(
    ("later", "form"),
    [
        (["12/31/2012", "1/5/2013", "1/31/2013", "02/01/2013"], ""),
        (["31.12.2012", "5.1.2013", "31.01.2013", "01.02.2013"], ""),
        (["31-Dec-2012", "05-Jan-2013", "31-Jan-2013", "01-Feb-2013"], ""),
        (["31/01/2013", "01/02/2013", "03/02/2013", "01/03/2013"], "%d/%m/%Y"),  # as %m/%d too, of which one says which
        (["2013-01-31 9:05", "2013-01-31 10:00", "2013-01-31T11:00:05Z", "2013-02-01"], "iso"),
        (["2013-W04", "2013-W05", "2013-W10", "2014-W01"], ""),
        (["2012-12", "2013-01", "2013-02", "2013-10"], "%Y-%m"),
    ],
)
def test_dates_are_in_the_order_of_time(later: list[str], form: str) -> None:
    shuffled = [2, 0, 3, 1]
    found = row_order.in_time("when", np.array([later[index].encode() for index in shuffled]), form)
    assert np.argsort(found).tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize("form", ["", "unix", "%Y%m%d"])
def test_numbers_are_moments(form: str) -> None:
    given = np.array([20130201, 20130131, 20121231])
    assert np.argsort(row_order.in_time("when", given, form)).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("given", "form", "sentence"),
    [
        (["Q1 2013", "Q4 2012"], "", "found texts such as 'Q1 2013': give features.when.format, or another feature"),
        (["9", "10"], "", "expected numbers, or dates in one format"),
        (["2013-01-31", "NA", "NA"], "iso", "a date in each row, written as iso; 2 rows have others, such as 'NA'"),
    ],
)
def test_what_is_in_no_order_of_time(given: list[str], form: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        row_order.in_time("when", np.array([text.encode() for text in given]), form)
