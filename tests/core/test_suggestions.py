"""The nearest name, in sentences about one that does not exist."""

import pytest

from penstock.core.suggestions import did_you_mean, listed, nearest


@pytest.mark.parametrize(
    ("name", "expected"), [("trian", "train"), ("TRAIN", "train"), ("evl", "Eval"), ("species", None), ("", None)]
)
def test_the_nearest_name_capitals_aside(name: str, expected: str | None) -> None:
    assert nearest(name, ["train", "Eval"]) == expected


def test_the_nearest_name_or_which_there_are() -> None:
    assert did_you_mean("trian", ["train", "eval"]) == "did you mean 'train'?"
    assert did_you_mean("x", ["train", "eval"]) == "expected one of train, eval"
    assert did_you_mean("x", ["train", "eval"], "it has") == "it has train, eval"
    assert did_you_mean("x", []) == "there is none"


def test_a_long_list_is_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert did_you_mean("x", map(str, range(30))).endswith("18, 19 and 10 more")
