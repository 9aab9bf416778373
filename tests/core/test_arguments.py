"""JSON parameters: what is read, and the sentence for each mistake."""

from typing import Any

import pytest

from penstock.core.arguments import check_object, check_string, check_strings, check_whole_number, parse_object
from penstock.core.errors import ConfigError

KEYS = ("splits", "num_steps")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (" \n", {}),
        ("{}", {}),
        ('{"splits": ["train"]}', {"splits": ["train"]}),
        ('{"numSteps": "5"}', {"num_steps": "5"}),
    ],
)
def test_an_object_by_its_keys(text: str, expected: dict[str, Any]) -> None:
    assert parse_object("train_args", text, KEYS) == expected


def test_without_keys_any_will_do() -> None:
    assert parse_object("custom_config", '{"numSteps": {"a": null}}') == {"numSteps": {"a": None}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '{"splits":\n [train]}',
            "train_args: expected JSON such as {...}, received '{\"splits\":\\n [train]}': "
            "Expecting value: line 2 column 3 (char 13)",
        ),
        ("[5]", "train_args: expected an object such as {...}, received [5]"),
        ("null", "train_args: expected an object such as {...}, received None"),
        ('{"numStep": 5}', "train_args: unknown key 'numStep'; did you mean 'num_steps'?"),
        ('{"x": 5}', "train_args: unknown key 'x'; expected one of splits, num_steps"),
    ],
)
def test_a_mistake_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_object("train_args", text, KEYS, "{...}")
    assert str(raised.value) == sentence


def test_what_was_received_is_shown_in_short() -> None:
    with pytest.raises(ConfigError, match=r"received \[0, 0, .*…$") as raised:
        check_object("csv_options", [0] * 1000)
    assert len(str(raised.value)) < 140


@pytest.mark.parametrize(("value", "expected"), [(None, 0), (0, 0), (3, 3), ("100", 100), (100.0, 100)])
def test_whole_numbers_as_protobuf_and_kfp_write_them(value: Any, expected: int) -> None:
    assert check_whole_number("steps", value) == expected


@pytest.mark.parametrize("value", [-1, 1.5, True, "many", [], float("inf"), float("nan")])
def test_what_is_no_whole_number(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^steps: expected a whole number of batches, 0 or more, received "):
        check_whole_number("steps", value, of="batches")


def test_a_number_that_is_due() -> None:
    with pytest.raises(ConfigError, match=r"^spans: expected a whole number, 1 or more, received None$"):
        check_whole_number("spans", None, least=1)


def test_strings() -> None:
    assert check_strings("splits", ["a"]) == ["a"]
    assert check_string("base", "a", "a folder") == "a"
    for value in ("a", [1], None):
        with pytest.raises(ConfigError, match=r"^splits: expected a list of names, received "):
            check_strings("splits", value)
    for value in ("", 1, None):
        with pytest.raises(ConfigError, match=r"^base: expected a folder, received "):
            check_string("base", value, "a folder")
